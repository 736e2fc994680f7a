//! A soak, for as long as a test may take; `make soak` is the long one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::Command;

/// Enough for the looks at memory that a verdict needs, one in two seconds.
const SECONDS: &str = "20";

/// Exact totals, no VM that died, no complaint of the filter, and memory that does not grow beyond the
/// bounds of `tests/e2e/src/bin/soak/memory.rs`.
#[test]
fn a_brief_soak() {
    let output = Command::new(env!("CARGO_BIN_EXE_soak"))
        .env("SOAK_SECONDS", SECONDS)
        .env_remove("SOAK_SEED")
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
