//! Configurations that come from elsewhere, change quickly, or differ within one Envoy. Single
//! updates are in the module `updates`.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use route_metrics_e2e::config::{Stats, cluster, stats_for};
use route_metrics_e2e::wait::{SetOnDrop, deadline, eventually_equal};
use route_metrics_e2e::{Binary, Host, Plugin, Request, Setup, Upstream, http1, tcp};
use serde_json::json;

use route_metrics_e2e::expect::{
    REQUEST, before_and_after, expect_decisions, expect_table, expect_update, get, table, templates,
};

/// A listener and its plugin, replaced ten times a second, each time with another template.
#[test]
fn an_update_each_100_ms_under_load_loses_and_fails_nothing() {
    let upstream = Upstream::start();
    // Time enough for what a listener has begun, as by default.
    let setup = Setup::new(upstream.address())
        .dynamic()
        .drain_seconds(60)
        .filter(templates(&["/users/{id}", "/n0"]));
    let envoy = setup.start();
    let done = AtomicBool::new(false);
    let (sent, updates) = thread::scope(|scope| {
        let stop = SetOnDrop(&done);
        let clients: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut sent = 0;
                    while !done.load(Ordering::Relaxed) {
                        get(&envoy, "/users/1");
                        sent += 1;
                    }
                    sent
                })
            })
            .collect();
        let taken = || envoy.stat("listener_manager.lds.update_success");
        let mut updates = 0;
        // What a slow machine has not taken yet, it leaves out for the next one.
        let end = Instant::now() + deadline();
        while updates < 40 || taken() < Some(15) {
            assert!(Instant::now() < end, "{:?} of {updates} updates", taken());
            updates += 1;
            let more = format!("/n{updates}");
            envoy.write_listeners(&setup.clone().filter(templates(&["/users/{id}", &more])));
            thread::sleep(Duration::from_millis(100));
        }
        drop(stop);
        (clients.into_iter().map(|client| client.join().unwrap()).sum::<u64>(), updates)
    });
    let taken = envoy.stat("listener_manager.lds.update_success");
    println!("{sent} requests, {updates} updates, of which Envoy took {taken:?}");
    assert!(sent > updates);
    let expected = table(&[(["GET", "/users/{id}", "200"], sent)]);
    expect_table(&envoy, "http_requests_total", &REQUEST, &expected);
    expect_decisions(&envoy, sent, 0, 0);
    eventually_equal("open requests", Some(0.0), || {
        envoy.scrape().value("http_requests_active", &[])
    });
    assert_eq!(envoy.vm_reloads(), 0);
}

/// Nothing is kept back in a VM: the scrape that follows an update has what came before it.
#[test]
fn traffic_and_then_at_once_an_update() {
    let upstream = Upstream::start();
    let setup = Setup::new(upstream.address()).dynamic();
    let mut envoy = setup.clone().filter(templates(&["/users/{id}"])).start();
    let requests = vec![Request::get("/users/1"); 200];
    for round in 1..=3 {
        for response in http1::send_all(envoy.address(), 2, &requests) {
            response.unwrap();
        }
        assert!(
            envoy.update(&setup.clone().filter(templates(&["/users/{id}", &format!("/{round}")])))
        );
        let counted = envoy.scrape().table("http_requests_total", &REQUEST);
        assert_eq!(counted, table(&[(["GET", "/users/{id}", "200"], 200 * round)]));
    }
}

/// Two listeners in one VM, and two in VMs of their own: each counts by its own configuration, and
/// what has the same name is one metric of the process.
#[test]
fn two_configurations_in_one_envoy() {
    for (binary, vm_id) in Binary::tested().into_iter().zip(["route-metrics", "another"]) {
        let upstream = Upstream::start();
        let other = json!({"namespace": "other", "endpoint": {"templates": ["/{all}"]}});
        let envoy = Setup::new(upstream.address())
            .binary(&binary)
            .filter(templates(&["/users/{id}"]))
            .listener_beside("beside", Plugin::new(other).vm_id(vm_id))
            .start();
        for _ in 0..10 {
            get(&envoy, "/users/1");
        }
        for _ in 0..7 {
            let response = http1::send(envoy.listener("beside"), &Request::get("/users")).unwrap();
            assert_eq!(response.status, 404);
        }
        let users = table(&[(["GET", "/users/{id}", "200"], 10)]);
        expect_table(&envoy, "http_requests_total", &REQUEST, &users);
        let others = table(&[(["GET", "/{all}", "404"], 7)]);
        expect_table(&envoy, "other_http_requests_total", &REQUEST, &others);
        expect_decisions(&envoy, 17, 0, 0);
        let active = |name: &str| envoy.scrape().value(name, &[]);
        eventually_equal("open requests", (Some(0.0), Some(0.0)), || {
            (active("http_requests_active"), active("other_http_requests_active"))
        });
    }
}

/// Twice in one chain, and the request is counted by both.
#[test]
fn two_plugins_in_one_chain() {
    let upstream = Upstream::start();
    let second = Plugin::new(json!({"namespace": "second", "endpoint": {"inference": "off"}}));
    let mut filter = second.http_filter();
    filter["name"] = "second".into();
    if Host::default() == Host::Wasm {
        filter["typed_config"]["config"]["name"] = "second".into();
        filter["typed_config"]["config"]["root_id"] = "second".into();
    }
    let envoy = Setup::new(upstream.address())
        .filter(templates(&["/users/{id}"]))
        .filter_after(filter)
        .start();
    get(&envoy, "/users/1");
    let first = table(&[(["GET", "/users/{id}", "200"], 1)]);
    expect_table(&envoy, "http_requests_total", &REQUEST, &first);
    let second = table(&[(["GET", "_UNMATCHED", "200"], 1)]);
    expect_table(&envoy, "second_http_requests_total", &REQUEST, &second);
    expect_decisions(&envoy, 2, 0, 0);
}

fn sha256(file: &std::path::Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().expect("sha256sum is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split(' ').next().map(str::to_owned).expect("it prints the sum first")
}

#[test]
fn the_module_is_fetched_over_http_and_checked() {
    let module = Plugin::new(json!({})).module;
    let bytes = std::fs::read(&module).unwrap();
    let store = tcp::Server::start(move |session| {
        loop {
            session.head()?;
            let length = bytes.len();
            session
                .send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").as_bytes())?;
            session.send(&bytes)?;
        }
    });
    let fetched = |sha256: &str| {
        Plugin::new(json!({})).settings(json!({"vm_config": {"code": {
            "local": null,
            "remote": {
                "http_uri": {
                    "uri": "http://modules/route_metrics.wasm", "cluster": "modules",
                    "timeout": "10s",
                },
                "sha256": sha256,
                "retry_policy": {"num_retries": 0},
            },
        }}}))
    };
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let setup = Setup::new(upstream.address())
            .binary(&binary)
            .cluster(cluster("modules", store.address()));
        let envoy = setup.clone().plugin(fetched(&sha256(&module))).start();
        get(&envoy, "/users/1");
        let expected = table(&[(["GET", "/users/{id}", "200"], 1)]);
        expect_table(&envoy, "http_requests_total", &REQUEST, &expected);

        // What is not what was expected does not run.
        let wrong = setup.plugin(fetched(&"0".repeat(64))).start();
        assert_eq!(http1::send(wrong.address(), &Request::get("/users/1")).unwrap().status, 503);
        assert_eq!(wrong.scrape().sum("http_requests_total"), 0.0);
    }
}

/// The filter's configuration from a file that Envoy watches (ECDS), and another one after it.
#[test]
fn a_configuration_by_extension_discovery() {
    let write = |directory: &std::path::Path, plugin: &Plugin| {
        let mut resource = plugin.http_filter();
        resource["@type"] = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig".into();
        let new = directory.join("filter.new");
        std::fs::write(&new, json!({"resources": [resource]}).to_string()).unwrap();
        std::fs::rename(&new, directory.join("filter.json")).unwrap();
    };
    let directory = tempfile::tempdir().unwrap();
    for binary in Binary::tested() {
        let [before, after] = before_and_after();
        let before = Plugin::new(before);
        let form = before.http_filter()["typed_config"]["@type"].clone();
        write(directory.path(), &before);
        let upstream = Upstream::start();
        let labels =
            ["method", "endpoint", "status", "type", "decision", "metric", "version", "reason"];
        let mut envoy = Setup::new(upstream.address())
            .binary(&binary)
            .stats(Stats::Given(stats_for(&labels)))
            .filter_before(json!({
                "name": "route_metrics",
                "config_discovery": {
                    "config_source": {
                        "resource_api_version": "V3",
                        "path_config_source": {
                            "path": directory.path().join("filter.json"),
                            "watched_directory": {"path": directory.path()},
                        },
                    },
                    "type_urls": [form],
                },
            }))
            .start();
        expect_update(&mut envoy, |envoy| {
            let reloads =
                || envoy.stat("extension_config_discovery.http_filter.route_metrics.config_reload");
            eventually_equal("configurations", Some(1), reloads);
            write(directory.path(), &Plugin::new(after));
            eventually_equal("configurations", Some(2), reloads);
        });
    }
}

/// In one VM, the smaller limit of two holds for the metric that both count; a VM of its own has
/// limits of its own.
#[test]
fn the_smaller_limit_of_two_configurations_holds() {
    const TIMES: usize = 10;
    // The dynamic module is one for the process.
    let apart = Host::default() == Host::Native;
    for (vm_id, shared) in [("route-metrics", true), ("another", apart)] {
        for (limit, other) in [(3, 50), (50, 3)] {
            let upstream = Upstream::start();
            let limited = |max: u32| {
                json!({
                    "metrics": {"requests_total": {"labels": ["tenant"]}},
                    "labels": {"tenant": {"from": "request_header", "name": "x-tenant"}},
                    "limits": {"max_series_per_metric": max},
                })
            };
            let envoy = Setup::new(upstream.address())
                .filter(limited(limit))
                .listener_beside("beside", Plugin::new(limited(other)).vm_id(vm_id))
                .start();
            for listener in [envoy.address(), envoy.listener("beside")] {
                for n in 0..7 * TIMES {
                    let tenant = format!("tenant-{}", n % 7);
                    let request = Request::get("/users").header("x-tenant", tenant);
                    http1::send(listener, &request).unwrap();
                }
            }
            eventually_equal("requests", (14 * TIMES) as f64, || {
                envoy.scrape().sum("http_requests_total")
            });
            let series = envoy.scrape().series("http_requests_total").count();
            assert_eq!(series <= 3, shared, "{vm_id}: limits {limit} and {other}, {series} series");
        }
    }
}
