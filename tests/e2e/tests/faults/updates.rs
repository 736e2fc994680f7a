//! Configuration updates of a running Envoy, and configurations that are refused.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use route_metrics_e2e::http1::{self, Connection};
use route_metrics_e2e::wait::{SetOnDrop, eventually_equal};
use route_metrics_e2e::{Answer, Binary, Envoy, Host, Request, Setup, Upstream};
use serde_json::{Value, json};

use route_metrics_e2e::expect::{
    REQUEST, before_and_after, expect_decisions, expect_table, expect_update, get, table, templates,
};

/// Three mistakes in different places, and words that must stand in the message for each.
fn mistaken() -> (Value, [&'static str; 3]) {
    let configuration = json!({
        "namespace": "9lives",
        "endpoint": {"templates": ["/fine", "/a/{x}{y}"]},
        "sampling": {"rate": 1.5},
    });
    (configuration, ["namespace", "endpoint.templates[1]", "sampling.rate"])
}

#[test]
fn an_update_keeps_the_counters_going() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let setup = Setup::new(upstream.address()).binary(&binary).dynamic();
        let [before, after] = before_and_after();
        let mut envoy = setup.clone().filter(before).start();
        expect_update(&mut envoy, |envoy| assert!(envoy.update(&setup.filter(after))));
    }
}

#[test]
fn updates_under_load_lose_nothing() {
    let upstream = Upstream::start();
    let setup = Setup::new(upstream.address()).dynamic();
    let [first, second] = before_and_after();
    let mut envoy = setup.clone().filter(first.clone()).start();
    let to = envoy.address();
    let done = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let stop = SetOnDrop(&done);
        let clients: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut sent = 0;
                    while !done.load(Ordering::Relaxed) {
                        let response = http1::send(to, &Request::get("/users/1")).unwrap();
                        assert_eq!(response.status, 200);
                        sent += 1;
                    }
                    sent
                })
            })
            .collect();
        for configuration in [&second, &first, &second, &first] {
            assert!(envoy.update(&setup.clone().filter(configuration.clone())));
        }
        drop(stop);
        clients.into_iter().map(|client| client.join().unwrap()).sum::<u64>()
    });
    assert!(sent > 0);
    let expected = table(&[(["GET", "/users/{id}", "200"], sent)]);
    expect_table(&envoy, "http_requests_total", &REQUEST, &expected);
    eventually_equal("open requests", Some(0.0), || {
        envoy.scrape().value("http_requests_active", &[])
    });
}

/// An update drains the old listener, which ends what is still open there.
#[test]
fn a_request_that_an_update_cuts_off_is_counted_once_and_leaves_the_gauge() {
    let upstream = Upstream::start();
    let setup = Setup::new(upstream.address()).dynamic();
    let mut envoy = setup.clone().filter(templates(&["/users/{id}"])).start();
    let active = |envoy: &Envoy| envoy.scrape().value("http_requests_active", &[]);
    let mut client = Connection::open(envoy.address()).unwrap();
    client.send(&Request::get("/users/1").answer(&Answer::new().hold()).to_http1()).unwrap();
    eventually_equal("held requests", 1, || upstream.held());
    eventually_equal("open requests", Some(1.0), || active(&envoy));
    assert!(envoy.update(&setup.clone().filter(templates(&["/users/{id}", "/orders/{id}"]))));
    assert!(client.wait_closed());
    upstream.release();
    eventually_equal("open requests", Some(0.0), || active(&envoy));
    expect_decisions(&envoy, 1, 0, 0);
    assert_eq!(envoy.scrape().sum_where("http_requests_total", &[("status", "0")]), 1.0);
}

#[test]
fn a_bad_update_is_refused_with_all_mistakes_and_the_old_one_goes_on() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let setup = Setup::new(upstream.address()).binary(&binary).dynamic();
        let mut envoy = setup.clone().filter(templates(&["/users/{id}"])).start();
        get(&envoy, "/users/1");
        let before: Vec<_> = families(&envoy);
        let (configuration, words) = mistaken();
        assert!(!envoy.update(&setup.filter(configuration)));
        for word in words {
            envoy.wait_for_log(word);
        }
        get(&envoy, "/users/2");
        let expected = table(&[(["GET", "/users/{id}", "200"], 2)]);
        expect_table(&envoy, "http_requests_total", &REQUEST, &expected);
        assert_eq!(families(&envoy), before, "a refused configuration defines nothing");
        assert_eq!(envoy.vm_reloads(), 0);
    }
}

fn families(envoy: &Envoy) -> Vec<String> {
    let scrape = envoy.scrape();
    scrape.types().keys().filter(|name| !name.starts_with("envoy_")).cloned().collect()
}

#[test]
fn a_bad_configuration_keeps_envoy_from_starting_and_names_all_mistakes() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let (configuration, words) = mistaken();
        let setup = Setup::new(upstream.address()).binary(&binary).filter(configuration);
        let failure = setup.try_start().err().expect("Envoy does not start").to_string();
        for word in words {
            assert!(failure.contains(word), "no {word:?} in {failure}");
        }
    }
}

/// The metric is counted as what it is now, whatever it was.
#[test]
fn an_update_of_a_metrics_type_counts_as_the_new_one() {
    let upstream = Upstream::start();
    let setup = Setup::new(upstream.address()).dynamic();
    let metric = |kind: &str| {
        json!({
            "custom_metrics": [{
                "name": "app_rows", "type": kind, "match": {"methods": ["GET"]},
                "value": {"from": "response_header", "name": "x-rows"},
            }],
        })
    };
    let rows = |envoy: &Envoy| {
        let answer = Answer::new().header("x-rows", "5");
        let request = Request::get("/users/1").answer(&answer);
        assert_eq!(http1::send(envoy.address(), &request).unwrap().status, 200);
    };
    let mut envoy = setup.clone().filter(metric("counter")).start();
    rows(&envoy);
    rows(&envoy);
    assert!(envoy.update(&setup.clone().filter(metric("histogram"))));
    rows(&envoy);
    envoy.wait_for_log("app_rows was a counter until now and is a histogram");
    // Both are there, each with a TYPE of its own, so the strict parser of the tests is not for this.
    let values = |envoy: &Envoy| {
        let text = String::from_utf8(envoy.scrape_bytes()).expect("a scrape is text");
        ["app_rows{} ", "app_rows_sum{} ", "app_rows_count{} "].map(|name| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            // Sums of Envoy's histograms have two digits.
            line.and_then(|value| value.parse::<f64>().ok()).map(f64::round)
        })
    };
    eventually_equal("both", [Some(10.0), Some(5.0), Some(1.0)], || values(&envoy));
    // And back: the counter goes on.
    assert!(envoy.update(&setup.filter(metric("counter"))));
    rows(&envoy);
    eventually_equal("both", [Some(15.0), Some(5.0), Some(1.0)], || values(&envoy));
    assert_eq!(envoy.vm_reloads(), 0);
}

/// Other labels, another namespace and another unit are other series of the same requests; they
/// share the limit where they are of the same metric.
#[test]
fn updates_of_labels_unit_namespace_and_limits() {
    const TIMES: usize = 25;
    let upstream = Upstream::start();
    let setup = Setup::new(upstream.address()).dynamic().drain_seconds(1);
    let configuration = |namespace: &str, labels: &[&str], unit: &str, series: u32| {
        json!({
            "namespace": namespace,
            "metrics": {
                "requests_total": {"labels": labels},
                "request_duration": {"labels": labels, "unit": unit},
            },
            "labels": {"tenant": {"from": "request_header", "name": "x-tenant"}},
            "limits": {"max_series_per_metric": series},
        })
    };
    let send = |envoy: &Envoy| {
        for _ in 0..TIMES {
            for tenant in ["a", "b", "c", "d", "e", "f", "g"] {
                let request = Request::get("/users/1").header("x-tenant", tenant);
                assert_eq!(http1::send(envoy.address(), &request).unwrap().status, 200);
            }
        }
    };
    let per_round = (7 * TIMES) as f64;
    let series = |envoy: &Envoy, name: &str| {
        let scrape = envoy.scrape();
        (scrape.sum(name), scrape.series(name).count())
    };
    let requests = "http_requests_total";
    let first = configuration("", &["tenant"], "microseconds", 4);
    let mut envoy = setup.clone().concurrency(2).filter(first).start();
    let setup = setup.concurrency(2);
    send(&envoy);
    eventually_equal("requests", per_round, || series(&envoy, requests).0);
    assert!((2..=4).contains(&series(&envoy, requests).1));

    let labels = configuration("", &["method", "tenant"], "microseconds", 4);
    assert!(envoy.update(&setup.clone().filter(labels)));
    send(&envoy);
    eventually_equal("requests", 2.0 * per_round, || series(&envoy, requests).0);
    assert!(series(&envoy, requests).1 <= 4, "{:?}", series(&envoy, requests));
    let duration = "http_request_duration_microseconds_count";
    assert!(series(&envoy, duration).1 <= 4, "{:?}", series(&envoy, duration));

    // A larger limit holds when Envoy has let the smaller one go.
    let larger = configuration("", &["method", "tenant"], "milliseconds", 40);
    assert!(envoy.update(&setup.clone().filter(larger)));
    eventually_equal("the limit", Some(40.0), || {
        let labels = [("metric", requests)];
        envoy.scrape().value("route_metrics_series_limit", &labels)
    });
    send(&envoy);
    eventually_equal("requests", 3.0 * per_round, || series(&envoy, requests).0);
    assert!(series(&envoy, requests).1 >= 7, "{:?}", series(&envoy, requests));
    let milliseconds = "http_request_duration_milliseconds_count";
    eventually_equal("durations", per_round, || series(&envoy, milliseconds).0);
    // Of the dynamic module, histograms that nothing changes any more go with their configuration.
    if Host::default() == Host::Wasm {
        assert_eq!(series(&envoy, duration).0, 2.0 * per_round);
    }

    let named = configuration("other", &["tenant"], "milliseconds", 40);
    assert!(envoy.update(&setup.filter(named)));
    send(&envoy);
    eventually_equal("requests", (3.0 * per_round, per_round), || {
        (series(&envoy, requests).0, series(&envoy, "other_http_requests_total").0)
    });
    assert_eq!(envoy.vm_reloads(), 0);
}

/// Envoy reads buckets at its start. Until it is started again, an update of them changes nothing, and
/// loses nothing.
#[test]
fn an_update_of_buckets_counts_in_the_old_ones_until_envoy_starts_again() {
    const DURATION: &str = "http_request_duration_microseconds";
    let upstream = Upstream::start();
    let setup = Setup::new(upstream.address()).dynamic();
    let filter = |buckets: &[u32]| json!({"metrics": {"request_duration": {"buckets": buckets}}});
    let bounds = |envoy: &Envoy| envoy.scrape().label_values(&format!("{DURATION}_bucket"), "le");
    let named = |bounds: &[&str]| bounds.iter().map(|bound| (*bound).to_owned()).collect();
    let (old, new) = ([250, 7_500_000], [1_250, 8_000_000, 9_000_000]);
    let send = |envoy: &Envoy| {
        let response = http1::send(envoy.address(), &Request::get("/users/1")).unwrap();
        assert_eq!(response.status, 200);
    };
    let count = |envoy: &Envoy| envoy.scrape().sum(&format!("{DURATION}_count"));

    let mut envoy = setup.clone().filter(filter(&old)).start();
    send(&envoy);
    let old_bounds: BTreeSet<String> = named(&["250", "7500000", "+Inf"]);
    eventually_equal("bounds", old_bounds.clone(), || bounds(&envoy));
    assert!(envoy.update(&setup.clone().filter(filter(&new))));
    send(&envoy);
    eventually_equal("requests", 2.0, || count(&envoy));
    assert_eq!(bounds(&envoy), old_bounds);
    assert_eq!(envoy.vm_reloads(), 0);
    drop(envoy);

    let envoy = setup.filter(filter(&new)).start();
    send(&envoy);
    let new_bounds: BTreeSet<String> = named(&["1250", "8000000", "9000000", "+Inf"]);
    eventually_equal("bounds", new_bounds, || bounds(&envoy));
}
