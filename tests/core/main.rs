//! The core on a host in memory: what the filter counts, refuses, infers and allocates.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod bad_configurations;
mod custom_metrics;
mod endpoint_quality;
mod labels;
mod learning;
mod life;
mod places;
mod sampling;
mod steady_state;
mod wasm_tests;
mod worker;
