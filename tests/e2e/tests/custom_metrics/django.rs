//! The code of docs/business-metrics.md in a real Django application, with Celery in eager mode.

use route_metrics_e2e::django::{self, Application};
use route_metrics_e2e::{Envoy, Plugin, Request, Setup, http1};
use serde_json::{Value, json};

use route_metrics_e2e::expect::{expect_table, table};

const PAGE: &str = "business-metrics.md";

/// The fenced blocks of the page in a language.
fn blocks(language: &str) -> Vec<String> {
    django::blocks(PAGE, language)
}

/// The configuration that the page's code reports to.
fn plugin() -> Value {
    let mut all = blocks("json").into_iter().map(|block| serde_json::from_str::<Value>(&block));
    let found = all.find_map(|value| value.ok().filter(|value| value["events"].is_object()));
    found.expect("a block with `events`")
}

fn get(envoy: &Envoy, target: &str) -> u16 {
    let response = http1::send(envoy.address(), &Request::get(target)).unwrap();
    assert_eq!(response.header("x-metric-events"), None, "{target}");
    response.status
}

#[test]
fn the_code_of_the_page_reports_from_django_and_celery() {
    let application = Application::start("django_app.py", PAGE, &[]);
    let posts = Plugin::new(plugin()).stop_at_headers();
    let mut public = plugin();
    public["events"]["path"] = "".into();
    let envoy = Setup::new(application.address())
        .concurrency(4)
        .filter(public)
        .listener_beside("events", posts)
        .start();
    let url = format!("/post-to?url=http://{}/metric-events", envoy.listener("events"));
    assert_eq!(http1::send(application.address(), &Request::get(url)).unwrap().status, 200);
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
fn the_middleware_of_the_migration_page_names_exceptions() {
    let application = Application::start("failing_app.py", "migration.md", &[]);
    let envoy = Setup::new(application.address()).filter(json!({})).start();
    for (number, status) in [(1, 500), (2, 200), (3, 500)] {
        assert_eq!(get(&envoy, &format!("/orders/{number}")), status);
    }
    let exceptions = table(&[(["/orders/{id}", "OutOfStock"], 2)]);
    expect_table(&envoy, "http_exceptions_total", &["endpoint", "type"], &exceptions);
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
