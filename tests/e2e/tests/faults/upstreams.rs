//! Upstreams that are slow, close half of a connection, or break off; and clients that vanish amid a
//! response. What is refused, reset, late or cut is in the module `failing`.

use std::thread;
use std::time::Duration;

use route_metrics_e2e::config::{cluster, route};
use route_metrics_e2e::http1::{self, Connection};
use route_metrics_e2e::wait::until;
use route_metrics_e2e::{Answer, Binary, Request, Setup, Upstream, http2, tcp};
use serde_json::json;

use route_metrics_e2e::expect::{Counted, expect_counted};

/// The client has gone before there was an answer, which proves nothing about a path that nobody has
/// asked for before.
const GONE_UNANSWERED: Counted =
    ("GET", "_UNMATCHED", "0", Some("DownstreamConnectionTermination"));

#[test]
fn slow_half_closed_and_wordless_upstreams() {
    let slow = tcp::Server::start(|session| {
        loop {
            session.head()?;
            for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc" {
                session.send(&[*byte])?;
                thread::sleep(Duration::from_millis(5));
            }
        }
    });
    // Says that it sends nothing more, before it has answered.
    let half = tcp::Server::start(|session| {
        session.head()?;
        session.close_half()?;
        session.wait_closed();
        Ok(())
    });
    // The same behind an answer whose end is the end of the connection.
    let ending = tcp::Server::start(|session| {
        session.head()?;
        session.send(b"HTTP/1.1 200 OK\r\n\r\nall there is")?;
        session.close_half()?;
        session.wait_closed();
        Ok(())
    });
    // The answer comes before the end of the request, and the rest of it is never read.
    let early = tcp::Server::start(|session| {
        session.head()?;
        session.send(b"HTTP/1.1 413 Too Much\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
        session.wait_closed();
        Ok(())
    });
    let wordless = tcp::Server::start(|session| {
        session.head()?;
        session.send(b"220 mail.example ESMTP\r\n\r\n")?;
        session.wait_closed();
        Ok(())
    });
    for binary in Binary::tested() {
        let envoy = Setup::new(slow.address())
            .binary(&binary)
            .cluster(cluster("half", half.address()))
            .cluster(cluster("ending", ending.address()))
            .cluster(cluster("early", early.address()))
            .cluster(cluster("wordless", wordless.address()))
            .route(route("/half", "half"))
            .route(route("/ending", "ending"))
            .route(route("/early", "early"))
            .route(route("/wordless", "wordless"))
            .filter(json!({"endpoint": {
                "templates": ["/slow", "/half", "/ending", "/early", "/wordless"],
                "inference": "off",
            }}))
            .access_log("%RESPONSE_CODE% %RESPONSE_FLAGS_LONG% %RESPONSE_CODE_DETAILS%")
            .start();
        let get = |path: &str| http1::send(envoy.address(), &Request::get(path)).unwrap();
        assert_eq!(get("/slow").body, b"abc");
        assert_eq!(get("/half").status, 503);
        assert_eq!(get("/ending").body, b"all there is");
        let large = Request::new("POST", "/early").body(vec![b'b'; 3_000_000]);
        assert_eq!(http1::send(envoy.address(), &large).unwrap().status, 413);
        assert_eq!(get("/wordless").status, 502);
        expect_counted(
            &envoy,
            &[
                ("GET", "/slow", "200", None),
                ("GET", "/half", "503", Some("UpstreamConnectionTermination")),
                ("GET", "/ending", "200", None),
                ("POST", "/early", "413", None),
                ("GET", "/wordless", "502", Some("UpstreamProtocolError")),
            ],
        );
        envoy.eventually("the duration of the slow one", |scrape| {
            let labels = [("endpoint", "/slow")];
            let sum = scrape.sum_where("http_request_duration_microseconds_sum", &labels);
            if sum >= 150_000.0 { Ok(()) } else { Err(format!("{sum} µs")) }
        });
    }
}

/// A connection that ends with many streams open ends all of them.
#[test]
fn a_client_that_vanishes_with_fifty_streams() {
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address())
        .filter(json!({}))
        .access_log("%RESPONSE_CODE% %RESPONSE_FLAGS%")
        .start();
    let request = Request::get("/users/1").answer(&Answer::new().hold());
    http2::with_connection(envoy.address(), |client| async {
        let mut client = client.ready().await.unwrap();
        let mut open = Vec::new();
        for _ in 0..50 {
            open.push(client.send_request(http2::head(&request).unwrap(), true).unwrap());
        }
        until("held requests", || upstream.held() == 50).await;
    })
    .unwrap();
    expect_counted(&envoy, &[GONE_UNANSWERED; 50]);
    upstream.release();
}

#[test]
fn clients_that_vanish_amid_a_response() {
    let upstream = tcp::Server::start(|session| {
        session.head()?;
        session.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")?;
        session.send_many(100_000_000)
    });
    let envoy = Setup::new(upstream.address())
        .filter(json!({"endpoint": {"templates": ["/files/{name}"], "inference": "off"}}))
        .access_log("%RESPONSE_CODE% %RESPONSE_FLAGS%")
        .start();
    for reset in [false, true] {
        let mut client = Connection::open(envoy.address()).unwrap();
        client.send(&Request::get("/files/big").to_http1()).unwrap();
        assert_eq!(client.response(true).unwrap().status, 200);
        client.discard(1_000_000).unwrap();
        if reset {
            client.reset();
        } else {
            drop(client);
        }
    }
    let gone = ("GET", "/files/{name}", "200", Some("DownstreamConnectionTermination"));
    expect_counted(&envoy, &[gone, gone]);
    envoy.eventually("the size", |scrape| {
        let sum = scrape.sum("http_response_size_bytes_sum");
        // What went out, not what the upstream had promised.
        if (2_000_000.0..90_000_000.0).contains(&sum) { Ok(()) } else { Err(format!("{sum}")) }
    });
}

/// Over HTTP/2 the connection stays, and only the stream is reset.
#[test]
fn streams_that_are_reset_amid_a_response() {
    for binary in Binary::tested() {
        let upstream = tcp::Server::start(|session| {
            session.head()?;
            session.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")?;
            session.send_many(100_000_000)
        });
        let envoy = Setup::new(upstream.address())
            .binary(&binary)
            .filter(json!({"endpoint": {"templates": ["/files/{name}"], "inference": "off"}}))
            .access_log("%RESPONSE_CODE% %RESPONSE_FLAGS%")
            .start();
        http2::with_connection(envoy.address(), |client| async {
            let client = client;
            for _ in 0..2 {
                let mut ready = client.clone().ready().await.unwrap();
                let head = http2::head(&Request::get("/files/big")).unwrap();
                let (answer, _) = ready.send_request(head, true).unwrap();
                let mut body = answer.await.unwrap().into_body();
                let mut received = 0;
                while received < 1_000_000 {
                    let chunk = body.data().await.unwrap().unwrap();
                    received += chunk.len();
                    body.flow_control().release_capacity(chunk.len()).unwrap();
                }
            }
            // The last one is reset only once the connection has been served.
            until("the resets", || envoy.access_log().len() == 2).await;
        })
        .unwrap();
        let gone = ("GET", "/files/{name}", "200", Some("DownstreamRemoteReset"));
        expect_counted(&envoy, &[gone, gone]);
        envoy.eventually("the size", |scrape| {
            let sum = scrape.sum("http_response_size_bytes_sum");
            if (2_000_000.0..90_000_000.0).contains(&sum) { Ok(()) } else { Err(format!("{sum}")) }
        });
    }
}
