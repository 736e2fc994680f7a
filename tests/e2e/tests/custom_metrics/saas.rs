//! The metrics of `envoy/examples/saas.json`: they show exactly what the demo application did.

use std::collections::BTreeMap;

use route_metrics_demo::business::Business;
use route_metrics_e2e::{Binary, Plugin, Request, Setup, http1, http2, repository};
use serde_json::{Value, json};

use route_metrics_e2e::expect::Numbers;

const METRICS: [&str; 8] = [
    "app_user_registrations_total",
    "app_login_attempts_total",
    "app_organization_operations_total",
    "app_cache_operations_total",
    "app_feature_flag_evaluations_total",
    "app_rate_limit_hits_total",
    "app_celery_tasks_total",
    "app_celery_task_duration_milliseconds",
];

/// What each metric counts, by labels in order.
type Counts = BTreeMap<(String, BTreeMap<String, String>), u64>;

fn traffic(numbers: &mut Numbers) -> Request {
    let json = |method: &str, path: &str, body: Value| {
        Request::new(method, path).header("content-type", "application/json").body(body.to_string())
    };
    let number = numbers.below(30);
    match numbers.below(9) {
        0 => json(
            "POST",
            "/api/v1/auth/register",
            json!({"name": format!("n{number}"), "password": "p"}),
        ),
        1 => json(
            "POST",
            "/api/v1/auth/login",
            json!({"name": format!("n{number}"), "password": "p"}),
        ),
        2 => {
            let provider = numbers.pick(&["github", "google", "nobody"]);
            Request::new("POST", format!("/api/v1/auth/oauth/{provider}"))
        }
        3 => json("POST", "/api/v1/organizations", json!({"name": format!("o{number}")})),
        4 => Request::new("PUT", format!("/api/v1/organizations/o{number}")),
        5 => Request::new("DELETE", format!("/api/v1/organizations/o{number}")),
        6 => Request::get(format!("/api/v1/users/{number}")),
        7 => Request::get(format!("/api/v1/catalog/p{number}")),
        _ => json("POST", "/api/v1/orders", json!([number])),
    }
}

#[test]
fn the_scrape_shows_what_the_demo_did() {
    for binary in Binary::tested() {
        let business = Business::default();
        let demo = route_metrics_demo::start(business.clone()).unwrap();
        let file = repository().join("envoy/examples/saas.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        config["namespace"] = "django".into();
        let posts = Plugin::new(config.clone()).stop_at_headers();
        config["events"]["path"] = "".into();
        let envoy = Setup::new(demo)
            .binary(&binary)
            .concurrency(4)
            .filter(config)
            .listener_beside("events", posts)
            .start();
        business.post_to(envoy.listener("events"));
        let mut numbers = Numbers(3);
        let mut requests: Vec<Request> = (0..1500).map(|_| traffic(&mut numbers)).collect();
        requests.extend((0..16).map(|n| Request::get(format!("/api/v1/reports/{n}"))));
        let (first, second) = requests.split_at(750);
        let mut responses = http1::send_all(envoy.address(), 8, first);
        responses.extend(http2::send_all(envoy.address(), 4, 4, second));
        for response in responses {
            let response = response.unwrap();
            assert!(response.status < 500, "{}", response.status);
            assert_eq!(response.header("x-metric-events"), None);
        }
        let orders = requests.iter().filter(|request| request.target == b"/api/v1/orders").count();
        envoy.eventually("what the demo did", |scrape| {
            let did: Counts = business
                .tally()
                .into_iter()
                .map(|((metric, labels), count)| {
                    let labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value));
                    ((metric.to_owned(), labels.collect()), count)
                })
                .collect();
            let mut shown = Counts::new();
            for metric in METRICS {
                let samples = scrape.series(metric).map(|sample| (sample, metric));
                let count = format!("{metric}_count");
                let counts: Vec<_> = scrape.series(&count).map(|sample| (sample, metric)).collect();
                for (sample, metric) in samples.chain(counts) {
                    shown.insert((metric.to_owned(), sample.labels.clone()), sample.value as u64);
                }
            }
            if shown != did {
                return Err(format!("the scrape shows {shown:#?}, the demo did {did:#?}"));
            }
            let names: std::collections::BTreeSet<&str> =
                shown.keys().map(|(metric, _)| metric.as_str()).collect();
            let tasks = scrape.sum("app_celery_tasks_total");
            if names.len() < METRICS.len() || tasks != orders as f64 {
                return Err(format!("{names:?}, {tasks} tasks of {orders}"));
            }
            Ok(())
        });
        let scrape = envoy.scrape();
        assert_eq!(scrape.sum("django_http_requests_total"), requests.len() as f64);
        let receipts = [("task", "send_receipt")];
        let sum = scrape.value("app_celery_task_duration_milliseconds_sum", &receipts).unwrap();
        // 10 to 50 ms in turn.
        let expected = 30.0 * orders as f64;
        assert!((sum - expected).abs() < expected / 20.0, "{sum} ms, expected {expected}");
        assert_eq!(envoy.vm_reloads(), 0);
    }
}
