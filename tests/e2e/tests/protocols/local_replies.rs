//! What other filters answer themselves is counted once, whether they stand before or after ours.

use route_metrics_e2e::config::cluster;
use route_metrics_e2e::upstream::refusing_address;
use route_metrics_e2e::wait::eventually_equal;
use route_metrics_e2e::{Binary, Envoy, Request, Setup, Upstream, http1};
use serde_json::{Value, json};

use route_metrics_e2e::expect::{Counted, expect_counted};

const HTTP: &str = "type.googleapis.com/envoy.extensions.filters.http.";

/// A key that has signed nothing.
const KEYS: &str = r#"{"keys": [{"kty": "oct", "alg": "HS256", "k": "c2VjcmV0"}]}"#;

fn filter(name: &str, kind: &str, mut settings: Value) -> Value {
    settings["@type"] = format!("{HTTP}{kind}").into();
    json!({"name": format!("envoy.filters.http.{name}"), "typed_config": settings})
}

/// Filters that answer requests for paths of their own.
fn filters() -> Vec<Value> {
    let mut authorization = filter(
        "ext_authz",
        "ext_authz.v3.ExtAuthz",
        json!({
            "transport_api_version": "V3",
            "http_service": {"server_uri": {
                "uri": "http://authorizer", "cluster": "authorizer", "timeout": "1s",
            }},
        }),
    );
    // On for one route only.
    authorization["disabled"] = true.into();
    vec![
        filter("cors", "cors.v3.Cors", json!({})),
        filter(
            "fault",
            "fault.v3.HTTPFault",
            json!({"abort": {
                "header_abort": {}, "percentage": {"numerator": 100},
            }}),
        ),
        filter(
            "jwt_authn",
            "jwt_authn.v3.JwtAuthentication",
            json!({
                "providers": {"tests": {
                    "issuer": "tests", "local_jwks": {"inline_string": KEYS},
                }},
                "rules": [{"match": {"prefix": "/token"}, "requires": {"provider_name": "tests"}}],
            }),
        ),
        authorization,
        filter(
            "local_ratelimit",
            "local_ratelimit.v3.LocalRateLimit",
            json!({
                "stat_prefix": "limit",
            }),
        ),
    ]
}

fn setup(upstream: &Upstream, binary: &Binary) -> Setup {
    let always = json!({"numerator": 100});
    Setup::new(upstream.address())
        .binary(binary)
        .cluster(cluster("authorizer", refusing_address()))
        .route(json!({
            "match": {"prefix": "/asked"}, "route": {"cluster": "upstream"},
            "typed_per_filter_config": {"envoy.filters.http.ext_authz": {
                "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {},
            }},
        }))
        .route(json!({
            "match": {"prefix": "/limited"}, "route": {"cluster": "upstream"},
            "typed_per_filter_config": {"envoy.filters.http.local_ratelimit": {
                "@type": format!("{HTTP}local_ratelimit.v3.LocalRateLimit"),
                "stat_prefix": "limit",
                "token_bucket": {"max_tokens": 1, "fill_interval": "3600s"},
                "filter_enabled": {"default_value": always},
                "filter_enforced": {"default_value": always},
            }},
        }))
        .route(json!({
            "match": {"prefix": "/shared"}, "route": {"cluster": "upstream"},
            "typed_per_filter_config": {"envoy.filters.http.cors": {
                "@type": format!("{HTTP}cors.v3.CorsPolicy"),
                "allow_origin_string_match": [{"exact": "https://shop.example"}],
                "allow_methods": "PUT",
            }},
        }))
        .filter(json!({"endpoint": {
            "templates": ["/shared", "/faulty", "/token", "/asked", "/limited", "/plain"],
            "inference": "off",
        }}))
        .access_log("%RESPONSE_CODE% %RESPONSE_FLAGS_LONG% %RESPONSE_CODE_DETAILS%")
}

/// Sends what each of the filters answers, and says how that is to be counted.
fn ask_all(envoy: &Envoy) -> Vec<Counted> {
    let denied = Some("UnauthorizedExternalService");
    let preflight = Request::new("OPTIONS", "/shared")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "PUT");
    let faulty = Request::get("/faulty").header("x-envoy-fault-abort-request", "418");
    let cases = [
        (Request::get("/plain"), ("GET", "/plain", "200", None)),
        (preflight, ("OPTIONS", "/shared", "200", None)),
        (faulty, ("GET", "/faulty", "418", Some("FaultInjected"))),
        (Request::get("/token"), ("GET", "/token", "401", None)),
        (Request::get("/asked"), ("GET", "/asked", "403", denied)),
        (Request::get("/limited"), ("GET", "/limited", "200", None)),
        (Request::get("/limited"), ("GET", "/limited", "429", Some("RateLimited"))),
    ];
    let ask = |(request, counted): (Request, Counted)| {
        let response = http1::send(envoy.address(), &request).unwrap();
        assert_eq!(response.status.to_string(), counted.2, "{counted:?}: {}", response.text());
        counted
    };
    cases.map(ask).to_vec()
}

#[test]
fn answers_of_filters_after_ours() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let mut setup = setup(&upstream, &binary);
        for filter in filters() {
            setup = setup.filter_after(filter);
        }
        let envoy = setup.start();
        let counted = ask_all(&envoy);
        expect_counted(&envoy, &counted);
    }
}

/// The filter does not see the headers of these pass by, and finds them at the end.
#[test]
fn answers_of_filters_before_ours() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let mut setup = setup(&upstream, &binary);
        for filter in filters() {
            setup = setup.filter_before(filter);
        }
        let envoy = setup.start();
        let counted = ask_all(&envoy);
        expect_counted(&envoy, &counted);
    }
}

/// A duration begins when the request comes to the filter, so what filters before it did is not in
/// it, unless they answered themselves.
#[test]
fn a_duration_is_that_of_the_whole_request() {
    let delay = filter(
        "fault",
        "fault.v3.HTTPFault",
        json!({
            "delay": {"fixed_delay": "0.4s", "percentage": {"numerator": 100}},
        }),
    );
    let upstream = Upstream::start();
    let plain = || Setup::new(upstream.address()).filter(json!({}));
    for setup in [plain().filter_before(delay.clone()), plain().filter_after(delay)] {
        let envoy = setup.start();
        assert_eq!(http1::send(envoy.address(), &Request::get("/users/1")).unwrap().status, 200);
        eventually_equal("durations", 1.0, || {
            envoy.scrape().sum("http_request_duration_microseconds_count")
        });
        let sum = envoy.scrape().sum("http_request_duration_microseconds_sum");
        assert!(sum >= 390_000.0, "{sum} µs");
        // A delay is no failure.
        assert_eq!(envoy.scrape().sum("http_exceptions_total"), 0.0);
    }
}
