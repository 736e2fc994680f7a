//! `route-metrics preview` and `import-openapi`, as a user calls them.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;

use crate::run;

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("route-metrics-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn success(arguments: &[&str], stdin: &[u8]) -> String {
    let output = run(arguments, stdin);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn failure(arguments: &[&str], stdin: &[u8]) -> String {
    let output = run(arguments, stdin);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    text(&output.stderr)
}

const ENVOY: &str = r#"[2026-01-02T03:04:05.678Z] "GET /users/7 HTTP/1.1" 200 - 0 13 5 4 "-" "curl" "id" "api" "10.0.0.1:80"
[2026-01-02T03:04:05.679Z] "GET /users/8 HTTP/1.1" 503 UF 0 91 7 - "-" "curl" "id" "api" "-"
"#;
const COMBINED: &str = "1.2.3.4 - - [02/Jan/2026:03:04:05 +0000] \"POST /orders HTTP/1.1\" 201 7 \"-\" \"curl\"\nnot a request\n";

#[test]
fn preview_reads_several_logs_of_different_formats() {
    let folder = Folder::new("several");
    let plugin = folder.file("plugin.json", r#"{"endpoint": {"templates": ["/users/{id}"]}}"#);
    let envoy = folder.file("envoy.log", ENVOY);
    let combined = folder.file("access.log", COMBINED);
    let json = br#"{"method":"GET","path":"/users/9","response_code":200,"duration":3}"#;
    let text = success(&["preview", &plugin, &envoy, &combined, "-"], json);
    for part in [
        "envoy.log: 2 lines, Envoy 2",
        "access.log: 2 lines, combined 1",
        "line 2: no known format: not a request",
        "standard input: 1 lines, JSON lines 1",
        "4 requests: 4 recorded, 0 excluded",
        "/users/{id}",
        "/orders",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let report: Value =
        serde_json::from_str(&success(&["preview", "--json", &plugin, &envoy], b"")).unwrap();
    assert_eq!(report["requests"], 2);
    assert_eq!(report["endpoints"][0]["endpoint"], "/users/{id}");
    assert_eq!(report["endpoints"][0]["source"], "template");
    assert_eq!(report["endpoints"][0]["statuses"], serde_json::json!({"2xx": 1, "5xx": 1}));
    assert_eq!(report["metrics"][0]["series"], 2);
    let page = success(&["preview", "--html", &plugin, &envoy], b"");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("/users/{id}"));
}

#[test]
fn preview_unpacks_gzip() {
    let folder = Folder::new("gzip");
    let plugin = folder.file("plugin.json", "{}");
    let mut packed = Vec::new();
    // Rotated logs are joined by `cat`: two members.
    for _ in 0..2 {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(ENVOY.as_bytes()).unwrap();
        packed.extend(encoder.finish().unwrap());
    }
    let log = folder.file("access.log.1.gz", &packed);
    assert!(success(&["preview", &plugin, &log], b"").contains("4 requests: 4 recorded"));
    assert!(success(&["preview", &plugin, "-"], &packed).contains("4 requests: 4 recorded"));
    let cut = folder.file("cut.gz", &packed[..packed.len() / 2 + 20]);
    assert!(failure(&["preview", &plugin, &cut], b"").contains("cut.gz: "));
}

#[test]
fn preview_unpacks_zstandard() {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    let folder = Folder::new("zstandard");
    let plugin = folder.file("plugin.json", "{}");
    let frame = compress_to_vec(ENVOY.as_bytes(), CompressionLevel::Fastest);
    // Two frames with a skippable one between them.
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"any"].concat();
    let packed = [&frame[..], &skippable, &frame].concat();
    let log = folder.file("access.log.zst", &packed);
    assert!(success(&["preview", &plugin, &log], b"").contains("4 requests: 4 recorded"));
    assert!(success(&["preview", &plugin, "-"], &packed).contains("4 requests: 4 recorded"));
    let cut = folder.file("cut.zst", &packed[..packed.len() - 9]);
    assert!(failure(&["preview", &plugin, &cut], b"").contains("cut.zst: "));
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_log_that_goes_on() {
    use std::process::{Command, Stdio};
    let folder = Folder::new("follow");
    let plugin = folder.file("plugin.json", "{}");
    let mut child = Command::new(env!("CARGO_BIN_EXE_route-metrics"))
        .args(["preview", &plugin, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // More than a pipe holds: when it is written, the command reads, and has taken the signals over.
    stdin.write_all(&ENVOY.as_bytes().repeat(4000)).unwrap();
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("requests: "), "{}", text(&output.stdout));
}

#[test]
fn what_preview_learned_is_a_configuration() {
    let folder = Folder::new("learned");
    let plugin = folder.file("plugin.json", r#"{"endpoint": {"templates": ["/users/{id}"]}}"#);
    let log = folder.file("log", format!("{ENVOY}{COMBINED}GET\t/orders/17/items\t200\n"));
    let templates = success(&["preview", "--templates", &plugin, &log], b"");
    let value: Value = serde_json::from_str(&templates).unwrap();
    assert_eq!(
        value["endpoint"]["templates"],
        serde_json::json!(["/users/{id}", "/orders", "/orders/{id}/items"])
    );
    assert_eq!(success(&["check", "-"], templates.as_bytes()), "");
}

/// A label that the limit cuts in the middle is no endpoint: whole ones are printed, and the limit that
/// they need.
#[test]
fn no_label_that_is_cut_becomes_a_template() {
    let folder = Folder::new("cut");
    let words = "/warehouse/inventory/locations/shelves/containers";
    let log: String =
        (1..9).map(|n| format!("GET\t{words}/{n}\t200\nGET\t{words}/{n}/labels\t200\n")).collect();
    for max in [32, 60, 120] {
        let limits = format!(r#"{{"limits": {{"max_label_value_length": {max}}}}}"#);
        let arguments = ["preview", "--templates", &folder.file("plugin.json", &limits), "-"];
        let printed = success(&arguments, log.as_bytes());
        let value: Value = serde_json::from_str(&printed).unwrap();
        let expected = [format!("{words}/{{id}}"), format!("{words}/{{id}}/labels")];
        assert_eq!(value["endpoint"]["templates"], serde_json::json!(expected), "{max}");
        assert_eq!(success(&["check", "-"], printed.as_bytes()), "", "{max}");
    }
}

#[test]
fn preview_refuses_what_it_cannot_read() {
    let folder = Folder::new("refused");
    let plugin = folder.file("plugin.json", "{}");
    let bad = folder.file("bad.json", r#"{"endpoint": {"templates": ["x"]}}"#);
    let log = folder.file("log", ENVOY);
    let noise = folder.file("noise", "one\ntwo\n{\n");
    assert!(failure(&["preview", &bad, &log], b"").contains("endpoint.templates[0]"));
    assert!(failure(&["preview", &plugin, "/nowhere"], b"").contains("/nowhere"));
    assert!(failure(&["preview", &plugin, folder.0.to_str().unwrap()], b"").contains("directory"));
    assert!(failure(&["preview", "-", "-"], b"").contains("only once"));
    let error = failure(&["preview", &plugin, &noise], b"");
    assert!(error.contains("no request in 3 lines"), "{error}");
    assert!(error.contains("line 1: no known format: one"), "{error}");
    assert!(error.contains("line 3: not JSON: {"), "{error}");
}

#[test]
fn a_log_that_is_not_understood_ends_with_a_summary() {
    let folder = Folder::new("missed");
    let plugin = folder.file("plugin.json", "{}");
    let good = r#"{"method":"GET","path":"/users/7","status":200}"#;
    let strange = r#"{"method":"GET","place":"/users/7","status":200}"#;
    let lines = |strange_lines: usize| -> String {
        let lines = std::iter::repeat_n(strange, strange_lines);
        let lines = lines.chain(std::iter::repeat_n(good, 100 - strange_lines));
        // Other output is no fault of the log.
        lines
            .chain(std::iter::repeat_n("\tat com.example.Shop.run(Shop.java:7)", 50))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let report = success(&["preview", &plugin, "-"], lines(4).as_bytes());
    for part in
        ["4 no known path", "50 no known format", "name the key of the path with --path-field"]
    {
        assert!(report.contains(part), "{part:?} is not in\n{report}");
    }
    let output = run(&["preview", &plugin, "-"], lines(6).as_bytes());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("94 requests: 94 recorded"));
    let summary = text(&output.stderr);
    for part in ["6 of 150 lines look like requests", "line 1: no known path: {", "--path-field"] {
        assert!(summary.contains(part), "{part:?} is not in\n{summary}");
    }
    let path = ["preview", &plugin, "-", "--path-field", "place"];
    let strange = format!("{strange}\n{strange}");
    assert!(success(&path, strange.as_bytes()).contains("2 requests: 2 recorded"));
}

#[test]
fn connections_are_counted_apart() {
    let folder = Folder::new("tcp");
    let plugin = folder.file("plugin.json", "{}");
    let tcp = r#"[2026-03-01T08:00:00.000Z] "- - -" 0 - - - "-" 62 91 84000 - "-" "-" "-" "-" "10.0.0.9:1521" PassthroughCluster 10.0.0.7:1 10.0.0.9:1521 10.0.0.7:2 - -"#;
    let report = success(&["preview", &plugin, "-"], tcp.as_bytes());
    assert!(report.contains("1 lines are no requests (1 a TCP connection)"), "{report}");
    let json: Value =
        serde_json::from_str(&success(&["preview", "--json", &plugin, "-"], tcp.as_bytes()))
            .unwrap();
    assert_eq!((&json["requests"], &json["not_understood"]), (&0.into(), &0.into()));
    assert_eq!(json["inputs"][0]["reasons"]["a TCP connection"], 1);
}

#[test]
fn the_report_says_which_unit_was_taken_and_why() {
    let folder = Folder::new("units");
    let plugin = folder.file("plugin.json", "{}");
    let line = |duration: &str| {
        format!("{{\"method\":\"GET\",\"path\":\"/a\",\"status\":200,{duration}}}")
    };
    for (duration, said) in [
        ("\"latency\":17250000", "\"latency\" in nanoseconds: guessed: the median is"),
        ("\"latency\":17,\"latency_human\":\"17µs\"", "in microseconds: a field beside it says"),
        ("\"duration\":5,\"response_flags\":\"-\"", "in milliseconds: Envoy writes them"),
        ("\"responseTime\":5", "\"responseTime\" in milliseconds: they are usual there"),
    ] {
        let report = success(&["preview", &plugin, "-"], line(duration).as_bytes());
        assert!(report.contains(said), "{said:?} is not in\n{report}");
        let settled = ["preview", &plugin, "-", "--duration-unit", "s"];
        let report = success(&settled, line(duration).as_bytes());
        assert!(report.contains("in seconds: --duration-unit says so"), "{report}");
    }
}

#[test]
fn a_direction_of_a_sidecar_can_be_left_out() {
    let folder = Folder::new("direction");
    let plugin = folder.file("plugin.json", "{}");
    let line = |path: &str, cluster: &str| {
        format!(
            r#"[t] "GET {path} HTTP/1.1" 200 - via_upstream - "-" 0 48 3 2 "-" "curl" "id" "a" "u" {cluster} l r c - default"#
        )
    };
    let log = [
        line("/in", "inbound|8000||"),
        line("/out", "outbound|80||other.default.svc.cluster.local"),
        line("/out", "PassthroughCluster"),
        r#"{"method":"GET","path":"/in","response_code":200,"upstream_cluster":"inbound|8000||"}"#
            .to_owned(),
    ]
    .join("\n");
    let report = success(&["preview", &plugin, "-"], log.as_bytes());
    assert!(report.contains("2 requests are inbound, 2 outbound; 0 left out"), "{report}");
    assert!(report.contains("--direction inbound"), "{report}");
    for (direction, endpoint) in [("inbound", "/in"), ("outbound", "/out")] {
        let arguments = ["preview", "--json", "--direction", direction, &plugin, "-"];
        let report: Value = serde_json::from_str(&success(&arguments, log.as_bytes())).unwrap();
        assert_eq!(report["requests"], 2);
        assert_eq!(report["endpoints"][0]["endpoint"], endpoint);
        assert_eq!(report["directions"]["left_out"], 2);
    }
}

#[test]
fn custom_metrics_are_in_the_report() {
    let folder = Folder::new("custom");
    let plugin = folder.file(
        "plugin.json",
        r#"{"custom_metrics": [
            {"name": "app_reads_total", "type": "counter", "match": {"methods": ["GET"]},
             "labels": {"status": {"from": "status_class"}}},
            {"name": "app_pro_total", "type": "counter",
             "match": {"request_headers": {"x-plan": "pro"}}},
            {"name": "app_tasks_total", "type": "counter", "source": "event", "labels": {}}],
            "events": {"path": "/events"}}"#,
    );
    let arguments = ["preview", "--json", &plugin, "-"];
    let report: Value = serde_json::from_str(&success(&arguments, ENVOY.as_bytes())).unwrap();
    let row = |name: &str| {
        let rows = report["metrics"].as_array().unwrap();
        rows.iter().find(|row| row["metric"] == name).unwrap_or_else(|| panic!("{name}")).clone()
    };
    let reads = row("app_reads_total");
    assert_eq!((&reads["of"], &reads["series"]), (&"custom".into(), &2.into()));
    assert_eq!(reads["labels"][0]["values"], 2);
    assert_eq!(row("app_pro_total")["changes"], 0);
    assert_eq!(row("app_tasks_total")["of"], "events");
    let notes = report["notes"].to_string();
    assert!(notes.contains("no request of the log belongs to `app_pro_total`"), "{notes}");
    assert!(notes.contains("the application reports `app_tasks_total`"), "{notes}");
    // And in the table.
    let table = success(&["preview", &plugin, "-"], ENVOY.as_bytes());
    let words = |name: &str| {
        let line = table.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("{name} in {table}")).split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(words("app_reads_total")[1], "2");
    assert!(words("app_pro_total").ends_with(&["belongs", "to", "it"]));
    assert!(words("app_tasks_total").contains(&"application,"));
}

#[test]
fn several_specifications_become_one_configuration() {
    let folder = Folder::new("specifications");
    let yaml = "openapi: 3.0.3\nservers: [{url: 'https://api.example.com/v1'}]\npaths:\n  \
                /users/{user id}:\n    get: {}\n  /search?q={q}:\n    get: {}\n";
    let yaml = folder.file("users.yaml", yaml);
    let json = r#"{"swagger": "2.0", "basePath": "/v1", "paths": {"/users/{id}": {"get": {}},
        "/files/{path+}": {"get": {}}}}"#;
    let json = folder.file("files.json", json);
    let output = run(&["import-openapi", &yaml, &json], b"");
    let notes = text(&output.stderr);
    assert!(output.status.success(), "{notes}");
    assert!(notes.contains("\"?q={q}\" is no part of the path"), "{notes}");
    assert!(notes.contains("which came first"), "{notes}");
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        value,
        serde_json::json!({"endpoint": {"templates":
            ["/v1/users/{user_id}", "/v1/search", "/v1/files/{*path}"]}})
    );
    assert_eq!(success(&["check", "-"], &output.stdout), "");
    let quiet = run(&["import-openapi", "--quiet", &yaml], b"");
    assert!(quiet.status.success() && quiet.stderr.is_empty());
    let from_stdin = fs::read(&json).unwrap();
    assert!(success(&["import-openapi", "-"], &from_stdin).contains("/v1/files/{*path}"));
}

#[test]
fn a_broken_specification_is_named() {
    let folder = Folder::new("broken");
    let good = folder.file("good.json", r#"{"openapi": "3.1.0", "paths": {"/a": {}}}"#);
    let bad = folder.file("bad.json", r#"{"openapi": "3.1.0", "paths": {"#);
    let error = failure(&["import-openapi", &good, &bad], b"");
    assert!(error.contains("bad.json: is not JSON") && error.contains("line 1"), "{error}");
    assert!(failure(&["import-openapi", "/nowhere.yaml"], b"").contains("/nowhere.yaml"));
}

/// Each bound is a line per series.
#[test]
fn buckets_of_the_configuration_are_in_the_size_of_a_scrape() {
    let folder = Folder::new("buckets");
    let log = folder.file(
        "log",
        "10.0.0.1 - - [10/Oct/2025:13:55:36 +0000] \"GET /users/1 HTTP/1.1\" 200 23 \"-\" \"-\"\n"
            .repeat(20),
    );
    let sizes = ["", r#""buckets": [1000]"#, r#""buckets": [1000, 2000, 3000]"#].map(|buckets| {
        let plugin = folder
            .file("plugin.json", format!(r#"{{"metrics": {{"response_size": {{{buckets}}}}}}}"#));
        let report = success(&["preview", "--json", &plugin, &log], b"");
        let report: Value = serde_json::from_str(&report).unwrap();
        let metrics = report["metrics"].as_array().unwrap();
        let row = metrics.iter().find(|row| row["metric"] == "http_response_size_bytes").unwrap();
        row["scrape_bytes"].as_u64().unwrap()
    });
    let line =
        r#"http_response_size_bytes_bucket{method="GET",endpoint="/users/{id}",le="2000"} 20"#;
    assert_eq!(sizes[2] - sizes[1], 2 * (line.len() as u64 + 1));
    assert!(sizes[0] > sizes[2], "{sizes:?}");
}

#[test]
fn preview_gives_the_reasons_of_explain() {
    let folder = Folder::new("why");
    let plugin = folder.file("plugin.json", "{}");
    let line = |path: &str| format!("GET\t{path}\t200\n");
    let paths = ["/api/v2/orders/17", "/en/login", "/x\u{1b}[2J/9"];
    let log = folder.file("access.log", paths.map(line).concat());
    let report = success(&["preview", "--why", &plugin, &log], b"");
    let explained = success(&["explain", &plugin, paths[0]], b"");
    let reasons: Vec<&str> = explained.lines().filter(|line| line.starts_with("  ")).collect();
    assert_eq!(reasons.len(), 4, "{explained}");
    let shown: Vec<&str> = report.lines().map(str::trim).collect();
    let at = shown.iter().position(|line| *line == "such as /api/v2/orders/17").unwrap();
    let expected: Vec<&str> = reasons.iter().map(|line| line.trim()).collect();
    // One request teaches what weighs in a word, and nothing about the form of the others.
    assert_eq!(shown[at + 2], expected[1], "{report}");
    assert_eq!(shown[at + 4], expected[3], "{report}");
    assert!(shown[at + 3].starts_with("orders: stays, score "), "{report}");
    assert!(report.chars().all(|c| c == '\n' || !c.is_control()), "{report}");
    let plain = success(&["preview", &plugin, &log], b"");
    assert!(!plain.contains("such as"), "{plain}");
    let json: Value =
        serde_json::from_str(&success(&["preview", "--json", &plugin, &log], b"")).unwrap();
    let endpoints = json["endpoints"].as_array().unwrap();
    let row = endpoints.iter().find(|row| row["endpoint"] == "/api/v2/orders/{id}").unwrap();
    let id = &row["segments"][3];
    assert_eq!(
        (&id["segment"], &id["label"], &id["why"]),
        (&"17".into(), &"{id}".into(), &"a number".into())
    );
    let clash = run(&["preview", "--why", "--json", &plugin, &log], b"");
    assert_eq!(clash.status.code(), Some(2));
}
