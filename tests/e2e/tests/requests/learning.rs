//! What one worker learns, all workers know.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use route_metrics_e2e::wait::{eventually, eventually_equal};
use route_metrics_e2e::{Answer, Envoy, Request, Setup, Upstream, corpus, http1};
use serde_json::{Value, json};

use route_metrics_e2e::expect::Numbers;

/// Paths that are asked for in the end, each as often as this.
const ASKED: usize = 400;
const TIMES: usize = 12;

/// Traffic of an API with names, numbers and fixed words.
fn made_up() -> Vec<String> {
    let mut numbers = Numbers(11);
    let name = |numbers: &mut Numbers| -> String {
        let letters = 4 + numbers.below(6);
        (0..letters).map(|_| char::from(b'a' + numbers.below(26) as u8)).collect()
    };
    let names: Vec<String> = (0..600).map(|_| name(&mut numbers)).collect();
    let words = ["settings", "members", "hooks", "status", "history", "tags"];
    (0..8000)
        .map(|_| {
            let (owner, thing) = (numbers.pick(&names), numbers.pick(&names));
            let (word, number) = (*numbers.pick(&words), numbers.below(100_000));
            match numbers.below(4) {
                0 => format!("/repos/{owner}/{thing}/{word}"),
                1 => format!("/repos/{owner}/{thing}/issues/{number}"),
                2 => format!("/teams/{owner}/{word}"),
                _ => format!("/v1/{word}/{number}"),
            }
        })
        .collect()
}

fn send_all(envoy: &Envoy, paths: &[String]) {
    let requests: Vec<Request> = paths.iter().map(Request::get).collect();
    for response in http1::send_all(envoy.address(), 32, &requests) {
        response.expect("each request is answered");
    }
}

#[test]
fn every_path_has_one_label_on_all_workers() {
    learned_alike(&made_up());
}

#[test]
#[ignore = "needs more than a clone has: make test-corpora"]
fn every_path_of_the_corpus_has_one_label_on_all_workers() {
    let path = |line| {
        let line: Value = serde_json::from_str(line).expect("a line of the corpus is JSON");
        line["path"].as_str().expect("it has a path").to_owned()
    };
    learned_alike(&corpus("github_stream.jsonl").lines().map(path).collect::<Vec<_>>());
}

/// `Y7btvO43JkNHbdn` has the hash that `users` had when hashes had no key. What it looks like was
/// believed of `users` then, on this worker and, by what it taught, on all.
#[test]
fn a_crafted_segment_changes_no_label_of_another_path() {
    let upstream = Upstream::start();
    for crafted in ["/api/Y7btvO43JkNHbdn", "/Y7btvO43JkNHbdn"] {
        let envoy = Setup::new(upstream.address()).concurrency(1).filter(json!({})).start();
        let mut answered = 0;
        for path in [crafted, "/users", "/users", "/users/17"] {
            http1::send(envoy.address(), &Request::get(path).answer(&Answer::new())).unwrap();
            answered += 1;
            eventually_equal("requests", f64::from(answered), || {
                envoy.scrape().sum("http_requests_total")
            });
        }
        let labels = envoy.scrape().label_values("http_requests_total", "endpoint");
        let own = crafted.replace("Y7btvO43JkNHbdn", "{id}");
        let expected = [own.as_str(), "/users", "/users/{id}"].map(str::to_owned);
        assert_eq!(labels, expected.into(), "{crafted}");
    }
}

fn learned_alike(stream: &[String]) {
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address())
        .concurrency(4)
        .filter(json!({
            "endpoint": {"export": true},
            "limits": {"max_values_per_label": 10_000, "max_series_per_metric": 20_000},
        }))
        .access_log("%REQ(:PATH)% %FILTER_STATE(wasm.endpoint:PLAIN)%")
        .start();
    send_all(&envoy, stream);
    let mut logged = envoy.wait_for_access_log(stream.len()).len();

    let mut numbers = Numbers(7);
    let distinct: Vec<&String> = stream.iter().collect::<BTreeSet<_>>().into_iter().collect();
    let asked: Vec<&String> = (0..ASKED).map(|_| *numbers.pick(&distinct)).collect();
    // Workers exchange what they know within seconds, and asking teaches them more until they have
    // seen each path again and again.
    eventually("one label for each path", || {
        let mut paths: Vec<String> = Vec::new();
        for _ in 0..TIMES {
            paths.extend(asked.iter().map(|path| (*path).clone()));
        }
        for index in (1..paths.len()).rev() {
            paths.swap(index, numbers.below(index + 1));
        }
        send_all(&envoy, &paths);
        let log = envoy.wait_for_access_log(logged + paths.len());
        let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for line in &log[logged..] {
            let (path, label) = line.rsplit_once(' ').expect("the line has a label");
            assert!(label.starts_with('/'), "{line}");
            labels.entry(path).or_default().insert(label);
        }
        logged = log.len();
        let mut differing = String::new();
        for (path, labels) in labels.iter().filter(|(_, labels)| labels.len() > 1).take(5) {
            write!(differing, "\n  {path}: {labels:?}").expect("writing to a string");
        }
        if differing.is_empty() { Ok(()) } else { Err(differing) }
    });
    assert_eq!(envoy.vm_reloads(), 0);
}
