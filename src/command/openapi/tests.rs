use std::path::Path;

use serde_json::{Value, json};

use super::{Import, key, read, server, template};

/// A specification with these paths, each with a GET.
fn with_paths(keys: &[&str]) -> Value {
    let paths: serde_json::Map<String, Value> =
        keys.iter().map(|key| ((*key).to_owned(), json!({"get": {}}))).collect();
    json!({"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": paths})
}

fn import(documents: &[&Value]) -> (Vec<String>, Vec<String>) {
    let mut import = Import::default();
    for document in documents {
        import.add(Path::new("spec.json"), document.to_string().as_bytes()).unwrap();
    }
    let (configuration, notes) = import.configuration();
    let bytes = configuration.to_string();
    crate::plan::load(bytes.as_bytes(), |_| None, crate::plan::Capacity::Checked)
        .expect("what is printed passes the check");
    (import.templates(), notes)
}

/// The templates of a key without parameters, as one text.
fn templates_of_key(key: &str) -> String {
    let mut changes = Vec::new();
    let nodes = key::read(key, &mut changes);
    let templates = template::forms(&nodes, &mut changes);
    let templates = templates.iter().filter_map(|form| template::write(form, &mut changes));
    let mut shapes = std::collections::BTreeSet::new();
    let templates = templates.filter(|template| shapes.insert(template::shape(&template.path)));
    templates.map(|template| template.path).collect::<Vec<_>>().join(" ")
}

fn error(text: &[u8]) -> String {
    let error = Import::default().add(Path::new("spec"), text).unwrap_err();
    format!("{error:#}")
}

#[test]
fn path_keys_become_templates() {
    let mut failures = Vec::new();
    for (key, expected) in [
        ("/", "/"),
        ("/users/{id}", "/users/{id}"),
        ("/users/{id}/", "/users/{id}"),
        ("users/{id}", "/users/{id}"),
        ("//users///{id}", "/users/{id}"),
        ("/users/{user id}", "/users/{user_id}"),
        ("/users/{ id }", "/users/{id}"),
        ("/users/{user[name]}", "/users/{user_name}"),
        ("/users/{größe}", "/users/{gr__e}"),
        ("/users/{}", "/users/{param}"),
        ("/users/{$id}", "/users/{id}"),
        ("/users/{-.id}", "/users/{id}"),
        ("/users/:.", "/users/%3A."),
        ("/users/:;v=1", "/users/%3A"),
        ("/users/:;{", "/users/%3A"),
        ("/files/{name}.{format}", "/files/{name}.{format}"),
        ("/files/{name}{.format}", "/files/{name} /files/{name}.{format}"),
        ("/files/v{major}.json", "/files/v{major}.json"),
        ("/compare/{base}...{head}", "/compare/{base}...{head}"),
        ("/tiles/{x}{y}", "/tiles/{x_y}"),
        ("/tiles/{x}{y}.{z}", "/tiles/{x_y}.{z}"),
        ("/files/{+path}", "/files/{*path}"),
        ("/files/{path+}", "/files/{*path}"),
        ("/files/{path*}", "/files/{*path}"),
        ("/files/{*path}", "/files/{*path}"),
        ("/files/{path:.*}", "/files/{*path}"),
        ("/files/{path:path}", "/files/{*path}"),
        ("/files/{id:[0-9]+}", "/files/{id}"),
        ("/files/{id:[0-9]{4}}", "/files/{id}"),
        ("/files/{+path}/raw", "/files/{*path}/raw"),
        ("/files/{a,b}", "/files/{a_b}"),
        ("/files{/a,b}", "/files /files/{a} /files/{a}/{b}"),
        ("/files{/path*}", "/files /files/{*path}"),
        ("/files/*", "/files/{*rest}"),
        ("/files/*/raw", "/files/{param}/raw"),
        ("/files/**/raw", "/files/{*rest}/raw"),
        ("/files/*;", "/files/{*rest}"),
        ("/files/*;{", "/files/{*rest}"),
        ("/files/*{?}*", "/files/{param}*"),
        ("/users{?page,size}", "/users"),
        ("/users{&page}", "/users"),
        ("/users{#part}", "/users"),
        ("/users{;color}", "/users"),
        ("/users/{;color}", "/users"),
        ("/map;lat={lat}/zoom", "/map/zoom"),
        ("/x?action=y", "/x"),
        ("/x/#frag", "/x"),
        ("/#X-Amz-Target=Do", "/"),
        ("/v1/{name=shelves/*/books/*}:cancel", "/v1/shelves/{name}/books/{name}:cancel"),
        ("/v1/{name=files/**}", "/v1/files/{*name}"),
        ("/v1/{name}:cancel", "/v1/{name}:cancel"),
        ("/users/:id", "/users/{id}"),
        ("/users/<id>", "/users/{id}"),
        ("/users/<int:id>", "/users/{id}"),
        ("/users/<id:int>", "/users/{id}"),
        ("/users/<string(length=2):id>", "/users/{id}"),
        ("/a b/ü/100%/%41", "/a%20b/%C3%BC/100%25/%41"),
        ("/a/./b/../c", "/a/c"),
        ("/a/..", "/"),
        ("/a/{b", "/a/%7Bb"),
        ("/a/b}", "/a/b%7D"),
        ("/odata/Users('{id}')", "/odata/Users('{id}')"),
        ("/odata/f(a={a},b={b})", "/odata/f(a={a},b={b})"),
        ("/{*a}/x/{*b}", "/{a}/x/{*b}"),
        ("/{*a}.json", "/{a}.json"),
        ("/a?", "/a"),
        (r"/a/{page<\d+>?1}", "/a /a/{page}"),
        ("/a/{page?1}", "/a /a/{page}"),
        ("/a/{path: .+}", "/a/{*path}"),
        ("/a/{name<.+>}", "/a/{*name}"),
        ("/a/$id<[0-9]+>/b", "/a/{id}/b"),
        ("/a/$path<.+>", "/a/{*path}"),
        ("/a(.json)", "/a /a.json"),
        ("/a/{resource=**}:test", "/a/{resource}:test"),
        (r"^feed\.xml$", "/feed.xml"),
        (r"^page\d+/\Z", "/page{param}"),
        ("/a/%2A", "/a/%2A"),
        (
            "/:a?/:b?/:c?/:d?/:e?/:f?",
            "/ /{a} /{a}/{b} /{a}/{b}/{c} /{a}/{b}/{c}/{d} /{a}/{b}/{c}/{d}/{e} /{a}/{b}/{c}/{d}/{e}/{f}",
        ),
        ("/[a/][b/][c/][d/][e/][f/]g", "/g /a/b/c/d/e/f/g"),
    ] {
        let found = templates_of_key(key);
        if found != expected {
            failures.push(format!("{key}: {found} instead of {expected}"));
        }
        let document = with_paths(&[key]);
        import(&[&document]);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn long_paths_end_in_the_rest() {
    let deep = "/a".repeat(40);
    assert!(templates_of_key(&deep).ends_with("/a/{*rest}"));
    assert!(templates_of_key(&format!("/{{*x}}{deep}")).ends_with("/a/{*rest}"));
    let wide = format!("/{}/{}/{}", "a".repeat(600), "b".repeat(600), "c".repeat(9));
    assert!(templates_of_key(&wide).ends_with("a/{*rest}"));
    let segment = format!("/{}", "a".repeat(2000));
    assert_eq!(templates_of_key(&segment), "");
    // Dots that are encoded in labels count there.
    import(&[&with_paths(&[&format!("/{}ge.", "b".repeat(196)), "/x"])]);
    let (_, notes) = import(&[&with_paths(&[&format!("/{}", ".=".repeat(400)), "/x"])]);
    assert!(notes.iter().any(|note| note.contains("its label is too long")), "{notes:?}");
    // A rule has its bound, too; its template stays.
    let long = format!("/{}{{+x}}", "&".repeat(600));
    let (templates, notes) = import(&[&with_paths(&[&long])]);
    assert_eq!(templates.len(), 1);
    assert!(notes.iter().any(|note| note.contains("at most 1024 are allowed")), "{notes:?}");
    let endless = "/[".repeat(3000);
    let (_, notes) = import(&[&with_paths(&["/ok", &deep, &wide, &segment, &endless])]);
    assert!(notes.iter().any(|note| note.contains("is left out: it has 6000 bytes")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("is left out: has a segment of 2000 bytes")));
}

#[test]
fn servers_give_base_paths() {
    let variables = json!({
        "version": {"default": "v2", "enum": ["v1", "v2"]},
        "host": {"default": "api"},
        "base": {"default": "/deep/er/"},
        "port": {"default": 443},
    });
    for (url, expected) in [
        ("/", &[""][..]),
        ("https://api.example.com", &[""]),
        ("https://api.example.com/", &[""]),
        ("https://api.example.com/v1/", &["/v1"]),
        ("https://api.example.com/v1?x=y#z", &["/v1"]),
        ("//api.example.com/v1", &["/v1"]),
        ("/v1", &["/v1"]),
        ("v1", &["/v1"]),
        ("v1.0", &["/v1.0"]),
        ("./v1", &["/v1"]),
        ("../../v1", &["/v1"]),
        ("api.example.com/v1", &["/v1"]),
        ("localhost:8080/api", &["/api"]),
        ("https://{host}.example.com:{port}/{version}", &["/v2", "/v1"]),
        ("/{host}/x", &["/{host}/x"]),
        ("/{port}", &["/{port}"]),
        ("{scheme}://{host}/api", &["/api"]),
        ("https://x{base}api", &["/deep/er/api"]),
        ("https://x/{unknown}/api", &["/{unknown}/api"]),
        ("https://[::1]:8080/api", &["/api"]),
        ("", &[""]),
    ] {
        let servers = [json!({"url": url, "variables": variables})];
        let found = server::bases(&servers);
        let found: Vec<&str> = found.iter().map(|base| base.path.as_str()).collect();
        assert_eq!(found, expected, "{url}");
    }
    assert_eq!(server::bases(&[]), [server::Base::root()]);
}

#[test]
fn a_variable_with_many_values_is_a_placeholder() {
    let values: Vec<String> = (0..100).map(|n| format!("r{n}")).collect();
    let server = json!({"url": "/{region}/api",
        "variables": {"region": {"default": "r0", "enum": values}}});
    let found = server::bases(&[server]);
    assert_eq!(found.iter().map(|base| base.path.as_str()).collect::<Vec<_>>(), ["/{region}/api"]);
    assert!(found.iter().all(|base| base.notes.len() == 1));
}

#[test]
fn the_nearest_servers_count() {
    let document = json!({
        "openapi": "3.0.3",
        "servers": [{"url": "/top"}, {"url": "https://other.example/top"}],
        "paths": {
            "/a": {"get": {}},
            "/b": {"servers": [{"url": "/item"}], "get": {}, "put": {"servers": [{"url": "/op"}]}},
            "/c": {"servers": [], "post": {"servers": [{"url": ""}]}},
        }
    });
    let (templates, notes) = import(&[&document]);
    assert_eq!(templates, ["/top/a", "/item/b", "/op/b", "/c"]);
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn swagger_has_one_base_path() {
    for (base, expected) in [
        (json!("/v2"), "/v2/pets/{id}"),
        (json!("/v2/"), "/v2/pets/{id}"),
        (json!("/"), "/pets/{id}"),
        (json!("v2"), "/v2/pets/{id}"),
        (json!(null), "/pets/{id}"),
    ] {
        let document = json!({"swagger": "2.0", "host": "x.example", "basePath": base,
            "paths": {"/pets/{id}": {"get": {}}}});
        assert_eq!(import(&[&document]).0, [expected]);
    }
}

#[test]
fn equal_paths_are_merged_and_the_first_name_wins() {
    let one = json!({"openapi": "3.0.0", "paths": {
        "/users/{id}": {"get": {}, "put": {}},
        "/users/{name}": {"get": {}},
        "/users/{login}": {"delete": {}, "put": {}},
        "/users/{id}/": {"patch": {}},
    }});
    let two = json!({"openapi": "3.1.0", "paths": {
        "/users/{id}": {"head": {}}, "/other": {}
    }});
    let (templates, notes) = import(&[&one, &two]);
    assert_eq!(templates, ["/users/{id}", "DELETE /users/{login}", "/other"]);
    assert_eq!(
        notes,
        [
            "spec.json: \"/users/{name}\" matches the same requests as \"/users/{id}\", which came \
             first and gives the label",
            "spec.json: \"/users/{login}\" matches the same paths as \"/users/{id}\", which came \
             first; it is the label for DELETE only",
        ]
    );
}

#[test]
fn a_name_alone_makes_no_catch_all() {
    let keys = ["/contents/{path}", "/logs/{filePath}", "/trees/{tree}/meta", "/queries/{xpath}"];
    let (templates, notes) = import(&[&with_paths(&keys)]);
    assert_eq!(templates, keys);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("\"/contents/{path}\" (and 1 more)"), "{notes:?}");
    assert!(notes[0].ends_with("give --multi-segment filePath,path"), "{notes:?}");
}

#[test]
fn several_segments_are_a_template_or_a_rule() {
    let keys = ["/r/{ref}", "/r/{ref}/a", "/c/{base}...{head}", "/v/{ref}/x/{path}", "/users/{id}"];
    let mut import = Import::with_several(["ref", "base", "head", "path"].map(str::to_owned));
    import.add(Path::new("s"), with_paths(&keys).to_string().as_bytes()).unwrap();
    let (configuration, notes) = import.configuration();
    let expected =
        ["/r/{*ref}", "/r/{*ref}/a", "/c/{base}...{head}", "/v/{ref}/x/{*path}", "/users/{id}"];
    assert_eq!(import.templates(), expected);
    let expected = json!([
        {"regex": r"^/c/.+\.\.\..+$", "endpoint": "/c/{base}...{head}"},
        {"regex": r"^/v/.+/x/.+$", "endpoint": "/v/{ref}/x/{*path}"},
    ]);
    assert_eq!(configuration["endpoint"]["rules"], expected);
    assert!(notes.iter().any(|note| note.contains("a rule has what")), "{notes:?}");
}

#[test]
fn references_inside_the_document_are_followed() {
    let document = json!({
        "openapi": "3.1.0",
        "paths": {
            "/a": {"$ref": "#/components/pathItems/A"},
            "/b": {"$ref": "#/paths/~1a"},
            "/c": {"$ref": "#/paths/~1d%20e"},
            "/d e": {"get": {}},
        },
        "components": {"pathItems": {"A": {"servers": [{"url": "/base"}], "get": {}}}},
    });
    assert_eq!(import(&[&document]).0, ["/base/a", "/base/b", "/c", "/d%20e"]);
}

#[test]
fn references_to_files_beside_the_document_are_followed() {
    let folder = std::env::temp_dir().join(format!("route-metrics-refs-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("paths")).unwrap();
    let yaml = "users:\n  servers:\n    - url: /elsewhere\n  get: {}\nagain:\n  $ref: '#/users'\n";
    std::fs::write(folder.join("paths/users.yaml"), yaml).unwrap();
    let document = json!({"openapi": "3.1.0", "paths": {
        "/users": {"$ref": "./paths/users.yaml#/users"},
        "/again": {"$ref": "paths/users.yaml#/again"},
    }});
    let mut import = Import::default();
    import.add(&folder.join("spec.json"), document.to_string().as_bytes()).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(import.templates(), ["/elsewhere/users", "/elsewhere/again"]);
}

#[test]
fn yaml_is_read_with_its_peculiarities() {
    let text = "\u{feff}openapi: 3.0.3\ninfo: &info\n  title: on\n  version: 1.0\n\
                servers:\n  - url: /v1 # comment\npaths:\n  /a/{b}:\n    get:\n      responses:\n\
                \u{20}       200: {description: ok}\n        default: *info\n  '/c':\n    post: {}\n";
    let mut import = Import::default();
    import.add(Path::new("spec.yaml"), text.as_bytes()).unwrap();
    assert_eq!(import.templates(), ["/v1/a/{b}", "/v1/c"]);
}

#[test]
fn what_is_no_specification_is_refused() {
    for (text, expected) in [
        ("", "is empty"),
        (" \n", "is empty"),
        ("{", "is not JSON"),
        ("{\"a\": }", "is not JSON"),
        ("a: [", "is neither JSON nor YAML"),
        ("[1]", "holds a list, not an OpenAPI or Swagger object"),
        ("hello", "holds a text, not"),
        ("{}", "is no OpenAPI specification"),
        ("name: x", "is no OpenAPI specification"),
        (r#"{"openapi": "4.0.0", "paths": {}}"#, "is OpenAPI \"4.0.0\""),
        (r#"{"swagger": "1.2", "paths": {}}"#, "is Swagger \"1.2\""),
        (r#"{"openapi": "3.1.0", "webhooks": {}}"#, "has no path in `paths`"),
        (r#"{"openapi": "3.1.0", "webhooks": {"a": {}}}"#, "has `webhooks` and no `paths`"),
        (r#"{"openapi": "3.1.0", "paths": {}}"#, "has no path in `paths`"),
        (r#"{"openapi": "3.1.0", "paths": []}"#, "has a list in `paths`"),
        (
            r#"{"openapi": "3.1.0", "paths": {"$ref": "p.json"}}"#,
            "its `paths`: refers to \"p.json\", which cannot be read",
        ),
        (r#"{"openapi": "3.1.0", "paths": {"$ref": "https://x.example/p"}}"#, "is not fetched"),
        (r#"{"swaggerVersion": "1.2", "apis": []}"#, "is Swagger 1"),
        (r#"{"asyncapi": "2.6.0", "channels": {}}"#, "is AsyncAPI"),
        (r#"{"info": {"_postman_id": "x", "name": "y"}, "item": []}"#, "is a Postman collection"),
        (
            r#"{"info": {"schema": "https://schema.getpostman.com/json/collection/v2.1.0/"}}"#,
            "is a Postman collection",
        ),
        (r#"{"log": {"entries": []}}"#, "is an HTTP archive (HAR)"),
        (r#"{"data": {"__schema": {}}}"#, "is a GraphQL schema"),
        ("type Query {\n  a: Int\n}\n", "is a GraphQL schema"),
        ("# our API\nschema { query: Q }\ntype Query { a: Int }", "is a GraphQL schema"),
        ("#%RAML 1.0\ntitle: x\n/users:\n", "is RAML"),
        ("FORMAT: 1A\n# API\n", "is API Blueprint"),
        ("<!doctype html><html>", "is an HTML page"),
        ("<?xml version=\"1.0\"?><application>", "is XML"),
        ("syntax = \"proto3\";", "is a protobuf file"),
        ("static_resources: {}", "is a configuration of Envoy"),
        (r#"{"endpoint": {"templates": []}}"#, "is a plugin configuration"),
        ("arazzo: 1.0.0", "is Arazzo"),
        ("overlay: 1.0.0", "is an OpenAPI overlay"),
        (r#"{"detail": "Not Found"}"#, "is an error that a server answered"),
        ("a: 1\n---\nb: 2", "is no OpenAPI specification"),
        ("a: 1\n---\nopenapi: 3.0.0\npaths: {}", "has no path in `paths`"),
        ("openapi: 3.0.0\npaths:\n  /a: {get: [}\n", "line 3, column "),
        ("{\n  \"openapi\": \"3.0.0\"\n  \"paths\": {}\n}", "is not JSON: line 3, column 3: '\"'"),
        ("{\"openapi\": \"3.0.0\", \"paths\": {", "it ends before all braces"),
    ] {
        let found = error(text.as_bytes());
        assert!(found.starts_with("spec: ") && found.contains(expected), "{text}: {found}");
    }
    for bytes in [&b"\xff\xfe"[..], b"\xff", b"a: \xe9\n", b"\xff\xfe\x00\xd8"] {
        let found = error(bytes);
        assert!(
            ["is empty", "is not UTF-8", "begins as UTF-16"].iter().any(|e| found.contains(e)),
            "{found}"
        );
    }
    assert!(error(b"\x1f\x8b\x08").contains("is packed with gzip"));
    let deep = format!("{{\"openapi\": {}", "[".repeat(200));
    assert!(error(deep.as_bytes()).contains("nested more than 128 levels deep"));
}

#[test]
fn limits_are_raised_only_where_they_must_be() {
    let configuration = |count: usize, length: usize| {
        let keys: Vec<String> = (0..count).map(|n| format!("/{n}{}", "x".repeat(length))).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut import = Import::default();
        import.add(Path::new("s"), with_paths(&keys).to_string().as_bytes()).unwrap();
        import.configuration().0.get("limits").cloned()
    };
    assert_eq!(configuration(98, 3), None);
    assert_eq!(configuration(99, 3), Some(json!({"max_endpoints": 200})));
    assert_eq!(configuration(2, 130), Some(json!({"max_label_value_length": 140})));
    let thousand = json!({"max_endpoints": 1100, "max_series_per_metric": 4000});
    assert_eq!(configuration(1000, 3), Some(thousand));
}

mod laws {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever keys a specification has, what is printed passes the check.
        #[test]
        fn any_key_gives_a_good_template(keys in proptest::collection::vec("(/[a{}<>()\\[\\]*:;?#=+,%.$^|\\\\ \u{e9}]{0,8}){1,5}", 1..8)) {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            import(&[&with_paths(&keys)]);
        }

        /// A template is its own template.
        #[test]
        fn reading_is_idempotent(key in "(/[a-c{}.:*;?=+~%]{0,8}){1,4}") {
            let mut changes = Vec::new();
            let nodes = key::read(&key, &mut changes);
            for form in template::forms(&nodes, &mut changes) {
                if let Some(once) = template::write(&form, &mut changes) {
                    let twice = template::write(&template::plain(&once.path), &mut changes);
                    prop_assert_eq!(twice.map(|t| t.path), Some(once.path));
                }
            }
        }

        #[test]
        fn parsing_never_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read::objects(&text);
        }

        #[test]
        fn servers_never_panic(url in "[a-c:/{}.?#\\[\\]$%@<>_A-C]{0,30}", default in "[a/:{}]{0,5}") {
            let server = json!({"url": url, "variables": {"a": {"default": default}, "b": {"default": "x", "enum": ["", "/y", "h://z/{c}"]}}});
            for base in server::bases(&[server]) {
                prop_assert!(base.path.is_empty() || base.path.starts_with('/'));
            }
        }
    }
}

#[test]
fn the_order_of_the_specification_is_kept() {
    let keys = ["/z", "/a", "/m", "/b"];
    assert_eq!(import(&[&with_paths(&keys)]).0, keys);
}
