//! Events that are posted: what they are answered with, and that a refused post leaves no trace.

use std::io::Write;
use std::net::TcpStream;

use route_metrics_e2e::http2::{head, with_connection};
use route_metrics_e2e::wait::deadline;
use route_metrics_e2e::{
    Binary, Envoy, Plugin, Request, Response, Setup, Upstream, http1, http2, tcp,
};
use serde_json::{Value, json};

use crate::reporting::plugin;
use route_metrics_e2e::expect::{expect_table, table};

const GOOD: &str =
    r#"{"metric": "cache_total", "labels": {"operation": "get", "hit": true}, "value": 2}"#;

fn post(body: impl Into<Vec<u8>>) -> Request {
    Request::new("POST", "/metric-events").header("content-type", "application/json").body(body)
}

fn errors(response: &Response) -> Value {
    assert_eq!(response.header("content-type"), Some(&b"application/json"[..]));
    let body: Value = serde_json::from_slice(&response.body).expect("the body is JSON");
    body["errors"].clone()
}

/// The sum of what was recorded of posted events, and the posts that were let through.
fn expect_recorded(envoy: &Envoy, sum: u64) {
    expect_table(
        envoy,
        "cache_total",
        &["operation", "hit"],
        &match sum {
            0 => table::<2>(&[]),
            sum => table(&[(["get", "true"], sum)]),
        },
    );
    let scrape = envoy.scrape();
    assert_eq!(scrape.sum("http_requests_total"), 0.0, "posts are no traffic");
    assert_eq!(scrape.sum("queue_length"), 0.0);
}

/// Envoys of each version, with and without the setting that lets the filter see bodies at once;
/// true with it.
fn envoys(upstream: &Upstream) -> impl Iterator<Item = (Envoy, bool)> {
    let start = |binary: &Binary, plugin| {
        Setup::new(upstream.address()).binary(binary).plugin(plugin).start()
    };
    Binary::tested().into_iter().flat_map(move |binary| {
        let plugin = Plugin::new(plugin());
        [plugin.clone(), plugin.stop_at_headers()]
            .map(|plugin| (start(&binary, plugin.clone()), plugin.stop_at_headers))
    })
}

#[test]
fn posts_are_answered_over_http1_and_http2() {
    let upstream = Upstream::start();
    let mut reached_before = 0;
    for (envoy, sees_bodies) in envoys(&upstream) {
        let bad = r#"{"metric": "queue_length", "value": -1}"#;
        let mixed = format!("[{GOOD}, {bad}, {{\"metric\": \"no_such\"}}]");
        let large = " ".repeat(64 * 1024 + 1);
        let largest = format!("[{GOOD}]{}", " ".repeat(64 * 1024 - GOOD.len() - 2));
        let mut sum = 0;
        for send in [http1::send, http2::send] {
            let send = |request: &Request| send(envoy.address(), request).expect("an answer");
            let done = send(&post(format!("[{GOOD}]")));
            assert_eq!((done.status, done.body.len()), (204, 0));
            assert_eq!(send(&post(largest.as_str())).status, 204);
            assert_eq!(send(&post("[]")).status, 204);
            sum += 4;
            let refused = send(&post(mixed.as_str()));
            assert_eq!(refused.status, 400);
            let expected = json!([
                {"item": 1, "message": "value: is below zero"},
                {"item": 2, "message": "metric: \"no_such\" is not declared; declare it in `custom_metrics` with \"source\": \"event\""},
            ]);
            assert_eq!(errors(&refused), expected);
            for (request, status) in [
                (post("nonsense"), 400),
                (post("{}"), 400),
                (post(""), 400),
                (post(large.as_str()), 413),
                (Request::new("POST", "/metric-events").body(format!("[{GOOD}]")), 415),
                (post(format!("[{GOOD}]")).header("content-encoding", "gzip"), 415),
                (Request::get("/metric-events"), 405),
                (Request { method: "PUT".to_owned(), ..post(format!("[{GOOD}]")) }, 405),
            ] {
                let response = send(&request);
                assert_eq!(response.status, status, "{request:?}: {}", response.text());
                assert!(errors(&response)[0]["message"].is_string(), "{request:?}");
                let allow = (status == 405).then_some(&b"POST"[..]);
                assert_eq!(response.header("allow"), allow);
            }
        }
        expect_recorded(&envoy, sum);
        let outcomes =
            [(["accepted"], 4), (["unknown_metric"], 2), (["malformed"], 2 * 6), (["invalid"], 2)];
        expect_table(&envoy, "route_metrics_events_total", &["outcome"], &table(&outcomes));
        let decisions = [(["excluded"], 2 * 12), (["recorded"], 0), (["sampled_out"], 0)];
        expect_table(&envoy, "route_metrics_requests_total", &["decision"], &table(&decisions));
        assert_eq!(envoy.scrape().sum("http_requests_active"), 0.0);
        let reached = upstream.requests();
        // Without the setting, headers get that far.
        assert!(!sees_bodies || reached == reached_before, "{reached} posts reached the upstream");
        reached_before = reached;
        assert_eq!(envoy.vm_reloads(), 0);
    }
}

/// What the server sends on a raw connection until `end` is in it.
fn converse(stream: &mut TcpStream, bytes: &[u8], end: &str) -> String {
    stream.write_all(bytes).unwrap();
    let mut text = String::new();
    while !text.contains(end) {
        let mut buffer = [0; 4096];
        let read = tcp::read(stream, &mut buffer).unwrap();
        assert!(read > 0, "the connection ended after {text:?}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    text
}

#[test]
fn bodies_may_come_in_any_way_that_http_knows() {
    let upstream = Upstream::start();
    for (envoy, _) in envoys(&upstream) {
        let body = format!("[{GOOD}]");
        let head = "POST /metric-events HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
        let mut stream = TcpStream::connect(envoy.address()).unwrap();
        stream.set_read_timeout(Some(deadline())).unwrap();
        // Chunks, one connection after another.
        let (first, second) = body.split_at(7);
        let chunk = |part: &str| format!("{:x}\r\n{part}\r\n", part.len());
        let chunked = format!(
            "{head}transfer-encoding: chunked\r\n\r\n{}{}0\r\n\r\n",
            chunk(first),
            chunk(second)
        );
        for _ in 0..2 {
            let answer = converse(&mut stream, chunked.as_bytes(), "\r\n\r\n");
            assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
        }
        // A client that asks before it sends.
        let expecting =
            format!("{head}content-length: {}\r\nexpect: 100-continue\r\n\r\n", body.len());
        let answer = converse(&mut stream, expecting.as_bytes(), "\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 100"), "{answer}");
        let answer = converse(&mut stream, body.as_bytes(), "\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
        // More than may come, without a length beforehand.
        let part = chunk(&" ".repeat(1000));
        let endless = format!("{head}transfer-encoding: chunked\r\n\r\n{}", part.repeat(70));
        let answer = converse(&mut stream, endless.as_bytes(), "\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        // Trailers behind the body.
        let status = with_connection(envoy.address(), |client| async move {
            let mut client = client.ready().await.unwrap();
            let (response, mut stream) =
                client.send_request(self::head(&post("")).unwrap(), false).unwrap();
            stream.send_data(format!("[{GOOD}]").into(), false).unwrap();
            let mut trailers = http::HeaderMap::new();
            trailers.insert("x-sum", http::HeaderValue::from_static("1"));
            stream.send_trailers(trailers).unwrap();
            response.await.unwrap().status().as_u16()
        });
        assert_eq!(status, Ok(204));
        expect_recorded(&envoy, 8);
        assert_eq!(envoy.vm_reloads(), 0);
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_post_leaves_nothing() {
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address()).filter(plugin()).start();
    for _ in 0..20 {
        let mut connection = http1::Connection::open(envoy.address()).unwrap();
        let request = "POST /metric-events HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                       content-length: 5000\r\n\r\n[{\"metric\"";
        connection.send(request.as_bytes()).unwrap();
        connection.reset();
    }
    let decisions = table(&[(["excluded"], 20), (["recorded"], 0), (["sampled_out"], 0)]);
    expect_table(&envoy, "route_metrics_requests_total", &["decision"], &decisions);
    expect_recorded(&envoy, 0);
    assert_eq!(http1::send(envoy.address(), &post(format!("[{GOOD}]"))).unwrap().status, 204);
    expect_recorded(&envoy, 2);
}

#[test]
fn only_the_listener_that_is_configured_for_it_takes_posts() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let mut public = plugin();
        public["events"]["path"] = "".into();
        let envoy = Setup::new(upstream.address())
            .binary(&binary)
            .concurrency(4)
            .filter(public)
            .listener_beside("events", Plugin::new(plugin()).stop_at_headers())
            .start();
        let request = post(format!("[{GOOD}]"));
        // For the public listener it is a request like any other.
        assert_eq!(http1::send(envoy.address(), &request).unwrap().status, 200);
        assert_eq!(upstream.requests(), 1);
        for _ in 0..10 {
            assert_eq!(http1::send(envoy.listener("events"), &request).unwrap().status, 204);
        }
        let other = Request::get("/other");
        assert_eq!(http1::send(envoy.listener("events"), &other).unwrap().status, 404);
        assert_eq!(upstream.requests(), 1);
        let cache = table(&[(["get", "true"], 20)]);
        expect_table(&envoy, "cache_total", &["operation", "hit"], &cache);
        let decisions = table(&[(["excluded"], 10), (["recorded"], 2), (["sampled_out"], 0)]);
        expect_table(&envoy, "route_metrics_requests_total", &["decision"], &decisions);
    }
}
