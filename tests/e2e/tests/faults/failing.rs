//! Requests that go wrong are counted once, under the right exception, and kill no VM.

use route_metrics_e2e::config::{cluster, direct_response, route};
use route_metrics_e2e::http1::{self, Connection};
use route_metrics_e2e::http2_frames::{self, Outcome};
use route_metrics_e2e::scrape::Table;
use route_metrics_e2e::upstream::refusing_address;
use route_metrics_e2e::wait::{eventually_equal, until};
use route_metrics_e2e::{Answer, Binary, Envoy, Request, Setup, Upstream, http2};
use serde_json::json;

use route_metrics_e2e::expect::{
    Counted, EXCEPTION, REQUEST, count, cut_off, expect_counted, expect_table,
};

/// A request of which Envoy's parser saw no headers.
const UNREAD: Counted = ("_OTHER", "_UNMATCHED", "400", Some("DownstreamProtocolError"));

fn setup(upstream: &Upstream, binary: &Binary) -> Setup {
    Setup::new(upstream.address())
        .binary(binary)
        .filter(json!({"endpoint": {
            "templates": ["/users/{id}", "/refused", "/short", "/idle", "/retry", "/direct"],
            "inference": "off",
        }}))
        .access_log("%REQ(:METHOD)% %RESPONSE_CODE% %RESPONSE_FLAGS_LONG% %RESPONSE_CODE_DETAILS%")
}

/// Sends each on a connection of its own and checks the code of the answer.
fn send_each(envoy: &Envoy, cases: &[(&str, Vec<u8>, Counted)]) -> Vec<Counted> {
    let mut all = Vec::new();
    for (what, bytes, counted) in cases {
        let response = http1::send_bytes(envoy.address(), bytes)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(response.status.to_string(), counted.2, "{what}: {}", response.text());
        all.push(*counted);
    }
    all
}

fn case(what: &'static str, bytes: &[u8], counted: Counted) -> (&'static str, Vec<u8>, Counted) {
    (what, bytes.to_vec(), counted)
}

#[test]
fn malformed_http1_requests() {
    const USER: (&str, &str) = ("GET", "/users/{id}");
    let get = |status, exception| (USER.0, USER.1, status, exception);
    let get_with = |lines: &[u8]| {
        [b"GET /users/1 HTTP/1.1\r\nhost: a\r\n".as_slice(), lines, b"\r\n"].concat()
    };
    let long = |bytes: usize| {
        [b"GET /users/".as_slice(), &vec![b'a'; bytes], b" HTTP/1.1\r\nhost: a\r\n\r\n"].concat()
    };
    let unread = |status| (UNREAD.0, UNREAD.1, status, UNREAD.3);
    let cases = [
        case("well-formed", &get_with(b""), get("200", None)),
        case("no request line", b"GARBAGE\r\n\r\n", UNREAD),
        case("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", UNREAD),
        case("unknown version", b"GET /users/1 HTTP/9.9\r\nhost: a\r\n\r\n", unread("426")),
        case("HTTP/1.0", b"GET /users/1 HTTP/1.0\r\nhost: a\r\n\r\n", unread("426")),
        case("bad method", b"G@T /users/1 HTTP/1.1\r\nhost: a\r\n\r\n", UNREAD),
        case("unknown method", b"BREW /users/1 HTTP/1.1\r\nhost: a\r\n\r\n", UNREAD),
        case("space in the path", b"GET /users/a b HTTP/1.1\r\nhost: a\r\n\r\n", UNREAD),
        case("path without a slash", b"GET users/1 HTTP/1.1\r\nhost: a\r\n\r\n", UNREAD),
        case("path with \\xff", b"GET /users/\xff HTTP/1.1\r\nhost: a\r\n\r\n", UNREAD),
        case("host with \\xff", b"GET /users/1 HTTP/1.1\r\nhost: a\xff\r\n\r\n", UNREAD),
        case(
            "header with \\xff",
            &get_with(b"x: \xff\r\nx-tenant: \xff\xfe\r\n"),
            get("200", None),
        ),
        case("bad header name", &get_with(b"bad header: x\r\n"), UNREAD),
        case("header without a colon", &get_with(b"badheader\r\n"), UNREAD),
        case("NUL in a header", &get_with(b"x: a\0b\r\n"), UNREAD),
        case("bad content-length", &get_with(b"content-length: abc\r\n"), UNREAD),
        case(
            "content-length and chunked",
            &get_with(b"content-length: 3\r\ntransfer-encoding: chunked\r\n"),
            UNREAD,
        ),
        case("unknown transfer coding", &get_with(b"transfer-encoding: foo\r\n"), unread("501")),
        case(
            "bad chunk",
            b"POST /users/1 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
            ("POST", "/users/{id}", "400", UNREAD.3),
        ),
        case("no host", b"GET /users/1 HTTP/1.1\r\n\r\n", get("400", None)),
        case("two hosts", b"GET /users/1 HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", get("200", None)),
        case("a fragment", b"GET /users/1#f HTTP/1.1\r\nhost: a\r\n\r\n", get("400", None)),
        case(
            "an absolute target",
            b"GET http://b/users/1?q HTTP/1.1\r\nhost: a\r\n\r\n",
            get("200", None),
        ),
        case(
            "TRACE",
            b"TRACE /users/1 HTTP/1.1\r\nhost: a\r\n\r\n",
            ("TRACE", USER.1, "200", None),
        ),
        case(
            "OPTIONS *",
            b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
            ("OPTIONS", "_UNMATCHED", "404", None),
        ),
        // A path is kept up to 4,096 bytes; a longer one is no endpoint.
        case("a path of 59 kB", &long(59_000), ("GET", "_UNMATCHED", "200", None)),
        case("a path of 70 kB", &long(70_000), unread("431")),
        case("200 headers", &get_with(&b"x: 1\r\n".repeat(200)), unread("431")),
        case(
            "no upgrade here",
            &get_with(b"connection: upgrade\r\nupgrade: websocket\r\n"),
            get("403", None),
        ),
    ];
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let envoy = setup(&upstream, &binary).start();
        let all = send_each(&envoy, &cases);
        expect_counted(&envoy, &all);
    }
}

/// Where no complete headers were read, Envoy asks no filter; only its access log has a line.
#[test]
fn requests_that_end_before_their_headers_reach_no_filter() {
    let good: [(&[u8], &[u8]); 4] = [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"a"),
        (b":path", b"/users/1"),
    ];
    let with = |field: usize, value: &'static [u8]| {
        let mut fields = good.to_vec();
        fields[field].1 = value;
        fields
    };
    let plus = |name: &'static [u8], value: &'static [u8]| [&good[..], &[(name, value)]].concat();
    let cases = [
        ("empty path", with(3, b"")),
        ("no path", good[..3].to_vec()),
        ("no authority", [&good[..2], &good[3..]].concat()),
        ("path with a line feed", with(3, b"/a\n/b")),
        ("path without a slash", with(3, b"users/1")),
        ("bad method", with(0, b"G@T")),
        ("a stat name as method", with(0, b"GET;.;status=.=1")),
        ("upper-case header", plus(b"X", b"1")),
        ("NUL in a header", plus(b"x", b"a\0")),
        ("bad authority", with(2, b"a b\xff")),
        ("two paths", plus(b":path", b"/x")),
        ("connection header", plus(b"connection", b"close")),
    ];
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let envoy = setup(&upstream, &binary).start();
        for (what, fields) in &cases {
            let found = http2_frames::send(envoy.address(), fields);
            assert_eq!(found, Ok(Outcome::GoneAway(0)), "Envoy {binary}: {what}");
        }
        let mut client = Connection::open(envoy.address()).unwrap();
        client.send(b"GET /users/1 HTTP/1.1\r\nhos").unwrap();
        drop(client);
        let log = envoy.wait_for_access_log(cases.len() + 1);
        assert!(log.iter().all(|line| line.starts_with("- 0 Downstream")), "{log:?}");

        let counted = [
            ("well-formed", good.to_vec(), "200"),
            ("header with \\xff", plus(b"x-tenant", b"\xff\xfe"), "200"),
            ("a fragment", with(3, b"/users/1#f"), "400"),
        ];
        let (mut requests, before) = (Table::new(), log.len());
        for (what, fields, status) in &counted {
            let found = http2_frames::send(envoy.address(), fields);
            assert_eq!(found, Ok(Outcome::Answered), "Envoy {binary}: {what}");
            count(&mut requests, ["GET", "/users/{id}", status]);
        }
        expect_table(&envoy, "http_requests_total", &REQUEST, &requests);
        assert_eq!(envoy.wait_for_access_log(before + 3).len(), before + 3);
        assert_eq!(envoy.vm_reloads(), 0);
    }
}

#[test]
fn upstreams_that_fail() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let envoy = setup(&upstream, &binary)
            .cluster(cluster("refused", refusing_address()))
            .cluster(json!({"name": "empty", "type": "STATIC",
                            "load_assignment": {"cluster_name": "empty"}}))
            .route(route("/refused", "refused"))
            .route(route("/users/empty", "empty"))
            .route(json!({
                "match": {"prefix": "/users/unknown"}, "route": {"cluster_header": "x-cluster"},
            }))
            .route(json!({
                "match": {"prefix": "/short"},
                "route": {"cluster": "upstream", "timeout": "0.1s"},
            }))
            .route(json!({
                "match": {"prefix": "/idle"},
                "route": {"cluster": "upstream", "idle_timeout": "0.1s"},
            }))
            .route(json!({
                "match": {"prefix": "/retry"},
                "route": {"cluster": "upstream",
                          "retry_policy": {"retry_on": "5xx", "num_retries": 2}},
            }))
            .route(direct_response("/direct", 403, "no"))
            .start();
        let answer = Answer::new;
        let cases = [
            (
                "/users/1",
                answer().close(),
                "/users/{id}",
                503,
                Some("UpstreamConnectionTermination"),
            ),
            (
                "/users/1",
                answer().reset(),
                "/users/{id}",
                503,
                Some("UpstreamConnectionTermination"),
            ),
            ("/refused", answer(), "/refused", 503, Some("UpstreamConnectionFailure")),
            ("/users/empty", answer(), "/users/{id}", 503, Some("NoHealthyUpstream")),
            ("/users/unknown", answer(), "/users/{id}", 503, Some("NoClusterFound")),
            ("/short", answer().never(), "/short", 504, Some("UpstreamRequestTimeout")),
            ("/idle", answer().never(), "/idle", 504, Some("StreamIdleTimeout")),
            ("/retry", answer().status(503), "/retry", 503, Some("UpstreamRetryLimitExceeded")),
            ("/users/1", answer().status(500), "/users/{id}", 500, Some("500")),
            ("/users/1", answer().status(599), "/users/{id}", 599, Some("599")),
            ("/users/1", answer().status(404), "/users/{id}", 404, None),
            ("/direct", answer(), "/direct", 403, None),
            (
                "/users/1",
                answer().status(400).header("x-exception-type", "ValidationError"),
                "/users/{id}",
                400,
                Some("ValidationError"),
            ),
            (
                "/users/1",
                answer().status(503).header("x-exception-type", "DatabaseError"),
                "/users/{id}",
                503,
                Some("DatabaseError"),
            ),
        ];
        let (mut requests, mut exceptions) = (Table::new(), Table::new());
        for (path, answer, endpoint, status, exception) in cases {
            let request = Request::get(path).answer(&answer);
            let response = http1::send(envoy.address(), &request).unwrap();
            assert_eq!(response.status, status, "Envoy {binary}: {path} {answer}");
            count(&mut requests, ["GET", endpoint, &status.to_string()]);
            if let Some(exception) = exception {
                count(&mut exceptions, [endpoint, exception]);
            }
        }
        // The head of the answer came through before the upstream broke off.
        let cut = Request::get("/users/1").answer(&answer().size(9000).cut());
        assert_eq!(cut_off(&envoy, &upstream, &cut), 200);
        count(&mut requests, ["GET", "/users/{id}", "200"]);
        count(&mut exceptions, ["/users/{id}", "UpstreamProtocolError"]);

        expect_table(&envoy, "http_requests_total", &REQUEST, &requests);
        expect_table(&envoy, "http_exceptions_total", &EXCEPTION, &exceptions);
        assert_eq!(envoy.vm_reloads(), 0);
    }
}

#[test]
fn requests_that_envoy_refuses() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let envoy = setup(&upstream, &binary)
            .filter_after(json!({
                "name": "envoy.filters.http.buffer",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer",
                    "max_request_bytes": 1000,
                },
            }))
            .connection_manager(json!({
                "request_headers_timeout": "0.2s",
                "route_config": {"virtual_hosts": [
                    {"name": "all_hosts", "domains": ["*"], "routes": [route("/", "upstream")]},
                    {"name": "no_routes", "domains": ["none.local"]},
                ]},
            }))
            .start();
        let all = send_each(
            &envoy,
            &[
                case(
                    "body over the limit",
                    &Request::new("POST", "/users/1").body([b'b'; 5000]).to_http1(),
                    ("POST", "/users/{id}", "413", None),
                ),
                case(
                    "no route",
                    b"GET /users/1 HTTP/1.1\r\nhost: none.local\r\n\r\n",
                    ("GET", "/users/{id}", "404", Some("NoRouteFound")),
                ),
                case(
                    "headers that do not end",
                    b"GET /users/1 HTTP/1.1\r\nhost: a\r\n",
                    ("_OTHER", "_UNMATCHED", "408", None),
                ),
            ],
        );
        expect_counted(&envoy, &all);
    }
}

#[test]
fn clients_that_vanish() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let envoy = setup(&upstream, &binary).start();
        let held = Request::get("/users/1").answer(&Answer::new().hold());
        let gone = |method| (method, "/users/{id}", "0", Some("DownstreamConnectionTermination"));

        for (gone, reset) in [(1, false), (2, true)] {
            let mut client = Connection::open(envoy.address()).unwrap();
            client.send(&held.to_http1()).unwrap();
            eventually_equal("held requests", 1, || upstream.held());
            if reset {
                client.reset();
            } else {
                drop(client);
            }
            envoy.wait_for_access_log(gone);
            upstream.release();
            eventually_equal("held requests", 0, || upstream.held());
        }

        let mut client = Connection::open(envoy.address()).unwrap();
        client.send(b"POST /users/1 HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc").unwrap();
        eventually_equal("open requests", Some(1.0), || {
            envoy.scrape().value("http_requests_active", &[])
        });
        drop(client);

        http2::with_connection(envoy.address(), |client| async {
            let mut client = client.ready().await.unwrap();
            let head = http2::head(&held).unwrap();
            let (_response, mut stream) = client.send_request(head, true).unwrap();
            until("a held request", || upstream.held() > 0).await;
            stream.send_reset(h2::Reason::CANCEL);
            until("the last line of the access log", || envoy.access_log().len() == 4).await;
        })
        .unwrap();
        upstream.release();

        expect_counted(
            &envoy,
            &[
                gone("GET"),
                gone("GET"),
                gone("POST"),
                ("GET", "/users/{id}", "0", Some("DownstreamRemoteReset")),
            ],
        );
    }
}
