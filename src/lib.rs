//! Per-endpoint request metrics for Envoy.
//!
//! The crate is the core of a proxy-wasm filter and of the command `route-metrics`. Everything
//! but the adapter to the host is free of proxy-wasm and runs natively, too.

#[cfg(target_os = "wasi")]
mod abi;
pub mod active;
pub mod config;
pub mod endpoint;
pub mod filter;
pub mod flags;
pub mod grpc;
pub mod host;
pub mod labels;
pub mod limits;
pub mod method;
pub mod plan;
#[cfg(not(target_os = "wasi"))]
pub mod recorder;
pub mod registry;
pub mod request;
pub mod sampling;
pub mod value;
