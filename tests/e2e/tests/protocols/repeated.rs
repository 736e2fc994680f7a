//! What Envoy sends to upstreams more than once, or on behalf of one client's request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use route_metrics_e2e::config::cluster;
use route_metrics_e2e::{Binary, Request, Setup, Upstream, http1, tcp};
use serde_json::json;

use route_metrics_e2e::expect::expect_counted;

/// An upstream that answers each second request, and hangs or fails with the others.
fn every_second(hang: bool) -> tcp::Server {
    let requests = Arc::new(AtomicUsize::new(0));
    tcp::Server::start(move |session| {
        loop {
            session.head()?;
            let odd = requests.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
            if odd && hang {
                session.wait_closed();
                return Ok(());
            }
            let status = if odd { "503 Odd" } else { "200 OK" };
            session.send(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes())?;
        }
    })
}

#[test]
fn retries_and_hedged_requests_are_one_request() {
    let upstream = Upstream::start();
    let (failing, hanging) = (every_second(false), every_second(true));
    let envoy = Setup::new(upstream.address())
        .cluster(cluster("failing", failing.address()))
        .cluster(cluster("hanging", hanging.address()))
        .route(json!({
            "match": {"prefix": "/retried"},
            "route": {"cluster": "failing",
                      "retry_policy": {"retry_on": "5xx", "num_retries": 2}},
        }))
        .route(json!({
            "match": {"prefix": "/hedged"},
            "route": {
                "cluster": "hanging",
                "hedge_policy": {"hedge_on_per_try_timeout": true},
                // A second try only, however long that takes.
                "retry_policy": {"retry_on": "5xx", "num_retries": 1,
                                 "per_try_timeout": "0.3s"},
            },
        }))
        .filter(json!({}))
        .access_log("%RESPONSE_CODE% %UPSTREAM_REQUEST_ATTEMPT_COUNT%")
        .start();
    for path in ["/retried", "/hedged"] {
        assert_eq!(http1::send(envoy.address(), &Request::get(path)).unwrap().status, 200);
    }
    expect_counted(&envoy, &[("GET", "/retried", "200", None), ("GET", "/hedged", "200", None)]);
    assert_eq!(envoy.access_log(), ["200 2", "200 2"]);
    // The time of all tries, which is what the client waited.
    envoy.eventually("the duration of the hedged request", |scrape| {
        let labels = [("endpoint", "/hedged")];
        let sum = scrape.sum_where("http_request_duration_microseconds_sum", &labels);
        if sum >= 290_000.0 { Ok(()) } else { Err(format!("{sum}")) }
    });
}

/// Each hop is a stream of its own, as in Envoy's access log.
#[test]
fn an_internal_redirect_is_counted_for_each_hop() {
    for binary in Binary::tested() {
        let upstream = tcp::Server::start(|session| {
            loop {
                let answer = match session.head()?.starts_with("GET /old/") {
                    true => "302 Found\r\nlocation: http://test.local/new/2",
                    false => "200 OK",
                };
                let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n");
                session.send(answer.as_bytes())?;
            }
        });
        let envoy = Setup::new(upstream.address())
            .binary(&binary)
            .route(json!({
                "match": {"prefix": "/"},
                "route": {"cluster": "upstream", "internal_redirect_policy": {}},
            }))
            .filter(json!({"endpoint": {"templates": ["/old/{id}", "/new/{id}"]}}))
            .access_log("%RESPONSE_CODE% %RESPONSE_CODE_DETAILS%")
            .start();
        let response = http1::send(envoy.address(), &Request::get("/old/1")).unwrap();
        assert_eq!(response.status, 200);
        let hops = [("GET", "/old/{id}", "302", None), ("GET", "/new/{id}", "200", None)];
        expect_counted(&envoy, &hops);
        assert_eq!(envoy.access_log(), ["302 internal_redirect", "200 via_upstream"]);
    }
}
