//! What `route-metrics bootstrap` prints for Istio and Envoy Gateway, put into a real Envoy in the
//! form in which those products write it.

use route_metrics::command::envoy_config::yaml;
use route_metrics_e2e::{
    Answer, Envoy, Request, Setup, Stats, Upstream, command, http1, repository,
};
use serde_json::{Value, json};

const DURATION: &str = "http_request_duration_microseconds";

/// Bounds of two digits, which Envoy keeps as they are.
const BOUNDS: [u64; 3] = [1_500, 40_000, 7_500_000];

fn plugin() -> Value {
    json!({
        "endpoint": {"templates": ["/users/{id}"]},
        "metrics": {"request_duration": {"buckets": BOUNDS}},
    })
}

fn printed(option: &str) -> Vec<Value> {
    yaml(&command(&["bootstrap", option, "-"], plugin().to_string().into_bytes())).unwrap()
}

/// Labels are beside the name, and the buckets are those of the plugin.
fn expect_labels_and_buckets(envoy: &Envoy) {
    let request = Request::get("/users/7").answer(&Answer::new());
    assert_eq!(http1::send(envoy.address(), &request).unwrap().status, 200);
    let bounds = envoy.eventually("the histogram", |scrape| {
        let labels = [("method", "GET"), ("endpoint", "/users/{id}"), ("status", "200")];
        if scrape.value("http_requests_total", &labels) != Some(1.0) {
            return Err("no labels".to_owned());
        }
        let bounds = scrape.label_values(&format!("{DURATION}_bucket"), "le");
        if bounds.is_empty() { Err("no histogram yet".to_owned()) } else { Ok(bounds) }
    });
    let mut found: Vec<u64> = bounds.iter().filter_map(|bound| bound.parse().ok()).collect();
    found.sort_unstable();
    assert_eq!(found, BOUNDS);
}

fn setup(upstream: &Upstream, stats: Value) -> Setup {
    Setup::new(upstream.address()).filter(plugin()).stats(Stats::Given(stats))
}

/// Istio adds one expression per `extraStatTags` to those of its bootstrap template, and one entry
/// per key of the annotation with buckets, as a prefix (istio/istio, `pkg/bootstrap/config.go` and
/// `tools/packaging/common/envoy_bootstrap.json`).
#[test]
fn the_form_of_istio_works() {
    let documents = printed("--istio");
    let annotations = &documents[1]["spec"]["template"]["metadata"]["annotations"];
    let tags = annotations["sidecar.istio.io/extraStatTags"].as_str().unwrap();
    let listed = documents[0]["meshConfig"]["defaultConfig"]["extraStatTags"].as_array().unwrap();
    assert_eq!(
        tags.split(',').collect::<Vec<_>>(),
        listed.iter().map(|t| t.as_str().unwrap()).collect::<Vec<_>>()
    );
    let template =
        std::fs::read(repository().join("tests/e2e/data/istio-stats-tags.json")).unwrap();
    let template: Value = serde_json::from_slice(&template).unwrap();
    let mut all = template["stats_tags"].as_array().or(template.as_array()).unwrap().clone();
    all.extend(
        tags.split(',')
            .map(|tag| json!({"tag_name": tag, "regex": format!(r"({tag}=\.=(.*?);\.;)")})),
    );
    let text = annotations["sidecar.istio.io/statsHistogramBuckets"].as_str().unwrap();
    let settings: serde_json::Map<String, Value> = serde_json::from_str(text).unwrap();
    let settings: Vec<Value> = settings
        .into_iter()
        .map(|(prefix, bounds)| json!({"match": {"prefix": prefix}, "buckets": bounds}))
        .collect();
    let stats = json!({"use_all_default_tags": false, "stats_tags": all, "histogram_bucket_settings": settings});
    let upstream = Upstream::start();
    expect_labels_and_buckets(&setup(&upstream, stats).start());
}

/// Envoy Gateway merges the value of an `EnvoyProxy` into the bootstrap that it writes.
#[test]
fn the_form_of_envoy_gateway_works() {
    let documents = printed("--gateway");
    let bootstrap = &documents[0]["spec"]["bootstrap"];
    assert_eq!(bootstrap["type"], "Merge");
    let value = yaml(bootstrap["value"].as_str().unwrap().as_bytes()).unwrap().remove(0);
    assert_eq!(value.as_object().unwrap().keys().collect::<Vec<_>>(), ["stats_config"]);
    let upstream = Upstream::start();
    expect_labels_and_buckets(&setup(&upstream, value["stats_config"].clone()).start());
}
