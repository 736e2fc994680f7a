//! What the workers of one process share, with compare-and-swap as the host of Wasm has it
//! (proxy-wasm-cpp-host, `src/shared_data.cc`). It is asked on the cold path alone.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use crate::host::SharedWrite;

/// The values, and the number of the last one.
#[derive(Default)]
pub struct Data {
    values: HashMap<String, (Vec<u8>, u32)>,
    cas: u32,
}

static DATA: LazyLock<Mutex<Data>> = LazyLock::new(Mutex::default);

/// What is behind a lock is whole after every step, so one that panicked leaves nothing to mend.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Exchanges what is shared.
#[cfg(any(test, fuzzing))]
pub fn swap(other: &mut Data) {
    std::mem::swap(&mut *lock(&DATA), other);
}

/// Appends the value of a key to `out`; gives its compare-and-swap number.
pub fn get(key: &str, out: &mut Vec<u8>) -> Option<u32> {
    lock(&DATA).get(key, out)
}

/// Writes a key if `cas` is 0, the number of its value, or it does not exist.
pub fn set(key: &str, value: &[u8], cas: u32) -> SharedWrite {
    lock(&DATA).set(key, value, cas)
}

impl Data {
    fn get(&self, key: &str, out: &mut Vec<u8>) -> Option<u32> {
        let (value, cas) = self.values.get(key)?;
        out.extend_from_slice(value);
        Some(*cas)
    }

    fn set(&mut self, key: &str, value: &[u8], cas: u32) -> SharedWrite {
        // Neither 0 nor `CREATE_ONLY` is the number of a value.
        self.cas = self.cas % (u32::MAX - 1) + 1;
        let next = self.cas;
        match self.values.get_mut(key) {
            Some((_, current)) if cas != 0 && cas != *current => return SharedWrite::Mismatch,
            Some(stored) => *stored = (value.to_vec(), next),
            None => {
                self.values.insert(key.to_owned(), (value.to_vec(), next));
            }
        }
        SharedWrite::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::CREATE_ONLY;
    use crate::test;

    #[test]
    fn a_write_needs_the_number_of_what_it_replaces() {
        let mut data = Data::default();
        let read = |data: &Data| {
            let mut out = Vec::new();
            data.get("a", &mut out).map(|cas| (out, cas))
        };
        assert!(read(&data).is_none());
        assert_eq!(data.set("a", b"1", CREATE_ONLY), SharedWrite::Done);
        assert_eq!(data.set("a", b"2", CREATE_ONLY), SharedWrite::Mismatch);
        let (value, cas) = read(&data).unwrap();
        assert_eq!(value, b"1");
        assert_eq!(data.set("a", b"3", cas), SharedWrite::Done);
        assert_eq!(data.set("a", b"4", cas), SharedWrite::Mismatch);
        assert_eq!(data.set("a", b"5", 0), SharedWrite::Done);
        assert_eq!(read(&data).unwrap().0, b"5");
    }
}
