//! The keys of shared data, all of them.
//!
//! Shared data belongs to a `vm_id` and lives as long as the process, so an update of the module
//! finds what its predecessor wrote. Each key therefore names the version of what is stored under
//! it: a module that writes another form raises the number, and begins anew.

/// The key of hashes of what clients send, the same on every worker: 16 bytes, written once.
pub const SECRET: &str = "route-metrics/1/secret";

/// The key of hashed label values, where no variable gives one: 16 bytes, written once.
pub const HASH_KEY: &str = "route-metrics/1/hash-key";

/// Which generation of what was learned of paths holds: 4 bytes.
pub const LEARNED: &str = "route-metrics/3/learned";

/// What was told in a generation, one of two: a list.
pub fn learned(slot: u32) -> String {
    format!("route-metrics/3/learned/{slot}")
}

/// What a generation began with, one of two.
pub fn learned_base(slot: u32) -> String {
    format!("route-metrics/3/learned/base/{slot}")
}

/// The values of a label: a list, in the order of their ids.
pub fn values(list: &str) -> String {
    format!("route-metrics/1/values/{list}")
}

/// The values of a label that wait for a place: a table.
pub fn waiting_values(list: &str) -> String {
    format!("route-metrics/1/waiting/values/{list}")
}

/// The kinds and label sets that a metric has had: a list, in the order of their ids.
pub fn shapes(metric: &str) -> String {
    format!("route-metrics/1/shapes/{metric}")
}

/// The series of a metric: a list.
pub fn series(metric: &str) -> String {
    format!("route-metrics/1/series/{metric}")
}

/// The series of a metric that wait for a place: a table.
pub fn waiting_series(metric: &str) -> String {
    format!("route-metrics/1/waiting/series/{metric}")
}

/// The open requests of a VM.
pub fn vm(index: u32) -> String {
    format!("route-metrics/1/vm/{index}")
}
