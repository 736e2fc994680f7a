//! Per-endpoint request metrics for Envoy.
//!
//! The crate is the core of a proxy-wasm filter and of the command `route-metrics`. Everything
//! but the adapters to the host (`module`) is free of proxy-wasm and runs natively, too. Folders
//! import downwards only: `command` and `module` → [`filter`] → [`plan`] → [`custom`] →
//! [`series`], [`endpoint`] → [`labels`] → [`request`], [`config`] → [`host`].

#[allow(clippy::disallowed_methods, reason = "the command may look at the clock")]
#[cfg(not(target_arch = "wasm32"))]
pub mod command;
pub mod config;
pub mod custom;
pub mod endpoint;
pub mod filter;
pub mod host;
pub mod labels;
#[cfg(not(fuzzing))]
mod module;
/// For the fuzzer, which drives the hooks of the dynamic module (`module::drive`).
#[cfg(fuzzing)]
pub mod module;
pub mod plan;
pub mod request;
pub mod sampling;
pub mod secret;
pub mod series;

/// The attribute `test` of the test modules, so that the same tests run as Wasm under Node, too.
#[cfg(all(test, not(all(target_arch = "wasm32", target_os = "unknown"))))]
use core::prelude::v1::test;
#[cfg(all(test, target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;
