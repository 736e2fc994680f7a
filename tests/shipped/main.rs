//! What is shipped beside the module: the pages, what the command prints for Prometheus, Grafana,
//! Kubernetes and Envoy, and the image. Where a tool exists that reads it, it is checked by that tool.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod contributing;
mod dashboard;
mod image;
mod manifests;
mod markdown;
mod pages;
mod printed_files;
mod readme;
mod rules;
mod settings;
mod support;
