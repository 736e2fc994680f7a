//! Any bytes are an order of hooks that Envoy may call, in a process with a main thread and two workers.
//!
//! `make fuzz FUZZ_TARGETS=native` searches for bytes for which something that is asserted here does not hold; an
//! assertion in a function of the ABI and, with the fuzzer's profile, a panic in a hook end the program, too.
//! The environment variable `MOCK_ENVOY` says as which Envoy (see [`mock`]).

use super::abi::{NEWER, attribute};
use super::drive::{Configured, Process, Stream};
use super::mock::{self, Lines};
use super::worker;

/// Configurations; a byte chooses one, or another one of the input's own. The first four count every request; the
/// last one is sampled, so that its histograms have nothing.
pub const CONFIGURATIONS: [&str; 5] = [
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
    r#"{"namespace": "e", "sampling": {"rate": 0.0, "always": {"statuses": ["5xx"]}}}"#,
];
/// Their namespaces.
const NAMESPACES: [&str; 5] = ["a", "b", "c", "d", "e"];
/// The one that reports events in headers, the one with small limits, its series of a metric, and the sampled one.
const REPORTING: usize = 3;
const LIMITED: &str = "c_http_";
const MAX_SERIES: usize = 30;
const SAMPLED: &str = "e";

/// The attributes that are numbers, without the response code.
const NUMBERS: [u32; 4] = [
    attribute::REQUEST_SIZE,
    attribute::RESPONSE_FLAGS,
    attribute::RESPONSE_GRPC_STATUS,
    attribute::RESPONSE_SIZE,
];

/// So many streams are open at once on a thread.
const OPEN: usize = 8;
/// So many configurations are there at once, while the older ones drain.
const CONFIGURED: usize = 3;
/// The main thread, which has the configurations; the others are workers.
const MAIN: usize = 0;
const THREADS: usize = 3;

/// What is left of an input.
pub struct Source<'a>(pub &'a [u8]);

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
    fn text(&mut self) -> &'a [u8] {
        let most = self.byte() % 64;
        self.some(most.into())
    }

    /// A number of any size.
    fn number(&mut self) -> u64 {
        let (digits, shift) = (self.byte(), self.byte());
        match shift {
            255 => u64::MAX,
            shift => u64::from(digits) << (shift % 57),
        }
    }

    /// Header lines: of each name one that is known, one of any bytes, or none.
    fn lines(&mut self, names: &[&str], known: [&[u8]; 2]) -> Lines {
        let mut lines = Lines::new();
        for name in names {
            let value = match self.byte() % 4 {
                0 => known[0],
                1 => known[1],
                2 => self.text(),
                _ => continue,
            };
            lines.push(((*name).into(), value.to_vec()));
        }
        lines
    }

    fn request(&mut self) -> Lines {
        let methods: [&[u8]; 4] = [b"GET", b"POST", b"\xff;.;", b""];
        let paths: [&[u8]; 5] =
            [b"/users/1", b"/_events", b"/healthz", b"/a/b?page=1", b"/orders/17/items"];
        let choice = self.byte();
        let mut lines = Lines::new();
        // Malformed requests have no path, or no method.
        if choice < 254 {
            let path = paths.get(usize::from(choice % 8)).copied();
            lines.push((b":path".to_vec(), path.unwrap_or_else(|| self.text()).to_vec()));
        }
        if choice < 250 {
            lines.push((b":method".to_vec(), methods[usize::from(choice / 8 % 4)].to_vec()));
        }
        let names = ["x-tenant", "x-org-id", "content-type", "content-type", "content-length"];
        lines.extend(self.lines(&names, [b"application/json", b"application/grpc"]));
        if choice & 32 != 0 {
            lines.push((self.text().to_vec(), self.text().to_vec()));
        }
        lines
    }

    fn response(&mut self) -> Lines {
        let names = ["x-metric-events", "x-metric-events", "x-cache", "grpc-status", ":status"];
        self.lines(&names, [b"d_a_total;k=x", b"12"])
    }
}

/// What has been done so far. Streams go before their configurations.
#[derive(Default)]
struct Envoy {
    /// The streams that are open on each thread, with the numbers of their configurations.
    open: [Vec<(usize, Stream)>; THREADS],
    /// The configurations that are there, with their numbers. The last one takes new streams.
    configs: Vec<(usize, Configured)>,
    configured: usize,
    /// Streams that are over, and how many of them went without an end.
    over: u64,
    vanished: u64,
}

impl Envoy {
    /// A new configuration, which takes the new streams.
    fn configure(&mut self, source: &mut Source<'_>) {
        worker::sit(MAIN);
        let chosen = source.byte();
        let known = usize::from(chosen % 8);
        match CONFIGURATIONS.get(known) {
            Some(text) => {
                let mut config = Configured::new(text).expect("it is valid");
                config.hides_events = known == REPORTING;
                self.configs.push((self.configured, config));
                self.configured += 1;
            }
            // Where the module accepts it, it goes at once: what would count in it, nobody knows here.
            None => drop(Configured::new(source.some(usize::from(chosen) * 4))),
        }
    }

    /// The oldest configuration goes, where its streams have ended and there is another one.
    fn forget_oldest(&mut self) {
        let (Some(&(oldest, _)), true) = (self.configs.first(), self.configs.len() > 1) else {
            return;
        };
        if self.open.iter().flatten().all(|&(config, _)| config != oldest) {
            self.tell();
            worker::sit(MAIN);
            drop(self.configs.remove(0));
        }
    }

    /// Envoy 1.38 changes metrics with a stream alone, so it is told of what waits by one more on each thread.
    fn tell(&mut self) {
        let Some((_, current)) = self.configs.last() else { return };
        mock::second();
        if NEWER.outside.is_none() {
            for thread in 0..THREADS {
                worker::sit(thread);
                let mut stream = Stream::new(current, vec![(b":path".into(), b"/".into())]);
                stream.request_headers(true);
                stream.end();
                self.over += 1;
            }
        }
    }

    /// About a second has passed, of which Envoy 1.38 tells nobody.
    fn tick(&self) {
        if NEWER.outside.is_none() {
            mock::second();
            return;
        }
        worker::sit(MAIN);
        self.configs.iter().for_each(|(_, config)| config.tick());
    }

    fn step(&mut self, source: &mut Source<'_>) {
        let (choice, at) = (source.byte(), source.byte());
        let (end, other) = (choice & 16 != 0, choice & 32 != 0);
        let thread = 1 + usize::from(choice >> 7);
        let place = usize::from(at).checked_rem(self.open[thread].len());
        worker::sit(thread);
        match (choice % 16, place) {
            (0..4, _) => self.begin(source, thread, choice, at),
            (15, _) => match at % 4 {
                0 if self.configs.len() < CONFIGURED => self.configure(source),
                0 | 1 => self.forget_oldest(),
                _ => self.tick(),
            },
            (_, None) => {}
            (4..12, Some(place)) => {
                let (_, stream) = &mut self.open[thread][place];
                match choice % 16 {
                    4 => stream.request_headers(end),
                    5 | 6 => {
                        let posted: &[u8] = br#"[{"metric": "d_q", "value": 3}, {"metric": "d_a_total", "labels": {"k": "1"}}]"#;
                        let piece = if other { posted } else { source.some(at.into()) };
                        stream.mock().is_buffered = choice & 64 != 0;
                        stream.request_body(Some(piece), end);
                    }
                    7 => stream.request_body(None, true),
                    8 | 9 => {
                        let codes = [200, 404, 503, 0, 999, u64::MAX];
                        let code = codes[usize::from(at) % codes.len()];
                        stream.response_headers(source.response(), code, other);
                    }
                    10 => stream.response_body(Some(source.some(at.into())), end),
                    _ => {
                        stream.mock().headers[2] = source.response();
                        stream.response_body(None, true);
                    }
                }
            }
            (_, Some(place)) => {
                let (_, stream) = self.open[thread].swap_remove(place);
                self.over += 1;
                // Envoy shows the end of each stream; one that goes without it must not be open for ever.
                if choice % 16 == 14 && end && other {
                    self.vanished += 1;
                    return;
                }
                for id in NUMBERS {
                    if source.byte() & 1 == 0 {
                        stream.mock().numbers.insert(id, source.number());
                    }
                }
                stream.end();
            }
        }
    }

    /// A stream begins.
    fn begin(&mut self, source: &mut Source<'_>, thread: usize, choice: u8, at: u8) {
        let Some((number, config)) = self.configs.last() else { return };
        if self.open[thread].len() < OPEN {
            let mut stream = Stream::new(config, source.request());
            stream.mock().missing = if at > 200 { at } else { 0 };
            stream.mock().text = (at & 1 != 0).then(|| source.text().to_vec());
            // Envoy may end a stream before its headers have come, or answer it before this filter sees them.
            if choice % 16 < 3 {
                stream.request_headers(choice & 16 != 0);
            }
            self.open[thread].push((*number, stream));
        }
    }

    /// All streams end, and what waits is told; then what was counted must be what was done.
    fn finish(&mut self) {
        for thread in 0..THREADS {
            worker::sit(thread);
            for (_, stream) in std::mem::take(&mut self.open[thread]) {
                stream.end();
                self.over += 1;
            }
        }
        self.tell();
        self.tick();
        let decided = |decision| mock::sum("route_metrics_requests_total", Some(decision));
        let [recorded, excluded, sampled_out] =
            ["recorded", "excluded", "sampled_out"].map(decided);
        assert_eq!(recorded + excluded + sampled_out, self.over, "decisions");
        let of =
            |namespace: &str, metric: &str| mock::sum(&format!("{namespace}_http_{metric}"), None);
        let all =
            |metric: &str| NAMESPACES.map(|namespace| of(namespace, metric)).iter().sum::<u64>();
        assert_eq!(all("requests_total"), recorded, "requests");
        for histogram in ["request_duration_microseconds", "response_size_bytes"] {
            assert_eq!(of(SAMPLED, histogram), 0, "{histogram}");
            // Without a stream, Envoy takes no value of a histogram.
            let requests = recorded - of(SAMPLED, "requests_total");
            let observed = all(histogram);
            let fewest = requests.saturating_sub(self.vanished);
            assert!((fewest..=requests).contains(&observed), "{histogram}: {observed}, {requests}");
        }
        assert_eq!(all("requests_active"), 0, "open requests");
        assert_eq!(mock::sum("route_metrics_errors_total", None), 0, "errors");
        for (family, series) in mock::families() {
            let limited = family.starts_with(LIMITED);
            assert!(!limited || series <= MAX_SERIES, "{family}: {series} series");
        }
        assert_eq!(worker::open_streams(), 0);
    }
}

/// Drives the module by these bytes.
pub fn drive(input: &[u8]) {
    let _process = Process::new();
    let mut source = Source(input);
    let mut envoy = Envoy::default();
    while envoy.configs.is_empty() {
        envoy.configure(&mut source);
    }
    while !source.0.is_empty() {
        envoy.step(&mut source);
    }
    envoy.finish();
    worker::sit(MAIN);
    envoy.configs.clear();
    assert_eq!(mock::held(), 0, "series that a configuration holds which is gone");
}
