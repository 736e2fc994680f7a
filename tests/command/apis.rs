//! Every request of an API gets the endpoint of its own specification: grouping accuracy 1.0.
//!
//! A made-up API is here; those of real ones take more than a clone has, and `make test-corpora` asks for
//! them.

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
    // What GitHub's own specification says of these parameters with `x-multi-segment`.
    let several = ["path", "dir", "ref", "branch", "tag", "base", "head"];
    let mut import = Import::with_several(several.map(str::to_owned));
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

/// The API of a made-up library: what is hard to tell apart stands together.
const LIBRARY: &str = "\
GET,POST /v1/books
GET,PUT,DELETE /v1/books/{isbn}
GET /v1/books/new
GET /v1/books/{isbn}/cover.{format}
GET /v1/books/{isbn}/cover
POST /v1/books/{isbn}:reserve
POST /v1/books/{isbn}:return
GET,POST /v1/books/{isbn}/copies
PATCH /v1/books/{isbn}/copies/{number}
GET /v1/books/{isbn}/copies/{number}/loans/{loan}
GET,POST /v1/authors
GET /v1/authors/{author}
GET /v1/authors/{author}/books
GET /v1/authors/{author}/books/{isbn}
GET /v1/authors/me
DELETE /v1/authors/{name}
GET,POST /v1/members
GET,PATCH /v1/members/{member}
GET /v1/members/{member}/loans
GET /v1/members/{member}/loans/{loan}
PUT,DELETE /v1/members/{member}/loans/{loan}
POST /v1/members/{member}/loans/{loan}/renewals
GET /v1/loans
GET /v1/loans/overdue
GET /v1/loans/{loan}
GET /v1/files/{path}
GET /v1/branches/{branch}/shelves
GET /v1/branches/{branch}/shelves/{shelf}
GET /v1/compare/{base}...{head}
GET /v1/search
GET /v1/search/{kind}
GET /v1/reports/{year}-{month}
GET /v1/reports/{year}
GET /v1/calendar/{year}/{month}/{day}
GET /v1/calendar/today
GET /
GET /healthz
POST /oauth/token
GET /.well-known/openid-configuration
GET /{page}";

/// Values of a parameter, as clients send them.
fn values(parameter: &str) -> [&'static str; 6] {
    match parameter {
        "isbn" => ["9780140449136", "3-16-148410-0", "b%20b", "urn:isbn:1", "NEWER", "9"],
        "format" => ["png", "jpg", "webp", "tiff", "svg", "png"],
        "number" | "loan" | "day" | "month" => ["1", "2", "12", "07", "30", "11"],
        "author" | "name" => ["ursula", "italo-calvino", "j.r.r", "%C3%A9mile", "me2", "x"],
        "member" => [
            "52e6b438-f2a7-4de4-869e-0d3765132f0e",
            "17",
            "ada@example.org",
            "~ada",
            "a,b",
            "00000",
        ],
        "path" => ["a.txt", "2024/a.txt", "a/b/c/d", "index", "x/cover", "a%2Fb"],
        "branch" => ["main", "north", "feature/new-shelves", "release/1.0", "a/b/c", "x"],
        "shelf" | "kind" => ["a1", "fiction", "b-2", "Z", "10", "new"],
        "base" | "head" => ["main", "v1.0", "fix-1", "a", "b", "c"],
        "year" => ["2024", "2025", "1999", "2000", "2026", "1970"],
        "page" => ["about", "imprint", "faq.html", "robots.txt", "contact", "jobs"],
        other => panic!("no values of {other}"),
    }
}

/// Requests of each method and path of [`LIBRARY`], with all values of the parameters.
fn requests_of_the_library() -> Requests {
    let mut requests = Requests::new();
    for line in LIBRARY.lines() {
        let (methods, template) = line.split_once(' ').unwrap();
        for method in methods.split(',') {
            for index in 0..6 {
                let mut path = String::new();
                let mut rest = template;
                // Parameters side by side differ.
                let mut turn = index;
                while let Some((before, after)) = rest.split_once('{') {
                    let (parameter, after) = after.split_once('}').unwrap();
                    path = path + before + values(parameter)[turn % 6];
                    turn += 1;
                    rest = after;
                }
                path += rest;
                let query = ["", "?page=2", "?next=/v1/books/1", "?", "?a=b?c", "?x#y"][index];
                requests.push((method.to_owned(), path + query, template.to_owned()));
            }
        }
    }
    requests
}

#[test]
fn a_made_up_api_is_grouped_right() {
    let requests = requests_of_the_library();
    assert!(requests.len() > 250, "{}", requests.len());
    assert_eq!(grouping_accuracy(LIBRARY, &requests), 1.0);
}

#[test]
#[ignore = "needs more than a clone has: make test-corpora"]
fn real_apis_are_grouped_right() {
    let folder = std::env::var_os("ROUTE_METRICS_CORPORA");
    let folder = folder.expect("ROUTE_METRICS_CORPORA names the folder of the corpora");
    let read = |name: String| {
        let path = Path::new(&folder).join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    for (templates, corpus, floor) in [
        // Two of its endpoints cannot be told apart: `/compare/{basehead}` has the same paths as
        // `/compare/{base}...{head}`.
        ("github", "github", 0.997),
        ("github", "github_stream", 0.99),
        ("stripe", "stripe", 1.0),
        ("petstore", "petstore", 1.0),
    ] {
        let templates = read(format!("{templates}.templates.txt"));
        let lines = read(format!("{corpus}.jsonl"));
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
