//! Requests of each protocol are counted once, under their labels.

use route_metrics_e2e::config::cluster;
use route_metrics_e2e::grpc::{self, Reply, call};
use route_metrics_e2e::http1::{self, Connection};
use route_metrics_e2e::upstream::refusing_address;
use route_metrics_e2e::wait::until;
use route_metrics_e2e::{Answer, Binary, Request, Setup, Upstream, config, http2, tcp};
use serde_json::{Value, json};

use route_metrics_e2e::expect::{
    EXCEPTION, REQUEST, count, expect_counted, expect_decisions, expect_table, table,
};

/// Endpoints of the methods that are called.
fn methods() -> Value {
    let methods = [
        "/shop.Cart/Get",
        "/shop.Cart/Put",
        "/shop.Cart/Watch",
        "/shop.Gone/Get",
        "/shop.Slow/Get",
    ];
    json!({"endpoint": {"templates": methods, "inference": "off"}})
}

/// Settings of a cluster that is spoken to in HTTP/2.
pub fn over_http2() -> Value {
    speaking(json!({"http2_protocol_options": {}}))
}

/// Settings of a cluster whose trailers Envoy lets through over HTTP/1.1.
fn with_trailers() -> Value {
    speaking(json!({"http_protocol_options": {"enable_trailers": true}}))
}

fn speaking(protocol: Value) -> Value {
    json!({"typed_extension_protocol_options": {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": protocol,
        },
    }})
}

#[test]
fn http_1_0_and_1_1_and_2() {
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address())
        .filter(json!({
            "labels": {"protocol": {"from": "protocol"}},
            "metrics": {"requests_total": {"labels": ["endpoint", "status", "protocol"]}},
        }))
        .connection_manager(json!({"http_protocol_options": {
            "accept_http_10": true, "default_host_for_http_10": "test.local",
        }}))
        .start();
    let old = http1::send_bytes(envoy.address(), b"GET /users/1 HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(old.status, 200);
    // Two on one connection, sent at once.
    let mut client = Connection::open(envoy.address()).unwrap();
    client.send(&Request::get("/users/1").to_http1().repeat(2)).unwrap();
    for _ in 0..2 {
        assert_eq!(client.response(false).unwrap().status, 200);
    }
    let requests = vec![Request::get("/users/1"); 3];
    assert!(http2::send_all(envoy.address(), 1, 3, &requests).iter().all(Result::is_ok));
    let expected = table(&[
        (["/users/{id}", "200", "HTTP/1.0"], 1),
        (["/users/{id}", "200", "HTTP/1.1"], 2),
        (["/users/{id}", "200", "HTTP/2"], 3),
    ]);
    let labels = ["endpoint", "status", "protocol"];
    expect_table(&envoy, "http_requests_total", &labels, &expected);
}

/// What comes before the final response is no response, and what has no body has size 0.
#[test]
fn informational_responses_head_and_no_content() {
    let early = tcp::Server::start(|session| {
        loop {
            let head = session.head()?;
            if head.contains("content-length: 3") {
                session.send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                session.discard(3)?;
            }
            session.send(b"HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n")?;
            session.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
        }
    });
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let envoy = Setup::new(upstream.address())
            .binary(&binary)
            .filter(json!({
                "endpoint": {"templates": ["/early", "/users/{id}"], "inference": "off"},
            }))
            .cluster(cluster("early", early.address()))
            .route(config::route("/early", "early"))
            .connection_manager(json!({"proxy_100_continue": true}))
            .access_log("%RESPONSE_CODE%")
            .start();
        let ask = |request: &Request| http1::send(envoy.address(), request).unwrap();
        assert_eq!(ask(&Request::get("/early")).body, b"ok");
        let expecting = Request::new("POST", "/early").header("expect", "100-continue");
        assert_eq!(ask(&expecting.body("abc")).body, b"ok");
        let user = |method: &str, answer: &Answer| {
            ask(&Request::new(method, "/users/1").answer(answer)).status
        };
        assert_eq!(user("HEAD", &Answer::new().size(5000)), 200);
        assert_eq!(user("DELETE", &Answer::new().status(204)), 204);
        assert_eq!(user("GET", &Answer::new().status(304)), 304);
        expect_counted(
            &envoy,
            &[
                ("GET", "/early", "200", None),
                ("POST", "/early", "200", None),
                ("HEAD", "/users/{id}", "200", None),
                ("DELETE", "/users/{id}", "204", None),
                ("GET", "/users/{id}", "304", None),
            ],
        );
        envoy.eventually("sizes", |scrape| {
            let early = scrape.sum_where("http_response_size_bytes_sum", &[("endpoint", "/early")]);
            let users =
                scrape.sum_where("http_response_size_bytes_sum", &[("endpoint", "/users/{id}")]);
            let measured = scrape.sum("http_response_size_bytes_count");
            // Envoy's histograms take the middle of a step: 2 bytes are between 2.0 and 2.1.
            if measured == 5.0 && (4.0..4.3).contains(&early) && users == 0.0 {
                Ok(())
            } else {
                Err(format!("{measured} measured: {early} and {users} bytes"))
            }
        });
    }
}

#[test]
fn grpc_calls_of_every_kind() {
    for binary in Binary::tested() {
        let server = grpc::Server::start();
        let mut refused = cluster("refused", refusing_address());
        refused["typed_extension_protocol_options"] =
            over_http2()["typed_extension_protocol_options"].clone();
        let envoy = Setup::new(server.address())
            .binary(&binary)
            .upstream_settings(over_http2())
            .cluster(refused)
            .route(config::route("/shop.Gone/", "refused"))
            .route(json!({
                "match": {"prefix": "/shop.Slow/"},
                "route": {"cluster": "upstream", "timeout": "0.2s"},
            }))
            .filter(methods())
            .access_log("%RESPONSE_CODE% %RESPONSE_FLAGS% %GRPC_STATUS%")
            .start();
        let cases = [
            // Unary: well, with an error behind a message, and with an error alone.
            ("/shop.Cart/Get", 1, Reply::Messages(1, 0), "200", None),
            ("/shop.Cart/Get", 1, Reply::Messages(1, 13), "200", Some("Internal")),
            ("/shop.Cart/Get", 1, Reply::TrailersOnly(5), "200", Some("NotFound")),
            // Streams of the client, of the server, and of both.
            ("/shop.Cart/Put", 20, Reply::Messages(1, 0), "200", None),
            ("/shop.Cart/Watch", 1, Reply::Messages(20, 0), "200", None),
            ("/shop.Cart/Watch", 1, Reply::Messages(20, 10), "200", Some("Aborted")),
            ("/shop.Cart/Watch", 20, Reply::TrailersOnly(7), "200", Some("PermissionDenied")),
            // What Envoy answers in place of a server is trailers-only with 200; its reason is the
            // exception.
            ("/shop.Gone/Get", 1, Reply::Messages(1, 0), "200", Some("UpstreamConnectionFailure")),
            ("/shop.Slow/Get", 1, Reply::Stay, "200", Some("UpstreamRequestTimeout")),
            ("/shop.Cart/Watch", 1, Reply::Reset(3), "200", Some("UpstreamRemoteReset")),
        ];
        let mut counted = Vec::new();
        for (path, messages, reply, status, exception) in cases {
            let outcome = http2::send(envoy.address(), &call(path, messages, reply));
            if !matches!(reply, Reply::Stay | Reply::Reset(_)) {
                assert_eq!(outcome.unwrap().status, 200, "Envoy {binary}: {path} {reply:?}");
            }
            counted.push(("POST", path, status, exception));
        }
        expect_counted(&envoy, &counted);
    }
}

/// A call that the client cancels amid the messages has got its headers, and so has their status.
#[test]
fn a_grpc_call_that_the_client_cancels() {
    let server = grpc::Server::start();
    let envoy = Setup::new(server.address())
        .upstream_settings(over_http2())
        .filter(methods())
        .access_log("%RESPONSE_CODE% %RESPONSE_FLAGS%")
        .start();
    http2::with_connection(envoy.address(), |client| async {
        let mut client = client.ready().await.unwrap();
        let request = call("/shop.Cart/Watch", 1, Reply::Stay);
        let (response, mut stream) =
            client.send_request(http2::head(&request).unwrap(), false).unwrap();
        stream.send_data(grpc::message(3).into(), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), grpc::message(5));
        stream.send_reset(h2::Reason::CANCEL);
        // The reset must have come before the connection ends.
        until("the reset", || envoy.access_log().len() == 1).await;
    })
    .unwrap();
    let calls = table(&[(["POST", "/shop.Cart/Watch", "200"], 1)]);
    expect_table(&envoy, "http_requests_total", &REQUEST, &calls);
    let exceptions = table(&[(["/shop.Cart/Watch", "DownstreamRemoteReset"], 1)]);
    expect_table(&envoy, "http_exceptions_total", &EXCEPTION, &exceptions);
    expect_decisions(&envoy, 1, 0, 0);
}

/// Calls of gRPC over HTTP/1.1 to an upstream whose trailers Envoy lets through.
#[test]
fn trailers_of_http_1_1_end_a_grpc_call() {
    let upstream = Upstream::start();
    let envoy =
        Setup::new(upstream.address()).upstream_settings(with_trailers()).filter(methods()).start();
    let mut expected = route_metrics_e2e::expect::Table::new();
    for (status, name) in [("0", None), ("14", Some("Unavailable"))] {
        let answer = Answer::new()
            .header("content-type", "application/grpc")
            .size(10)
            .trailer("grpc-status", status);
        let request = Request::new("POST", "/shop.Cart/Get")
            .header("content-type", "application/grpc")
            .body(grpc::message(3))
            .answer(&answer);
        assert_eq!(http2::send(envoy.address(), &request).unwrap().status, 200);
        if let Some(name) = name {
            count(&mut expected, ["/shop.Cart/Get", name]);
        }
    }
    expect_table(&envoy, "http_exceptions_total", &EXCEPTION, &expected);
    expect_decisions(&envoy, 2, 0, 0);
}

/// Events are read from the headers of the final response alone; elsewhere they are not counted, and the
/// client sees them.
#[test]
fn events_in_informational_responses_and_trailers() {
    let upstream = tcp::Server::start(|session| {
        session.head()?;
        session.send(
            b"HTTP/1.1 103 Early Hints\r\nx-metric-events: app_early_total\r\n\r\n\
              HTTP/1.1 200 OK\r\nx-metric-events: app_final_total\r\n\
              transfer-encoding: chunked\r\n\r\n\
              2\r\nok\r\n0\r\nx-metric-events: app_late_total\r\n\r\n",
        )
    });
    let names = ["app_early_total", "app_final_total", "app_late_total"];
    let metrics =
        names.map(|name| json!({"name": name, "type": "counter", "source": "event", "labels": {}}));
    for binary in Binary::tested() {
        let envoy = Setup::new(upstream.address())
            .binary(&binary)
            .filter(json!({
                "custom_metrics": metrics,
                "events": {"response_header": "x-metric-events"},
            }))
            .upstream_settings(with_trailers())
            .connection_manager(json!({
                "http_protocol_options": {"enable_trailers": true},
                "proxy_100_continue": true,
            }))
            .start();
        let mut client = Connection::open(envoy.address()).unwrap();
        client
            .send(b"GET /users/1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\nte: trailers\r\n\r\n")
            .unwrap();
        let all = String::from_utf8(client.read_to_end().unwrap()).unwrap();
        let seen = names.map(|name| all.contains(&format!("x-metric-events: {name}")));
        assert_eq!(seen, [true, false, true], "Envoy {binary}: {all}");
        expect_table(&envoy, "app_final_total", &[], &table(&[([], 1)]));
        let scrape = envoy.scrape();
        let counted = names.map(|name| scrape.sum(name));
        assert_eq!(counted, [0.0, 1.0, 0.0], "Envoy {binary}");
        assert_eq!(scrape.sum("route_metrics_events_total"), 1.0, "Envoy {binary}");
    }
}
