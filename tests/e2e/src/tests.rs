//! The harness itself, with Envoys that have no filter.

use std::time::Duration;

use crate::config::{self, Setup};
use crate::expect::cut_off;
use crate::{Answer, Binary, Request, Upstream, http1, http2, upstream};
use serde_json::json;

#[test]
fn both_clients_reach_the_upstream_through_every_version() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let envoy = Setup::new(upstream.address()).binary(&binary).start();
        let answer = Answer::new().status(418).size(2500).chunked().header("x-cache", "HIT");
        let requests: Vec<_> = (0..50)
            .map(|n| Request::new("POST", format!("/users/{n}")).body("abc").answer(&answer))
            .collect();
        let mut responses = http1::send_all(envoy.address(), 3, &requests);
        responses.extend(http2::send_all(envoy.address(), 2, 5, &requests));
        for response in responses {
            let response = response.unwrap();
            assert_eq!((response.status, response.body.len()), (418, 2500), "Envoy {binary}");
            assert_eq!(response.header("x-cache"), Some(b"HIT".as_slice()));
        }
        assert_eq!(upstream.requests(), 100);
        let sent = |name| envoy.scrape().sum_where(name, &[("envoy_cluster_name", "upstream")]);
        assert_eq!(sent("envoy_cluster_upstream_rq_total"), 100.0, "Envoy {binary}");
    }
}

#[test]
fn the_upstream_fails_as_ordered() {
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address())
        .cluster(config::cluster("refused", upstream::refusing_address()))
        .route(config::route("/refused", "refused"))
        .route(config::direct_response("/direct", 403, "no"))
        .route(json!({
            "match": {"prefix": "/short"},
            "route": {"cluster": "upstream", "timeout": "0.2s"},
        }))
        .access_log("%RESPONSE_CODE% %RESPONSE_FLAGS%")
        .start();
    let send = |path: &str, answer: Answer| {
        http1::send(envoy.address(), &Request::get(path).answer(&answer)).map(|r| r.status)
    };
    assert_eq!(send("/", Answer::new().close()), Ok(503));
    assert_eq!(send("/", Answer::new().reset()), Ok(503));
    assert_eq!(send("/refused", Answer::new()), Ok(503));
    assert_eq!(send("/short", Answer::new().never()), Ok(504));
    assert_eq!(send("/direct", Answer::new()), Ok(403));
    assert_eq!(send("/", Answer::new().delay(Duration::from_millis(20)).size(9)), Ok(200));
    let cut = Request::get("/").answer(&Answer::new().size(10_000).cut());
    assert_eq!(cut_off(&envoy, &upstream, &cut), 200);
    // Two workers write, each when it comes to it.
    let mut log = envoy.wait_for_access_log(7);
    log.sort();
    assert_eq!(log, ["200 -", "200 UPE", "403 -", "503 UC", "503 UC", "503 UF", "504 UT"]);
}

#[test]
fn a_listener_is_updated_and_a_bad_one_refused() {
    let upstream = Upstream::start();
    let setup = Setup::new(upstream.address()).dynamic();
    let mut envoy = setup.start();
    let status =
        |envoy: &crate::Envoy| http1::send(envoy.address(), &Request::get("/x")).unwrap().status;
    assert_eq!(status(&envoy), 200);
    assert!(envoy.update(&setup.clone().route(config::direct_response("/x", 410, ""))));
    assert_eq!(status(&envoy), 410);
    assert!(!envoy.update(&setup.clone().route(json!({"match": {}}))));
    envoy.wait_for_log("RouteValidationError");
    assert_eq!(status(&envoy), 410);
}

#[test]
fn an_envoy_that_does_not_start_says_why() {
    let setup = Setup::new(upstream::refusing_address());
    let failure = setup.connection_manager(json!({"no_such_field": 1})).try_start().err().unwrap();
    assert!(failure.to_string().contains("no_such_field"), "{failure}");
}

/// Each line of tests/native-skips names tests that there are, where they are left out, and why.
#[test]
fn what_is_left_out_of_the_dynamic_modules_tests_exists() {
    let root = crate::repository();
    let list = std::fs::read_to_string(root.join("tests/native-skips")).unwrap();
    let suites = std::fs::read_dir(root.join("tests/e2e/tests")).unwrap();
    let suites: Vec<_> = suites.map(|suite| suite.unwrap().path()).collect();
    let lines: Vec<&str> =
        list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert!(!lines.is_empty());
    for line in lines {
        let parts: Vec<&str> = line.splitn(3, ' ').collect();
        let [name, places, _reason] = parts[..] else { panic!("{line}: not of three parts") };
        // That suite has no modules.
        let (module, test) = name.split_once("::").unwrap_or(("../native", name));
        let named = format!("\nfn {test}");
        let there = suites.iter().any(|suite| {
            let text = std::fs::read_to_string(suite.join(module).with_extension("rs"));
            text.is_ok_and(|text| text.contains(&named))
        });
        assert!(there, "{line}: there is no such test");
        for place in places.split(',') {
            let version = |known: &str| known.starts_with(&format!("{place}."));
            let known = ["wasm", "same"].contains(&place)
                || include_str!("../../envoys").lines().any(version);
            assert!(known, "{line}: {place} is not known");
        }
    }
}
