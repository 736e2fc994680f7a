//! Envoy that drains, restarts hot, and stops: softly and hard.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use route_metrics_e2e::envoy::Signal;
use route_metrics_e2e::http1::{self, Connection};
use route_metrics_e2e::scrape::Scrape;
use route_metrics_e2e::wait::eventually_equal;
use route_metrics_e2e::{Answer, Envoy, Host, Request, Setup, Upstream};
use serde_json::{Value, json};

use route_metrics_e2e::expect::{REQUEST, expect_table, table};

fn active(envoy: &Envoy) -> Option<f64> {
    envoy.scrape().value("http_requests_active", &[])
}

fn send(envoy: &Envoy, requests: usize) {
    let requests = vec![Request::get("/users/1"); requests];
    for response in http1::send_all(envoy.address(), 2, &requests) {
        assert_eq!(response.unwrap().status, 200);
    }
}

/// `http_requests_total`, as Envoy has it.
fn requests_stat() -> String {
    let scope = match Host::default() {
        Host::Wasm => "wasmcustom",
        Host::Native => "dynamicmodulescustom",
    };
    format!("{scope}.http_requests_total")
}

/// A statsd server. Envoy flushes counters to it when it stops, and not before.
struct Statsd {
    port: u16,
    ended: Arc<AtomicBool>,
    reader: JoinHandle<Vec<String>>,
}

impl Statsd {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let port = socket.local_addr().unwrap().port();
        let ended = Arc::new(AtomicBool::new(false));
        let no_more = Arc::clone(&ended);
        let reader = thread::spawn(move || {
            let mut counters = Vec::new();
            let mut packet = [0; 65_536];
            loop {
                let last = no_more.load(Ordering::SeqCst);
                match socket.recv(&mut packet) {
                    Ok(size) => {
                        let text = String::from_utf8_lossy(&packet[..size]).into_owned();
                        let lines = text.lines().filter(|line| line.contains("|c"));
                        counters.extend(lines.map(str::to_owned));
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) if last => return counters,
                    Err(_) => {}
                }
            }
        });
        Self { port, ended, reader }
    }

    fn settings(&self) -> Value {
        json!({
            // None but the last one.
            "stats_flush_interval": "299s",
            // It comes as many packets at once, one for each stat, and the kernel keeps only so many.
            "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": [
                {"prefix": requests_stat()},
            ]}}},
            "stats_sinks": [{
                "name": "envoy.stat_sinks.statsd",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.config.metrics.v3.StatsdSink",
                    "address": {"socket_address": {
                        "protocol": "UDP", "address": "127.0.0.1", "port_value": self.port,
                    }},
                },
            }],
        })
    }

    /// What was counted in `http_requests_total`, once Envoy has ended.
    fn requests(self) -> u64 {
        self.ended.store(true, Ordering::SeqCst);
        let mut sum = 0;
        for line in self.reader.join().unwrap() {
            if line.contains(&requests_stat()) {
                let value = line.rsplit_once("|c").and_then(|(line, _)| line.rsplit_once(':'));
                sum += value.map_or(0, |(_, value)| value.parse::<u64>().unwrap());
            }
        }
        sum
    }
}

/// Open requests are answered, and the first scrape after the last of them has them all.
#[test]
fn a_listener_that_drains_loses_nothing() {
    for graceful in ["", "?graceful"] {
        let upstream = Upstream::start();
        let envoy = Setup::new(upstream.address()).filter(json!({})).start();
        let mut client = Connection::open(envoy.address()).unwrap();
        client.send(&Request::get("/users/1").answer(&Answer::new().hold()).to_http1()).unwrap();
        eventually_equal("held requests", 1, || upstream.held());
        send(&envoy, 200);
        envoy.admin_post(&format!("/drain_listeners{graceful}"));
        upstream.release();
        assert_eq!(client.response(false).unwrap().status, 200);
        // The gauge follows once a second, and when it has, everything has been counted.
        eventually_equal("open requests", Some(0.0), || active(&envoy));
        let counted = envoy.scrape().table("http_requests_total", &REQUEST);
        assert_eq!(counted, table(&[(["GET", "/users/{id}", "200"], 201)]), "{graceful}");
    }
}

/// Envoy sends its counters to a statsd server once more when it stops; together with what it sent
/// before they are all requests.
#[test]
fn the_last_flush_of_a_graceful_stop_has_every_request() {
    let statsd = Statsd::start();
    let upstream = Upstream::start();
    let mut envoy =
        Setup::new(upstream.address()).filter(json!({})).settings(statsd.settings()).start();
    send(&envoy, 200);
    envoy.signal(Signal::TERM);
    assert!(envoy.wait_ended().success());
    assert_eq!(statsd.requests(), 200);
}

/// The last scrape before it has what was answered until then; what is answered while Envoy stops, on
/// connections that are open, is in its last flush.
#[test]
fn a_stop_by_the_admin_interface_under_load() {
    const CLIENTS: u64 = 4;
    let statsd = Statsd::start();
    let upstream = Upstream::start();
    let mut envoy =
        Setup::new(upstream.address()).filter(json!({})).settings(statsd.settings()).start();
    let user = Request::get("/users/1");
    let (pause, go_on) = (Barrier::new(CLIENTS as usize + 1), Barrier::new(CLIENTS as usize + 1));
    let answered: u64 = thread::scope(|scope| {
        let load = || {
            let mut client = Connection::open(envoy.address()).unwrap();
            for _ in 0..250 {
                assert_eq!(client.request(&user).unwrap().status, 200);
            }
            pause.wait();
            go_on.wait();
            let mut answered = 250;
            while client.request(&user).is_ok_and(|response| response.status == 200) {
                answered += 1;
            }
            answered
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(load)).collect();
        pause.wait();
        let counted = table(&[(["GET", "/users/{id}", "200"], CLIENTS * 250)]);
        expect_table(&envoy, "http_requests_total", &REQUEST, &counted);
        go_on.wait();
        let busy = |scrape: &Scrape| match scrape.sum("http_requests_total") as u64 {
            more if more > CLIENTS * 300 => Ok(()),
            few => Err(format!("{few}")),
        };
        envoy.eventually("load", busy);
        envoy.admin_post("/quitquitquit");
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert!(envoy.wait_ended().success());
    // Each client may have had one request whose answer was lost with its connection.
    let counted = statsd.requests();
    println!("{answered} answered, {counted} counted");
    assert!((answered..=answered + CLIENTS).contains(&counted), "{counted} of {answered}");
}

/// The new process begins at 0, as with all of Envoy's counters, and what the old one still counts
/// is added to it; the gauge is the sum of both.
#[test]
fn a_hot_restart_loses_nothing_that_the_old_process_still_answers() {
    let upstream = Upstream::start();
    let setup = Setup::new(upstream.address()).filter(json!({})).hot_restart().drain_seconds(15);
    let mut old = setup.start();
    send(&old, 100);
    eventually_equal("requests", 100.0, || old.scrape().sum("http_requests_total"));
    let mut held = Connection::open(old.address()).unwrap();
    held.send(&Request::get("/users/1").answer(&Answer::new().hold()).to_http1()).unwrap();
    eventually_equal("open requests", Some(1.0), || active(&old));

    let new = old.restart(&setup.clone().port(old.address().port()));
    eventually_equal("open requests", Some(1.0), || active(&new));
    send(&new, 50);
    upstream.release();
    assert_eq!(held.response(false).unwrap().status, 200);
    assert!(old.wait_ended().success());
    let expected = table(&[(["GET", "/users/{id}", "200"], 51)]);
    expect_table(&new, "http_requests_total", &REQUEST, &expected);
    eventually_equal("open requests", Some(0.0), || active(&new));
    let scrape = new.scrape();
    let info = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(scrape.value("route_metrics_build_info", &info), Some(1.0));
    assert_eq!(scrape.value("route_metrics_sample_rate_ppm", &[]), Some(1_000_000.0));
}

/// Killed, there is no last word; what was scraped before is all there is. The next one works.
#[test]
fn an_envoy_that_is_killed_starts_again_at_zero() {
    let upstream = Upstream::start();
    let setup = Setup::new(upstream.address()).filter(json!({}));
    let mut envoy = setup.start();
    send(&envoy, 20);
    eventually_equal("requests", 20.0, || envoy.scrape().sum("http_requests_total"));
    envoy.signal(Signal::KILL);
    assert!(!envoy.wait_ended().success());
    let next = setup.port(envoy.address().port()).start();
    send(&next, 10);
    let expected = table(&[(["GET", "/users/{id}", "200"], 10)]);
    expect_table(&next, "http_requests_total", &REQUEST, &expected);
}
