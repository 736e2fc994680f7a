//! Per-endpoint request metrics for Envoy.
//!
//! The crate is the core of a proxy-wasm filter and of the command `route-metrics`. Everything
//! but the adapter to the host is free of proxy-wasm and runs natively, too.

#[cfg(target_os = "wasi")]
mod abi;
pub mod active;
pub mod config;
pub mod endpoint;
#[cfg(not(target_arch = "wasm32"))]
pub mod envoy_config;
pub mod events;
pub mod filter;
pub mod flags;
pub mod grpc;
pub mod host;
pub mod labels;
pub mod limits;
pub mod method;
pub mod number;
pub mod pairs;
pub mod plan;
#[cfg(not(target_os = "wasi"))]
pub mod recorder;
#[cfg(not(target_arch = "wasm32"))]
pub mod reference;
pub mod registry;
pub mod request;
pub mod rules;
pub mod sampling;
pub mod value;
