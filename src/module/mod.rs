//! The adapters to the hosts, and the only unsafe code; no decisions.

#[cfg(any(feature = "native", test))]
mod families;
#[cfg(any(target_os = "wasi", test))]
mod header_pairs;
#[cfg(feature = "native")]
mod native;
#[cfg(all(any(target_os = "wasi", feature = "native"), route_metrics_trap))]
mod trap;
#[cfg(target_os = "wasi")]
mod wasm;
