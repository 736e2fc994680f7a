//! What the workers of a process learn, and the secret that names it.

use route_metrics::host::Host;
use route_metrics::host::recorder::Recorder;

use crate::worker::{Worker, get};

/// The facts that one worker of a new process tells, after its fellow has begun, and the process.
fn told(seed: u64) -> (Recorder, Vec<u8>) {
    let host = Recorder::default();
    let _first = Worker::on(host.worker(), "{}", seed);
    let mut second = Worker::on(host.worker(), "{}", seed + 1);
    for number in 0..50 {
        second.send(&get(&format!("/users/{number}/orders")));
        second.send(&get("/checkout"));
    }
    second.tick();
    let mut facts = Vec::new();
    host.shared_get("route-metrics/3/learned/0/0", &mut facts);
    (host, facts)
}

#[test]
fn each_process_has_names_of_its_own() {
    let [(_, one), (_, same), (_, other)] = [told(1), told(1), told(1001)];
    assert!(one.len() > 50, "{} bytes", one.len());
    assert_eq!(one, same, "the secret is all that is random");
    assert_eq!(one.len(), other.len());
    // A fact has 11 bytes, 10 of which are names; the rest is alike.
    let alike = one.iter().zip(&other).filter(|(a, b)| a == b).count();
    assert!(alike < one.len() * 2 / 3, "{alike} of {} bytes are alike", one.len());
}

#[test]
fn a_worker_that_comes_later_has_the_names_of_the_others() {
    let (host, facts) = told(1);
    let mut later = Worker::on(host.worker(), "{}", 77);
    for number in 0..50 {
        later.send(&get(&format!("/users/{number}/orders")));
        later.send(&get("/checkout"));
    }
    later.tick();
    let mut now = Vec::new();
    host.shared_get("route-metrics/3/learned/0/0", &mut now);
    assert!(!facts.is_empty());
    assert_eq!(now, facts, "all of it was known");
}
