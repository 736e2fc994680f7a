//! The whole filter: callbacks of Envoy in any order, on two workers.

use arbitrary::{Result, Unstructured};
use route_metrics::custom::post;
use route_metrics::host::recorder::Recorder;
use route_metrics::host::{HeaderMap, LogLevel, MetricKind, Property};
use route_metrics::plan::Plan;

use crate::stats;
use crate::worker::{ROOT, Worker, plan};

/// The configurations; the first byte of an input chooses one. None is sampled, so that sums are
/// exact, but for one that keeps what failed.
const CONFIGURATIONS: [&str; 5] = [
    "{}",
    r#"{"endpoint": {"templates": ["/users/{id}", "POST /a/{x}:go"], "exclude": ["/healthz"],
        "export": true, "route_name": true},
        "labels": {"tenant": {"from": "request_header", "name": "x-tenant"},
                   "flags": {"from": "response_flags"}, "grpc": {"from": "grpc_status"}},
        "metrics": {"requests_total": {"labels": ["method", "endpoint", "status", "tenant", "flags", "grpc"]},
                    "request_size": {"enabled": true}}}"#,
    r#"{"limits": {"max_values_per_label": 20, "max_series_per_metric": 30,
        "max_label_value_length": 16}, "detailed": {"enabled": true}}"#,
    r#"{"events": {"response_header": "x-metric-events", "path": "/_events"},
        "custom_metrics": [
            {"name": "app_a_total", "type": "counter", "source": "event", "labels": {"k": {}}},
            {"name": "app_b_total", "type": "counter", "match": {"methods": ["POST"], "statuses": ["5xx"]},
             "labels": {"cache": {"from": "response_header", "name": "x-cache"}}}]}"#,
    r#"{"sampling": {"rate": 0.0, "always": {"statuses": ["5xx"]}}}"#,
];

const HEADERS: [&str; 6] =
    ["content-type", "x-tenant", "x-org-id", "x-user-id", "content-length", "content-encoding"];

thread_local! {
    static PLANS: Vec<Plan> = CONFIGURATIONS.iter().map(|text| plan(text)).collect();
}

/// What has become of the streams of an Envoy.
struct Envoy {
    configuration: &'static str,
    process: Recorder,
    workers: Vec<Worker>,
    /// By worker: streams that are open.
    open: Vec<Vec<u32>>,
    created: u64,
    ended: u64,
    seed: u64,
}

/// Callbacks in the order that the bytes say.
pub fn callbacks(input: &[u8]) {
    let mut source = Unstructured::new(input);
    let chosen = usize::from(source.arbitrary::<u8>().unwrap_or(0)) % CONFIGURATIONS.len();
    let mut envoy = Envoy::new(CONFIGURATIONS[chosen]);
    let mut steps = 0;
    while !source.is_empty() && steps < 1000 {
        if envoy.step(&mut source).is_err() {
            break;
        }
        steps += 1;
    }
    PLANS.with(|plans| envoy.finish(&plans[chosen]));
}

impl Envoy {
    fn new(configuration: &'static str) -> Self {
        let mut envoy = Self {
            configuration,
            process: Recorder::default(),
            workers: Vec::new(),
            open: vec![Vec::new(), Vec::new()],
            created: 0,
            ended: 0,
            seed: 0,
        };
        envoy.workers = vec![envoy.worker(), envoy.worker()];
        envoy
    }

    /// A new VM.
    fn worker(&mut self) -> Worker {
        self.seed += 1;
        Worker::new(self.process.worker(), self.configuration, self.seed)
    }

    fn step(&mut self, source: &mut Unstructured<'_>) -> Result<()> {
        let choice: u8 = source.arbitrary()?;
        let place = usize::from(choice >> 7);
        let at = usize::from(source.arbitrary::<u8>()?);
        match choice % 16 {
            0..=3 => {
                let stream = self.create(place);
                self.show(place, source)?;
                self.workers[place].filter.request_headers(stream, choice & 16 != 0);
            }
            // Its headers were malformed, or have not come yet.
            4 => {
                self.create(place);
            }
            5..=7 => self.end(place, at, source)?,
            8 => {
                let Some(stream) = self.stream(place, at) else { return Ok(()) };
                self.show(place, source)?;
                let length = source.arbitrary_len::<u8>()?.min(300);
                let field = source.bytes(length)?;
                let host = self.workers[place].host();
                host.set_header(HeaderMap::Response, "x-metric-events", field);
                host.set_header(HeaderMap::Response, "x-cache", field);
                self.workers[place].filter.response_headers(stream);
            }
            9 => {
                let Some(stream) = self.stream(place, at) else { return Ok(()) };
                let length = source.arbitrary_len::<u8>()?.min(300);
                let body = source.bytes(length)?;
                let size = if choice & 32 != 0 { body.len() } else { post::MAX_BYTES + 1 };
                let worker = &mut self.workers[place];
                worker.host().set_body(body);
                worker.filter.request_body(stream, size, choice & 16 != 0);
            }
            // Headers once more, after what they were the first time.
            10 => {
                let Some(stream) = self.stream(place, at) else { return Ok(()) };
                self.show(place, source)?;
                self.workers[place].filter.request_headers(stream, choice & 16 != 0);
            }
            // Streams that were never created, or are gone.
            11 => {
                let filter = &mut self.workers[place].filter;
                let stream = u32::MAX - u32::from(choice);
                filter.request_headers(stream, true);
                filter.response_headers(stream);
                filter.request_body(stream, at, true);
                filter.end(stream);
                filter.tick(ROOT + 7);
            }
            12 => {
                let filter = &mut self.workers[place].filter;
                if choice & 16 != 0 {
                    assert!(filter.configure(ROOT, self.configuration.as_bytes(), |_| None));
                } else {
                    assert!(!filter.configure(ROOT, b"{\"no\": 1}", |_| None));
                }
            }
            // The VM dies, with all of its streams, and a new one takes its place. What it had not
            // told would be lost, so for the sums at the end it tells first.
            13 if choice & 0x70 == 0 => {
                self.workers[place].tick();
                self.created -= self.open[place].len() as u64;
                self.open[place].clear();
                self.workers[place] = self.worker();
            }
            _ => {
                self.workers[place].tick();
                let gauge = self.gauge();
                assert!(gauge >= 0, "the gauge is {gauge}");
            }
        }
        Ok(())
    }

    fn create(&mut self, place: usize) -> u32 {
        let stream = self.workers[place].create();
        self.open[place].push(stream);
        self.created += 1;
        stream
    }

    /// One of the open streams.
    fn stream(&self, place: usize, at: usize) -> Option<u32> {
        let open = &self.open[place];
        open.get(at.checked_rem(open.len())?).copied()
    }

    fn show(&self, place: usize, source: &mut Unstructured<'_>) -> Result<()> {
        let worker = &self.workers[place];
        let methods: [&[u8]; 5] = [b"GET", b"POST", b"OPTIONS", b"\xff;.;", b""];
        let method = *source.choose(&methods)?;
        let paths: [&[u8]; 6] =
            [b"/users/1", b"/_events", b"/healthz", b"/a/b:go?page=1", b"*", b"/orders/17/items"];
        let path = match source.arbitrary::<u8>()? {
            own if own < 128 => {
                let length = source.arbitrary_len::<u8>()?.min(200);
                source.bytes(length)?
            }
            known => paths[usize::from(known) % paths.len()],
        };
        worker.show(method, path, &[]);
        for name in HEADERS {
            let value: &[u8] = match source.arbitrary::<u8>()? % 8 {
                0 => b"application/json",
                1 => b"application/grpc",
                2 => b"17",
                3 => b"a;.;status=.=1;.;",
                4 => source.bytes(source.len().min(9))?,
                _ => continue,
            };
            worker.host().set_header(HeaderMap::Request, name, value);
        }
        Ok(())
    }

    fn end(&mut self, place: usize, at: usize, source: &mut Unstructured<'_>) -> Result<()> {
        let Some(stream) = self.stream(place, at) else { return Ok(()) };
        // Envoy may show no request headers at the end.
        if source.arbitrary()? {
            self.show(place, source)?;
        } else {
            self.workers[place].host().clear_request();
        }
        let host = self.workers[place].host();
        let codes = [0, 200, 204, 404, 500, 503, 999, u64::MAX];
        host.set_number(Property::ResponseCode, *source.choose(&codes)?);
        host.set_number(Property::ResponseFlags, source.arbitrary()?);
        host.set_number(Property::ResponseSize, source.arbitrary()?);
        if source.arbitrary()? {
            let statuses: [&[u8]; 5] = [b"200", b"503", b"", b"99999", b"2 0"];
            host.set_header(HeaderMap::Response, ":status", source.choose(&statuses)?);
            let length = source.bytes(source.len().min(3))?;
            host.set_header(HeaderMap::Response, "content-length", length);
        }
        let short: [u8; 3] = source.arbitrary()?;
        host.set_property(Property::RequestSize, &short);
        host.set_property(Property::RouteName, &short);
        host.set_number(Property::ResponseGrpcStatus, source.arbitrary::<u8>()?.into());
        self.ended(place, stream);
        Ok(())
    }

    fn ended(&mut self, place: usize, stream: u32) {
        self.workers[place].filter.end(stream);
        self.open[place].retain(|&open| open != stream);
        self.ended += 1;
    }

    fn gauge(&self) -> i64 {
        let value = stats::own(&self.process, MetricKind::Gauge, "http_requests_active", None);
        value.cast_signed()
    }

    fn finish(mut self, plan: &Plan) {
        for place in 0..self.workers.len() {
            for stream in std::mem::take(&mut self.open[place]) {
                self.workers[place].host().clear_request();
                self.ended(place, stream);
            }
        }
        assert_eq!(self.created, self.ended);
        // Long enough for VMs that died to be noticed.
        for _ in 0..40 {
            self.workers.iter_mut().for_each(Worker::tick);
        }
        assert_eq!(self.gauge(), 0, "the gauge");
        let decisions = ["recorded", "sampled_out", "excluded"]
            .map(|decision| self.workers[0].decisions(decision));
        assert_eq!(decisions.iter().sum::<u64>(), self.ended, "{decisions:?}");
        assert_eq!(stats::sum(&self.process, "http_requests_total"), decisions[0], "recorded");
        for histogram in ["http_request_duration_microseconds", "http_response_size_bytes"] {
            let observed = stats::changes(&self.process, histogram);
            let sampled = if plan.sampling.rate.is_none() { 0 } else { decisions[0] };
            assert_eq!(observed, sampled, "{histogram}");
        }
        assert_eq!(stats::sum(&self.process, "route_metrics_errors_total"), 0, "errors");
        for worker in &self.workers {
            assert_eq!(worker.filter.open_streams(), 0);
            let lines = worker.host().log_lines();
            let error = lines.iter().find(|(level, text)| {
                *level == LogLevel::Error && !text.starts_with("configuration: ")
            });
            assert_eq!(error, None, "the filter complained");
        }
        stats::check(&self.process, plan);
    }
}
