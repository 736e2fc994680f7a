//! Streams that stay open: in the gauge while they last, counted when they end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use route_metrics_e2e::http1::{self, Connection};
use route_metrics_e2e::wait::{SetOnDrop, eventually_equal, until};
use route_metrics_e2e::{Binary, Envoy, Request, Setup, http2, tcp};
use serde_json::{Value, json};

use route_metrics_e2e::expect::{expect_counted, expect_decisions};

/// How long a stream stays open in the tests: several flushes of the filter and of Envoy.
const OPEN: Duration = Duration::from_millis(2500);

/// How Envoy calls it that a client has closed before the server.
const GONE: Option<&str> = Some("DownstreamConnectionTermination");

fn active(envoy: &Envoy) -> Option<f64> {
    envoy.scrape().value("http_requests_active", &[])
}

/// Waits until the gauge is at this, keeps the stream open for a while, and checks that the gauge
/// has stayed and nothing was counted.
#[track_caller]
fn stays_open(envoy: &Envoy) {
    eventually_equal("open requests", Some(1.0), || active(envoy));
    thread::sleep(OPEN);
    assert_eq!(active(envoy), Some(1.0));
    assert_eq!(envoy.scrape().sum("http_requests_total"), 0.0, "it has not ended");
}

/// Checks that one duration was measured, which is as long as the stream was open.
#[track_caller]
fn lasted(envoy: &Envoy) {
    envoy.eventually("the duration", |scrape| {
        let count = scrape.sum("http_request_duration_microseconds_count");
        let sum = scrape.sum("http_request_duration_microseconds_sum");
        let right = count == 1.0 && sum >= OPEN.as_micros() as f64 * 0.95;
        if right { Ok(()) } else { Err(format!("{count} durations, {sum} µs in all")) }
    });
}

/// Checks the bytes that were measured of request and response.
#[track_caller]
fn transferred(envoy: &Envoy, up: f64, down: f64) {
    envoy.eventually("the sizes", |scrape| {
        let sum = |family: &str| scrape.sum(&format!("{family}_sum"));
        let found = (sum("http_request_size_bytes"), sum("http_response_size_bytes"));
        let near = |found: f64, expected: f64| (found - expected).abs() <= expected / 20.0;
        if near(found.0, up) && near(found.1, down) { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

fn plugin() -> Value {
    json!({
        "metrics": {"request_size": {"enabled": true}},
        "endpoint": {"templates": ["/live", "/events/{topic}"], "inference": "off"},
    })
}

/// Answers an upgrade and then sends everything back, or closes where the path says so.
fn web_socket() -> tcp::Server {
    tcp::Server::start(|session| {
        let head = session.head()?;
        session.send(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        )?;
        if head.starts_with("GET /live?close") { Ok(()) } else { session.echo() }
    })
}

fn upgrade(target: &str) -> Request {
    Request::get(target)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
}

#[test]
fn a_web_socket() {
    for binary in Binary::tested() {
        let upstream = web_socket();
        let envoy = Setup::new(upstream.address())
            .binary(&binary)
            .filter(plugin())
            .connection_manager(json!({"upgrade_configs": [{"upgrade_type": "websocket"}]}))
            .access_log("%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT%")
            .start();
        let mut client = Connection::open(envoy.address()).unwrap();
        assert_eq!(client.request(&upgrade("/live")).unwrap().status, 101);
        client.send(&[b'm'; 1000]).unwrap();
        assert_eq!(client.read_exactly(1000).unwrap().len(), 1000);
        stays_open(&envoy);
        drop(client);
        expect_counted(&envoy, &[("GET", "/live", "101", GONE)]);
        lasted(&envoy);
        transferred(&envoy, 1000.0, 1000.0);

        // Envoy has a flag for whoever closes first, and none for a farewell before that.
        let mut client = Connection::open(envoy.address()).unwrap();
        assert_eq!(client.request(&upgrade("/live?close")).unwrap().status, 101);
        assert!(client.wait_closed());
        expect_counted(
            &envoy,
            &[
                ("GET", "/live", "101", GONE),
                ("GET", "/live", "101", Some("UpstreamConnectionTermination")),
            ],
        );
    }
}

/// A WebSocket over HTTP/2 is an extended CONNECT (RFC 8441). Envoy makes of it what it would be over
/// HTTP/1.1 before filters see it, and of the 101 a 200 after they have.
#[test]
fn a_web_socket_over_http_2() {
    for binary in Binary::tested() {
        let upstream = web_socket();
        let envoy = Setup::new(upstream.address())
            .binary(&binary)
            .filter(plugin())
            .connection_manager(json!({
                "upgrade_configs": [{"upgrade_type": "websocket"}],
                "http2_protocol_options": {"allow_connect": true},
            }))
            .access_log("%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT%")
            .start();
        http2::with_connection(envoy.address(), |client| async {
            let mut client = client.ready().await.unwrap();
            // Envoy says that it takes them with its settings, which come after the connection.
            let allowed = || client.is_extended_connect_protocol_enabled();
            until("Envoy's settings", allowed).await;
            let request = Request::new("CONNECT", "/live").header("sec-websocket-version", "13");
            let mut head = http2::head(&request).unwrap();
            head.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
            let (response, mut stream) = client.send_request(head, false).unwrap();
            let response = response.await.unwrap();
            assert_eq!(response.status(), 200);
            stream.send_data(vec![b'm'; 1000].into(), false).unwrap();
            let mut body = response.into_body();
            let mut echoed = 0;
            while echoed < 1000 {
                echoed += body.data().await.unwrap().unwrap().len();
            }
            stays_open(&envoy);
            stream.send_reset(h2::Reason::CANCEL);
            // The reset must have come before the connection ends.
            until("the reset", || envoy.access_log().len() == 1).await;
        })
        .unwrap();
        expect_counted(&envoy, &[("GET", "/live", "101", Some("DownstreamRemoteReset"))]);
        lasted(&envoy);
        transferred(&envoy, 1000.0, 1000.0);
    }
}

#[test]
fn a_tunnel_made_by_connect() {
    for binary in Binary::tested() {
        let upstream = tcp::Server::start(tcp::Session::echo);
        let envoy = Setup::new(upstream.address())
            .binary(&binary)
            .filter(plugin())
            .route(json!({
                "match": {"connect_matcher": {}},
                "route": {
                    "cluster": "upstream",
                    "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}],
                },
            }))
            .connection_manager(json!({"upgrade_configs": [{"upgrade_type": "CONNECT"}]}))
            .access_log("%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT%")
            .start();
        let mut client = Connection::open(envoy.address()).unwrap();
        client.send(b"CONNECT db.local:5432 HTTP/1.1\r\nhost: db.local:5432\r\n\r\n").unwrap();
        assert_eq!(client.response(true).unwrap().status, 200);
        client.send(&[b'm'; 1000]).unwrap();
        assert_eq!(client.read_exactly(1000).unwrap().len(), 1000);
        stays_open(&envoy);
        drop(client);
        expect_counted(&envoy, &[("CONNECT", "_UNMATCHED", "200", GONE)]);
        lasted(&envoy);
        transferred(&envoy, 1000.0, 1000.0);
    }
}

/// Answers with an event now and then, until it is enough.
fn ticking(enough: &Arc<AtomicBool>, pause: Duration) -> tcp::Server {
    let stop = Arc::clone(enough);
    tcp::Server::start(move |session| {
        session.head()?;
        session.send(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
              transfer-encoding: chunked\r\n\r\n",
        )?;
        while !stop.load(Ordering::Relaxed) {
            session.send(b"b\r\ndata: tick\n\r\n")?;
            thread::sleep(pause);
        }
        session.send(b"0\r\n\r\n")
    })
}

#[test]
fn server_sent_events() {
    for binary in Binary::tested() {
        let enough = Arc::new(AtomicBool::new(false));
        let upstream = ticking(&enough, Duration::from_millis(100));
        let envoy = Setup::new(upstream.address())
            .binary(&binary)
            .filter(plugin())
            .access_log("%RESPONSE_CODE% %RESPONSE_FLAGS%")
            // Envoy writes its access log each second; the filter must not count each time.
            .connection_manager(json!({"access_log_options": {
                "flush_access_log_on_new_request": true, "access_log_flush_interval": "1s",
            }}))
            .start();
        let mut client = Connection::open(envoy.address()).unwrap();
        client.send(&Request::get("/events/news").to_http1()).unwrap();
        stays_open(&envoy);
        // At the beginning, and once or more since then.
        assert!(envoy.wait_for_access_log(2).len() >= 2);
        enough.store(true, Ordering::Relaxed);
        let response = client.response(false).unwrap();
        assert_eq!(response.status, 200);
        lasted(&envoy);
        transferred(&envoy, 0.0, response.body.len() as f64);
        expect_decisions(&envoy, 1, 0, 0);
        eventually_equal("open requests", Some(0.0), || active(&envoy));
    }
}

/// How long the streams of [`events_over_many_flushes`] stay open.
const LONG: Duration = Duration::from_secs(6);

/// Many flushes of the filter, and of Envoy's stats, over HTTP/1.1 and HTTP/2. A day of them is in
/// `tests/core/life.rs`, without waiting for it.
#[test]
fn events_over_many_flushes() {
    let enough = Arc::new(AtomicBool::new(false));
    let upstream = ticking(&enough, Duration::from_millis(250));
    let envoy = Setup::new(upstream.address())
        .filter(plugin())
        // Envoy would end them after 15 seconds.
        .route(json!({
            "match": {"prefix": "/events/"}, "route": {"cluster": "upstream", "timeout": "0s"},
        }))
        .start();
    let address = envoy.address();
    let bytes = thread::scope(|scope| {
        let ended = SetOnDrop(&enough);
        let request = Request::get("/events/news");
        let clients = [
            scope.spawn({
                let request = request.clone();
                move || http1::send(address, &request).unwrap()
            }),
            scope.spawn(move || http2::send(address, &request).unwrap()),
        ];
        eventually_equal("open requests", Some(2.0), || active(&envoy));
        let opened = Instant::now();
        while opened.elapsed() < LONG {
            let scrape = envoy.scrape();
            assert_eq!(scrape.value("http_requests_active", &[]), Some(2.0));
            assert_eq!(scrape.sum("http_requests_total"), 0.0);
            thread::sleep(Duration::from_millis(500));
        }
        drop(ended);
        clients.map(|client| client.join().unwrap()).map(|response| {
            assert_eq!(response.status, 200);
            response.body.len()
        })
    });
    expect_decisions(&envoy, 2, 0, 0);
    eventually_equal("open requests", Some(0.0), || active(&envoy));
    transferred(&envoy, 0.0, bytes.iter().sum::<usize>() as f64);
    envoy.eventually("durations", |scrape| {
        let sum = scrape.sum("http_request_duration_microseconds_sum");
        let count = scrape.sum("http_request_duration_microseconds_count");
        let right = count == 2.0 && sum >= 2.0 * LONG.as_micros() as f64 * 0.95;
        if right { Ok(()) } else { Err(format!("{count} durations, {sum} µs in all")) }
    });
}

/// A server that stays on for ever answers what a client leaves; see `clients_that_vanish` for
/// requests without an answer.
#[test]
fn a_client_that_leaves_a_stream_of_events() {
    let upstream = tcp::Server::start(|session| {
        session.head()?;
        session.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")?;
        session.wait_closed();
        Ok(())
    });
    let envoy = Setup::new(upstream.address())
        .filter(plugin())
        .access_log("%RESPONSE_CODE% %RESPONSE_FLAGS%")
        .start();
    for reset in [false, true] {
        let mut client = Connection::open(envoy.address()).unwrap();
        client.send(&Request::get("/events/news").to_http1()).unwrap();
        eventually_equal("open requests", Some(1.0), || active(&envoy));
        if reset {
            client.reset();
        } else {
            drop(client);
        }
        eventually_equal("open requests", Some(0.0), || active(&envoy));
    }
    let gone = ("GET", "/events/{topic}", "200", GONE);
    expect_counted(&envoy, &[gone, gone]);
}
