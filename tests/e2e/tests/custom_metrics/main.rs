//! Custom metrics in a real Envoy: by rule, by report, and under attack.

mod attacks;
mod django;
mod posting;
mod reporting;
mod routes;
mod saas;
