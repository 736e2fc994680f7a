//! Requests over HTTP/3. The client is an Envoy, too: it takes HTTP/1.1 and sends it on over QUIC to
//! the one where the filter is.
//!
//! Envoy never tells a Wasm filter to log such a stream, only that it is gone; see `proxy_on_delete` in
//! `src/module/wasm.rs`. It tells a dynamic module that the stream is complete, as with any other.

use std::path::Path;
use std::process::Command;

use route_metrics_e2e::config::{self, Stats, stats_for};
use route_metrics_e2e::wait::eventually_equal;
use route_metrics_e2e::{Answer, Binary, Host, Request, Setup, Upstream, http1};
use serde_json::{Value, json};

use route_metrics_e2e::expect::{EXCEPTION, expect_decisions, expect_table, table};

/// A certificate for `localhost`, made by the program `openssl`.
fn certificate(directory: &Path) {
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .args(["-keyout", "key.pem", "-out", "certificate.pem"])
        .current_dir(directory)
        .output()
        .unwrap_or_else(|error| panic!("openssl: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The transport socket for QUIC with this TLS configuration; `side` is `Up` or `Down`.
fn quic(side: &str, context: &str, tls: Value) -> Value {
    let quic = "type.googleapis.com/envoy.extensions.transport_sockets.quic.v3.Quic";
    json!({
        "name": "envoy.transport_sockets.quic",
        "typed_config": {"@type": format!("{quic}{side}streamTransport"), context: tls},
    })
}

#[test]
fn requests_over_http_3() {
    let directory = tempfile::tempdir().unwrap();
    certificate(directory.path());
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let mut listener = Setup::new(upstream.address())
            .filter(json!({
                // So that an answer of Envoy's own has it, too, if it is the first.
                "endpoint": {"templates": ["/users/{id}"]},
                "labels": {"protocol": {"from": "protocol"}},
                "metrics": {"requests_total": {"labels": ["endpoint", "status", "protocol"]}},
            }))
            .connection_manager(json!({"codec_type": "HTTP3"}))
            .listener(directory.path());
        listener["name"] = "quic".into();
        listener["address"]["socket_address"]["protocol"] = "UDP".into();
        listener["udp_listener_config"] = json!({"quic_options": {}});
        let file = |name: &str| json!({"filename": directory.path().join(name)});
        listener["filter_chains"][0]["transport_socket"] = quic(
            "Down",
            "downstream_tls_context",
            json!({"common_tls_context": {"tls_certificates": [{
                "certificate_chain": file("certificate.pem"), "private_key": file("key.pem"),
            }]}}),
        );
        let labels = ["endpoint", "status", "protocol", "method", "type", "decision"];
        let envoy = Setup::new(upstream.address())
            .binary(&binary)
            .stats(Stats::Given(stats_for(&labels)))
            .more_listener(listener)
            .start();
        let mut over_quic = config::cluster("quic", envoy.listener("quic"));
        over_quic["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3\
                          .HttpProtocolOptions",
                "explicit_http_config": {"http3_protocol_options": {}},
            },
        });
        over_quic["transport_socket"] = quic(
            "Up",
            "upstream_tls_context",
            json!({
                "sni": "localhost",
                "common_tls_context": {"validation_context": {
                    "trusted_ca": file("certificate.pem"),
                }},
            }),
        );
        let client = Setup::new(upstream.address())
            .binary(&binary)
            .cluster(over_quic)
            .route(config::route("/", "quic"))
            .start();
        let requests: Vec<_> = (0..20)
            .map(|n| {
                let answer = match n % 4 {
                    0 => Answer::new().status(500).header("x-exception-type", "ValueError"),
                    1 => Answer::new().close(),
                    _ => Answer::new().size(1000),
                };
                Request::get(format!("/users/{n}")).answer(&answer)
            })
            .collect();
        for (n, response) in http1::send_all(client.address(), 2, &requests).into_iter().enumerate()
        {
            let expected = [500, 503, 200, 200][n % 4];
            assert_eq!(response.unwrap().status, expected);
        }
        let expected = table(&[
            (["/users/{id}", "200", "HTTP/3"], 10),
            (["/users/{id}", "500", "HTTP/3"], 5),
            (["/users/{id}", "503", "HTTP/3"], 5),
        ]);
        let labels = ["endpoint", "status", "protocol"];
        expect_table(&envoy, "http_requests_total", &labels, &expected);
        expect_decisions(&envoy, 20, 0, 0);
        eventually_equal("open requests", Some(0.0), || {
            envoy.scrape().value("http_requests_active", &[])
        });
        // With Wasm, headers of the response are not there any more, so the upstream's own word is missing.
        let word = match Host::default() {
            Host::Wasm => "500",
            Host::Native => "ValueError",
        };
        let exceptions = table(&[
            (["/users/{id}", word], 5),
            (["/users/{id}", "UpstreamConnectionTermination"], 5),
        ]);
        expect_table(&envoy, "http_exceptions_total", &EXCEPTION, &exceptions);
        envoy.eventually("durations and sizes", |scrape| {
            let sum = |name: &str| scrape.sum(name);
            let counted = [
                sum("http_request_duration_microseconds_count"),
                sum("http_response_size_bytes_count"),
            ];
            let bytes = sum("http_response_size_bytes_sum");
            // 10,000 of the upstream, and Envoy's own words.
            let right = counted == [20.0; 2]
                && (9_500.0..12_000.0).contains(&bytes)
                && sum("http_request_duration_microseconds_sum") > 0.0;
            if right { Ok(()) } else { Err(format!("{counted:?}, {bytes} bytes")) }
        });
    }
}
