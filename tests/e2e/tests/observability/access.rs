//! The metrics listener: one path, two methods, and whoever may ask; and Prometheus' side of each
//! way to say who.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use route_metrics_e2e::prometheus::{free_address, was_slow};
use route_metrics_e2e::wait::{eventually, poll};
use route_metrics_e2e::{Request, Upstream, http1, repository};
use serde_json::{Value, json};

use crate::support::{Printed, Program};

fn status(to: SocketAddr, request: &Request) -> u16 {
    http1::send(to, request).map_or(0, |response| response.status)
}

#[test]
fn one_path_and_two_methods_are_served_and_nothing_else() {
    let upstream = Upstream::start();
    let envoy = Printed::start(&json!({}), upstream.address(), &[]);
    let scrape = http1::send(envoy.metrics, &Request::get("/stats/prometheus")).unwrap();
    assert_eq!(scrape.status, 200);
    assert!(scrape.text().contains("route_metrics_build_info"));
    let head = http1::send(envoy.metrics, &Request::new("HEAD", "/stats/prometheus")).unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "GETS"] {
        let request = Request::new(method, "/stats/prometheus").header("content-length", "0");
        assert_ne!(status(envoy.metrics, &request), 200, "{method}");
    }
    for target in [
        "/",
        "/quitquitquit",
        "/config_dump",
        "/stats",
        "/stats?format=prometheus",
        "/logging",
        "/stats/prometheus?",
        "/stats/prometheus?usedonly&",
        "/stats/prometheus?usedonly&usedonly",
        "/stats/prometheus?usedonly=1",
        "/stats/prometheus?filter=.*",
        "/stats/prometheus?usedonly&filter=.*",
        "/stats/prometheus?text_readouts",
        "/stats/prometheus?usedonly#/../../quitquitquit",
        "/stats/prometheus?histogram_buckets=../quitquitquit",
        "/stats/prometheus?histogram_buckets=",
        "/stats/prometheus/",
        "/stats/prometheus;x",
        "/stats/prometheus#x",
        "//stats/prometheus",
        "/stats//prometheus",
        "/stats%2fprometheus",
        "/stats%2Fprometheus",
        "/stats/./prometheus",
        "/stats/../stats/prometheus",
        "/stats/prometheus/../../quitquitquit",
        "/stats/prometheus/..;/config_dump",
        "/stats/prometheus%2f..%2f..%2fquitquitquit",
        "/STATS/prometheus",
        "/stats/prometheu%73",
        "/stats\\prometheus",
        "stats/prometheus",
        "http://test.local/quitquitquit",
        "*",
    ] {
        for method in ["GET", "POST"] {
            let request = Request::new(method, target).header("content-length", "0");
            let found = status(envoy.metrics, &request);
            assert!(![200, 503].contains(&found), "{method} {target}: {found}");
        }
    }
    // Headers by which proxies are told of another path or method change nothing.
    for (name, value) in [
        ("x-original-url", "/quitquitquit"),
        ("x-envoy-original-path", "/logging"),
        ("x-http-method-override", "POST"),
    ] {
        let request = Request::get("/stats/prometheus").header(name, value);
        assert!(http1::send(envoy.metrics, &request).unwrap().text().contains("route_metrics_"));
    }
    assert_eq!(status(envoy.traffic, &Request::get("/still-there")), 200);
}

/// A configuration of Prometheus as it is shipped, for this target.
fn prometheus(directory: &Path, shipped: &str, target: SocketAddr) -> (Program, SocketAddr) {
    let text = fs::read_to_string(repository().join("envoy/prometheus").join(shipped)).unwrap();
    assert!(text.contains("envoy.example:9902"));
    let text = text.replace("envoy.example:9902", &target.to_string());
    let file = directory.join(shipped);
    fs::write(&file, format!("global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n{text}"))
        .unwrap();
    let address = free_address();
    let program = std::env::var_os("PROMETHEUS").unwrap_or_else(|| "prometheus".into());
    let mut command = Command::new(program);
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.tsdb.path={}", directory.join("data").display()));
    command.arg(format!("--web.listen-address={address}"));
    (Program::start(&mut command, directory), address)
}

/// The target of a Prometheus after a scrape: whether it is up, and else why not.
fn target(program: &Program, at: SocketAddr) -> (String, String) {
    eventually("a scrape", || {
        let found = http1::send(at, &Request::get("/api/v1/targets")).map_err(|e| e.to_string())?;
        let found: Value = serde_json::from_slice(&found.body).map_err(|e| e.to_string())?;
        let target = &found["data"]["activeTargets"][0];
        match target["health"].as_str() {
            Some("unknown") | None => Err(program.log()),
            Some(_) if was_slow(target) => Err(target.to_string()),
            Some(health) => Ok((health.to_owned(), target["lastError"].to_string())),
        }
    })
}

#[test]
fn a_password_is_asked_for() {
    let upstream = Upstream::start();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    // SHA-1 of `secret`, as `htpasswd -s` writes it.
    fs::write(path.join("users"), "prometheus:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n").unwrap();
    let users = path.join("users");
    let envoy = Printed::start(
        &json!({}),
        upstream.address(),
        &["--metrics-users", users.to_str().unwrap()],
    );
    let with = |credentials: &str| {
        let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
        Request::get("/stats/prometheus").header("authorization", format!("Basic {encoded}"))
    };
    assert_eq!(status(envoy.metrics, &Request::get("/stats/prometheus")), 401);
    assert_eq!(status(envoy.metrics, &with("prometheus:wrong")), 401);
    assert_eq!(status(envoy.metrics, &with("other:secret")), 401);
    assert_eq!(status(envoy.metrics, &with("prometheus:secret")), 200);
    let mut elsewhere = with("prometheus:secret");
    elsewhere.target = b"/quitquitquit".to_vec();
    assert_eq!(status(envoy.metrics, &elsewhere), 404);

    for (password, health) in [("secret", "up"), ("wrong", "down")] {
        let path = tempfile::tempdir().unwrap();
        fs::write(path.path().join("password"), password).unwrap();
        let (program, at) = prometheus(path.path(), "basic-auth.yml", envoy.metrics);
        assert_eq!(target(&program, at).0, health, "{password}");
    }
}

/// An authority and certificates of it, made by the program `openssl`.
fn certificates(directory: &Path) {
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(directory).output();
        let output = output.unwrap_or_else(|error| panic!("openssl: {error}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    fs::write(directory.join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
    for authority in ["ca", "stranger"] {
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "1",
            "-subj",
            "/CN=test",
            "-keyout",
            &format!("{authority}.key"),
            "-out",
            &format!("{authority}.pem"),
        ]);
    }
    for (name, authority) in [("envoy", "ca"), ("prometheus", "ca"), ("other", "stranger")] {
        openssl(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=test",
            "-keyout",
            &format!("{name}.key"),
            "-out",
            "request",
        ]);
        openssl(&[
            "x509",
            "-req",
            "-in",
            "request",
            "-days",
            "1",
            "-extfile",
            "names",
            "-CAcreateserial",
            "-CA",
            &format!("{authority}.pem"),
            "-CAkey",
            &format!("{authority}.key"),
            "-out",
            &format!("{name}.pem"),
        ]);
    }
}

#[test]
fn a_client_certificate_is_asked_for() {
    let upstream = Upstream::start();
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key, ca) = (file("envoy.pem"), file("envoy.key"), file("ca.pem"));
    let arguments =
        ["--metrics-certificate", &certificate, "--metrics-key", &key, "--metrics-client-ca", &ca];
    let envoy = Printed::start(&json!({}), upstream.address(), &arguments);
    assert_ne!(status(envoy.metrics, &Request::get("/stats/prometheus")), 200, "without TLS");
    {
        let (program, at) = prometheus(directory.path(), "client-certificate.yml", envoy.metrics);
        assert_eq!(target(&program, at).0, "up", "{}", program.log());
    }
    // With a certificate of another authority.
    for end in ["pem", "key"] {
        fs::copy(file(&format!("other.{end}")), file(&format!("prometheus.{end}"))).unwrap();
    }
    let (program, at) = prometheus(directory.path(), "client-certificate.yml", envoy.metrics);
    let (health, error) = target(&program, at);
    assert_eq!(health, "down");
    // In TLS 1.3 the server refuses after the client may write, so that it may see no alert.
    let refused = ["tls", "broken pipe", "connection reset"].iter().any(|w| error.contains(w));
    assert!(refused, "{error}");
}

#[test]
fn only_listed_addresses_are_let_in() {
    let upstream = Upstream::start();
    for (networks, expected, health) in
        [("127.0.0.0/8", 200, "up"), ("192.0.2.7,2001:db8::/32", 403, "down")]
    {
        let envoy = Printed::start(&json!({}), upstream.address(), &["--metrics-allow", networks]);
        let request = Request::get("/stats/prometheus").header("x-forwarded-for", "192.0.2.7");
        assert_eq!(status(envoy.metrics, &request), expected, "{networks}");
        let directory = tempfile::tempdir().unwrap();
        let (program, at) = prometheus(directory.path(), "allow-list.yml", envoy.metrics);
        assert_eq!(target(&program, at).0, health, "{networks}");
    }
}

#[test]
fn the_admin_interface_is_on_loopback_alone() {
    let upstream = Upstream::start();
    let envoy = Printed::start(&json!({}), upstream.address(), &[]);
    let admin = envoy.configuration.split("static_resources").next().unwrap();
    assert!(admin.contains("address: 127.0.0.1"), "{admin}");
    let answered =
        poll(std::time::Duration::ZERO, || http1::send(envoy.metrics, &Request::get("/ready")));
    assert_eq!(answered.unwrap().status, 404);
}
