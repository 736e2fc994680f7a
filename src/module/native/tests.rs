//! The hooks, called as Envoy calls them, on an [Envoy in memory](super::mock).
//!
//! `make native-memcheck` runs these under valgrind, as each Envoy that the module knows.

use std::ptr;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard};
use std::thread;

use proptest::prelude::*;

use super::abi::{Buffer, NEWER, Pointer};
use super::mock::{self, Lines};
use super::shared::lock;

/// Configurations; the first byte of an input chooses one. All count every request.
const CONFIGURATIONS: [&str; 4] = [
    r#"{"namespace": "a"}"#,
    r#"{"namespace": "b",
        "endpoint": {"templates": ["/users/{id}"], "exclude": ["/healthz"], "export": true, "route_name": true},
        "labels": {"tenant": {"from": "request_header", "name": "x-tenant"},
                   "flags": {"from": "response_flags"}, "grpc": {"from": "grpc_status"},
                   "cluster": {"from": "cluster_name"}, "host": {"from": "virtual_host"},
                   "protocol": {"from": "protocol"}},
        "metrics": {"requests_total": {"labels":
            ["method", "endpoint", "status", "tenant", "flags", "grpc", "cluster", "host", "protocol"]},
                    "request_size": {"enabled": true}}}"#,
    r#"{"namespace": "c", "limits": {"max_values_per_label": 20, "max_series_per_metric": 30,
        "max_label_value_length": 16}, "detailed": {"enabled": true}}"#,
    r#"{"namespace": "d", "events": {"response_header": "x-metric-events", "path": "/_events"},
        "custom_metrics": [
            {"name": "d_a_total", "type": "counter", "source": "event", "labels": {"k": {}}},
            {"name": "d_q", "type": "gauge", "source": "event", "labels": {}},
            {"name": "d_b_total", "type": "counter", "match": {"methods": ["POST"], "statuses": ["5xx"]},
             "labels": {"cache": {"from": "response_header", "name": "x-cache"}}}]}"#,
];
/// So many streams are open at once.
const OPEN: usize = 8;

/// Tests take turns: series, and what is shared, are of the process.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    lock(&TURN)
}

/// A configuration, and what the module has made for it.
struct Configured {
    envoy: Pointer,
    module: Pointer,
}

// SAFETY: Envoy's workers share configurations.
unsafe impl Sync for Configured {}

impl Configured {
    fn new(text: &str) -> Option<Self> {
        let envoy: Pointer = Box::into_raw(Box::new(mock::Config::default())).cast();
        let (name, text) = (Buffer::new(b"route_metrics"), Buffer::new(text.as_bytes()));
        // SAFETY: the pointers are valid for the call.
        let module =
            unsafe { super::envoy_dynamic_module_on_http_filter_config_new(envoy, name, text) };
        let own = Self { envoy, module: module.cast_mut() };
        (!module.is_null()).then_some(own)
    }

    /// About a second has passed.
    fn tick(&self) {
        mock::second();
        // SAFETY: both are of this configuration.
        unsafe {
            super::envoy_dynamic_module_on_http_filter_config_scheduled(self.envoy, self.module, 0);
        }
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        // SAFETY: nobody has it any more.
        unsafe {
            super::envoy_dynamic_module_on_http_filter_config_destroy(self.module);
            drop(Box::from_raw(self.envoy.cast::<mock::Config>()));
        }
    }
}

/// A stream, on this thread.
struct Stream {
    envoy: Pointer,
    module: Pointer,
    answered: bool,
}

impl Stream {
    fn new(config: &Configured, headers: Lines) -> Self {
        let stream = mock::Stream {
            config: config.envoy as usize,
            headers: [headers, Vec::new(), Vec::new()],
            ..Default::default()
        };
        let envoy: Pointer = Box::into_raw(Box::new(stream)).cast();
        // SAFETY: both are alive.
        let module =
            unsafe { super::envoy_dynamic_module_on_http_filter_new(config.module, envoy) };
        assert!(!module.is_null());
        let own = Self { envoy, module, answered: false };
        own.mock().module = module as usize;
        own
    }

    #[allow(clippy::mut_from_ref, reason = "the hooks have it, too, but not now")]
    fn mock(&self) -> &mut mock::Stream {
        // SAFETY: it was made by `new`, and is this thread's.
        unsafe { &mut *self.envoy.cast::<mock::Stream>() }
    }

    fn request_headers(&mut self, end: bool) {
        if !self.answered {
            // SAFETY: as Envoy does it.
            unsafe {
                super::envoy_dynamic_module_on_http_filter_request_headers(
                    self.envoy,
                    self.module,
                    end,
                )
            };
            self.answered = self.mock().answer.is_some();
        }
    }

    fn request_body(&mut self, piece: &[u8], end: bool) {
        if self.answered {
            return;
        }
        let pieces = &mut self.mock().pieces;
        pieces[0] = piece.chunks(7).map(<[u8]>::to_vec).collect();
        // SAFETY: as Envoy does it.
        unsafe {
            super::envoy_dynamic_module_on_http_filter_request_body(self.envoy, self.module, end)
        };
        let pieces = &mut self.mock().pieces;
        let (received, kept) = pieces.split_at_mut(1);
        kept[0].append(&mut received[0]);
        self.answered = self.mock().answer.is_some();
    }

    fn response_headers(&mut self, lines: Lines, code: u64) {
        if !self.answered {
            let mock = self.mock();
            mock.headers[1] = lines;
            mock.code = code;
            // SAFETY: as Envoy does it.
            unsafe {
                super::envoy_dynamic_module_on_http_filter_response_headers(
                    self.envoy,
                    self.module,
                    true,
                );
            }
        }
    }

    /// The stream ends, and goes.
    fn end(self, number: u64) {
        self.mock().number = number;
        // SAFETY: as Envoy does it.
        unsafe {
            super::envoy_dynamic_module_on_http_filter_stream_complete(self.envoy, self.module);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: as Envoy does it; nobody has it any more.
        unsafe {
            super::envoy_dynamic_module_on_http_filter_destroy(self.module);
            drop(Box::from_raw(self.envoy.cast::<mock::Stream>()));
        }
    }
}

/// What is left of an input.
struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    fn byte(&mut self) -> u8 {
        self.some(1).first().copied().unwrap_or_default()
    }

    fn some(&mut self, most: usize) -> &'a [u8] {
        let (taken, left) = self.0.split_at(most.min(self.0.len()));
        self.0 = left;
        taken
    }

    /// A short text of any bytes.
    fn text(&mut self) -> Vec<u8> {
        let most = self.byte() % 64;
        self.some(most.into()).to_vec()
    }

    fn request(&mut self) -> Lines {
        let methods: [&[u8]; 4] = [b"GET", b"POST", b"\xff;.;", b""];
        let paths: [&[u8]; 5] =
            [b"/users/1", b"/_events", b"/healthz", b"/a/b?page=1", b"/orders/17/items"];
        let choice = usize::from(self.byte());
        let path = paths.get(choice % 8).map_or_else(|| self.text(), |path| path.to_vec());
        let mut lines = vec![(b":path".to_vec(), path)];
        if choice < 250 {
            lines.push((b":method".to_vec(), methods[choice / 8 % 4].to_vec()));
        }
        for name in ["x-tenant", "x-org-id", "content-type", "content-type"] {
            let value: &[u8] = match self.byte() % 4 {
                0 => b"application/json",
                1 => b"application/grpc",
                2 => &self.text(),
                _ => continue,
            };
            lines.push((name.into(), value.to_vec()));
        }
        lines
    }

    fn response(&mut self) -> Lines {
        let mut lines = Vec::new();
        for name in ["x-metric-events", "x-metric-events", "x-cache", "grpc-status", ":status"] {
            let value: &[u8] = match self.byte() % 4 {
                0 => b"d_a_total;k=x",
                1 => b"12",
                2 => &self.text(),
                _ => continue,
            };
            lines.push((name.into(), value.to_vec()));
        }
        lines
    }
}

/// What has been counted in a namespace: requests by decision, in the counter and in the histogram.
fn counted(namespace: &str) -> [u64; 5] {
    let decision = |name| mock::sum("route_metrics_requests_total", Some(name));
    [
        decision("recorded"),
        decision("excluded"),
        decision("sampled_out"),
        mock::sum(&format!("{namespace}_http_requests_total"), None),
        mock::sum(&format!("{namespace}_http_request_duration_microseconds"), None),
    ]
}

/// Hooks in the order that the bytes say, on this thread. Gives how many streams have ended.
fn streams(config: &Configured, source: &mut Source<'_>) -> u64 {
    let mut open: Vec<Stream> = Vec::new();
    let mut ended = 0;
    while !source.0.is_empty() {
        let (choice, at) = (source.byte(), usize::from(source.byte()));
        let place = at % open.len().max(1);
        match choice % 8 {
            0..=2 if open.len() < OPEN => {
                let mut stream = Stream::new(config, source.request());
                // Envoy may end a stream before its headers have come.
                if choice < 240 {
                    stream.request_headers(choice & 16 != 0);
                }
                open.push(stream);
            }
            3 => {
                let posted: &[u8] = br#"[{"metric": "d_q", "value": 3}, {"metric": "d_a_total", "labels": {"k": "1"}}]"#;
                let piece = if choice & 32 == 0 { posted } else { source.some(at) };
                if let Some(stream) = open.get_mut(place) {
                    stream.request_body(piece, choice & 16 != 0);
                }
            }
            4 => {
                let (lines, codes) = (source.response(), [200, 404, 503, 0, 999, u64::MAX]);
                if let Some(stream) = open.get_mut(place) {
                    stream.response_headers(lines, codes[at % codes.len()]);
                }
            }
            5 if choice & 128 != 0 => config.tick(),
            _ if !open.is_empty() => {
                open.swap_remove(place).end(u64::from(source.byte()) << (at % 60));
                ended += 1;
            }
            _ => {}
        }
    }
    for stream in open {
        stream.end(0);
        ended += 1;
    }
    ended
}

fn expect_counted(namespace: &str, before: [u64; 5], ended: u64) {
    let [recorded, excluded, sampled_out, requests, durations] = {
        let after = counted(namespace);
        std::array::from_fn(|place| after[place] - before[place])
    };
    assert_eq!(sampled_out, 0);
    assert_eq!((recorded + excluded, requests, durations), (ended, recorded, recorded));
    assert_eq!(mock::sum(&format!("{namespace}_http_requests_active"), None), 0, "open requests");
    assert_eq!(mock::sum("route_metrics_errors_total", None), 0, "errors");
}

/// Envoy 1.38 changes metrics with a stream alone, so it is told of what waits by one more. Gives how many.
fn with_a_stream(config: &Configured) -> u64 {
    match NEWER.outside {
        None => streams(config, &mut Source(b"\0\0\0\x08\x03\x03\x03\x03")),
        Some(_) => 0,
    }
}

/// One input: a configuration, streams of it, another configuration beside them, and the end of both.
fn drive(input: &[u8]) {
    let _turn = turn();
    let mut source = Source(input);
    let chosen = usize::from(source.byte()) % CONFIGURATIONS.len();
    let namespace = ["a", "b", "c", "d"][chosen];
    let before = counted(namespace);
    let config = Configured::new(CONFIGURATIONS[chosen]).unwrap();
    let half = source.0.len() / 2;
    let mut first = Source(source.some(half));
    let mut ended = streams(&config, &mut first);
    assert!(Configured::new(r#"{"no": 1}"#).is_none());
    let update = Configured::new(CONFIGURATIONS[chosen]).unwrap();
    config.tick();
    ended += with_a_stream(&update);
    drop(config);
    ended += streams(&update, &mut source);
    ended += with_a_stream(&update);
    update.tick();
    expect_counted(namespace, before, ended);
}

#[test]
fn the_fuzzers_inputs_are_counted() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut inputs = 0;
    for entry in std::fs::read_dir(root.join("tests/tools/fuzz/corpus/filter")).unwrap() {
        let input = std::fs::read(entry.unwrap().path()).unwrap();
        for first in 0..4 {
            drive(&[&[first], input.as_slice()].concat());
            inputs += 1;
        }
    }
    assert!(inputs > 0);
}

proptest! {
    #[test]
    fn whatever_hooks_are_called_each_stream_is_counted_once(
        input in proptest::collection::vec(any::<u8>(), 0..1500),
    ) {
        drive(&input);
    }
}

/// Other labels are other series; those that there were stay, although nothing counts in them any more.
#[test]
fn an_update_of_labels_keeps_what_was_counted() {
    let _turn = turn();
    let of = |label: &str| {
        let text = r#"{"namespace": "u", "metrics": {"requests_total": {"labels": ["LABEL"]}}}"#;
        Configured::new(&text.replace("LABEL", label)).unwrap()
    };
    let requests = || mock::sum("u_http_requests_total", None);
    let input: Vec<u8> = (0..900u32).map(|n| (n.wrapping_mul(2_654_435_769) >> 11) as u8).collect();
    let before = counted("u");
    let mut config = of("method");
    let mut ended = streams(&config, &mut Source(&input));
    for label in ["endpoint", "status", "method", "status"] {
        let update = of(label);
        ended += with_a_stream(&update);
        config.tick();
        drop(config);
        assert_eq!(requests() + counted("u")[1] - before[1], ended, "{label}");
        config = update;
        ended += streams(&config, &mut Source(&input[..300]));
    }
    config.tick();
    ended += with_a_stream(&config);
    assert_eq!(requests() + counted("u")[1] - before[1], ended);
    drop(config);
    assert_eq!(requests(), 0, "Envoy has forgotten them");
}

/// Workers are threads, and the main thread takes their filters in turn.
#[test]
fn workers_count_while_the_main_thread_flushes() {
    let _turn = turn();
    let before = counted("b");
    let commits = mock::COMMITS.load(Ordering::Relaxed);
    let config = Configured::new(CONFIGURATIONS[1]).unwrap();
    let ended: u64 = thread::scope(|scope| {
        let work = |seed: u8| {
            let config = &config;
            move || {
                let input: Vec<u8> = (0..6000u32)
                    .map(|n| (n.wrapping_mul(2_654_435_769) >> 13) as u8 ^ seed)
                    .collect();
                streams(config, &mut Source(&input))
            }
        };
        let workers = [1, 2, 3].map(|seed| scope.spawn(work(seed)));
        while workers.iter().any(|worker| !worker.is_finished()) {
            config.tick();
            thread::yield_now();
        }
        workers.map(|worker| worker.join().unwrap()).iter().sum()
    });
    config.tick();
    if NEWER.outside.is_some() {
        expect_counted("b", before, ended);
        assert!(mock::COMMITS.load(Ordering::Relaxed) > commits, "the ticker has called");
    }
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
