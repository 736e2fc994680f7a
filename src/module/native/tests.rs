//! The hooks, called as Envoy calls them, on an [Envoy in memory](super::mock).
//!
//! `make native-memcheck` runs these under valgrind, as each Envoy that the module knows.

use std::path::Path;
use std::ptr;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard};
use std::thread;

use proptest::prelude::*;

use super::abi::NEWER;
use super::drive::{Configured, Process, Stream};
use super::fuzz::{self, CONFIGURATIONS};
use super::mock;
use super::shared::lock;
use crate::custom::post;

/// Tests take turns, each in a process in which nothing has happened yet.
fn turn() -> (Process, MutexGuard<'static, ()>) {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = lock(&TURN);
    (Process::new(), turn)
}

fn request(config: &Configured, method: &str, path: &str) -> Stream {
    let line = |name: &str, value: &str| (name.into(), value.into());
    Stream::new(config, vec![line(":method", method), line(":path", path)])
}

/// So many requests, three at a time.
fn requests(config: &Configured, count: u64) {
    let mut open = Vec::new();
    for number in 0..count {
        let path = format!("/users/{number}/{}", ["orders", "carts", "x"][number as usize % 3]);
        let mut stream = request(config, ["GET", "POST"][number as usize % 2], &path);
        stream.request_headers(true);
        open.push(stream);
        if open.len() == 3 {
            let mut stream = open.remove(number as usize % 3);
            stream.response_headers(Vec::new(), [200, 404, 503][number as usize % 3], false);
            stream.end();
        }
    }
    open.into_iter().for_each(Stream::end);
}

/// The requests of a namespace that were counted, by now or by the next flush.
fn counted(namespace: &str) -> u64 {
    mock::sum(&format!("{namespace}_http_requests_total"), None)
}

/// Envoy 1.38 changes metrics with a stream alone, so it is told of what waits by one more. Gives how many.
fn with_a_stream(config: &Configured) -> u64 {
    if NEWER.outside.is_some() {
        return 0;
    }
    requests(config, 1);
    1
}

#[test]
fn the_fuzzers_inputs_are_counted() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/fuzz/corpus/native");
    let mut inputs = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        let input = std::fs::read(entry.unwrap().path()).unwrap();
        let _turn = turn();
        fuzz::drive(&input);
        inputs += 1;
    }
    assert!(inputs > 0);
}

proptest! {
    #[test]
    fn whatever_hooks_are_called_each_stream_is_counted_once(
        input in proptest::collection::vec(any::<u8>(), 0..1500),
    ) {
        let _turn = turn();
        fuzz::drive(&input);
    }
}

/// Other labels are other series; those that there were stay, although nothing counts in them any more.
#[test]
fn an_update_of_labels_keeps_what_was_counted() {
    let _turn = turn();
    let of = |label: &str| {
        let text = r#"{"namespace": "u", "metrics": {"requests_total": {"labels": ["LABEL"]}}}"#;
        Configured::new(text.replace("LABEL", label)).unwrap()
    };
    let mut config = of("method");
    requests(&config, 90);
    let mut ended = 90;
    for label in ["endpoint", "status", "method", "status"] {
        let update = of(label);
        ended += with_a_stream(&update);
        config.tick();
        drop(config);
        assert_eq!(counted("u"), ended, "{label}");
        config = update;
        requests(&config, 30);
        ended += 30;
    }
    config.tick();
    ended += with_a_stream(&config);
    assert_eq!(counted("u"), ended);
    drop(config);
    assert_eq!(mock::held(), 0, "Envoy has forgotten them");
}

/// Workers are threads, and the main thread takes their filters in turn.
#[test]
fn workers_count_while_the_main_thread_flushes() {
    const REQUESTS: u64 = 1_000;
    let _turn = turn();
    let commits = mock::COMMITS.load(Ordering::Relaxed);
    let config = Configured::new(CONFIGURATIONS[1]).unwrap();
    thread::scope(|scope| {
        let workers = [(); 3].map(|()| scope.spawn(|| requests(&config, REQUESTS)));
        while workers.iter().any(|worker| !worker.is_finished()) {
            config.tick();
            thread::yield_now();
        }
    });
    config.tick();
    if NEWER.outside.is_some() {
        assert_eq!(counted("b"), 3 * REQUESTS);
        let recorded = mock::sum("route_metrics_requests_total", Some("recorded"));
        assert_eq!(recorded, 3 * REQUESTS);
        assert_eq!(mock::sum("b_http_requests_active", None), 0, "open requests");
        assert!(mock::COMMITS.load(Ordering::Relaxed) > commits, "the ticker has called");
    }
}

/// A filter before this one may have kept the whole body, which Envoy then shows as what has come and as what was
/// kept.
#[test]
fn a_body_that_was_kept_before_is_measured_once() {
    let _turn = turn();
    let config = Configured::new(CONFIGURATIONS[3]).unwrap();
    let answer = |length: usize, is_buffered: bool| {
        let mut stream = request(&config, "POST", "/_events");
        let json = (b"content-type".to_vec(), b"application/json".to_vec());
        stream.mock().headers[0].push(json);
        stream.request_headers(false);
        let mut body = br#"[{"metric": "d_q", "value": 3}]"#.to_vec();
        body.resize(length, b' ');
        stream.mock().is_buffered = is_buffered;
        stream.request_body(Some(&body), true);
        let answer = stream.mock().answer;
        stream.end();
        answer
    };
    for is_buffered in [false, true] {
        assert_eq!(answer(post::MAX_BYTES, is_buffered), Some(204), "{is_buffered}");
        assert_eq!(answer(post::MAX_BYTES + 1, is_buffered), Some(413), "{is_buffered}");
    }
    drop(config);
}

/// A request whose stream could not be made is let through.
#[test]
fn hooks_without_a_stream_do_nothing() {
    // SAFETY: null is what they are asked with.
    unsafe {
        let null = ptr::null_mut();
        super::envoy_dynamic_module_on_http_filter_request_headers(null, null, true);
        super::envoy_dynamic_module_on_http_filter_stream_complete(null, null);
        super::envoy_dynamic_module_on_http_filter_destroy(null);
        super::envoy_dynamic_module_on_http_filter_config_destroy(null);
        assert!(super::envoy_dynamic_module_on_http_filter_new(null, null).is_null());
    }
}
