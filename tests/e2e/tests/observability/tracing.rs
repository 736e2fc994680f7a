//! Tracing: spans as a collector gets them from a real Envoy.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use prost::Message;
use route_metrics_e2e::django::Application;
use route_metrics_e2e::wait::{eventually, eventually_equal, poll};
use route_metrics_e2e::{Answer, Request, Upstream, http1};
use serde_json::json;

use crate::support::Printed;

// The parts of OTLP that the tests look at (opentelemetry-proto, `trace/v1/trace.proto`).
#[derive(Clone, PartialEq, Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceSpans>,
}
#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<ScopeSpans>,
}
#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}
#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes, tag = "1")]
    trace: Vec<u8>,
    #[prost(bytes, tag = "2")]
    id: Vec<u8>,
    #[prost(bytes, tag = "4")]
    parent: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<Attribute>,
}
#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}
#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
}

impl Span {
    fn attributes(&self) -> BTreeMap<&str, &str> {
        let text = |a: &Attribute| a.value.as_ref().and_then(|value| value.text.clone());
        let with_text = self.attributes.iter().filter(|a| text(a).is_some());
        with_text
            .map(|a| {
                (
                    a.key.as_str(),
                    a.value.as_ref().and_then(|v| v.text.as_deref()).unwrap_or_default(),
                )
            })
            .collect()
    }
}

/// A collector that takes OTLP over HTTP and remembers the spans.
struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let spans = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&spans);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let all = Arc::clone(&all);
                thread::spawn(move || while serve(&stream, &all).is_some() {});
            }
        });
        Self { address, spans }
    }

    /// All spans so far, each once: who waits too long for an answer sends its spans again.
    fn spans(&self) -> Vec<Span> {
        let mut ids = BTreeSet::new();
        let spans = self.spans.lock().unwrap();
        spans.iter().filter(|span| ids.insert(span.id.clone())).cloned().collect()
    }

    /// The same by trace.
    fn traces(&self) -> BTreeMap<Vec<u8>, Vec<Span>> {
        let mut traces: BTreeMap<_, Vec<Span>> = BTreeMap::new();
        for span in self.spans() {
            traces.entry(span.trace.clone()).or_default().push(span);
        }
        traces
    }

    fn wait_for(&self, count: usize) -> Vec<Span> {
        eventually("spans", || {
            let spans = self.spans();
            if spans.len() >= count { Ok(spans) } else { Err(format!("{} spans", spans.len())) }
        })
    }
}

/// Reads one request and answers it; `None` where the connection has ended.
fn serve(stream: &TcpStream, all: &Mutex<Vec<Span>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut path, mut length, mut chunked) = (String::new(), 0, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if path.is_empty() {
            path = line;
        } else if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        } else if line == "transfer-encoding: chunked" {
            chunked = true;
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = Vec::new();
    while chunked {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).ok()?;
        body.extend_from_slice(&chunk[..size]);
        chunked = size > 0;
    }
    let start = body.len();
    body.resize(start + length, 0);
    reader.read_exact(&mut body[start..]).ok()?;
    assert!(path.starts_with("post /v1/traces "), "{path}");
    let export = Export::decode(body.as_slice()).expect("OTLP");
    let scopes = export.resources.into_iter().flat_map(|resource| resource.scopes);
    all.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
    (&mut &*stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const ANOTHER: &str = "b7ad6b7169203332";

fn start(collector: &Collector, upstream: SocketAddr, rate: &str) -> Printed {
    let address = collector.address.to_string();
    Printed::start(
        &json!({"endpoint": {"templates": ["/users/{id}"]}}),
        upstream,
        &["--tracing", &address, "--tracing-sample-rate", rate],
    )
}

#[test]
fn spans_are_named_by_endpoints_and_join_the_callers_trace() {
    let (collector, upstream) = (Collector::start(), Upstream::start());
    let envoy = start(&collector, upstream.address(), "1");
    let (trace, parent) = (TRACE, PARENT);
    let user = Request::get("/users/7").header("traceparent", format!("00-{trace}-{parent}-01"));
    for request in [user, Request::new("DELETE", "/orders/12345?x=1")] {
        let request = request.answer(&Answer::new());
        assert_eq!(http1::send(envoy.traffic, &request).unwrap().status, 200);
    }
    let spans = collector.wait_for(2);
    let find = |name: &str| {
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name} in {spans:?}"))
    };
    let configured = find("GET /users/{id}");
    assert_eq!(configured.attributes()["http.route"], "/users/{id}");
    assert!(!configured.attributes().contains_key("url.template"), "{configured:?}");
    assert_eq!(
        (hex(&configured.trace), hex(&configured.parent)),
        (trace.to_owned(), parent.to_owned())
    );
    let inferred = find("DELETE /orders/{id}");
    assert_eq!(inferred.attributes()["url.template"], "/orders/{id}");
    assert!(!inferred.attributes().contains_key("http.route"), "{inferred:?}");
    assert!(inferred.parent.is_empty());
    // The upstream is told of the span, so that its own become children.
    let seen = upstream.seen();
    let header = seen[0].headers.iter().find(|(name, _)| name == "traceparent");
    let handed_on = String::from_utf8_lossy(&header.unwrap().1).into_owned();
    assert_eq!(handed_on, format!("00-{trace}-{}-01", hex(&configured.id)));
}

#[test]
fn the_share_of_traces_is_the_rate() {
    let (collector, upstream) = (Collector::start(), Upstream::start());
    let envoy = start(&collector, upstream.address(), "0.25");
    let requests = 1000;
    let mut connection = http1::Connection::open(envoy.traffic).unwrap();
    for _ in 0..requests {
        let request = Request::get("/users/7").answer(&Answer::new());
        assert_eq!(connection.request(&request).unwrap().status, 200);
    }
    // The upstream is told which are in a trace. A mean of 250 with a standard deviation of 13.7.
    let sampled = sampled(&upstream);
    assert!((180..=320).contains(&sampled), "{sampled} of {requests}");
    eventually_equal("spans", sampled, || collector.spans().len());
    // Who says that the trace is not recorded is heeded. The spans of others, who say that it is, come after
    // all of those; the chance that none of eighty has one is 1e-10.
    for (parent, recorded, count) in [(PARENT, "00", 50), (ANOTHER, "01", 80)] {
        for _ in 0..count {
            let request = Request::get("/users/7")
                .header("traceparent", format!("00-{TRACE}-{parent}-{recorded}"));
            assert_eq!(connection.request(&request.answer(&Answer::new())).unwrap().status, 200);
        }
    }
    let spans = collector.wait_for(sampled + 1);
    let of = |parent: &str| spans.iter().filter(|span| hex(&span.parent) == parent).count();
    assert_eq!(of(PARENT), 0);
    assert!(of(ANOTHER) > 0);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The Python code of docs/observability.md in a real Django application.
#[test]
fn spans_of_a_django_application_join() {
    let collector = Collector::start();
    let endpoint = format!("http://{}", collector.address);
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let application = Application::start("traced_app.py", "observability.md", &environment);
    // What did not come through Envoy has no span.
    assert_eq!(http1::send(application.address(), &Request::get("/users/1")).unwrap().status, 200);
    let envoy = start(&collector, application.address(), "1");
    // Envoy's span, the view's, the cache's and the query's. Who exports a batch gives it up where that
    // takes too long, so another request is made where one of them does not come.
    let mut requests = 0;
    let spans = eventually("a trace with all spans", || {
        requests += 1;
        let user = Request::get(format!("/users/{}", 10 + requests));
        assert_eq!(http1::send(envoy.traffic, &user).unwrap().status, 200);
        let whole = || collector.traces().into_values().find(|spans| spans.len() >= 4);
        poll(Duration::from_secs(20), || whole().ok_or_else(|| format!("{:?}", collector.spans())))
    });
    let find = |name: &str| {
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name} in {spans:?}"))
    };
    let (proxy, view) = (find("GET /users/{id}"), find("GET users/<int:number>"));
    assert_eq!(hex(&view.parent), hex(&proxy.id));
    for name in ["cache get", "SELECT"] {
        assert_eq!(hex(&find(name).parent), hex(&view.id), "{name}");
    }
    assert_eq!(spans.len(), 4, "{spans:?}");
    assert!(collector.traces().len() <= requests, "{:?}", collector.spans());
}

/// How many requests the upstream was told are in a trace.
fn sampled(upstream: &Upstream) -> usize {
    let seen = upstream.seen();
    let headers = seen.iter().flat_map(|seen| &seen.headers);
    headers.filter(|(name, value)| name == "traceparent" && value.ends_with(b"-01")).count()
}

#[test]
fn without_tracing_there_is_no_tracer() {
    let upstream = Upstream::start();
    let envoy = Printed::start(&json!({}), upstream.address(), &[]);
    for word in ["tracing", "tracer", "otlp"] {
        assert!(!envoy.configuration.contains(word), "{word}");
    }
    let request = Request::get("/users/7").answer(&Answer::new());
    assert_eq!(http1::send(envoy.traffic, &request).unwrap().status, 200);
    let seen = format!("{:?}", upstream.seen());
    assert!(!seen.contains("traceparent"), "{seen}");
}
