//! A VM that dies: traffic goes on, metrics resume, what is lost is known, and the gauge heals.
//!
//! The module is one that dies when a request says so (`make trap`, `src/trap.rs`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use route_metrics_e2e::http1::{self, Connection};
use route_metrics_e2e::wait::{SetOnDrop, eventually, eventually_equal};
use route_metrics_e2e::{Answer, Binary, Envoy, Plugin, Request, Setup, Upstream, repository};
use serde_json::json;

use route_metrics_e2e::expect::{REQUEST, expect_table, table};

/// The header that names the callback in which the VM is to die.
const TRAP: &str = "x-route-metrics-trap";

/// The plugin with the policy of `envoy/envoy.yaml`.
fn mortal() -> Plugin {
    mortal_with("0.01s")
}

/// The same with another back-off.
fn mortal_with(back_off: &str) -> Plugin {
    let mut plugin = Plugin::new(json!({}))
        .settings(json!({"reload_config": {"backoff": {"base_interval": back_off}}}));
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

/// How many VMs were made in the place of one that had died.
fn replaced(envoy: &Envoy) -> u64 {
    envoy.stat("wasm.route_metrics.vm_reload_success").unwrap_or(0)
}

/// How many requests found a VM dead that could not be replaced yet.
fn backed_off(envoy: &Envoy) -> u64 {
    envoy.stat("wasm.route_metrics.vm_reload_backoff").unwrap_or(0)
}

fn active(envoy: &Envoy) -> Option<f64> {
    envoy.scrape().value("http_requests_active", &[])
}

/// Lost are the requests that were open on the worker, which are answered 503; the first one after
/// that is served and counted by the next VM. Where that one dies, too, the same is true unless the
/// back-off is not over yet, which is a matter of how fast the machine is.
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
    let mut refused = 0;
    eventually("a VM after the back-off", || match get(&envoy) {
        200 => Ok(()),
        status => {
            refused += 1;
            Err(status)
        }
    });
    println!("Envoy {binary}: {refused} requests within the back-off");

    let expected = table(&[(["GET", "/users/{id}", "200"], 21)]);
    expect_table(&envoy, "http_requests_total", &REQUEST, &expected);
    assert_eq!(replaced(&envoy), 2);
    assert_eq!(backed_off(&envoy), refused);
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

/// A VM that dies within the back-off since it was made is not replaced before that is over. Until then
/// requests of its worker are answered 503 and reach no filter; Envoy counts each. Other workers go on.
#[test]
fn within_the_back_off_requests_of_that_worker_are_answered_503() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        // Longer than all that follows takes.
        let plugin = mortal_with("600s");
        let envoy = Setup::new(upstream.address()).binary(&binary).plugin(plugin).start();
        // Enough of them for both workers to have some.
        let mut clients: Vec<_> =
            (0..16).map(|_| Connection::open(envoy.address()).unwrap()).collect();
        let user = Request::get("/users/1");
        let mut send = || {
            let statuses = clients.iter_mut().map(|client| client.request(&user).unwrap().status);
            let statuses: Vec<u16> = statuses.collect();
            let count = |wanted| statuses.iter().filter(|status| **status == wanted).count() as u64;
            (count(200), count(503))
        };
        assert_eq!(send(), (16, 0), "Envoy {binary}");
        assert_eq!(kill(&envoy, "request_headers"), 503, "Envoy {binary}");
        let (served, refused) = send();
        println!("Envoy {binary}: {served} served, {refused} within the back-off");
        assert!(served > 0 && refused > 0 && served + refused == 16, "Envoy {binary}");
        assert_eq!((backed_off(&envoy), replaced(&envoy)), (refused, 0), "Envoy {binary}");
        let expected = table(&[(["GET", "/users/{id}", "200"], 16 + served)]);
        expect_table(&envoy, "http_requests_total", &REQUEST, &expected);
    }
}

/// Killed again and again under load, on both workers: every answered request is counted, no more
/// are lost than were open when a VM died, and no more are refused than came within a back-off.
#[test]
fn vms_that_die_under_load_lose_no_more_than_was_open() {
    const CLIENTS: u64 = 4;
    const KILLS: u64 = 20;
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address()).plugin(mortal()).start();
    let done = AtomicBool::new(false);
    let (good, failed) = thread::scope(|scope| {
        let send = || {
            let (mut good, mut failed) = (0_u64, 0_u64);
            while !done.load(Ordering::Relaxed) {
                match get(&envoy) {
                    200 => good += 1,
                    _ => failed += 1,
                }
            }
            (good, failed)
        };
        let stop = SetOnDrop(&done);
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(send)).collect();
        // A kill within a back-off kills nothing.
        eventually("deaths", || {
            assert_eq!(kill(&envoy, "request_headers"), 503);
            match replaced(&envoy) {
                KILLS.. => Ok(()),
                few => Err(few),
            }
        });
        drop(stop);
        let sums = clients.into_iter().map(|client| client.join().unwrap());
        sums.fold((0, 0), |sum, (good, failed)| (sum.0 + good, sum.1 + failed))
    });
    // Now and then a worker makes two where one was wanted; and two may not have been replaced yet.
    let deaths = replaced(&envoy) + 2;
    println!("{good} answered, {failed} lost, {} in the back-off", backed_off(&envoy));
    assert!(failed <= deaths * CLIENTS + backed_off(&envoy), "{failed} after {deaths} deaths");
    // Requests whose answer had gone out when the VM died may be lost, too.
    let counted = envoy.eventually("requests", |scrape| {
        let counted = scrape.sum("http_requests_total") as u64;
        let bounds = good.saturating_sub(deaths * CLIENTS)..=good;
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
