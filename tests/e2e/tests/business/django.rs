//! The code of docs/business-metrics.md in a real Django application, with Celery in eager mode.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use route_metrics_e2e::{Envoy, Plugin, Request, Setup, http1, repository};
use serde_json::{Value, json};

use crate::support::{expect_table, table};

/// The fenced blocks of the page in a language.
fn blocks(language: &str) -> Vec<String> {
    let page = std::fs::read_to_string(repository().join("docs/business-metrics.md")).unwrap();
    let fence = format!("```{language}\n");
    let starts = page.split(&fence).skip(1);
    starts.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// The configuration that the page's code reports to.
fn plugin() -> Value {
    let mut all = blocks("json").into_iter().map(|block| serde_json::from_str::<Value>(&block));
    let found = all.find_map(|value| value.ok().filter(|value| value["events"].is_object()));
    found.expect("a block with `events`")
}

/// The application; it ends when dropped.
struct Application {
    child: Child,
    address: SocketAddr,
}

impl Application {
    fn start(directory: &Path) -> Self {
        for block in blocks("python") {
            let name = block.lines().next().and_then(|line| line.strip_prefix("# "));
            std::fs::write(directory.join(name.expect("a file's name")), &block).unwrap();
        }
        let app = repository().join("tests/e2e/data/django_app.py");
        let path = directory.join("app.py");
        std::fs::copy(app, &path).unwrap();
        let python = repository().join(".tools/django/bin/python");
        let mut child = Command::new(&python)
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{}: {error}; `tests/setup.sh django` installs Django", python.display())
            });
        let mut line = String::new();
        let stdout = child.stdout.take().expect("standard output is a pipe");
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let port: u16 = line.trim().parse().expect("the application prints its port");
        Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        // Its standard input ends.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn get(envoy: &Envoy, target: &str) -> u16 {
    let response = http1::send(envoy.address(), &Request::get(target)).unwrap();
    assert_eq!(response.header("x-metric-events"), None, "{target}");
    response.status
}

#[test]
fn the_code_of_the_page_reports_from_django_and_celery() {
    let directory = tempfile::tempdir().unwrap();
    let application = Application::start(directory.path());
    let posts = Plugin::new(plugin()).stop_at_headers();
    let mut public = plugin();
    public["events"]["path"] = "".into();
    let envoy = Setup::new(application.address)
        .concurrency(4)
        .filter(public)
        .listener_beside("events", posts)
        .start();
    let url = format!("/post-to?url=http://{}/metric-events", envoy.listener("events"));
    assert_eq!(http1::send(application.address, &Request::get(url)).unwrap().status, 200);
    for product in ["lamp", "table", "lamp", "chair", "lamp", "table"] {
        assert_eq!(get(&envoy, &format!("/products/{product}")), 200);
    }
    for address in ["ada@example.org", "nowhere", "bob@example.org", "eve@example.org"] {
        assert_eq!(get(&envoy, &format!("/orders?address={address}")), 201);
    }
    let cache = table(&[(["get", "false"], 3), (["get", "true"], 3), (["set", "false"], 3)]);
    expect_table(&envoy, "app_cache_operations_total", &["operation", "hit"], &cache);
    let tasks = table(&[(["send_receipt", "success"], 3), (["send_receipt", "failure"], 1)]);
    expect_table(&envoy, "app_celery_tasks_total", &["task", "status"], &tasks);
    let durations = table(&[(["send_receipt"], 4)]);
    expect_table(&envoy, "app_celery_task_duration_milliseconds_count", &["task"], &durations);
    assert_eq!(envoy.scrape().sum("http_requests_total"), 10.0);
    assert_eq!(envoy.vm_reloads(), 0);
}

#[test]
fn what_the_page_posts_with_curl_is_taken() {
    let body = blocks("sh").into_iter().find_map(|block| {
        let body = block.split("-d '").nth(1)?;
        Some(body.split('\'').next()?.to_owned())
    });
    let upstream = route_metrics_e2e::Upstream::start();
    let envoy = Setup::new(upstream.address()).filter(plugin()).start();
    let post = |body: String| {
        let request = Request::new("POST", "/metric-events")
            .header("content-type", "application/json")
            .body(body);
        http1::send(envoy.address(), &request).unwrap()
    };
    assert_eq!(post(body.expect("a call of curl")).status, 204);
    let tasks = table(&[(["nightly_report", "success"], 1)]);
    expect_table(&envoy, "app_celery_tasks_total", &["task", "status"], &tasks);
    let refused = post(json!([{"metric": "app_tasks_total"}]).to_string());
    let answer: Value = serde_json::from_slice(&refused.body).unwrap();
    let shown = blocks("json").into_iter().find(|block| block.contains("errors")).unwrap();
    assert_eq!(answer, serde_json::from_str::<Value>(&shown).unwrap());
}
