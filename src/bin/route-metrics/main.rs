//! The command `route-metrics`.
fn main() {}
