//! Headers by the names that users write and those by which Envoy shows them to filters.

use route_metrics_e2e::{Answer, Binary, Envoy, Request, Setup, Upstream, http1, http2};
use serde_json::{Value, json};

/// A filter whose requests have these labels, each from what is said of it.
fn labelled(labels: Value) -> Value {
    let names: Vec<&String> = labels.as_object().unwrap().keys().collect();
    let names = json!(names);
    json!({
        "endpoint": {"templates": ["/users/{id}"]},
        "metrics": {"requests_total": {"labels": names}},
        "labels": labels,
    })
}

/// Waits until the only series of requests has these values.
fn expect_values(envoy: &Envoy, expected: &[(&str, &str)]) {
    envoy.eventually("the labels", |scrape| {
        let found: Vec<_> = scrape.series("http_requests_total").collect();
        let [one] = found.as_slice() else { return Err(format!("{} series", found.len())) };
        let wrong = expected.iter().find(|(label, value)| one.labels[*label] != *value);
        match wrong {
            None => Ok(()),
            Some((label, value)) => {
                Err(format!("{label}: {:?} and not {value:?}", one.labels[*label]))
            }
        }
    });
}

#[test]
fn headers_are_found_by_the_names_that_users_write() {
    let header = |name: &str| json!({"from": "request_header", "name": name});
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let mut configuration = labelled(json!({
            "site": header("Host"),
            "place": header(":authority"),
            "target": header(":path"),
            "verb": header(":Method"),
            "scheme": header(":scheme"),
            "crumbs": header("Cookie"),
            "plan": header("X-PLAN"),
            "length": header("Content-Length"),
            "code": {"from": "response_header", "name": ":status"},
        }));
        configuration["custom_metrics"] = json!([
            {"name": "hosts_total", "type": "counter", "match": {"request_headers": {"host": "test.local"}}},
            {"name": "others_total", "type": "counter", "match": {"request_headers": {"host": "other.local"}}},
        ]);
        let envoy = Setup::new(upstream.address()).binary(&binary).filter(configuration).start();
        let request = Request::new("POST", "/users/7?q=1")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("x-plan", "pro")
            .header("content-length", "2")
            .body("{}");
        assert_eq!(http2::send(envoy.address(), &request).unwrap().status, 200);
        expect_values(
            &envoy,
            &[
                ("site", "test.local"),
                ("place", "test.local"),
                ("target", "/users/7?q=1"),
                ("verb", "POST"),
                ("scheme", "http"),
                // Envoy puts the lines of HTTP/2 together (RFC 9113, 8.2.3).
                ("crumbs", "a=1; b=2"),
                ("plan", "pro"),
                ("length", "2"),
                ("code", "200"),
            ],
        );
        envoy.eventually("the conditions", |scrape| {
            match (scrape.sum("hosts_total"), scrape.sum("others_total")) {
                (1.0, 0.0) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    }
}

/// What the plan refuses, seen by another filter in the same place.
#[test]
fn headers_that_are_refused_are_not_there() {
    let script = r#"
        function envoy_on_request(handle)
          local seen = {}
          for _, name in ipairs({"connection", "keep-alive", "proxy-connection",
                                 "transfer-encoding", "expect", "te", "x-there"}) do
            if handle:headers():get(name) then table.insert(seen, name) end
          end
          handle:headers():add("x-seen", table.concat(seen, ","))
        end
        function envoy_on_response(handle)
          local seen = {}
          for _, name in ipairs({"connection", "keep-alive", "proxy-connection",
                                 "transfer-encoding", "x-there"}) do
            if handle:headers():get(name) then table.insert(seen, name) end
          end
          handle:headers():add("x-seen", table.concat(seen, ","))
        end"#;
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let envoy = Setup::new(upstream.address())
            .binary(&binary)
            .filter(json!({}))
            .filter_after(json!({
                "name": "envoy.filters.http.lua",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                    "default_source_code": {"inline_string": script},
                },
            }))
            .start();
        let answer =
            Answer::new().chunked().header("keep-alive", "timeout=5").header("x-there", "1");
        let request = Request::new("POST", "/users/7")
            .header("connection", "keep-alive, te")
            .header("keep-alive", "timeout=5")
            .header("proxy-connection", "keep-alive")
            .header("te", "trailers")
            .header("expect", "100-continue")
            .header("x-there", "1")
            .answer(&answer);
        let mut bytes = request.to_http1();
        bytes.truncate(bytes.len() - 2);
        bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n");
        let _ = http1::send_bytes(envoy.address(), &bytes);
        envoy.eventually("the request", |_| match upstream.seen().first() {
            None => Err("no request".to_owned()),
            Some(_) => Ok(()),
        });
        let seen = upstream.seen().remove(0);
        let found = seen.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-seen"));
        let (_, found) = found.unwrap_or_else(|| panic!("{:?}", seen.headers));
        let found = String::from_utf8_lossy(found.as_ref()).into_owned();
        assert_eq!(found, "te,x-there", "{binary}");
    }
}

#[test]
fn a_header_does_not_pass_for_what_a_limit_folded() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let envoy = Setup::new(upstream.address())
            .binary(&binary)
            .filter(labelled(json!({"tenant": {"from": "request_header", "name": "x-tenant"}})))
            .start();
        let forged = format!("_OTHER{}", ".".repeat(114));
        for path in ["/users/1", "/users/2"] {
            let request = Request::get(path).header("x-tenant", &forged);
            assert_eq!(http1::send(envoy.address(), &request).unwrap().status, 200);
        }
        expect_values(&envoy, &[("tenant", "%5FOTHER")]);
    }
}

#[test]
fn a_path_that_is_too_long_is_no_endpoint() {
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address())
        .filter(labelled(json!({"path": {"from": "endpoint"}})))
        .start();
    let long = "a".repeat(5000);
    let request = Request::get(format!("/users/{long}"));
    assert_eq!(http1::send(envoy.address(), &request).unwrap().status, 200);
    expect_values(&envoy, &[("path", "_UNMATCHED")]);
}

#[test]
fn warnings_are_in_the_log_and_the_filter_works() {
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address())
        .filter(json!({
            "endpoint": {"templates": ["/users/{id}"]},
            "limits": {"max_values_per_label": 3},
            "metrics": {"requests_total": {"labels": ["endpoint"]}},
        }))
        .start();
    envoy.wait_for_log("limits.max_values_per_label: the 1 endpoints of");
    assert_eq!(http1::send(envoy.address(), &Request::get("/users/7")).unwrap().status, 200);
    expect_values(&envoy, &[("endpoint", "/users/{id}")]);
}
