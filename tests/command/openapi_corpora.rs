//! Every request of an API gets the endpoint of its own specification: grouping accuracy 1.0.
//!
//! Corpora of real APIs lie beside the repository where there are any; a small one is here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use route_metrics::command::openapi::Import;
use route_metrics::endpoint::{CanonicalPath, Found};
use route_metrics::plan;
use route_metrics::plan::Capacity;
use serde_json::{Value, json};

/// Method, path and template of each request.
type Requests = Vec<(String, String, String)>;

/// A specification with these lines of methods and path: `GET,PUT /users/{id}`.
fn specification(templates: &str) -> Value {
    let mut paths = serde_json::Map::new();
    for line in templates.lines() {
        let (methods, path) = line.split_once(' ').unwrap();
        let operations: serde_json::Map<String, Value> =
            methods.split(',').map(|method| (method.to_lowercase(), json!({}))).collect();
        paths.insert(path.to_owned(), Value::Object(operations));
    }
    json!({"openapi": "3.1.0", "paths": paths})
}

/// The share of requests whose label has exactly the requests of one template.
fn grouping_accuracy(templates: &str, requests: &Requests) -> f64 {
    let mut import = Import::default();
    import.add(Path::new("api.json"), specification(templates).to_string().as_bytes()).unwrap();
    let (configuration, _) = import.configuration();
    let configuration = configuration.to_string();
    let plan = plan::load(configuration.as_bytes(), |_| None, Capacity::Checked).unwrap();
    let label = |method: &str, path: &str| match plan
        .endpoints
        .find(method.as_bytes(), &CanonicalPath::new(path.as_bytes()))
    {
        Found::Configured(index) => plan.endpoints.labels()[index as usize].clone(),
        found => format!("{found:?}"),
    };
    let mut labels_of: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut templates_of: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (method, path, template) in requests {
        let label = label(method, path);
        labels_of.entry(template).or_default().insert(label.clone());
        templates_of.entry(label).or_default().insert(template);
    }
    let is_right = |template: &str| {
        let labels = &labels_of[template];
        labels.len() == 1 && labels.iter().all(|label| templates_of[label].len() == 1)
    };
    for template in labels_of.keys().filter(|template| !is_right(template)) {
        println!("{template}: {:?}", labels_of[template]);
    }
    let right = requests.iter().filter(|(_, _, template)| is_right(template)).count();
    right as f64 / requests.len() as f64
}

#[test]
fn a_small_api_is_grouped_right() {
    let templates = "GET,POST /users\nGET,PUT /users/{id}\nDELETE /users/{login}\nGET /users/me\n\
                     GET /files/{name}.{ext}\nGET /files/{name}\nPOST /v1/{name}:cancel\n\
                     GET /compare/{base}...{head}\nGET /commits/{ref}\nGET /commits/{ref}/status";
    let requests = [
        ("GET", "/users", "/users"),
        ("POST", "/users/", "/users"),
        ("GET", "/users/7", "/users/{id}"),
        ("PUT", "/users/ada", "/users/{id}"),
        ("DELETE", "/users/ada", "/users/{login}"),
        ("GET", "/users/me?x=y", "/users/me"),
        ("GET", "/files/a.txt", "/files/{name}.{ext}"),
        ("GET", "/files/a", "/files/{name}"),
        ("POST", "/v1/job7:cancel", "/v1/{name}:cancel"),
        ("GET", "/compare/main...dev", "/compare/{base}...{head}"),
        ("GET", "/compare/main...fix/a", "/compare/{base}...{head}"),
        ("GET", "/commits/main", "/commits/{ref}"),
        ("GET", "/commits/heads/fix/a", "/commits/{ref}"),
        ("GET", "/commits/main/status", "/commits/{ref}/status"),
        ("GET", "/commits/heads/fix/a/status", "/commits/{ref}/status"),
    ];
    let own = |(method, path, template): (&str, &str, &str)| {
        (method.to_owned(), path.to_owned(), template.to_owned())
    };
    assert_eq!(grouping_accuracy(templates, &requests.map(own).to_vec()), 1.0);
}

#[test]
fn real_apis_are_grouped_right() {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpora");
    let folder = std::env::var_os("ROUTE_METRICS_CORPORA").unwrap_or_else(|| beside.into());
    let folder = Path::new(&folder);
    for (templates, corpus, floor) in [
        // Two of its endpoints cannot be told apart: `/compare/{basehead}` has the same paths as
        // `/compare/{base}...{head}`.
        ("github", "github", 0.997),
        ("github", "github_stream", 0.99),
        ("stripe", "stripe", 1.0),
        ("petstore", "petstore", 1.0),
    ] {
        let read = |name: String| std::fs::read_to_string(folder.join(name));
        let (Ok(templates), Ok(lines)) =
            (read(format!("{templates}.templates.txt")), read(format!("{corpus}.jsonl")))
        else {
            eprintln!("skipped: there is no corpus {corpus}");
            continue;
        };
        let mut requests = Requests::new();
        for line in lines.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            // What has no template is noise.
            if let Some(template) = line["template"].as_str() {
                let text = |key: &str| line[key].as_str().unwrap().to_owned();
                requests.push((text("method"), text("path"), template.to_owned()));
            }
        }
        let accuracy = grouping_accuracy(&templates, &requests);
        println!("{corpus}: GA {accuracy:.4} of {} requests", requests.len());
        assert!(accuracy >= floor, "{corpus}: {accuracy}");
    }
}
