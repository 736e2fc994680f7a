//! What is derived from a configuration for Prometheus and Grafana, checked by their own tools.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod dashboard;
mod manifests;
mod rules;
mod support;
