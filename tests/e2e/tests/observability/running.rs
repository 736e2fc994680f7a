//! `envoy/stack.sh`, which the make targets call: everything started without Docker, every query of
//! the dashboard and of the rules put to Prometheus, and what each setting changes.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};

use route_metrics_e2e::prometheus::free_address;
use route_metrics_e2e::wait::{deadline, eventually, poll};
use route_metrics_e2e::{Answer, Binary, Request, Scrape, Upstream, http1, repository};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::encoded;

/// The stack with settings of its own; stopped when dropped.
struct Stack {
    directory: TempDir,
    settings: BTreeMap<String, String>,
}

impl Stack {
    fn new(settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut all = BTreeMap::from([("SCRAPE_INTERVAL".to_owned(), "1s".to_owned())]);
        for name in [
            "ENVOY_PORT",
            "METRICS_PORT",
            "ADMIN_PORT",
            "EVENTS_PORT",
            "PROMETHEUS_PORT",
            "GRAFANA_PORT",
            "DEMO_PORT",
        ] {
            all.insert(name.to_owned(), free_address().port().to_string());
        }
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let dotenv: String = all.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        fs::write(directory.path().join("env"), format!("# settings\n\n{dotenv}")).unwrap();
        Self { directory, settings: all }
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(repository().join("envoy/stack.sh"));
        command.args(arguments).env("DOTENV", self.directory.path().join("env"));
        command
            .env("STATE", self.state(""))
            .env("DOCKER", "no")
            .env("DEFAULT_ENVOY", Binary::default().path);
        // What `make` exports must not hide the file.
        for name in self.settings.keys() {
            command.env_remove(name);
        }
        for name in ["UPSTREAM", "PLUGIN", "ENVOY"] {
            if !self.settings.contains_key(name) {
                command.env_remove(name);
            }
        }
        command.envs(variables.iter().copied()).output().unwrap()
    }

    #[track_caller]
    fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments, &[]);
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    }

    fn state(&self, name: &str) -> PathBuf {
        self.directory.path().join("run").join(name)
    }

    fn at(&self, port: &str) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.settings[port].parse().unwrap()))
    }

    fn ask(&self, target: &str) -> Result<Value, String> {
        let response = http1::send(self.at("PROMETHEUS_PORT"), &Request::get(target))
            .map_err(|e| e.to_string())?;
        let answer: Value = serde_json::from_slice(&response.body).map_err(|e| e.to_string())?;
        if answer["status"] == "success" {
            Ok(answer["data"].clone())
        } else {
            Err(answer.to_string())
        }
    }

    fn query(&self, query: &str) -> Result<Vec<Value>, String> {
        let found = self.ask(&format!("/api/v1/query?query={}", encoded(query)))?;
        Ok(found["result"].as_array().cloned().unwrap_or_default())
    }

    fn scrape(&self) -> Scrape {
        let response =
            http1::send(self.at("METRICS_PORT"), &Request::get("/stats/prometheus")).unwrap();
        Scrape::parse(&response.body).unwrap_or_else(|malformed| panic!("{malformed}"))
    }

    fn dashboard(&self) -> Value {
        serde_json::from_slice(&fs::read(self.state("dashboards/requests.json")).unwrap()).unwrap()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = self.run(&["stop"], &[]);
    }
}

/// Queries that are right to be empty while all is well, and why.
fn explained(title: &str) -> Option<&'static str> {
    Some(match title {
        "Overflow" => "the demo has fewer endpoints than the limit",
        "Errors of the filter" => "the filter has met none",
        title if title.starts_with("RouteMetrics") => "an alert whose condition does not hold",
        _ => return None,
    })
}

/// A query with Grafana's variables filled in as for `All`.
fn filled(query: &str) -> String {
    query
        .replace("$__rate_interval_ms", "30000")
        .replace("$__rate_interval", "30s")
        .replace("$job", ".*")
        .replace("$instance", ".*")
        .replace("$endpoint", ".*")
}

/// Every query of panels, variables, annotations and rules, with the title of what asks.
fn queries(stack: &Stack) -> Vec<(String, String)> {
    let dashboard = stack.dashboard();
    let mut all = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            all.push((
                panel["title"].as_str().unwrap().to_owned(),
                filled(target["expr"].as_str().unwrap()),
            ));
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if variable["type"] == "query" {
            let text = variable["query"]["query"].as_str().unwrap();
            let inside =
                text.strip_prefix("label_values(").and_then(|t| t.strip_suffix(')')).unwrap();
            let (series, label) = inside.rsplit_once(", ").unwrap();
            all.push((
                format!("variable {}", variable["name"]),
                format!("group by ({label}) ({})", filled(series)),
            ));
        }
    }
    let rules = stack.ask("/api/v1/rules").unwrap();
    for rule in
        rules["groups"].as_array().unwrap().iter().flat_map(|g| g["rules"].as_array().unwrap())
    {
        assert_ne!(rule["health"], "err", "{rule}");
        all.push((
            rule["name"].as_str().unwrap().to_owned(),
            rule["query"].as_str().unwrap().to_owned(),
        ));
    }
    all
}

/// The example's metrics are made of the demo's requests, and of what it reports in headers and by
/// posts.
#[test]
fn every_query_of_the_example_returns_data_or_is_empty_for_a_reason() {
    let stack = Stack::new(&[("PLUGIN", "envoy/examples/saas.json")]);
    let said = stack.must(&["start"]);
    assert!(said.contains(&stack.settings["EVENTS_PORT"]), "{said}");
    every_query_is_answered(&stack);
    names_exist(&stack);
    let scrape = stack.scrape();
    let declared = fs::read(repository().join("envoy/examples/saas.json")).unwrap();
    let declared: Value = serde_json::from_slice(&declared).unwrap();
    for metric in declared["custom_metrics"].as_array().unwrap() {
        let name = metric["name"].as_str().unwrap();
        let found = scrape.sum(name) + scrape.sum(&format!("{name}_count"));
        assert!(found > 0.0, "{name}");
    }
}

#[test]
fn every_query_of_dashboard_and_rules_returns_data_or_is_empty_for_a_reason() {
    let stack = Stack::new(&[]);
    let said = stack.must(&["start"]);
    assert!(said.contains("Prometheus") && said.contains("Grafana"), "{said}");
    // A second start changes nothing.
    let processes = stack.must(&["status"]);
    stack.must(&["start"]);
    assert_eq!(stack.must(&["status"]), processes);

    eventually("the target", || {
        let targets = stack.ask("/api/v1/targets")?;
        let target = &targets["activeTargets"][0];
        if target["health"] == "up" { Ok(()) } else { Err(target.to_string()) }
    });
    every_query_is_answered(&stack);
    // A query that was allowed to be empty still names a metric of the filter.
    let errors = queries(&stack).into_iter().filter(|(title, _)| title == "Overflow").count();
    assert_eq!(errors, 1);

    quantiles_are_equal(&stack);
    names_exist(&stack);

    let said = stack.must(&["stop"]);
    for program in ["envoy", "demo", "prometheus"] {
        assert!(said.contains(&format!("stopped {program}")), "{said}");
    }
    for port in ["ENVOY_PORT", "METRICS_PORT", "ADMIN_PORT", "PROMETHEUS_PORT", "DEMO_PORT"] {
        assert!(http1::send(stack.at(port), &Request::get("/")).is_err(), "{port} still answers");
    }
    stack.must(&["clean"]);
    assert!(!stack.state("").exists());
}

/// Waits until each query has data or a reason to have none.
#[track_caller]
fn every_query_is_answered(stack: &Stack) {
    // Rules of rules need a few evaluations, and the demo some time for an error of each kind.
    let asked = poll(deadline() * 2, || {
        let mut empty = Vec::new();
        for (title, query) in queries(stack) {
            if stack.query(&query)?.is_empty() && explained(&title).is_none() {
                empty.push(format!("{title}: {query}"));
            }
        }
        if empty.is_empty() {
            Ok(())
        } else {
            Err(format!("empty without a reason:\n{}", empty.join("\n")))
        }
    });
    assert_eq!(asked, Ok(()));
}

/// Quantiles of the histogram in seconds are those of the one that Envoy has. A recording lags the
/// scrape that it was made from, so both are looked at at the time of the same evaluation, and
/// until they have caught the same scrape.
fn quantiles_are_equal(stack: &Stack) {
    for share in ["0.5", "0.95", "0.99"] {
        eventually("equal quantiles", || {
            let quantile = |name: &str| {
                let query =
                    format!("histogram_quantile({share}, sum by (endpoint, le) ({name}_bucket))");
                let found = stack.query(&query)?;
                let one = |s: &Value| {
                    Some((
                        s["metric"]["endpoint"].to_string(),
                        s["value"][1].as_str()?.parse::<f64>().ok()?,
                    ))
                };
                Ok::<BTreeMap<String, f64>, String>(found.iter().filter_map(one).collect())
            };
            let seconds = quantile("http_request_duration_seconds")?;
            let recorded = quantile("http_request_duration_microseconds")?;
            let equal = recorded.len() >= 5
                && seconds.len() == recorded.len()
                && recorded.iter().all(|(endpoint, value)| {
                    seconds.get(endpoint).is_some_and(|s| (s * 1e6 - value).abs() <= value * 1e-9)
                });
            if equal { Ok(()) } else { Err(format!("{share}: {seconds:?} and {recorded:?}")) }
        });
    }
}

/// Each metric and label of the dashboard's queries is in a scrape, or in a recording that is made
/// of one. The queries put a selector behind each metric and name labels there and in `by (…)`.
fn names_exist(stack: &Stack) {
    let scrape = stack.scrape();
    let known = stack.ask("/api/v1/label/__name__/values").unwrap();
    let known: Vec<&str> = known.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let of_the_filter = ["route_metrics_overflow_total", "route_metrics_errors_total"];
    for (title, query) in queries(stack) {
        for (place, _) in query.match_indices('{') {
            let name = query[..place]
                .rsplit(|c: char| !(c.is_ascii_alphanumeric() || "_:".contains(c)))
                .next()
                .unwrap();
            let selector = query[place + 1..].split('}').next().unwrap();
            if name.is_empty() || of_the_filter.contains(&name) || name == "ALERTS" {
                continue;
            }
            assert!(known.contains(&name), "{title}: {name}");
            for label in selector.split(", ").filter_map(|matcher| matcher.split(['=', '!']).next())
            {
                let found = stack.query(&format!("count({name}{{{label}!=\"\"}})")).unwrap();
                assert!(!found.is_empty(), "{title}: {name} has no {label}");
            }
            let in_scrape = scrape.series(name).next().is_some();
            assert!(
                in_scrape || name.contains(':') || name.contains("_seconds") || name == "up",
                "{title}: {name}"
            );
        }
    }
}

/// A stack in front of an upstream of the test, after one request, once `shown` holds of a scrape.
#[track_caller]
fn after_one_request(
    settings: &[(&str, &str)],
    shown: impl Fn(&Scrape) -> bool,
) -> (Stack, Upstream, Scrape) {
    let upstream = Upstream::start();
    let address = upstream.address().to_string();
    let mut all = vec![("UPSTREAM", address.as_str())];
    all.extend(settings);
    let stack = Stack::new(&all);
    stack.must(&["start"]);
    let request = Request::get("/users/7").header("x-org-id", "acme").answer(&Answer::new());
    assert_eq!(http1::send(stack.at("ENVOY_PORT"), &request).unwrap().status, 200);
    let scrape = eventually("the request in a scrape", || {
        let scrape = stack.scrape();
        if shown(&scrape) { Ok(scrape) } else { Err(format!("{:?}", scrape.samples())) }
    });
    (stack, upstream, scrape)
}

/// Whether the filter has told what it decided of a request.
fn decided(scrape: &Scrape) -> bool {
    scrape.sum("route_metrics_requests_total") >= 1.0
}

#[test]
fn observability_can_be_switched_off() {
    // The filter has nothing to say of it, ever; so Envoy's own count must do.
    let passed = |scrape: &Scrape| scrape.sum("envoy_cluster_upstream_rq_total") >= 1.0;
    let (stack, upstream, scrape) =
        after_one_request(&[("OBSERVABILITY_ENABLED", "false")], passed);
    assert_eq!(upstream.requests(), 1);
    assert_eq!(scrape.families("http_").count(), 0);
    assert_eq!(scrape.sum("route_metrics_requests_total"), 0.0);
    assert!(stack.must(&["status"]).contains("prometheus does not run"));
}

#[test]
fn metrics_can_be_switched_off() {
    let (_stack, _upstream, scrape) = after_one_request(&[("METRICS_ENABLED", "false")], decided);
    assert_eq!(scrape.families("http_").count(), 0);
    assert_eq!(scrape.sum("route_metrics_requests_total"), 1.0);
}

#[test]
fn detailed_metrics_can_be_switched_on() {
    let (stack, _upstream, _) = after_one_request(&[("DETAILED_METRICS_ENABLED", "true")], decided);
    let labels = [("endpoint", "/users/{id}"), ("org", "acme"), ("user", "none")];
    eventually("the organisation", || {
        let found = stack.scrape().value("http_requests_detailed_total", &labels);
        if found == Some(1.0) { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

#[test]
fn settings_reach_the_filter_and_prometheus() {
    let (stack, _upstream, scrape) = after_one_request(
        &[
            ("DETAILED_METRICS_ENABLED", "true"),
            ("METRICS_SAMPLE_RATE", "0.5"),
            ("METRICS_RETENTION_DAYS", "3"),
        ],
        decided,
    );
    assert_eq!(scrape.value("route_metrics_sample_rate_ppm", &[]), Some(500_000.0));
    assert!(scrape.types().contains_key("route_metrics_series"));
    let tracked = scrape.label_values("route_metrics_series", "metric");
    assert!(tracked.contains("http_requests_detailed_total"), "{tracked:?}");
    let flags = eventually("flags", || stack.ask("/api/v1/status/flags"));
    assert_eq!(flags["storage.tsdb.retention.time"], "3d");
    let configuration = fs::read_to_string(stack.state("envoy.yaml")).unwrap();
    assert!(!configuration.contains("OpenTelemetryConfig"));
}

#[test]
fn tracing_can_be_switched_on() {
    let (stack, _upstream, _) = after_one_request(
        &[
            ("TRACING_ENABLED", "true"),
            ("TRACING_SAMPLE_RATE", "0.2"),
            ("OTLP_ENDPOINT", "127.0.0.1:9"),
        ],
        decided,
    );
    let configuration = fs::read_to_string(stack.state("envoy.yaml")).unwrap();
    assert!(configuration.contains("http://127.0.0.1:9/v1/traces"), "{configuration}");
    assert!(configuration.contains("random_sampling: { value: 20 }"), "{configuration}");
}

/// A program in the place of Grafana that writes down what it was told, and listens.
#[test]
fn grafana_gets_its_settings() {
    let directory = tempfile::tempdir().unwrap();
    let fake = directory.path().join("grafana-server");
    let told = directory.path().join("told");
    let script = format!(
        "#!/bin/sh\nenv > {}.new && mv {0}.new {0}\nexec python3 -m http.server --bind $GF_SERVER_HTTP_ADDR $GF_SERVER_HTTP_PORT\n",
        told.display()
    );
    fs::write(&fake, script).unwrap();
    Command::new("chmod").arg("+x").arg(&fake).status().unwrap();
    let stack = Stack::new(&[
        ("GRAFANA_ADMIN_USER", "ops"),
        ("GRAFANA_ADMIN_PASSWORD", "\"p $w#d\""),
        ("UPSTREAM", "127.0.0.1:9"),
    ]);
    let output = stack.run(&["start"], &[("GRAFANA", fake.to_str().unwrap())]);
    assert!(output.status.success(), "{output:?}");
    let told = fs::read_to_string(told).unwrap();
    for line in
        ["GF_SECURITY_ADMIN_USER=ops", "GF_SECURITY_ADMIN_PASSWORD=p $w#d", "SCRAPE_INTERVAL=1s"]
    {
        assert!(told.lines().any(|l| l == line), "{line} in {told}");
    }
    let url = format!("PROMETHEUS_URL=http://127.0.0.1:{}", stack.settings["PROMETHEUS_PORT"]);
    assert!(told.contains(&url));
    assert!(stack.must(&["url", "dashboard"]).contains("/d/route-metrics"));
    assert!(stack.must(&["stop"]).contains("stopped grafana"));
}

#[test]
fn a_start_that_cannot_go_on_leaves_nothing_behind() {
    let stack = Stack::new(&[("UPSTREAM", "127.0.0.1:9")]);
    let output = stack.run(&["start"], &[("PROMETHEUS", "/nowhere/prometheus")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("/nowhere/prometheus"), "{said}");
    assert!(stack.must(&["status"]).contains("envoy does not run"));
    assert!(http1::send(stack.at("ENVOY_PORT"), &Request::get("/")).is_err());
}

#[test]
fn other_settings_are_refused_while_it_runs() {
    let stack = Stack::new(&[("UPSTREAM", "127.0.0.1:9"), ("OBSERVABILITY_ENABLED", "false")]);
    stack.must(&["start"]);
    let output = stack.run(&["start"], &[("METRICS_SAMPLE_RATE", "0.5")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("(METRICS_SAMPLE_RATE)"), "{said}");
    assert!(stack.must(&["status"]).contains("envoy runs"));
    stack.must(&["start"]);
}

#[test]
fn tracing_is_refused_where_envoy_cannot_name_spans() {
    let stack = Stack::new(&[("UPSTREAM", "127.0.0.1:9"), ("TRACING_ENABLED", "true")]);
    let old = stack.directory.path().join("envoy");
    fs::write(&old, "#!/bin/sh\necho 'envoy  version: 0/1.36.4/Clean/RELEASE/BoringSSL'\n")
        .unwrap();
    Command::new("chmod").arg("+x").arg(&old).status().unwrap();
    let output = stack.run(&["start"], &[("ENVOY", old.to_str().unwrap())]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("Envoy 1.37"), "{said}");
}

/// A program in the place of Docker that writes down how it was called.
#[test]
fn compose_gets_the_settings_where_docker_answers() {
    let stack = Stack::new(&[("UPSTREAM", "127.0.0.1:9"), ("METRICS_RETENTION_DAYS", "3")]);
    let docker = stack.directory.path().join("docker");
    let told = stack.directory.path().join("told");
    let script = format!("#!/bin/sh\necho \"called $@\" >> {0}\nenv >> {0}\n", told.display());
    fs::write(&docker, script).unwrap();
    Command::new("chmod").arg("+x").arg(&docker).status().unwrap();
    let path = format!("{}:{}", stack.directory.path().display(), std::env::var("PATH").unwrap());
    let call = |what: &str| {
        let _ = fs::remove_file(&told);
        let output = stack.run(&[what], &[("PATH", &path), ("DOCKER", "")]);
        assert!(output.status.success(), "{output:?}");
        (fs::read_to_string(&told).unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (told, said) = call("start");
    let compose = "called compose --file envoy/compose.yaml";
    let up = format!("{compose} --profile observability up --detach --wait");
    let environment = told.split(&up).nth(1).unwrap();
    for line in ["METRICS_RETENTION_DAYS=3", "SCRAPE_INTERVAL=1s", "METRICS_ENABLED=true"] {
        assert!(environment.lines().any(|l| l == line), "{line} in {environment}");
    }
    assert!(said.contains("/d/route-metrics"), "{said}");
    // As the container sees it.
    let configuration = fs::read_to_string(stack.state("envoy.yaml")).unwrap();
    assert!(configuration.contains("filename: \"/dist/route_metrics.wasm\""));
    for (what, command) in [("logs", "logs --tail 50"), ("status", "ps")] {
        let (told, _) = call(what);
        assert!(told.contains(&format!("{compose} --profile observability {command}")), "{told}");
    }
    let (told, _) = call("stop");
    assert!(told.contains(&format!("{compose} --profile observability down")), "{told}");
}

#[test]
fn bad_settings_are_refused_before_anything_starts() {
    for (setting, word) in [
        (("METRICS_ENABLED", "maybe"), "METRICS_ENABLED"),
        (("METRICS_SAMPLE_RATE", "1.5"), "METRICS_SAMPLE_RATE"),
        (("TRACING_SAMPLE_RATE", "x"), "TRACING_SAMPLE_RATE"),
        (("METRICS_RETENTION_DAYS", "0"), "METRICS_RETENTION_DAYS"),
        (("PROMETHEUS_PORT", "70000"), "PROMETHEUS_PORT"),
        (("METRICS_SAMPLERATE", "1"), "METRICS_SAMPLERATE"),
        (("OBSERVABILITY_ADDRESS", "0.0.0.0"), "GRAFANA_ADMIN_PASSWORD"),
        (("OBSERVABILITY_ADDRESS", "everywhere"), "OBSERVABILITY_ADDRESS"),
    ] {
        let stack = Stack::new(&[setting]);
        let output = stack.run(&["start"], &[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(word), "{setting:?}: {said}");
        assert!(!stack.state("envoy.pid").exists());
    }
    for password in ["admin", "changeme", ""] {
        let stack = Stack::new(&[
            ("OBSERVABILITY_ADDRESS", "192.0.2.1"),
            ("GRAFANA_ADMIN_PASSWORD", password),
        ]);
        let output = stack.run(&["start"], &[]);
        assert!(!output.status.success(), "{password:?}");
    }
}
