//! The linear memory of a VM: with nothing, with the default configuration, and with 2,000 series.
//! Prints the table of docs/cost.md with `--nocapture`.

use route_metrics_exact::{Guest, ROOT, World};

/// As in tests/tools/bench/memory.sh.
const CONFIGURATION: &str = r#"{
    "labels": {"shard": {"from": "query_param", "name": "shard"}},
    "metrics": {"requests_total": {"labels": ["method", "endpoint", "status", "shard"]}},
    "endpoint": {"templates": ["/users"]},
    "limits": {"max_values_per_label": 4000, "max_series_per_metric": 4000}}"#;

/// The most that may hold anything with 2,000 series. Beside it a VM has what V8 needs for itself.
const MOST_USED_BYTES: usize = 600 << 10;

#[test]
fn two_thousand_series_take_little_memory() {
    let mut guest = Guest::start(World::get("/"));
    let show = |what: &str, guest: &Guest| {
        let (all, used) = guest.memory_bytes();
        println!("| {what} | {} | {} |", all >> 10, used >> 10);
        used
    };
    show("started", &guest);
    assert!(guest.configure(ROOT, CONFIGURATION).expect("it does not trap"));
    show("configured", &guest);
    for index in 0..2000 {
        guest.world().set_path(&format!("/users?shard={index}"));
        guest.request(ROOT).expect("it does not trap");
        if index == 0 {
            show("one request", &guest);
        }
        if index % 100 == 99 {
            guest.tick(ROOT).expect("it does not trap");
        }
    }
    let used = show("2,000 series", &guest);
    assert!(used <= MOST_USED_BYTES, "{used} bytes");
}
