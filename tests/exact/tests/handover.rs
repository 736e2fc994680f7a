//! What becomes of the module where a host says something else of the bytes that it hands over than
//! what was agreed.

use route_metrics_exact::{Claims, Guest, ROOT, World};

const CONFIGURATION: &str = r#"{
    "labels": {"agent": {"from": "request_header", "name": "user-agent"}},
    "metrics": {"requests_total": {"labels": ["method", "endpoint", "status", "agent"]}},
    "endpoint": {"templates": ["/users"]}}"#;

/// Each claim is of a place that the module gave out for so many bytes.
const CLAIMS: [(&str, Claims); 6] = [
    ("a few bytes more", |place, size| (place, size + 5)),
    ("64 KiB more", |place, size| (place, size + (64 << 10))),
    ("all that is behind it", |place, _| (place, u32::MAX - place)),
    ("fewer", |place, size| (place, size / 2)),
    ("none", |place, _| (place, 0)),
    ("another place", |place, size| (place + 8, size)),
];

/// The module reads no byte that was not handed over, frees what it gave out, and goes on.
#[test]
fn what_the_host_says_of_a_place_is_not_believed() {
    for (what, claims) in CLAIMS {
        let mut guest = Guest::start(World::get("/users"));
        assert!(guest.configure(ROOT, CONFIGURATION).expect("it does not trap"));
        let send = |guest: &mut Guest, count: usize| {
            for _ in 0..count {
                guest.request(ROOT).unwrap_or_else(|error| panic!("{what}: {error}"));
            }
            guest.tick(ROOT).unwrap_or_else(|error| panic!("{what}: {error}"));
        };
        send(&mut guest, 10);
        guest.world().claims = Some(claims);
        send(&mut guest, 100);
        let before = guest.memory_bytes();
        send(&mut guest, 2_000);
        assert_eq!(guest.memory_bytes(), before, "{what}: memory grows");
        guest.world().claims = None;
        send(&mut guest, 10);

        let world = guest.world();
        assert_eq!(world.sum("http_requests_total"), 2_120, "{what}");
        let agents = world.metrics.iter().filter_map(|metric| {
            let name = String::from_utf8(metric.name.clone()).expect("a name is text");
            let of_requests = name.starts_with("http_requests_total.") && metric.value > 0;
            let (_, agent) = name.split_once("agent=.=").filter(|_| of_requests)?;
            Some((agent.trim_end_matches(";.;").to_owned(), metric.value))
        });
        for (agent, requests) in agents {
            assert!(["exact", "none"].contains(&agent.as_str()), "{what}: {agent:?}");
            // Those before and after, at least, are read right.
            assert!(agent == "none" || requests >= 20, "{what}: {requests}");
        }
    }
}
