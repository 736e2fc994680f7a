//! Whatever a client sends, a scrape shows the labels that the filter meant, and no others.

use std::collections::BTreeSet;
use std::fs;

use base64::Engine;
use route_metrics::labels;
use route_metrics_e2e::scrape::{Sample, Table};
use route_metrics_e2e::wait::eventually;
use route_metrics_e2e::{
    Answer, Binary, Envoy, NoResponse, Plugin, Prometheus, Request, Setup, Stats, Upstream,
    command, corpus, http1, http2_frames,
};
use serde_json::{Value, json};

use route_metrics_e2e::expect::{REQUEST, count, expect_table};

const MAX_LENGTH: usize = 120;

/// Header values that try to break out of a label, a stat name, or the exposition.
fn values() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = [
        "acme",
        "a b",
        "a\"b",
        "a'b",
        "a\\",
        "\\",
        "\\n",
        "a\\\"} 1\\nfake_metric{x=\"y\"} 9",
        "x;.;status=.=999;.;",
        "x;.;tenant=.=other;.;",
        "tenant=.=DELETE;.;",
        ";.;",
        "=.=",
        ".=.",
        ";.",
        ".;",
        "=.",
        ".=",
        ".",
        "..",
        "...",
        ".a",
        "a.",
        "a;",
        ";a",
        "=a",
        "a=",
        "a=b",
        "a,b",
        "a{b}",
        "}{",
        "{id}",
        "*",
        "_OTHER",
        "_UNMATCHED",
        "_OTHER2",
        "%",
        "%4",
        "%41",
        "%5FOTHER",
        "cache.foo.bar",
        "x/cache.foo.bar",
        "component.x.y",
        "tag.x;.y",
        "wasm_filter.a.b",
        "rbac.allowed",
        "rbac.denied",
        "a.istio_dry_run_allow_b",
        "x.shadow_denied",
        "_rq_404",
        "upstream_rq_200",
        "a_rq_5xx",
        "cluster.foo;.bar",
        "http.x;.y",
        "listener.0.0.0.0_80.http.x",
        "mongo.a.collection.b",
        "wasmcustom.http_requests_total",
        "method=.=POST;.;endpoint=.=/x;.;",
        "a\tb",
        "${jndi:ldap://x/a}",
        "<script>alert(1)</script>",
        "été",
        "日本語",
        "\u{202e}evil",
        "none",
        "0",
        "-1",
        "1e309",
        "NaN",
        "+Inf",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    values.push(b"\xff".to_vec());
    values.push(b"a\xff\xfeb".to_vec());
    values.push(b"\xc3\x28".to_vec());
    values.push(vec![b'a'; 119]);
    values.push(vec![b'b'; 120]);
    values.push(vec![b'c'; 5000]);
    values.push(["d".repeat(119).as_bytes(), "é".as_bytes()].concat());
    values.push("é".repeat(300).into_bytes());
    values.push([vec![b'e'; 119], b".;.;status=.=1".to_vec()].concat());
    values.push([vec![b';'; 60], vec![b'='; 60]].concat());
    values.push(";.;=.=".repeat(30).into_bytes());
    values
}

/// Methods that Envoy lets through, and some that it does not.
const METHODS: [&str; 12] = [
    "GET",
    "PROPFIND",
    "MKCOL",
    "LOCK",
    "M-SEARCH",
    "PURGE",
    "BREW",
    "get",
    "GET;.;status=.=1",
    "UNSUBSCRIBE",
    "X\"Y",
    "TRACE",
];

fn encoded(value: &[u8]) -> String {
    let mut text = String::new();
    labels::encode_foreign(value, MAX_LENGTH, &mut text);
    text
}

/// Envoys under the bootstrap of the command and under Istio's default tags, for each version.
fn each_envoy(
    configuration: &Value,
    change: impl Fn(Setup) -> Setup,
    mut check: impl FnMut(&Envoy),
) {
    for binary in Binary::tested() {
        for stats in [Stats::Bootstrap, Stats::Istio] {
            let upstream = Upstream::start();
            let setup = Setup::new(upstream.address())
                .binary(&binary)
                .concurrency(1)
                .filter(configuration.clone())
                .stats(stats);
            check(&change(setup).start());
        }
    }
}

/// The families that the filter means to make, and their labels.
#[track_caller]
fn check_families(envoy: &Envoy, request_labels: &[&str]) {
    let own: BTreeSet<_> = [
        "http_requests_total",
        "http_request_duration_microseconds",
        "http_requests_active",
        "http_response_size_bytes",
        "http_exceptions_total",
        "route_metrics_build_info",
        "route_metrics_series",
        "route_metrics_series_limit",
        "route_metrics_values",
        "route_metrics_values_limit",
        "route_metrics_values_waiting",
        "route_metrics_overflow_total",
        "route_metrics_requests_total",
        "route_metrics_sample_rate_ppm",
        "route_metrics_events_total",
        "route_metrics_errors_total",
    ]
    .into();
    let scrape = envoy.scrape();
    for family in scrape.types().keys().filter(|name| !name.starts_with("envoy_")) {
        assert!(own.contains(family.as_str()), "the family {family} was not meant");
    }
    let expected: BTreeSet<Vec<String>> = {
        let mut names: Vec<_> = request_labels.iter().map(|name| (*name).to_owned()).collect();
        names.sort();
        [names].into()
    };
    assert_eq!(scrape.label_names("http_requests_total"), expected);
    assert_eq!(envoy.vm_reloads(), 0);
    assert_eq!(scrape.sum("route_metrics_errors_total"), 0.0);
}

/// A real Prometheus takes the scrape and has the same series.
#[track_caller]
fn check_with_prometheus(envoy: &Envoy) {
    let prometheus = Prometheus::scraping(envoy.admin());
    let sorted = |mut series: Vec<Sample>| {
        series.sort_by_key(|sample| format!("{:?}", sample.labels));
        series
    };
    // Its last scrape may be older than Envoy's last flush of histograms.
    eventually("what Prometheus has", || {
        assert_eq!(prometheus.trouble(), None);
        let scrape = envoy.scrape();
        for name in
            ["http_requests_total", "http_exceptions_total", "http_response_size_bytes_bucket"]
        {
            let ours = sorted(scrape.series(name).cloned().collect());
            let theirs = sorted(prometheus.series(name));
            if theirs != ours {
                let other = theirs.iter().zip(&ours).find(|(theirs, ours)| theirs != ours);
                return Err(format!("{name}: {} for {}, {other:?}", theirs.len(), ours.len()));
            }
        }
        Ok(())
    });
}

#[test]
fn hostile_header_values_come_back_as_they_were_meant() {
    let configuration = json!({
        "metrics": {
            "requests_total": {"labels": ["tenant", "cache", "status"]},
            "exceptions_total": {"labels": ["type"]},
        },
        "labels": {
            "tenant": {"from": "request_header", "name": "x-tenant"},
            "cache": {"from": "response_header", "name": "x-served-by"},
        },
        "limits": {"max_values_per_label": 1000},
    });
    // As many as have a place at first sight.
    for values in values().chunks(40) {
        hostile_header_values(&configuration, values);
    }
}

fn hostile_header_values(configuration: &Value, values: &[Vec<u8>]) {
    each_envoy(
        configuration,
        |setup| setup,
        |envoy| {
            let (mut requests, mut exceptions) = (Table::new(), Table::new());
            for (index, value) in values.iter().enumerate() {
                // `|` ends a word of the order to the upstream.
                let other = values.get(values.len() - 1 - index).unwrap();
                let answer =
                    Answer::new().header("x-served-by", other).header("x-exception-type", value);
                let request = Request::get("/users/1").header("x-tenant", value).answer(&answer);
                let response = http1::send(envoy.address(), &request).unwrap();
                assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(value));
                count(&mut requests, [&encoded(value), &encoded(other), "200"]);
                count(&mut exceptions, [&encoded(value)]);
            }
            expect_table(envoy, "http_requests_total", &["tenant", "cache", "status"], &requests);
            expect_table(envoy, "http_exceptions_total", &["type"], &exceptions);
            check_families(envoy, &["tenant", "cache", "status"]);
            check_with_prometheus(envoy);
        },
    );
}

#[test]
fn encoded_values_can_be_read_back() {
    for value in values() {
        let encoded = encoded(&value);
        assert!(encoded.len() <= MAX_LENGTH);
        let decoded = percent_decoded(encoded.as_bytes());
        if value.len() * 3 <= MAX_LENGTH && !value.contains(&b'%') {
            assert_eq!(decoded, value);
        }
    }
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if first == b'%' => {
                out.push(byte);
                rest = &after[2..];
            }
            _ => {
                out.push(first);
                rest = after;
            }
        }
    }
    out
}

#[test]
fn hostile_methods_are_one_value() {
    let known = ["GET", "TRACE"];
    each_envoy(
        &json!({"endpoint": {"inference": "off"}}),
        |setup| setup.access_log("%REQ(:METHOD)%"),
        |envoy| {
            let mut expected = Table::new();
            for method in METHODS {
                let response = http1::send(envoy.address(), &Request::new(method, "/users/1"));
                let status = response.unwrap().status.to_string();
                let method = if known.contains(&method) { method } else { "_OTHER" };
                count(&mut expected, [method, "_UNMATCHED", &status]);
            }
            // Each line that comes from here on is that of the request just sent.
            envoy.wait_for_access_log(METHODS.len());
            for method in METHODS {
                let fields: [(&[u8], &[u8]); 4] = [
                    (b":method", method.as_bytes()),
                    (b":scheme", b"http"),
                    (b":authority", b"a"),
                    (b":path", b"/users/1"),
                ];
                let lines = envoy.access_log().len();
                http2_frames::send(envoy.address(), &fields).unwrap();
                let line = envoy.wait_for_access_log(lines + 1).pop().unwrap();
                if line == "-" {
                    continue; // refused before any filter
                }
                let method = if known.contains(&method) { method } else { "_OTHER" };
                count(&mut expected, [method, "_UNMATCHED", "200"]);
            }
            expect_table(envoy, "http_requests_total", &REQUEST, &expected);
            check_families(envoy, &REQUEST);
        },
    );
}

/// A hostile path and the method that it is sent with.
struct Attack {
    method: String,
    path: Vec<u8>,
}

impl Attack {
    fn get(path: impl Into<Vec<u8>>) -> Self {
        Self { method: "GET".to_owned(), path: path.into() }
    }
}

/// Paths that try to break out of a label, a stat name, or the exposition.
fn own_attacks() -> Vec<Attack> {
    let mut attacks: Vec<_> = [
        "/a;.;reporter=.=source;.;b",
        "/a/x;.;status=.=999;.;",
        "/a/endpoint=.=/b;.;",
        "/a.b.c.d",
        "/x/cache.foo.bar",
        "/cache.foo.bar",
        "/component.x.y/z",
        "/tag.x;.y",
        "/wasm_filter.a.b",
        "/rbac.allowed",
        "/a.istio_dry_run_allow_",
        "/a.shadow_denied",
        "/x_rq_404",
        "/x_rq_5xx",
        "/cluster.foo.upstream_rq_200",
        "/a|b|c",
        "/a=b",
        "/a,b=c",
        "/a:1|c",
        "/a\"b",
        "/a'b",
        "/a\\",
        "/a\\\"}1\\nfake_metric{x=\"y\"}9",
        "/a}{b",
        "/users/{id}",
        "/{*}",
        "/_OTHER",
        "/_UNMATCHED",
        "_OTHER",
        "/users/%00",
        "/users/%0d%0aX-Injected:%201",
        "/users/%ff%fe",
        "/users/%",
        "/users/%zz",
        "/..%2f..%2fetc/passwd",
        "/a/..;/b",
        "/users//123",
        "//",
        "/.",
        "/..",
        "/?",
        "/;",
        "/users;id=7/x",
        "http://user:secret@example.com:8443/users/123?x#y",
        "HTTP://EXAMPLE.COM/Users/123",
        "//evil.example/users/1",
        "/${jndi:ldap://x.example/a}",
        "/users/été",
        "/日本語/42",
        "/\u{202e}/evil",
        "/a/.../b",
        "http://[2001:db8::7]:8080/users/123",
        "ftp://example.com/users/123",
        "http://example.com",
        "//%5Cexample.com:80@example.org",
        "/users/1%2f2%252f3/%5c",
        "/files/%2e%2e/%2E%2E%2Fetc",
        "/users;jsessionid=0A1B2C3D;x=1/profile;y",
        "/odata/Orders(7)/Lines('a b')?$top=1",
        "/users/1,2,3&x=1",
        "/users/(null)/undefined/NaN/[object Object]",
        "/users/-1/+1/1e9/0x1F/1.5/99999999999999999999999999",
        "/users/[::1]/10.0.0.1",
        "/users/%uD83D%uDE00/%C3%28/%c0%af",
        "/v1/{name=projects/*}:run",
        "/{{7*7}}/%s%n/$(id)/`id`",
        "/a|method=DELETE|status=500",
        "/a:1|c|#method:PUT",
        "/\u{ff11}\u{ff12}/\u{661}\u{662}/\u{bd}/\u{1d7cf}",
        "/caf\u{e9}/cafe\u{301}/\u{df}/\u{130}",
        "/\u{200b}\u{feff}/x",
        "/grpc.health.v1.Health/Check",
    ]
    .into_iter()
    .map(Attack::get)
    .collect();
    attacks.push(Attack::get(*b"/users/\xff\xfe"));
    attacks.push(Attack::get(*b"/\x80"));
    attacks.push(Attack::get(format!("/{}", "a".repeat(59_000))));
    attacks.push(Attack::get(format!("/{}", "%41".repeat(10_000))));
    attacks.push(Attack::get("/a".repeat(20_000)));
    attacks.push(Attack::get("/".repeat(4096)));
    attacks.push(Attack::get("/..".repeat(5000)));
    attacks.push(Attack::get(format!("/{}", ";".repeat(10_000))));
    attacks.push(Attack::get(format!("/users/{}", "@".repeat(10_000))));
    attacks.push(Attack::get(format!("/users/{}", "7".repeat(50_000))));
    attacks.push(Attack::get(format!("/{}", "é".repeat(20_000))));
    attacks.push(Attack::get([b"/".as_slice(), &b"\xff/\xfe".repeat(300)].concat()));
    attacks.push(Attack::get([b"/users/".as_slice(), &(1..=255).collect::<Vec<u8>>()].concat()));
    attacks.push(Attack { method: "CONNECT".to_owned(), path: b"[2001:db8::1]:443".to_vec() });
    attacks.push(Attack::get(format!("/{}", ";.;=.=".repeat(100))));
    attacks.push(Attack { method: "OPTIONS".to_owned(), path: b"*".to_vec() });
    attacks.push(Attack { method: "CONNECT".to_owned(), path: b"example.com:443".to_vec() });
    attacks
}

/// The corpus of hostile paths; see [`corpus`].
fn attacks_of_corpus() -> Vec<Attack> {
    let attack = |line: &str| {
        let entry: Value = serde_json::from_str(line).expect("each line of the corpus is JSON");
        let path = entry["path"].as_str().expect("each line of the corpus has a path");
        let path = if entry["encoding"] == "base64" {
            base64::engine::general_purpose::STANDARD.decode(path).expect("it is base64")
        } else {
            path.as_bytes().to_vec()
        };
        Attack { method: entry["method"].as_str().unwrap_or("GET").to_owned(), path }
    };
    corpus("adversarial.jsonl").lines().map(attack).collect()
}

/// Sends an attack over HTTP/1.1 or HTTP/2; the answer does not matter, Envoy's log says what it
/// made of it.
fn send(envoy: &Envoy, attack: &Attack, over_http2: bool) -> Result<(), NoResponse> {
    if !over_http2 {
        let mut request = Request::new(&attack.method, &attack.path);
        if attack.method == "CONNECT" {
            request.host = Some(String::from_utf8_lossy(&attack.path).into_owned());
        }
        return http1::send(envoy.address(), &request).map(drop);
    }
    let method = (&b":method"[..], attack.method.as_bytes());
    let fields = if attack.method == "CONNECT" {
        vec![method, (b":authority", &attack.path)]
    } else {
        vec![method, (b":scheme", b"http"), (b":authority", b"a"), (b":path", &attack.path)]
    };
    http2_frames::send(envoy.address(), &fields).map(drop)
}

/// The lines that `route-metrics label` reads, as Envoy's access log.
const REQUEST_LINES: &str = "%REQ(:METHOD)%\t%REQ(:PATH)%\t%RESPONSE_CODE%";

/// Sends all attacks in turn and checks that the endpoints in the scrape are those that
/// `route-metrics label` gives for the requests that Envoy's access log shows.
fn check_attacks(envoy: &Envoy, configuration: &Value, attacks: &[Attack]) {
    let mut sent = 0;
    for over_http2 in [false, true] {
        for attack in attacks {
            // Envoy may just close the connection.
            let _ = send(envoy, attack, over_http2);
            sent += 1;
            envoy.wait_for_access_log(sent);
        }
    }
    let mut expected = Table::new();
    let mut lines = Vec::new();
    for line in envoy.access_log_bytes().split_inclusive(|&byte| byte == b'\n') {
        match line {
            b"-\t-\t0\n" => {} // refused before any filter
            line if line.starts_with(b"-\t") => count(&mut expected, ["_UNMATCHED"]),
            line if line.starts_with(b"CONNECT\t-\t") => {
                lines.extend_from_slice(b"CONNECT\t\t404\n")
            }
            line => lines.extend_from_slice(line),
        }
    }
    let file = envoy.directory().join("attacked.json");
    fs::write(&file, configuration.to_string()).unwrap();
    let labels = command(&["label", &file.display().to_string()], lines);
    let labels = String::from_utf8(labels).expect("labels are printable ASCII");
    for label in labels.lines() {
        count(&mut expected, [label]);
    }
    expect_table(envoy, "http_requests_total", &["endpoint"], &expected);
    check_families(envoy, &["endpoint"]);
}

fn attacked_configuration() -> Value {
    json!({
        "metrics": {"requests_total": {"labels": ["endpoint"]}},
        "endpoint": {"templates": ["/users/{id}", "/files/{*path}", "/v1/{name}:cancel"]},
        "limits": {"max_values_per_label": 5000, "max_series_per_metric": 20000},
    })
}

#[test]
fn hostile_paths_come_back_as_they_were_meant() {
    let configuration = attacked_configuration();
    let attacks = own_attacks();
    let with_log = |setup: Setup| setup.access_log(REQUEST_LINES);
    each_envoy(&configuration, with_log, |envoy| {
        check_attacks(envoy, &configuration, &attacks);
        check_with_prometheus(envoy);
    });
}

#[test]
#[ignore = "needs more than a clone has: make test-corpora"]
fn the_corpus_of_hostile_paths_comes_back_as_it_was_meant() {
    let attacks = attacks_of_corpus();
    let configuration = attacked_configuration();
    for stats in [Stats::Bootstrap, Stats::Istio] {
        let upstream = Upstream::start();
        let envoy = Setup::new(upstream.address())
            .concurrency(1)
            .plugin(Plugin::new(configuration.clone()))
            .stats(stats)
            // Paths of more than 60 kB get through, too.
            .connection_manager(json!({"max_request_headers_kb": 96}))
            .access_log(REQUEST_LINES)
            .start();
        check_attacks(&envoy, &configuration, &attacks);
        check_with_prometheus(&envoy);
    }
}
