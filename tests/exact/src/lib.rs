//! The module on a host in memory: every call between the two is counted, and so is every
//! instruction.
//!
//! The host is as much of proxy-wasm as the module imports. It can be told to answer any call with
//! any status, so that tests can show that nothing which a host answers ends the VM.

mod imports;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use wasmi::{Config, Engine, Instance, Linker, Module, Store, WasmParams, WasmResults};

pub use world::{Claims, Metric, World};

/// The root context of [`Guest::configure`].
pub const ROOT: u32 = 1;

/// Far more than any call needs; what is left tells what was used.
const FUEL: u64 = 1 << 60;

/// What an error of the engine says: the module trapped, or is not what it should be.
pub type Error = wasmi::Error;

/// A VM with the module.
pub struct Guest {
    store: Store<World>,
    instance: Instance,
    next: u32,
    instructions: u64,
    callbacks: u64,
}

/// What happened between two looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of the module to the host, by function.
    pub host_calls: BTreeMap<&'static str, u64>,
    /// Calls of the host to the module for an event of a stream.
    pub callbacks: u64,
    /// Calls of the host to the module, to hand over bytes.
    pub handed_over: u64,
    /// Instructions, as the engine's fuel counts them.
    pub instructions: u64,
}

/// The module that `make build` leaves, or the one that `BENCH_MODULE` names.
pub fn module() -> PathBuf {
    match std::env::var_os("BENCH_MODULE") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/route_metrics.wasm"),
    }
}

/// The module that counts how often it allocates, as `make trap` leaves it.
pub fn counting_module() -> PathBuf {
    let built = "../../target/wasm32-wasip1/trap/route_metrics.wasm";
    Path::new(env!("CARGO_MANIFEST_DIR")).join(built)
}

impl Guest {
    /// Starts a VM with the module of [`counting_module`]; panics where there is none.
    pub fn counting(world: World) -> Self {
        let path = counting_module();
        let bytes = std::fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}; run `make trap`", path.display()));
        Self::with(&bytes, world).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// How often the module has allocated so far, if it counts that: not for what it was handed.
    pub fn allocations(&mut self) -> Result<u64, Error> {
        self.call("route_metrics_allocations", ())
    }

    /// Starts a VM with the module of [`module`]; panics where there is none.
    pub fn start(world: World) -> Self {
        let path = module();
        let bytes = std::fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}; run `make build`", path.display()));
        Self::with(&bytes, world).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Starts a VM with these bytes.
    pub fn with(bytes: &[u8], world: World) -> Result<Self, Error> {
        let mut config = Config::default();
        config.consume_fuel(true);
        let engine = Engine::new(&config);
        let module = Module::new(&engine, bytes)?;
        let mut store = Store::new(&engine, world);
        store.set_fuel(FUEL)?;
        let mut linker = Linker::new(&engine);
        imports::define(&mut linker, &module)?;
        let instance = linker.instantiate_and_start(&mut store, &module)?;
        let mut guest = Self { store, instance, next: ROOT, instructions: 0, callbacks: 0 };
        if guest.instance.get_func(&guest.store, "_initialize").is_some() {
            guest.call::<(), ()>("_initialize", ())?;
        }
        Ok(guest)
    }

    /// The host.
    pub fn world(&mut self) -> &mut World {
        self.store.data_mut()
    }

    /// Calls an export; one that the module does not have answers with the default.
    fn call<P: WasmParams, R: WasmResults + Default>(
        &mut self,
        name: &str,
        parameters: P,
    ) -> Result<R, Error> {
        if self.instance.get_func(&self.store, name).is_none() {
            return Ok(R::default());
        }
        self.callbacks += 1;
        self.store.set_fuel(FUEL)?;
        let function = self.instance.get_typed_func::<P, R>(&self.store, name)?;
        let result = function.call(&mut self.store, parameters);
        self.instructions += FUEL - self.store.get_fuel()?;
        result
    }

    /// Creates a root context and configures it; false where the module refuses.
    pub fn configure(&mut self, root: u32, configuration: &str) -> Result<bool, Error> {
        self.world().configuration = configuration.as_bytes().to_vec();
        self.next = self.next.max(root);
        self.call::<_, ()>("proxy_on_context_create", (root, 0u32))?;
        let size = u32::try_from(configuration.len()).unwrap_or(u32::MAX);
        Ok(self.call::<_, u32>("proxy_on_configure", (root, size))? != 0)
    }

    /// About a second has passed.
    pub fn tick(&mut self, root: u32) -> Result<(), Error> {
        self.world().clock_ns += 1_000_000_000;
        self.call("proxy_on_tick", root)
    }

    /// A stream is created; gives its id.
    pub fn create(&mut self, root: u32) -> Result<u32, Error> {
        self.next += 1;
        self.call::<_, ()>("proxy_on_context_create", (self.next, root))?;
        Ok(self.next)
    }

    /// The request headers of a stream are there.
    pub fn request_headers(&mut self, stream: u32) -> Result<(), Error> {
        let headers = u32::try_from(self.world().request_headers.len()).unwrap_or(0);
        self.call::<_, u32>("proxy_on_request_headers", (stream, headers, 1u32)).map(drop)
    }

    /// A stream ends, with every event that a host tells of.
    pub fn end(&mut self, stream: u32) -> Result<(), Error> {
        let headers = u32::try_from(self.world().response_headers.len()).unwrap_or(0);
        self.call::<_, u32>("proxy_on_response_headers", (stream, headers, 1u32))?;
        self.call::<_, ()>("proxy_on_log", stream)?;
        self.call::<_, u32>("proxy_on_done", stream)?;
        self.call::<_, ()>("proxy_on_delete", stream)
    }

    /// The VM's linear memory now, in bytes: all of it, and its 4 KiB pages that hold anything.
    pub fn memory_bytes(&self) -> (usize, usize) {
        let memory = self.instance.get_memory(&self.store, "memory");
        let bytes = memory.map_or(&[][..], |memory| memory.data(&self.store));
        let used = bytes.chunks(4096).filter(|page| page.iter().any(|byte| *byte != 0)).count();
        (bytes.len(), used * 4096)
    }

    /// One request from beginning to end.
    pub fn request(&mut self, root: u32) -> Result<(), Error> {
        let stream = self.create(root)?;
        self.request_headers(stream)?;
        self.end(stream)
    }

    /// What happened since the last look.
    pub fn look(&mut self) -> Counts {
        Counts {
            host_calls: std::mem::take(&mut self.world().calls),
            handed_over: std::mem::take(&mut self.world().handed_over),
            callbacks: std::mem::take(&mut self.callbacks),
            instructions: std::mem::take(&mut self.instructions),
        }
    }
}
