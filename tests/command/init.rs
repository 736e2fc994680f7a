//! `route-metrics init`: what it makes of each kind of file, and of none.

use std::path::Path;

use serde_json::Value;

use super::run;

const LOG: &str = "\
[2026-01-01T00:00:00.000Z] \"GET /users/1 HTTP/1.1\" 200 - 0 10 5 4 \"-\" \"curl\" \"id\" \"h\" \"127.0.0.1:80\"
[2026-01-01T00:00:00.000Z] \"GET /users/2 HTTP/1.1\" 200 - 0 10 5 4 \"-\" \"curl\" \"id\" \"h\" \"127.0.0.1:80\"
[2026-01-01T00:00:00.000Z] \"GET /orders/0d8f7a52-0a1b-4c5d-9e8f-001122334455/items HTTP/1.1\" 200 - 0 10 5 4 \"-\" \"curl\" \"id\" \"h\" \"127.0.0.1:80\"
";
const SPECIFICATION: &str = r#"{"openapi": "3.0.3", "servers": [{"url": "/v1"}],
    "paths": {"/pets/{id}": {"get": {}}, "/pets/{id}/photos/{photo?}": {"get": {}}}}"#;
const ENVOY: &str = "static_resources:\n  listeners:\n  - filter_chains:\n    - filters:\n      - typed_config:\n          http_filters:\n          - name: envoy.filters.http.router\nstats_config: {}\n";

/// Writes the files, runs `init` on them, and gives back the folder, what was printed, and the error.
fn init(files: &[(&str, &str)], more: &[&str]) -> (tempfile::TempDir, String, String, bool) {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = vec!["init".to_owned()];
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        arguments.push(path.display().to_string());
    }
    let out = folder.path().join("out");
    arguments.extend(["--out".to_owned(), out.display().to_string()]);
    arguments.extend(more.iter().map(|text| (*text).to_owned()));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = run(&arguments, b"");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (folder, text(output.stdout), text(output.stderr), output.status.success())
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join("out").join(name)).unwrap()
}

fn templates(folder: &Path) -> Vec<String> {
    let plugin: Value = serde_json::from_str(&read(folder, "plugin.json")).unwrap();
    let list = plugin["endpoint"]["templates"].as_array().cloned().unwrap_or_default();
    list.iter().map(|template| template.as_str().unwrap().to_owned()).collect()
}

/// What is written passes the checks of the other subcommands.
#[track_caller]
fn is_good(folder: &Path) {
    let plugin = folder.join("out/plugin.json").display().to_string();
    let check = run(&["check", &plugin], b"");
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    let bootstrap = run(&["bootstrap", &plugin], b"");
    assert!(bootstrap.status.success());
    assert!(read(folder, "rules.yaml").starts_with("groups:"));
    let page = read(folder, "plugin.md");
    for heading in ["# What plugin.json says", "## `endpoint`", "## Next"] {
        assert!(page.contains(heading), "{page}");
    }
}

#[test]
fn without_files_the_defaults_are_written() {
    let (folder, printed, errors, done) = init(&[], &[]);
    assert!(done, "{errors}");
    is_good(folder.path());
    assert_eq!(read(folder.path(), "plugin.json"), "{}\n");
    for name in ["plugin.json", "plugin.md", "bootstrap.yaml", "rules.yaml"] {
        assert!(printed.contains(&format!("out/{name}\n")), "{printed}");
    }
    assert!(printed.contains("1. route-metrics explain "), "{printed}");
    assert!(printed.contains("prints a whole"), "{printed}");
    let bootstrap = run(&["bootstrap", "-"], b"{}");
    assert_eq!(read(folder.path(), "bootstrap.yaml").into_bytes(), bootstrap.stdout);
}

#[test]
fn a_log_gives_what_was_inferred() {
    let (folder, printed, errors, done) = init(&[("access.log", LOG)], &[]);
    assert!(done, "{errors}");
    is_good(folder.path());
    assert_eq!(templates(folder.path()), ["/users/{id}", "/orders/{id}/items"]);
    let page = read(folder.path(), "plugin.md");
    assert!(page.contains("| `/users/{id}` | an access log | 2 |"), "{page}");
    assert!(page.contains("all 3 lines of the logs are requests"), "{page}");
    assert!(printed.contains("1. route-metrics preview "), "{printed}");
}

#[test]
fn a_specification_gives_its_templates_and_notes() {
    let (folder, _, errors, done) = init(&[("api.txt", SPECIFICATION)], &[]);
    assert!(done, "{errors}");
    is_good(folder.path());
    let expected = ["/v1/pets/{id}", "/v1/pets/{id}/photos", "/v1/pets/{id}/photos/{photo}"];
    assert_eq!(templates(folder.path()), expected);
    let page = read(folder.path(), "plugin.md");
    assert!(page.contains("a specification | 3 new templates |"), "{page}");
    assert!(page.contains("is 2 templates"), "{page}");
}

#[test]
fn a_configuration_of_envoy_says_where_the_filter_goes() {
    let (folder, printed, errors, done) = init(&[("envoy.yaml", ENVOY)], &[]);
    assert!(done, "{errors}");
    is_good(folder.path());
    let place =
        "static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters";
    assert!(printed.contains(place), "{printed}");
    assert!(printed.contains("Your bootstrap has a `stats_config:`"), "{printed}");
    let istio = "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: route-metrics}\n\
                 spec: {url: 'oci://example/route-metrics:1', pluginConfig: {namespace: shop, endpoint: {templates: ['/a/{b}']}}}\n";
    let (folder, printed, errors, done) =
        init(&[("istio.yaml", istio), ("api.json", SPECIFICATION)], &[]);
    assert!(done, "{errors}");
    is_good(folder.path());
    assert_eq!(templates(folder.path())[..2], ["/a/{b}", "/v1/pets/{id}"]);
    assert!(read(folder.path(), "plugin.json").contains("\"namespace\": \"shop\""));
    assert!(read(folder.path(), "bootstrap.yaml").contains("extraStatTags"));
    assert!(printed.contains("spec.pluginConfig"), "{printed}");
    let gateway =
        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyProxy\nmetadata: {name: x}\n";
    let (folder, _, errors, done) = init(&[("gateway.yaml", gateway)], &[]);
    assert!(done, "{errors}");
    assert!(read(folder.path(), "bootstrap.yaml").contains("kind: EnvoyProxy"));
}

#[test]
fn a_mix_is_the_same_in_any_order() {
    let log = LOG.replace("/users/", "/v1/pets/");
    let own = r#"{"endpoint": {"templates": ["/v1/pets/{pet}"], "exclude": ["/healthz"]}}"#;
    let files =
        [("envoy.yaml", ENVOY), ("a.log", &*log), ("api.json", SPECIFICATION), ("own.json", own)];
    let mut all = Vec::new();
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let (folder, _, errors, done) = init(&order.map(|index| files[index]), &[]);
        assert!(done, "{errors}");
        is_good(folder.path());
        all.push(read(folder.path(), "plugin.json"));
        let expected = [
            "/v1/pets/{pet}",
            "/v1/pets/{id}/photos",
            "/v1/pets/{id}/photos/{photo}",
            "/orders/{id}/items",
        ];
        assert_eq!(templates(folder.path()), expected);
    }
    all.dedup();
    assert_eq!(all.len(), 1, "{all:?}");
}

#[test]
fn many_templates_raise_the_limits() {
    let paths: Vec<String> = (0..150).map(|n| format!("\"/word{n}/{{id}}\": {{}}")).collect();
    let text = format!("{{\"openapi\": \"3.0.0\", \"paths\": {{{}}}}}", paths.join(","));
    let own = r#"{"limits": {"max_values_per_label": 50}, "endpoint": {"templates": ["/a"]}}"#;
    let (folder, _, errors, done) = init(&[("own.json", own), ("a.json", &text)], &[]);
    assert!(done, "{errors}");
    is_good(folder.path());
    let page = read(folder.path(), "plugin.md");
    assert!(page.contains("limits.max_endpoints is raised from 50 to 300"), "{page}");
    assert!(page.contains("| … and 111 more | | |"), "{page}");
}

#[test]
fn nothing_is_overwritten_unless_it_is_said() {
    let (folder, ..) = init(&[], &[]);
    let out = folder.path().join("out").display().to_string();
    std::fs::write(folder.path().join("out/plugin.json"), "mine").unwrap();
    std::fs::remove_file(folder.path().join("out/rules.yaml")).unwrap();
    let again = run(&["init", "--out", &out], b"");
    let errors = String::from_utf8(again.stderr).unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(errors.contains("would be overwritten; give --force"), "{errors}");
    assert_eq!(read(folder.path(), "plugin.json"), "mine");
    assert!(!folder.path().join("out/rules.yaml").exists(), "a part was written");
    assert!(run(&["init", "--out", &out, "--force"], b"").status.success());
    assert_eq!(read(folder.path(), "plugin.json"), "{}\n");
}

#[test]
fn what_is_none_of_them_is_refused_and_nothing_written() {
    let other = r#"{"endpoint": {"templates": ["/b"]}}"#;
    for (files, expected) in [
        (&[("a", "")][..], "a: is empty"),
        (&[("a", "hello\nworld\n")], "an access log, an OpenAPI specification"),
        (&[("a", "\u{0}\u{1}\u{2}")], "an access log, an OpenAPI specification"),
        (&[("a", r#"{"info": {"_postman_id": "1"}, "item": []}"#)], "is a Postman collection"),
        (&[("a", r#"{"swaggerVersion": "1.2"}"#)], "is Swagger 1"),
        (&[("a", r#"{"openapi": "3.0.0", "paths": {}}"#)], "has no path in `paths`"),
        (&[("a", r#"{"openapi": "3.0.0", "paths": "#)], "is not JSON: line 1"),
        (
            &[("a", r#"{"endpoint": {"templates": ["b"]}}"#)],
            "endpoint.templates[0]: \"b\": does not",
        ),
        (&[("a", r#"{"endpoint": {"templates": ["/a"]}}"#), ("b", other)], "give one"),
        (
            &[(
                "a",
                "kind: WasmPlugin\nmetadata: {name: route-metrics}\nspec: {pluginConfig: {x: 1}}\n",
            )],
            "unknown field",
        ),
    ] {
        let (folder, printed, errors, done) = init(files, &[]);
        assert!(!done, "{files:?}: {printed}");
        assert!(errors.contains(expected), "{files:?}: {errors}");
        assert!(!folder.path().join("out").exists(), "{files:?}");
    }
    for (argument, expected) in
        [("/no/such/file", "/no/such/file: "), ("-", "init takes files"), ("/", "is a folder")]
    {
        let output = run(&["init", argument, "--out", "/no/such/folder"], b"");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && errors.contains(expected), "{argument}: {errors}");
    }
}
