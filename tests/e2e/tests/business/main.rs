//! Custom metrics in a real Envoy: by rule, by report, and under attack.

mod attacks;
mod posting;
mod reporting;
#[allow(dead_code, reason = "shared with the tests of the filter, which use all of it")]
#[path = "../filter/support.rs"]
mod support;
