//! What is derived from a configuration for Prometheus and Grafana, checked by their own tools.

mod dashboard;
mod rules;
mod support;
