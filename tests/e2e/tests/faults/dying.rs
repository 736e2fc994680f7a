//! A VM that dies: traffic goes on, metrics resume, what is lost is known, and the gauge heals.
//!
//! The module is one that dies when a request says so (`make trap`, `src/trap.rs`).

use std::thread;
use std::time::Duration;

use route_metrics_e2e::http1::{self, Connection};
use route_metrics_e2e::wait::eventually_equal;
use route_metrics_e2e::{Answer, Binary, Envoy, Plugin, Request, Setup, Upstream, repository};
use serde_json::json;

use route_metrics_e2e::expect::{REQUEST, expect_table, table};

/// The header that names the callback in which the VM is to die.
const TRAP: &str = "x-route-metrics-trap";

/// The plugin with the policy of `envoy/envoy.yaml`.
fn mortal() -> Plugin {
    let mut plugin = Plugin::new(json!({}))
        .settings(json!({"reload_config": {"backoff": {"base_interval": "0.01s"}}}));
    plugin.module = repository().join("target/wasm32-wasip1/trap/route_metrics.wasm");
    assert!(plugin.module.exists(), "{}: run `make trap`", plugin.module.display());
    plugin
}

fn get(envoy: &Envoy) -> u16 {
    http1::send(envoy.address(), &Request::get("/users/1")).unwrap().status
}

/// Kills the VM of the worker that gets this; the answer's code, 0 where there is none.
fn kill(envoy: &Envoy, callback: &str) -> u16 {
    let deadly = Request::get("/users/1").header(TRAP, callback);
    http1::send(envoy.address(), &deadly).map_or(0, |response| response.status)
}

fn active(envoy: &Envoy) -> Option<f64> {
    envoy.scrape().value("http_requests_active", &[])
}

/// Lost are the requests that were open on the worker, which are answered 503; the first one after
/// that is served and counted by the next VM.
fn dies_and_is_replaced(binary: &Binary) {
    let upstream = Upstream::start();
    let envoy =
        Setup::new(upstream.address()).binary(binary).concurrency(1).plugin(mortal()).start();
    for _ in 0..10 {
        assert_eq!(get(&envoy), 200);
    }
    let held: Vec<_> = (0..3)
        .map(|_| {
            let mut client = Connection::open(envoy.address()).unwrap();
            let request = Request::get("/users/1").answer(&Answer::new().hold());
            client.send(&request.to_http1()).unwrap();
            client
        })
        .collect();
    eventually_equal("held requests", 3, || upstream.held());
    eventually_equal("open requests", Some(3.0), || active(&envoy));

    assert_eq!(kill(&envoy, "request_headers"), 503);
    for _ in 0..10 {
        assert_eq!(get(&envoy), 200);
    }
    upstream.release();
    for mut client in held {
        assert_eq!(client.response(false).unwrap().status, 503);
    }
    // At its end a request has had its answer, so that only its count is lost.
    assert_eq!(kill(&envoy, "log"), 200);
    assert_eq!(get(&envoy), 200);

    let expected = table(&[(["GET", "/users/{id}", "200"], 21)]);
    expect_table(&envoy, "http_requests_total", &REQUEST, &expected);
    assert_eq!(envoy.vm_reloads(), 2);
    eventually_equal("open requests", Some(0.0), || active(&envoy));
}

#[test]
fn a_vm_that_dies_is_replaced_and_loses_only_open_requests() {
    thread::scope(|scope| {
        // The gauge takes some twenty seconds to heal.
        let runs: Vec<_> = Binary::tested()
            .into_iter()
            .map(|binary| scope.spawn(move || dies_and_is_replaced(&binary)))
            .collect();
        for run in runs {
            run.join().unwrap();
        }
    });
}

/// Killed again and again under load, on both workers: every answered request is counted, and no
/// more are lost than were open when a VM died.
#[test]
fn vms_that_die_under_load_lose_no_more_than_was_open() {
    const CLIENTS: u64 = 4;
    const KILLS: u64 = 20;
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address()).plugin(mortal()).start();
    let (good, failed) = thread::scope(|scope| {
        let send = || {
            let answered = |_: &i32| get(&envoy) == 200;
            let good = (0..300).filter(answered).count() as u64;
            (good, 300 - good)
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(send)).collect();
        for _ in 0..KILLS {
            assert_eq!(kill(&envoy, "request_headers"), 503);
            thread::sleep(Duration::from_millis(20));
        }
        let sums = clients.into_iter().map(|client| client.join().unwrap());
        sums.fold((0, 0), |sum, (good, failed)| (sum.0 + good, sum.1 + failed))
    });
    println!("{good} answered, {failed} lost");
    assert!(failed <= KILLS * CLIENTS);
    // Now and then a worker makes two where one was wanted.
    assert!(envoy.vm_reloads() >= KILLS);
    // Requests whose answer had gone out when the VM died may be lost, too.
    let counted = envoy.eventually("requests", |scrape| {
        let counted = scrape.sum("http_requests_total") as u64;
        let bounds = good.saturating_sub(KILLS * CLIENTS)..=good;
        if bounds.contains(&counted) { Ok(counted) } else { Err(format!("{counted} of {good}")) }
    });
    println!("{counted} counted");
    eventually_equal("open requests", Some(0.0), || active(&envoy));
}

/// No request can do this to the module that ships.
#[test]
fn the_shipped_module_has_no_trap() {
    let has_trap = |plugin: Plugin| {
        let module = std::fs::read(plugin.module).unwrap();
        module.windows(TRAP.len()).any(|part| part == TRAP.as_bytes())
    };
    assert!(has_trap(mortal()));
    assert!(!has_trap(Plugin::new(json!({}))));
}
