//! What is derived from a configuration for Prometheus and Grafana, checked by their own tools.

mod dashboard;
mod manifests;
mod rules;
mod support;
