//! The functions that the module imports: proxy-wasm 0.2.1 and the little of WASI that Rust's
//! standard library asks for.

use wasmi::{Caller, Error, Extern, Linker, Memory, Module, Val};

use crate::World;

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;
const INVALID_MEMORY_ACCESS: u32 = 6;
const CAS_MISMATCH: u32 = 8;
const UNIMPLEMENTED: u32 = 12;

/// A status, or the one of an access outside the module's memory.
type Status = Result<u32, u32>;

struct Call<'a, 'b>(&'a mut Caller<'b, World>);

impl Call<'_, '_> {
    fn memory(&self) -> Result<Memory, u32> {
        let memory = self.0.get_export("memory").and_then(Extern::into_memory);
        memory.ok_or(INVALID_MEMORY_ACCESS)
    }

    fn bytes(&self, at: u32, size: u32) -> Result<Vec<u8>, u32> {
        let data = self.memory()?.data(&*self.0);
        let at = at as usize;
        data.get(at..at + size as usize).map(<[u8]>::to_vec).ok_or(INVALID_MEMORY_ACCESS)
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Status {
        let memory = self.memory()?;
        memory.write(&mut *self.0, at as usize, bytes).map_err(|_| INVALID_MEMORY_ACCESS)?;
        Ok(OK)
    }

    fn write_u32(&mut self, at: u32, value: u32) -> Status {
        self.write(at, &value.to_le_bytes())
    }

    /// Hands bytes over as a real host does: the module says where they go.
    fn give(&mut self, bytes: &[u8], data: u32, size: u32) -> Status {
        let length = u32::try_from(bytes.len()).map_err(|_| BAD_ARGUMENT)?;
        let place = if length == 0 {
            0
        } else {
            self.0.data_mut().handed_over += 1;
            let export = self.0.get_export("proxy_on_memory_allocate").and_then(Extern::into_func);
            let allocate = export.ok_or(INVALID_MEMORY_ACCESS)?.typed::<u32, u32>(&*self.0);
            let allocate = allocate.map_err(|_| INVALID_MEMORY_ACCESS)?;
            allocate.call(&mut *self.0, length).map_err(|_| INVALID_MEMORY_ACCESS)?
        };
        self.write(place, bytes)?;
        let claims = self.0.data().claims.filter(|_| place != 0);
        let (place, length) = claims.map_or((place, length), |claims| claims(place, length));
        self.write_u32(data, place)?;
        self.write_u32(size, length)
    }
}

fn header(world: &World, map: u32, name: &[u8]) -> Option<Vec<u8>> {
    let map = match map {
        0 => &world.request_headers,
        2 => &world.response_headers,
        _ => return None,
    };
    map.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}

/// Headers in the form of the ABI.
fn pairs(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(0).to_le_bytes();
    let mut out = u32::try_from(pairs.len()).unwrap_or(0).to_le_bytes().to_vec();
    for (name, value) in pairs {
        out.extend(length(name));
        out.extend(length(value));
    }
    for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
        out.extend_from_slice(text);
        out.push(0);
    }
    out
}

/// Defines a function of the module `env`: it is counted, and answers with the status that the
/// world has for it, if any.
macro_rules! env {
    ($linker:ident, $name:literal, |$call:ident $(, $parameter:ident: $type:ty)*| $body:block) => {
        #[allow(unused_mut)]
        $linker.func_wrap(
            "env",
            $name,
            |mut caller: Caller<'_, World> $(, $parameter: $type)*| -> u32 {
                *caller.data_mut().calls.entry($name).or_default() += 1;
                if let Some(&status) = caller.data().statuses.get($name) {
                    return status;
                }
                let mut $call = Call(&mut caller);
                let work = || -> Status { $body };
                let mut work = work;
                work().unwrap_or_else(|status| status)
            },
        )?
    };
}

/// Defines everything that this module imports.
pub fn define(linker: &mut Linker<World>, module: &Module) -> Result<(), Error> {
    metrics(linker)?;
    reads(linker)?;
    shared_data(linker)?;
    wasi(linker)?;
    for import in module.imports() {
        let (space, name) = (import.module(), import.name());
        if let Some(function) = import.ty().func() {
            // What is not here is not there: the module must do without it.
            let missing = |_: Caller<'_, World>, _: &[Val], results: &mut [Val]| {
                results.fill(Val::I32(UNIMPLEMENTED.cast_signed()));
                Ok(())
            };
            let _ = linker.func_new(space, name, function.clone(), missing);
        }
    }
    Ok(())
}

fn metrics(linker: &mut Linker<World>) -> Result<(), Error> {
    env!(linker, "proxy_define_metric", |call, _kind: u32, name: u32, size: u32, id: u32| {
        let name = call.bytes(name, size)?;
        let metrics = &mut call.0.data_mut().metrics;
        metrics.push(crate::Metric { name, ..Default::default() });
        let new = u32::try_from(metrics.len()).unwrap_or(0);
        call.write_u32(id, new)
    });
    env!(linker, "proxy_increment_metric", |call, id: u32, by: i64| {
        let metric = call.0.data_mut().metrics.get_mut((id as usize).wrapping_sub(1));
        metric.ok_or(BAD_ARGUMENT)?.value += by;
        Ok(OK)
    });
    env!(linker, "proxy_record_metric", |call, id: u32, value: u64| {
        let metric = call.0.data_mut().metrics.get_mut((id as usize).wrapping_sub(1));
        let metric = metric.ok_or(BAD_ARGUMENT)?;
        metric.value = value.cast_signed();
        metric.records += 1;
        Ok(OK)
    });
    Ok(())
}

fn reads(linker: &mut Linker<World>) -> Result<(), Error> {
    env!(linker, "proxy_log", |call, _level: u32, text: u32, size: u32| {
        let text = call.bytes(text, size)?;
        call.0.data_mut().log.push(String::from_utf8_lossy(&text).into_owned());
        Ok(OK)
    });
    env!(linker, "proxy_set_tick_period_milliseconds", |_call, _period: u32| { Ok(OK) });
    env!(linker, "proxy_get_buffer_bytes", |call,
                                            buffer: u32,
                                            start: u32,
                                            max: u32,
                                            data: u32,
                                            size: u32| {
        let bytes = match buffer {
            7 => call.0.data().configuration.clone(),
            _ => return Ok(NOT_FOUND),
        };
        let rest = bytes.get(start as usize..).ok_or(BAD_ARGUMENT)?;
        let part = rest.get(..max as usize).unwrap_or(rest);
        call.give(part, data, size)
    });
    env!(
        linker,
        "proxy_get_header_map_value",
        |call, map: u32, name: u32, name_size: u32, data: u32, size: u32| {
            let name = call.bytes(name, name_size)?;
            let value = header(call.0.data(), map, &name).ok_or(NOT_FOUND)?;
            call.give(&value, data, size)
        }
    );
    env!(linker, "proxy_get_header_map_pairs", |call, map: u32, data: u32, size: u32| {
        let world = call.0.data();
        let pairs = match map {
            0 => pairs(&world.request_headers),
            2 => pairs(&world.response_headers),
            _ => return Err(BAD_ARGUMENT),
        };
        call.give(&pairs, data, size)
    });
    env!(linker, "proxy_get_property", |call, path: u32, path_size: u32, data: u32, size: u32| {
        let path = call.bytes(path, path_size)?;
        let value = call.0.data().properties.get(&path).cloned().ok_or(NOT_FOUND)?;
        call.give(&value, data, size)
    });
    env!(linker, "proxy_set_property", |call,
                                        path: u32,
                                        path_size: u32,
                                        value: u32,
                                        value_size: u32| {
        let mut key = b"wasm.".to_vec();
        key.extend(call.bytes(path, path_size)?);
        let value = call.bytes(value, value_size)?;
        call.0.data_mut().properties.insert(key, value);
        Ok(OK)
    });
    Ok(())
}

fn shared_data(linker: &mut Linker<World>) -> Result<(), Error> {
    env!(linker, "proxy_get_shared_data", |call,
                                           key: u32,
                                           key_size: u32,
                                           data: u32,
                                           size: u32,
                                           cas: u32| {
        let key = call.bytes(key, key_size)?;
        let (value, number) = call.0.data().shared.get(&key).cloned().ok_or(NOT_FOUND)?;
        call.give(&value, data, size)?;
        call.write_u32(cas, number)
    });
    env!(linker, "proxy_set_shared_data", |call,
                                           key: u32,
                                           key_size: u32,
                                           value: u32,
                                           value_size: u32,
                                           cas: u32| {
        let key = call.bytes(key, key_size)?;
        let value = call.bytes(value, value_size)?;
        let entry = call.0.data_mut().shared.entry(key);
        match entry {
            std::collections::btree_map::Entry::Occupied(entry)
                if cas != 0 && entry.get().1 != cas =>
            {
                Ok(CAS_MISMATCH)
            }
            entry => {
                let slot = entry.or_default();
                *slot = (value, slot.1 + 1);
                Ok(OK)
            }
        }
    });
    Ok(())
}

fn wasi(linker: &mut Linker<World>) -> Result<(), Error> {
    const SPACE: &str = "wasi_snapshot_preview1";
    linker.func_wrap(
        SPACE,
        "clock_time_get",
        |mut caller: Caller<'_, World>, _clock: u32, _precision: u64, time: u32| -> u32 {
            *caller.data_mut().calls.entry("clock_time_get").or_default() += 1;
            caller.data_mut().clock_ns += 700_000;
            let now = caller.data().clock_ns;
            Call(&mut caller).write(time, &now.to_le_bytes()).unwrap_or_else(|status| status)
        },
    )?;
    linker.func_wrap(
        SPACE,
        "random_get",
        |mut caller: Caller<'_, World>, at: u32, size: u32| -> u32 {
            *caller.data_mut().calls.entry("random_get").or_default() += 1;
            let bytes: Vec<u8> = (0..size)
                .map(|_| {
                    let random = &mut caller.data_mut().random;
                    *random =
                        random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
                    random.to_le_bytes()[6]
                })
                .collect();
            Call(&mut caller).write(at, &bytes).unwrap_or_else(|status| status)
        },
    )?;
    linker.func_wrap(
        SPACE,
        "environ_sizes_get",
        |mut caller: Caller<'_, World>, count: u32, size: u32| -> u32 {
            *caller.data_mut().calls.entry("environ_sizes_get").or_default() += 1;
            let mut call = Call(&mut caller);
            call.write_u32(count, 0)
                .and_then(|_| call.write_u32(size, 0))
                .unwrap_or_else(|status| status)
        },
    )?;
    linker.func_wrap(
        SPACE,
        "environ_get",
        |mut caller: Caller<'_, World>, _: u32, _: u32| -> u32 {
            *caller.data_mut().calls.entry("environ_get").or_default() += 1;
            OK
        },
    )?;
    Ok(())
}
