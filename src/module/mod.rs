//! The adapters to the hosts, and the only unsafe code; no decisions.

#[cfg(any(target_os = "wasi", test))]
mod header_pairs;
#[cfg(all(target_os = "wasi", route_metrics_trap))]
mod trap;
#[cfg(target_os = "wasi")]
mod wasm;
