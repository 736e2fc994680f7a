//! Bodies of any size are measured and not kept.

use route_metrics_e2e::http1::Connection;
use route_metrics_e2e::wait::eventually_equal;
use route_metrics_e2e::{Envoy, Setup, tcp};
use serde_json::json;

const BIG: usize = 100_000_000;

/// Far less than [`BIG`], and more than Envoy's own buffers and the noise.
const GROWTH_BYTES: u64 = 20_000_000;

/// Reads what its size says and answers with as much as `x-size` says.
fn upstream() -> tcp::Server {
    tcp::Server::start(|session| {
        loop {
            let head = session.head()?.to_ascii_lowercase();
            let number = |name: &str| {
                let line =
                    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                line.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
            };
            session.discard(number("content-length"))?;
            let size = number("x-size");
            session
                .send(format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n").as_bytes())?;
            session.send_many(size)?;
        }
    })
}

/// Sends `up` bytes and receives `down`, neither of them in memory as a whole.
fn transfer(envoy: &Envoy, up: usize, down: usize) {
    let head = format!(
        "POST /files/1 HTTP/1.1\r\nhost: a\r\nx-size: {down}\r\ncontent-length: {up}\r\n\r\n"
    );
    let mut client = Connection::open(envoy.address()).unwrap();
    client.send(head.as_bytes()).unwrap();
    client.send_many(up).unwrap();
    assert_eq!(client.response(true).unwrap().status, 200);
    client.discard(down).unwrap();
}

#[test]
fn bodies_of_0_bytes_to_100_megabytes_pass_without_being_kept() {
    let upstream = upstream();
    let envoy = Setup::new(upstream.address())
        .filter(json!({"metrics": {"request_size": {"enabled": true}}}))
        .start();
    let sizes = [(0, 0), (1, 0), (0, 1), (70_000, 70_000), (3_000_000, 3_000_000)];
    for (up, down) in sizes {
        transfer(&envoy, up, down);
    }
    let before = envoy.peak_memory_bytes();
    transfer(&envoy, BIG, 0);
    transfer(&envoy, 0, BIG);
    let grown = envoy.peak_memory_bytes() - before;
    println!("Envoy {grown} bytes more");
    assert!(grown < GROWTH_BYTES, "Envoy has grown by {grown} bytes");

    eventually_equal("requests", 7.0, || envoy.scrape().sum("http_requests_total"));
    let all = (BIG + 3_070_001) as f64;
    for family in ["http_request_size_bytes", "http_response_size_bytes"] {
        envoy.eventually(family, |scrape| {
            let sum = scrape.sum(&format!("{family}_sum"));
            let counted = scrape.sum(&format!("{family}_count"));
            // Envoy's histograms keep two digits.
            if counted == 7.0 && (sum - all).abs() < all / 20.0 {
                Ok(())
            } else {
                Err(format!("{counted} of {sum} bytes, not {all}"))
            }
        });
    }
}
