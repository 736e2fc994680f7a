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
mod json;
pub mod labels;
pub mod limits;
pub mod method;
pub mod number;
#[cfg(not(target_arch = "wasm32"))]
pub mod openapi;
pub mod pairs;
pub mod plan;
#[cfg(not(target_arch = "wasm32"))]
pub mod preview;
#[cfg(not(target_os = "wasi"))]
pub mod recorder;
#[cfg(not(target_arch = "wasm32"))]
pub mod reference;
pub mod registry;
pub mod request;
pub mod rules;
pub mod sampling;
#[cfg(not(target_arch = "wasm32"))]
pub mod stack;
#[cfg(all(target_os = "wasi", route_metrics_trap))]
mod trap;
pub mod value;

/// The attribute `test` of the test modules, so that the same tests run as Wasm under Node, too.
#[cfg(all(test, not(all(target_arch = "wasm32", target_os = "unknown"))))]
use core::prelude::v1::test;
#[cfg(all(test, target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;
