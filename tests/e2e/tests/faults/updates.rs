//! Configuration updates of a running Envoy, and configurations that are refused.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use route_metrics_e2e::http1::{self, Connection};
use route_metrics_e2e::wait::eventually_equal;
use route_metrics_e2e::{Answer, Binary, Envoy, Request, Setup, Upstream};
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
        done.store(true, Ordering::Relaxed);
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
