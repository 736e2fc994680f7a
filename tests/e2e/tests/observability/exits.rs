//! Other ways for stats to leave Envoy: by its sinks for OpenTelemetry, DogStatsD, StatsD and Graphite,
//! as docs/exits.md sets them, and the formats in which Prometheus asks for a scrape.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use prost::Message;
use route_metrics::command::envoy_config::{EnvoyVersion, yaml};
use route_metrics_e2e::prometheus::Prometheus;
use route_metrics_e2e::wait::eventually;
use route_metrics_e2e::{Binary, Envoy, Host, Request, Setup, Upstream, grpc, http1, repository};
use serde_json::{Value, json};

use crate::support::Printed;

// The parts of OTLP that the tests look at (opentelemetry-proto, `metrics/v1/metrics.proto`).
#[derive(Clone, PartialEq, Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceMetrics>,
}
#[derive(Clone, PartialEq, Message)]
struct ResourceMetrics {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<ScopeMetrics>,
}
#[derive(Clone, PartialEq, Message)]
struct ScopeMetrics {
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
}
#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "5")]
    gauge: Option<Numbers>,
    #[prost(message, optional, tag = "7")]
    sum: Option<Numbers>,
    #[prost(message, optional, tag = "9")]
    histogram: Option<Histograms>,
}
#[derive(Clone, PartialEq, Message)]
struct Numbers {
    #[prost(message, repeated, tag = "1")]
    points: Vec<NumberPoint>,
}
#[derive(Clone, PartialEq, Message)]
struct NumberPoint {
    #[prost(sfixed64, optional, tag = "6")]
    whole: Option<i64>,
    #[prost(message, repeated, tag = "7")]
    attributes: Vec<Attribute>,
}
#[derive(Clone, PartialEq, Message)]
struct Histograms {
    #[prost(message, repeated, tag = "1")]
    points: Vec<HistogramPoint>,
}
#[derive(Clone, PartialEq, Message)]
struct HistogramPoint {
    #[prost(fixed64, tag = "4")]
    count: u64,
    #[prost(double, repeated, tag = "7")]
    bounds: Vec<f64>,
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

/// The settings that the page shows below a heading, for these ports.
fn documented(heading: &str, ports: &[(&str, u16)]) -> Value {
    let page = fs::read_to_string(repository().join("docs/exits.md")).unwrap();
    let section = page.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    let mut block =
        section.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap().to_owned();
    for (documented, port) in ports {
        assert!(block.contains(documented), "{documented} in {block}");
        block = block.replace(documented, &format!("port_value: {port}"));
    }
    yaml(block.as_bytes()).unwrap().remove(0)
}

/// What the Wasm module gives, or what the dynamic module does, whose tags stand in the order of the
/// configuration.
fn by_host<'a>(wasm: &'a str, native: &'a str) -> &'a str {
    match Host::default() {
        Host::Wasm => wasm,
        Host::Native => native,
    }
}

/// What the names of the filter's stats begin with, wherever they do not leave for Prometheus.
fn prefix() -> &'static str {
    by_host("wasmcustom", "dynamicmodulescustom")
}

/// An Envoy with these settings, to which one request was sent.
fn start(binary: &Binary, upstream: &Upstream, cluster: Option<Value>, settings: Value) -> Envoy {
    let plugin = json!({
        "labels": {"tenant": {"from": "request_header", "name": "x-tenant"}},
        "metrics": {
            "requests_total": {"labels": ["method", "endpoint", "status", "tenant"]},
            "request_duration": {"buckets": [1_000, 25_000, 30_000_000]},
        },
    });
    let mut setup = Setup::new(upstream.address()).binary(binary).filter(plugin);
    if let Some(cluster) = cluster {
        setup = setup.cluster(cluster);
    }
    let envoy = setup.settings(settings).start();
    let request = Request::get("/users/7").header("x-tenant", "blue");
    assert_eq!(http1::send(envoy.address(), &request).unwrap().status, 200);
    envoy
}

fn labels(attributes: &[Attribute]) -> BTreeMap<&str, &str> {
    attributes
        .iter()
        .filter_map(|Attribute { key, value }| {
            Some((key.as_str(), value.as_ref()?.text.as_deref()?))
        })
        .collect()
}

fn exports(calls: &Receiver<(String, Vec<u8>)>) -> Vec<Metric> {
    let mut metrics = Vec::new();
    for (path, body) in calls.try_iter() {
        assert_eq!(path, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export");
        let export = Export::decode(&body[5..]).unwrap();
        let scopes = export.resources.into_iter().flat_map(|resource| resource.scopes);
        metrics.extend(scopes.flat_map(|scope| scope.metrics));
    }
    metrics
}

#[test]
fn opentelemetry_gets_labels_as_attributes() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let (sender, calls) = channel();
        let server = grpc::Server::keeping(Some(sender));
        let mut settings =
            documented("OpenTelemetry", &[("port_value: 4317", server.address().port())]);
        let mut cluster = settings["static_resources"]["clusters"][0].take();
        settings.as_object_mut().unwrap().remove("static_resources");
        let address = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
        cluster.pointer_mut(address).unwrap()["address"] = "127.0.0.1".into();
        cluster["type"] = "STATIC".into();
        let _envoy = start(&binary, &upstream, Some(cluster), settings);
        let mut seen = Vec::new();
        eventually("the counter and the histogram by OTLP", || {
            seen.extend(exports(&calls));
            let of = |name: &str| {
                let name = format!("{}.{name}", prefix());
                seen.iter().filter(move |metric| metric.name == name)
            };
            let counted = of("http_requests_total")
                .flat_map(|metric| &metric.sum.as_ref().unwrap().points)
                .any(|point| {
                    let expected = BTreeMap::from([
                        ("method", "GET"),
                        ("endpoint", "/users/{id}"),
                        ("status", "200"),
                        ("tenant", "blue"),
                    ]);
                    point.whole == Some(1) && labels(&point.attributes) == expected
                });
            let timed = of("http_request_duration_microseconds")
                .flat_map(|metric| &metric.histogram.as_ref().unwrap().points)
                .any(|point| {
                    let expected = BTreeMap::from([("method", "GET"), ("endpoint", "/users/{id}")]);
                    point.count == 1
                        && labels(&point.attributes) == expected
                        && point.bounds.contains(&25_000.0)
                });
            let info = of("route_metrics_build_info").any(|metric| metric.gauge.is_some());
            let names: BTreeSet<_> =
                seen.iter().map(|m| &m.name).filter(|n| n.starts_with(prefix())).collect();
            if counted && timed && info {
                Ok(())
            } else {
                Err(format!("{binary}: {counted} {timed} {info} {names:?}"))
            }
        });
        // No label is left in a name.
        assert!(seen.iter().all(|metric| !metric.name.contains("=.=")));
    }
}

/// The lines of datagrams until all of these are there.
#[track_caller]
fn lines_with(socket: &UdpSocket, expected: &[&str]) {
    let expected: Vec<String> =
        expected.iter().map(|rest| format!("envoy.{}.{rest}", prefix())).collect();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut lines: Vec<String> = Vec::new();
    let mut buffer = [0; 65_536];
    eventually("the lines", || {
        while let Ok(length) = socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]);
            lines.extend(text.lines().filter(|l| l.contains(prefix())).map(str::to_owned));
        }
        let missing: Vec<_> =
            expected.iter().filter(|e| !lines.iter().any(|line| line.starts_with(*e))).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} in {lines:#?}")) }
    });
}

/// By the sink of each section of the page, these lines arrive.
fn expect_datagrams(heading: &str, expected: &[&str]) {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let settings = documented(heading, &[("port_value: 8125", port)]);
        let _envoy = start(&binary, &upstream, None, settings);
        lines_with(&socket, expected);
    }
}

#[test]
fn dog_statsd_gets_labels_as_tags() {
    expect_datagrams(
        "DogStatsD",
        &[
            by_host(
                "http_requests_total:1|c|#endpoint:/users/{id},method:GET,status:200,tenant:blue",
                "http_requests_total:1|c|#method:GET,endpoint:/users/{id},status:200,tenant:blue",
            ),
            "http_request_duration_microseconds:",
            "route_metrics_build_info:1|g|#version:",
        ],
    );
}

#[test]
fn graphite_gets_labels_as_tags() {
    expect_datagrams(
        "Graphite",
        &[by_host(
            "http_requests_total;endpoint=/users/{id};method=GET;status=200;tenant=blue:1|c",
            "http_requests_total;method=GET;endpoint=/users/{id};status=200;tenant=blue:1|c",
        )],
    );
}

/// StatsD has no tags, so the labels stay in the name, as the page says: of the dynamic module as Envoy writes its
/// own tags there.
#[test]
fn plain_statsd_gets_labels_in_the_name() {
    expect_datagrams(
        "StatsD",
        &[by_host(
            "http_requests_total.method=.=GET;.;endpoint=.=/users/{id};.;status=.=200;.;tenant=.=blue;.;:1|c",
            "http_requests_total.method.GET.endpoint./users/{id}.status.200.tenant.blue:1|c",
        )],
    );
}

/// A sink writes values as they are. What the page says of that is so, and not only cautious.
#[test]
fn dog_statsd_takes_a_comma_of_a_client_for_the_end_of_a_tag() {
    let upstream = Upstream::start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let settings = documented("DogStatsD", &[("port_value: 8125", port)]);
    let envoy = start(&Binary::default(), &upstream, None, settings);
    let request = Request::get("/users/7").header("x-tenant", "blue,team:red");
    assert_eq!(http1::send(envoy.address(), &request).unwrap().status, 200);
    lines_with(
        &socket,
        &[by_host(
            "http_requests_total:1|c|#endpoint:/users/{id},method:GET,status:200,tenant:blue,team:red",
            "http_requests_total:1|c|#method:GET,endpoint:/users/{id},status:200,tenant:blue,team:red",
        )],
    );
}

const PROTOBUF: &str =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

/// Since 1.38, and with them protobuf.
fn has_native_histograms(binary: &Binary) -> bool {
    let version = |text: &str| text.parse::<EnvoyVersion>().unwrap();
    version(&binary.version) >= version("1.38")
}

/// What the metrics listener gives for the headers that Prometheus sends.
#[test]
fn a_scrape_is_text_or_protobuf_plain_or_gzip_as_it_is_asked_for() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let form = ["--envoy-version", &binary.version];
        let envoy = Printed::start_in(&binary, &json!({}), upstream.address(), &form);
        assert_eq!(http1::send(envoy.traffic, &Request::get("/users/1")).unwrap().status, 200);
        let ask = |target: &str, accept: &str, encoding: &str| {
            let request = Request::get(target).header("accept", accept);
            let request = request.header("accept-encoding", encoding);
            http1::send(envoy.metrics, &request).unwrap()
        };
        let header = |response: &route_metrics_e2e::Response, name: &str| {
            String::from_utf8_lossy(response.header(name).unwrap_or_default()).into_owned()
        };
        let text = ask("/stats/prometheus", "text/plain;version=0.0.4", "identity");
        assert_eq!(header(&text, "content-encoding"), "");
        assert!(text.text().contains("http_requests_total{"), "{binary}");
        let packed = ask("/stats/prometheus", "text/plain;version=0.0.4", "gzip");
        assert_eq!(header(&packed, "content-encoding"), "gzip", "{binary}");
        assert!(packed.body.starts_with(&[0x1f, 0x8b]) && packed.body.len() * 4 < text.body.len());
        let used = ask("/stats/prometheus?usedonly", "text/plain", "identity");
        assert!(used.status == 200 && used.body.len() < text.body.len(), "{binary}");
        assert!(used.text().contains("http_requests_total{"));
        let native = has_native_histograms(&binary);
        let protobuf =
            ask("/stats/prometheus", &format!("{PROTOBUF};q=0.6,text/plain;q=0.4"), "identity");
        assert_eq!(
            header(&protobuf, "content-type").starts_with("application/vnd.google.protobuf"),
            native,
            "{binary}"
        );
        let target = "/stats/prometheus?histogram_buckets=prometheusnative&usedonly=";
        assert_eq!(
            ask(target, PROTOBUF, "identity").status,
            if native { 200 } else { 400 },
            "{binary}"
        );
        // Native histograms do not exist as text.
        assert_eq!(ask(target, "text/plain", "identity").status, 400, "{binary}");
    }
}

/// With its switch for native histograms, Prometheus asks for protobuf.
#[test]
fn prometheus_stores_native_histograms() {
    let binary = Binary::tested().into_iter().find(has_native_histograms).unwrap();
    let upstream = Upstream::start();
    let form = ["--envoy-version", &binary.version];
    let envoy = Printed::start_in(&binary, &json!({}), upstream.address(), &form);
    let job = |name: &str, parameters: Value| {
        json!({
            "job_name": name,
            "honor_labels": true,
            "params": parameters,
            "static_configs": [{"targets": [envoy.metrics]}],
        })
    };
    let jobs = vec![
        job("native", json!({"histogram_buckets": ["prometheusnative"]})),
        job("classic", json!({})),
    ];
    let prometheus = Prometheus::with(jobs, "{}", &["--enable-feature=native-histograms"]);
    eventually("both kinds of histograms", || {
        http1::send(envoy.traffic, &Request::get("/users/1")).unwrap();
        let count = |query: &str| {
            let found =
                prometheus.ask(&format!("/api/v1/query?query={}", crate::support::encoded(query)));
            found["data"]["result"].as_array().map_or(0, Vec::len)
        };
        let name = "http_request_duration_microseconds";
        let found = [
            count(&format!("histogram_count({name}{{job=\"native\"}}) > 0")),
            count(&format!("{name}_bucket{{job=\"native\"}}")),
            count(&format!("{name}_bucket{{job=\"classic\"}}")),
            count("http_requests_total{endpoint=\"/users/{id}\"}"),
        ];
        // Lines of buckets have no fixed number here.
        let [native, no_buckets, buckets, counters] = found;
        if (native, no_buckets, buckets > 0, counters) == (1, 0, true, 2) {
            Ok(())
        } else {
            Err(format!("{found:?} {:?}", prometheus.trouble()))
        }
    });
}
