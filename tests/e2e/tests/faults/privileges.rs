//! The module is allowed what it needs, and no more.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use route_metrics::command::envoy_config::{CAPABILITIES, EnvoyVersion, needed};
use route_metrics::config;
use route_metrics_e2e::http1::Connection;
use route_metrics_e2e::scrape::Scrape;
use route_metrics_e2e::{Answer, Binary, Plugin, Request, Setup, Upstream, http1};
use serde_json::{Map, Value, json};
use wasmparser::{Parser, Payload, TypeRef};

use route_metrics_e2e::expect::{REQUEST, expect_table, table};

/// The settings of a plugin that may do this, in the form of this Envoy.
fn allow<'a>(binary: &Binary, capabilities: impl Iterator<Item = &'a str>) -> Value {
    let version: EnvoyVersion = binary.version.parse().unwrap();
    let all: Map<String, Value> = capabilities.map(|name| (name.to_owned(), json!({}))).collect();
    let restriction = json!({"capability_restriction_config": {"allowed_capabilities": all}});
    if version.restricts_vms() { json!({"vm_config": restriction}) } else { restriction }
}

/// The labels of the requests in [`variant`].
const LABELS: [&str; 4] = ["method", "endpoint", "status", "cluster"];

/// Imported and not allowed. The C library calls it where it does not get the environment, and then
/// the VM ends with it and without it.
const NEVER: &str = "proc_exit";

/// What Envoy always allows: the memory, and what it asks for before anything else.
const ALWAYS: [&str; 4] =
    ["_initialize", "memory", "proxy_abi_version_0_2_1", "proxy_on_memory_allocate"];

#[test]
fn the_list_is_what_the_module_imports_and_exports() {
    let module = std::fs::read(Plugin::new(json!({})).module).unwrap();
    let mut found = BTreeSet::new();
    for payload in Parser::new(0).parse_all(&module) {
        match payload.unwrap() {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.unwrap();
                    assert!(matches!(import.ty, TypeRef::Func(_)), "{import:?}");
                    found.insert(import.name.to_owned());
                }
            }
            Payload::ExportSection(exports) => {
                found.extend(exports.into_iter().map(|export| export.unwrap().name.to_owned()));
            }
            _ => {}
        }
    }
    for name in ALWAYS {
        assert!(found.remove(name), "{name}");
    }
    assert!(found.remove(NEVER));
    let listed: BTreeSet<String> = CAPABILITIES.map(str::to_owned).into();
    assert_eq!(found, listed);
}

/// A configuration that takes events in these ways.
fn reporting(events: &Value) -> Value {
    json!({
        "custom_metrics": [{
            "name": "app_jobs_total", "type": "counter", "source": "event", "labels": {},
        }],
        "events": events,
    })
}

/// Sends a request, and an event in each way that the configuration has; all of them count, and the
/// filter state is what it says.
fn works_with<'a>(binary: &Binary, json: &Value, capabilities: impl Iterator<Item = &'a str>) {
    let upstream = Upstream::start();
    let mut plugin = Plugin::new(json.clone()).settings(allow(binary, capabilities));
    let posts = json.pointer("/events/path").is_some();
    let header = json.pointer("/events/response_header").is_some();
    if posts {
        plugin = plugin.stop_at_headers();
    }
    let envoy = Setup::new(upstream.address())
        .binary(binary)
        .plugin(plugin)
        .access_log("%REQ(:PATH)% %FILTER_STATE(wasm.endpoint:PLAIN)%")
        .start();
    let answer = Answer::new().header("x-metric-events", "app_jobs_total");
    let response = http1::send(envoy.address(), &Request::get("/users/1").answer(&answer)).unwrap();
    assert_eq!((response.status, response.header("x-metric-events").is_none()), (200, header));
    if posts {
        let post = Request::new("POST", "/metric-events")
            .header("content-type", "application/json")
            .body(r#"[{"metric": "app_jobs_total"}]"#);
        assert_eq!(http1::send(envoy.address(), &post).unwrap().status, 204);
    }
    let expected = table(&[(["GET", "/users/{id}", "200"], 1)]);
    expect_table(&envoy, "http_requests_total", &REQUEST, &expected);
    let reported = f64::from(u8::from(posts) + u8::from(header));
    envoy.eventually("events and decisions", |scrape| {
        let decided = scrape.sum("route_metrics_requests_total");
        match (scrape.sum("app_jobs_total"), decided == 1.0 + f64::from(u8::from(posts))) {
            (sum, true) if sum == reported => Ok(()),
            other => Err(format!("{other:?}, {decided} decisions")),
        }
    });
    let state = if json.pointer("/endpoint/export").is_some() { "/users/{id}" } else { "-" };
    envoy.eventually("the access log", |_| {
        let log = envoy.access_log();
        match log.contains(&format!("/users/1 {state}")) {
            true => Ok(()),
            false => Err(log.join("\n")),
        }
    });
    assert_eq!(envoy.vm_reloads(), 0);
    assert_eq!(envoy.scrape().sum("route_metrics_errors_total"), 0.0);
    let log = envoy.log();
    assert!(!log.contains("restricted"), "{log}");
}

#[test]
fn the_filter_works_with_exactly_these() {
    for binary in Binary::tested() {
        // Everything that a configuration can ask for.
        let mut json =
            reporting(&json!({"response_header": "x-metric-events", "path": "/metric-events"}));
        json["endpoint"] = json!({"export": true});
        works_with(&binary, &json, CAPABILITIES.into_iter());
    }
}

#[test]
fn what_a_configuration_needs_is_enough_for_it() {
    for (json, fewer) in [
        (json!({}), 9),
        (json!({"endpoint": {"export": true}}), 8),
        (reporting(&json!({"response_header": "x-metric-events"})), 6),
        (reporting(&json!({"path": "/metric-events"})), 3),
    ] {
        let parsed = config::parse(json.to_string().as_bytes()).unwrap();
        let needed = needed(&parsed);
        assert_eq!(needed.len(), CAPABILITIES.len() - fewer, "{json}");
        // With it goes what waits for a flush when a configuration or its VM ends.
        assert!(needed.contains(&"proxy_on_delete"));
        works_with(&Binary::default(), &json, needed.into_iter());
    }
}

/// An update to a configuration that needs more, and has a list with more: where the list is a VM's, one
/// is made with it; where it is the plugin's, VMs keep the list with which they were made.
#[test]
fn an_update_brings_its_own_list_since_1_40() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let setup = Setup::new(upstream.address()).binary(&binary).dynamic();
        let with = |json: &Value| {
            let parsed = config::parse(json.to_string().as_bytes()).unwrap();
            let plugin = Plugin::new(json.clone());
            setup.clone().plugin(plugin.settings(allow(&binary, needed(&parsed).into_iter())))
        };
        let version: EnvoyVersion = binary.version.parse().unwrap();
        let brings = version.restricts_vms();
        let mut envoy = with(&json!({})).start();
        http1::send(envoy.address(), &Request::get("/users/1")).unwrap();
        let header = reporting(&json!({"response_header": "x-metric-events"}));
        assert!(envoy.update(&with(&header)));
        let answer = Answer::new().header("x-metric-events", "app_jobs_total");
        let request = Request::get("/users/1").answer(&answer);
        let response = http1::send(envoy.address(), &request).unwrap();
        assert_eq!(response.header("x-metric-events").is_none(), brings, "{binary}");
        let expected = table(&[(["GET", "/users/{id}", "200"], 2)]);
        expect_table(&envoy, "http_requests_total", &REQUEST, &expected);
        // What the VM of the first list had counted is told when it ends.
        envoy.eventually("decisions", |scrape| match scrape.sum("route_metrics_requests_total") {
            2.0 => Ok(()),
            other => Err(format!("{other}")),
        });
        let counted = f64::from(u8::from(brings));
        envoy.eventually("the event", |scrape| match scrape.sum("app_jobs_total") {
            sum if sum == counted => Ok(()),
            other => Err(format!("{other}")),
        });
    }
}

/// What one use of the filter does, seen from outside: all of it is true where nothing is left out
/// of the list.
const FACTS: [&str; 10] = [
    "requests",
    "durations",
    "the upstream's words",
    "environment",
    "properties",
    "open requests",
    "event header",
    "posts",
    "posts with trailers",
    "filter state",
];

/// What happens without a capability.
enum Without {
    /// These of [`FACTS`] are no longer true.
    Fails(&'static [&'static str]),
    /// None but these of [`FACTS`] are true.
    FailsAllBut(&'static [&'static str]),
    /// The configuration is refused, with these words in the log.
    Refused(&'static str),
    /// All of [`FACTS`] are true. Why it is in the list all the same.
    Works(&'static str),
}
use Without::{Fails, FailsAllBut, Refused, Works};

/// What is not true where no configuration is read.
const NOTHING: Without = FailsAllBut(&[]);

const POSTS: [&str; 2] = ["posts", "posts with trailers"];

/// For each capability, what happens without it.
const WITHOUT: [(&str, Without); 30] = [
    ("clock_time_get", Works("tells how long the last flush was ago, and VMs from each other")),
    ("environ_get", Refused("restricted WASI capability: environ_get\n")),
    ("environ_sizes_get", Refused("restricted WASI capability: environ_sizes_get\n")),
    ("fd_write", Works("takes the words of a panic; see `a_panic_has_words`")),
    ("proxy_continue_stream", Fails(&POSTS)),
    ("proxy_define_metric", FailsAllBut(&["filter state"])),
    (
        "proxy_get_buffer_bytes",
        Refused("restricted proxy-wasm capability: proxy_get_buffer_bytes\n"),
    ),
    ("proxy_get_header_map_pairs", Fails(&["filter state", "requests", "the upstream's words"])),
    ("proxy_get_header_map_value", Fails(&["event header", "posts", "posts with trailers"])),
    ("proxy_get_property", Fails(&["properties"])),
    ("proxy_get_shared_data", Fails(&["properties", "requests", "the upstream's words"])),
    ("proxy_increment_metric", FailsAllBut(&["durations", "filter state"])),
    ("proxy_log", Works("says why a configuration is refused; see `mistakes_have_words`")),
    ("proxy_on_configure", NOTHING),
    ("proxy_on_context_create", Refused("invalid context_id")),
    ("proxy_on_delete", Works("ends streams of HTTP/3; see `protocols::http3`")),
    ("proxy_on_log", Fails(&["the upstream's words"])),
    ("proxy_on_request_body", Fails(&POSTS)),
    (
        "proxy_on_request_headers",
        Fails(&["filter state", "open requests", "posts", "posts with trailers"]),
    ),
    ("proxy_on_request_trailers", Fails(&["posts with trailers"])),
    ("proxy_on_response_headers", Fails(&["event header"])),
    ("proxy_on_tick", Fails(&["open requests"])),
    ("proxy_record_metric", Fails(&["durations"])),
    ("proxy_remove_header_map_value", Fails(&["event header"])),
    ("proxy_send_local_response", Fails(&["posts"])),
    ("proxy_set_effective_context", Fails(&POSTS)),
    ("proxy_set_property", Fails(&["filter state"])),
    (
        "proxy_set_shared_data",
        Fails(&["open requests", "properties", "requests", "the upstream's words"]),
    ),
    (
        "proxy_set_tick_period_milliseconds",
        Refused("restricted proxy-wasm capability: proxy_set_tick_period_milliseconds\n"),
    ),
    ("random_get", Refused("restricted WASI capability: random_get\n")),
];

/// A listener with the filter, whose metrics all have this prefix, without a capability; `stop` where
/// Envoy shows the body of a post before its headers go on.
fn variant(name: &str, without: &str, stop: bool, to: SocketAddr, directory: &Path) -> Value {
    let event = |kind: &str| json!({"name": format!("{name}_{kind}"), "type": "counter", "source": "event", "labels": {}});
    let fewer = CAPABILITIES.into_iter().filter(|capability| *capability != without);
    let mut plugin = Plugin::new(json!({
        "namespace": name,
        "labels": {"cluster": {"from": "cluster_name"}},
        "metrics": {"requests_total": {"labels": LABELS}},
        "endpoint": {"export": true},
        "custom_metrics": [event("headed"), event("posted"), event("trailed")],
        "events": {"response_header": "x-metric-events", "path": "/metric-events"},
    }))
    .vm_id(name)
    .environment("DETAILED_METRICS_ENABLED", "true")
    .settings(allow(&Binary::default(), fewer));
    if stop {
        plugin = plugin.stop_at_headers();
    }
    let mut listener = Setup::new(to)
        .plugin(plugin)
        .connection_manager(json!({"http_protocol_options": {"enable_trailers": true}}))
        .access_log(&format!(
            "{name} %REQ(:PATH)% %RESPONSE_CODE% %FILTER_STATE(wasm.endpoint:PLAIN)%"
        ))
        .listener(directory);
    listener["name"] = name.into();
    listener
}

/// Sends everything to a listener; the connections with what is open are to be kept. True where the
/// client did not see the header with events.
fn use_all(to: SocketAddr, name: &str) -> (Vec<Connection>, bool) {
    let mut connections = Vec::new();
    let mut send = |bytes: &[u8]| {
        let mut connection = Connection::open(to).unwrap();
        connection.send(bytes).unwrap();
        connections.push(connection);
    };
    send(&Request::get("/users/3").answer(&Answer::new().hold()).to_http1());
    let body = |kind: &str| format!(r#"[{{"metric": "{name}_{kind}"}}]"#);
    let post = Request::new("POST", "/metric-events").header("content-type", "application/json");
    send(&post.clone().body(body("posted")).to_http1());
    let trailed = body("trailed");
    send(
        format!(
            "POST /metric-events HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
             transfer-encoding: chunked\r\n\r\n{:x}\r\n{trailed}\r\n0\r\nx-end: 1\r\n\r\n",
            trailed.len()
        )
        .as_bytes(),
    );
    let failing = Answer::new().status(500).header("x-exception-type", "OutOfStock");
    http1::send(to, &Request::get("/users/2").answer(&failing)).unwrap();
    let reporting = Answer::new().header("x-metric-events", format!("{name}_headed"));
    let response = http1::send(to, &Request::get("/users/1").answer(&reporting)).unwrap();
    (connections, response.header("x-metric-events").is_none())
}

/// Which of [`FACTS`] are not true.
fn failures(name: &str, scrape: &Scrape, log: &str, hidden: bool) -> BTreeSet<&'static str> {
    let family = |family: &str| format!("{name}_{family}");
    let requests = family("http_requests_total");
    let user = [("method", "GET"), ("endpoint", "/users/{id}"), ("status", "200")];
    let logged = |line: &str| log.lines().any(|found| found == format!("{name} {line}"));
    let one = |metric: &str| scrape.sum(&family(metric)) == 1.0;
    let facts = [
        scrape.sum_where(&requests, &user) == 1.0 && scrape.sum(&requests) == 2.0,
        scrape.sum(&family("http_request_duration_microseconds_count")) == 2.0,
        scrape.sum_where(&family("http_exceptions_total"), &[("type", "OutOfStock")]) == 1.0,
        scrape.sum(&family("http_requests_detailed_total")) == 2.0,
        scrape.sum_where(&requests, &[("cluster", "upstream")]) == 2.0,
        scrape.value(&family("http_requests_active"), &[]) == Some(1.0),
        one("headed") && hidden,
        one("posted") && logged("/metric-events 204 -"),
        one("trailed"),
        logged("/users/1 200 /users/{id}"),
    ];
    FACTS.into_iter().zip(facts).filter(|(_, holds)| !holds).map(|(fact, _)| fact).collect()
}

/// The setup for [`variant`]s, with a bootstrap that has their labels.
fn one_worker(to: SocketAddr) -> Setup {
    Setup::new(to).concurrency(1).filter(json!({
        "labels": {"cluster": {"from": "cluster_name"}},
        "metrics": {"requests_total": {"labels": LABELS}},
    }))
}

/// Starts the filter without capabilities that it cannot do without, and returns Envoy's words.
fn refused(without: &[&str]) -> String {
    let fewer = CAPABILITIES.into_iter().filter(|capability| !without.contains(capability));
    let plugin = Plugin::new(json!({})).environment("METRICS_ENABLED", "true");
    let plugin = plugin.settings(allow(&Binary::default(), fewer));
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    match Setup::new(nowhere).concurrency(1).plugin(plugin).try_start() {
        Ok(_) => panic!("it started without {without:?}"),
        Err(failure) => failure.log,
    }
}

/// All but those without which nothing starts are tried at once, each in VMs of its own.
#[test]
fn each_capability_is_needed() {
    let listed: Vec<&str> = WITHOUT.iter().map(|(name, _)| *name).collect();
    assert_eq!(listed, CAPABILITIES);
    let upstream = Upstream::start();
    let directory = tempfile::tempdir().unwrap();
    let mut setup = one_worker(upstream.address());
    let mut expected = vec![("nothing", BTreeSet::new()), ("nothing_and_no_stop", BTreeSet::new())];
    for (capability, without) in &WITHOUT {
        match without {
            Fails(facts) => expected.push((capability, facts.iter().copied().collect())),
            FailsAllBut(facts) => {
                let others = FACTS.into_iter().filter(|fact| !facts.contains(fact));
                expected.push((capability, others.collect()));
            }
            Works(reason) => {
                println!("{capability}: {reason}");
                expected.push((capability, BTreeSet::new()));
            }
            Refused(words) => {
                let log = refused(&[capability]);
                assert!(log.contains(words), "{capability}: {log}");
            }
        }
    }
    for (name, _) in &expected {
        // These let go on what Envoy does not show.
        let goes_on =
            ["nothing_and_no_stop", "proxy_continue_stream", "proxy_set_effective_context"];
        let stop = !goes_on.contains(name);
        let listener = variant(name, name, stop, upstream.address(), directory.path());
        setup = setup.more_listener(listener);
    }
    let envoy = setup.start();
    let used: Vec<_> =
        expected.iter().map(|(name, _)| use_all(envoy.listener(name), name)).collect();
    // What comes comes within a second or two; what does not would have come with the others.
    envoy.eventually("what fails without each capability", |scrape| {
        let log = std::fs::read_to_string(directory.path().join("access.log")).unwrap_or_default();
        let mut wrong = String::new();
        for ((name, expected), (_, hidden)) in expected.iter().zip(&used) {
            let found = failures(name, scrape, &log, *hidden);
            if found != *expected {
                wrong.push_str(&format!("\n{name}: {found:?}"));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    });
    assert_eq!(envoy.vm_reloads(), 0);
    // It is called, although its work can be done without it.
    assert!(envoy.log().contains("restricted WASI capability: clock_time_get\n"));
}

/// A panic, here for the want of random numbers, says where and why; `fd_write` takes it to the log.
#[test]
fn a_panic_has_words() {
    assert!(refused(&["random_get"]).contains("failed to generate random data"));
    let log = refused(&["random_get", "fd_write"]);
    assert!(log.contains("restricted WASI capability: fd_write"), "{log}");
    assert!(!log.contains("failed to generate random data"), "{log}");
}

/// A configuration that is refused has its mistakes in the log; `proxy_log` takes them there.
#[test]
fn mistakes_have_words() {
    let said = |without: &str| {
        let fewer = CAPABILITIES.into_iter().filter(|capability| *capability != without);
        let plugin = Plugin::new(json!({"sampling": {"rate": 2}}));
        let plugin = plugin.settings(allow(&Binary::default(), fewer));
        let failure = one_worker(([127, 0, 0, 1], 9).into()).plugin(plugin).try_start().err();
        failure.expect("the configuration is bad").log.contains("2 is out of range")
    };
    assert!(said("nothing"));
    assert!(!said("proxy_log"));
}
