//! The adapters to the hosts, and the only unsafe code; no decisions.
//!
//! With `route_metrics_micro` the Wasm adapter is left out: a program that measures the core as Wasm
//! has an allocator that counts, and there can be one only.

#[cfg(any(feature = "native", test, fuzzing))]
mod families;
#[cfg(any(all(target_os = "wasi", not(route_metrics_micro)), test))]
mod header_pairs;
#[cfg(any(feature = "native", fuzzing, all(test, not(target_arch = "wasm32"))))]
mod native;
#[cfg(all(any(target_os = "wasi", feature = "native"), route_metrics_trap))]
mod trap;
#[cfg(all(target_os = "wasi", not(route_metrics_micro)))]
mod wasm;

#[cfg(fuzzing)]
pub use native::fuzz::drive;
