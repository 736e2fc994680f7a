//! What the configuration says of paths, as a whole. The bodies are plain functions, so that they
//! run as Wasm, too.

use crate::test;
use proptest::prelude::*;

use super::*;

fn compile(
    exclude: &[&str],
    templates: &[&str],
    rules: &[(&str, &str)],
) -> Result<Endpoints, Mistakes> {
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let rule = |(regex, endpoint): &(&str, &str)| config::EndpointRule {
        regex: (*regex).to_owned(),
        endpoint: (*endpoint).to_owned(),
    };
    let config = config::Endpoint {
        exclude: owned(exclude),
        templates: owned(templates),
        rules: rules.iter().map(rule).collect(),
        ..config::Endpoint::default()
    };
    let mut mistakes = Mistakes::default();
    let endpoints = Endpoints::compile(&config, &mut mistakes);
    if mistakes.is_empty() { Ok(endpoints) } else { Err(mistakes) }
}

/// The label of `METHOD path` or `path` (a GET), `-` for what is excluded, `?` for what is unknown.
fn label<'a>(endpoints: &'a Endpoints, request: &[u8]) -> &'a str {
    let space = request.iter().position(|&byte| byte == b' ');
    let (method, path) = match space.map(|space| request.split_at(space)) {
        Some((method, path)) if method.iter().all(u8::is_ascii_uppercase) => (method, &path[1..]),
        _ => (&b"GET"[..], request),
    };
    let path = CanonicalPath::new(path);
    match endpoints.find(method, &path) {
        Found::Excluded => "-",
        Found::Unknown => "?",
        Found::Configured(index) => &endpoints.labels()[index as usize],
    }
}

#[track_caller]
fn check(endpoints: &Endpoints, cases: &[(&str, &str)]) {
    for (request, expected) in cases {
        assert_eq!(label(endpoints, request.as_bytes()), *expected, "{request}");
    }
}

/// Checks with the templates in their order and the other way round.
#[track_caller]
fn check_templates(templates: &[&str], cases: &[(&str, &str)]) {
    check(&compile(&[], templates, &[]).expect("valid templates"), cases);
    let reversed: Vec<&str> = templates.iter().rev().copied().collect();
    check(&compile(&[], &reversed, &[]).expect("valid templates"), cases);
}

#[test]
fn a_template_matches_its_paths() {
    check_templates(
        &["/", "/users/{id}", "/users/{id}/posts", "/Users", "/files/{*path}"],
        &[
            ("/", "/"),
            ("//", "/"),
            ("/?x", "/"),
            ("http://host", "/"),
            ("/users/1", "/users/{id}"),
            ("/users/1/", "/users/{id}"),
            ("//users//1?x=/y#z", "/users/{id}"),
            ("/users;a=b/1;c", "/users/{id}"),
            ("https://u:p@host:1/users/1", "/users/{id}"),
            ("/users/1/posts", "/users/{id}/posts"),
            ("/users", "?"),
            ("/Users", "/Users"),
            ("/users/1/posts/2", "?"),
            ("/files/a", "/files/{*path}"),
            ("/files/a/b/c/", "/files/{*path}"),
            ("/files", "?"),
            ("/files/", "?"),
            ("/other/../users/1", "/users/{id}"),
            ("*", "?"),
            ("", "?"),
            ("CONNECT host:443", "?"),
        ],
    );
}

#[test]
fn the_most_specific_template_wins_whatever_the_order() {
    check_templates(
        &[
            "/users/me",
            "/users/{id}",
            "/users/{id}.json",
            "/users/u{id}",
            "/users/{*rest}",
            "/{kind}/list",
            "/{*rest}",
            "/a/{x}/c",
            "/a/b/{y}/d",
            "/{v}/b/c",
        ],
        &[
            ("/users/me", "/users/me"),
            ("/users/7", "/users/{id}"),
            ("/users/7.json", "/users/{id}.json"),
            ("/users/u7.json", "/users/{id}.json"),
            ("/users/u7", "/users/u{id}"),
            ("/users/u", "/users/{id}"),
            ("/users/.json", "/users/{id}"),
            ("/users/7/x", "/users/{*rest}"),
            ("/users/list", "/users/{id}"),
            ("/orders/list", "/{kind}/list"),
            ("/orders/x", "/{*rest}"),
            // The static `b` leads nowhere here, so the parameter is tried.
            ("/a/b/c", "/a/{x}/c"),
            ("/a/b/c/d", "/a/b/{y}/d"),
            ("/a/b/c/e", "/{*rest}"),
            ("/z/b/c", "/{v}/b/c"),
        ],
    );
}

#[test]
fn text_may_stand_around_parameters() {
    check_templates(
        &[
            "/v1/{name}",
            "/v1/{name}:cancel",
            "/v1/{name}:undelete",
            "/v{n}/x",
            "/compare/{base}...{head}",
            "/compare/{base}",
            "/Users('{id}')",
            "/img/{name}.{size}.png",
            "/img/{name}.png",
        ],
        &[
            ("/v1/jobs", "/v1/{name}"),
            ("/v1/a:b:cancel", "/v1/{name}:cancel"),
            ("/v1/a:undelete", "/v1/{name}:undelete"),
            ("/v1/a:other", "/v1/{name}"),
            ("/v1/:cancel", "/v1/{name}"),
            ("/v22/x", "/v{n}/x"),
            ("/v/x", "?"),
            ("/compare/main...dev", "/compare/{base}...{head}"),
            ("/compare/main..dev", "/compare/{base}"),
            ("/compare/...dev", "/compare/{base}"),
            ("/Users('x')", "/Users('{id}')"),
            ("/Users('')", "?"),
            ("/img/a.png", "/img/{name}.png"),
            ("/img/a.2x.png", "/img/{name}.{size}.png"),
        ],
    );
}

#[test]
fn a_method_is_more_specific_than_none() {
    check_templates(
        &["GET /a/{id}", "POST /a/{name}", "/a/{other}", "DELETE /b", "POST /c/me", "/c/{id}"],
        &[
            ("GET /a/1", "/a/{id}"),
            ("POST /a/1", "/a/{name}"),
            ("PUT /a/1", "/a/{other}"),
            ("get /a/1", "?"),
            ("DELETE /b", "/b"),
            ("GET /b", "?"),
            ("POST /c/me", "/c/me"),
            ("GET /c/me", "/c/{id}"),
        ],
    );
}

#[test]
fn the_same_label_is_named_once() {
    let endpoints = compile(
        &["/health"],
        &["POST /a/{id}", "/b", "GET /a/{id}"],
        &[("^/x", "/b"), ("^/y", "/y/{z}")],
    )
    .expect("valid");
    assert_eq!(endpoints.labels(), ["/a/{id}", "/b", "/y/{z}"]);
    check(&endpoints, &[("GET /a/1", "/a/{id}"), ("/x1", "/b"), ("/y/1", "/y/{z}")]);
}

#[test]
fn percent_encoded_unreserved_characters_are_equal() {
    check_templates(
        &["/users/{id}", "/a%2fb/{x}", "/caf%C3%A9", "/~x", "/f/{n}.json", "/{any}"],
        &[
            ("/%75sers/1", "/users/{id}"),
            ("/%75%73%65%72%73/1", "/users/{id}"),
            ("/users/%31", "/users/{id}"),
            ("/%55sers/1", "?"),
            ("/a%2Fb/1", "/a%2Fb/{x}"),
            ("/a%2fb/1", "/a%2Fb/{x}"),
            ("/a/b/1", "?"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/%7ex", "/~x"),
            ("/f/a%2Ejson", "/f/{n}.json"),
            ("/f/a%252Ejson", "?"),
            ("/%", "/{any}"),
            ("/%zz", "/{any}"),
        ],
    );
    // Longer than what is brought into normal form: still whole segments, still no panic.
    let endpoints = compile(&[], &["/{any}/users", "/{any}"], &[]).expect("valid");
    let long = "%61".repeat(20_000);
    check(
        &endpoints,
        &[(&format!("/{long}"), "/{any}"), (&format!("/{long}/users"), "/{any}/users")],
    );
}

#[test]
fn exclude_comes_first_and_rules_last() {
    let endpoints = compile(
        &["/healthz", "/static/{*path}", "POST /upload"],
        &["/static/known", "/legacy/keep.php", "/upload"],
        &[("^/legacy/.*\\.php$", "/legacy/{script}"), ("\\.php$", "/php"), ("^\\*$", "*")],
    )
    .expect("valid");
    check(
        &endpoints,
        &[
            ("/healthz/", "-"),
            ("/healthz/x", "?"),
            ("/static/a/b", "-"),
            ("/static/known", "-"),
            ("/static/..;/admin.php", "/php"),
            ("POST /upload", "-"),
            ("GET /upload", "/upload"),
            ("/legacy/keep.php", "/legacy/keep.php"),
            ("/legacy/a/b.php?x", "/legacy/{script}"),
            ("/legacy/a.php5", "?"),
            ("/x.php", "/php"),
            ("OPTIONS *", "*"),
        ],
    );
    assert_eq!(label(&endpoints, b"/\xff\xfe/x.php"), "/php");
}

#[test]
fn paths_of_too_many_segments_match_the_rest_alone() {
    let all = "/a".repeat(MAX_SEGMENTS);
    let endpoints = compile(&[], &[&all, "/a/{*rest}", "/b/{x}"], &[]).expect("valid");
    check(
        &endpoints,
        &[
            (&all, &all),
            (&format!("{all}/a"), "/a/{*rest}"),
            (&format!("/b{}", "/a".repeat(100)), "?"),
        ],
    );
}

#[test]
fn the_entry_that_decided_is_explained() {
    let endpoints = compile(
        &["/x", "/healthz"],
        &["/users/{id}", "GET /a"],
        &[("^/never", "/never"), ("^/r", "/rule")],
    )
    .expect("valid");
    for (path, expected) in [
        ("/healthz", "exclude[1] \"/healthz\""),
        ("/users/1", "templates[0] \"/users/{id}\""),
        ("/a", "templates[1] \"/a\""),
        ("/r", "rules[1] \"/rule\""),
        ("/none", ""),
    ] {
        let explanation = endpoints.explain(b"GET", &CanonicalPath::new(path.as_bytes()));
        assert_eq!(explanation.map(|found| found.to_string()).unwrap_or_default(), expected);
    }
}

#[test]
fn a_parameter_for_several_segments_stands_anywhere() {
    let endpoints = compile(
        &["/static/{*path}/private"],
        &[
            "/admin/{*object}/change",
            "/admin/{*object}/change/{field}",
            "/admin/{id}/change",
            "/admin/users/new",
            "/admin/{*rest}",
            "PUT /{*name}/content",
        ],
        &[],
    )
    .expect("valid");
    let deep = format!("/admin{}/change", "/a".repeat(22));
    let too_deep = format!("/admin{}/change", "/a".repeat(23));
    for (request, expected) in [
        ("GET /admin/a/b/change", "/admin/{*object}/change"),
        ("GET /admin/a/change/change", "/admin/{*object}/change/{field}"),
        ("GET /admin/a/b/change/", "/admin/{*object}/change"),
        ("GET /admin/change", "/admin/{*rest}"),
        ("GET /admin/7/change", "/admin/{id}/change"),
        ("GET /admin/users/new/change", "/admin/{*object}/change"),
        ("GET /admin/a%2Fb/c/chang%65", "/admin/{*object}/change"),
        ("GET /admin/a/b/delete", "/admin/{*rest}"),
        ("GET /static/a/b/private", "-"),
        ("GET /static/private", "?"),
        ("PUT /a/b/content", "/{*name}/content"),
        ("GET /a/b/content", "?"),
        (&format!("GET {deep}"), "/admin/{*object}/change"),
        // What is beyond the 24th segment is not known.
        (&format!("GET {too_deep}"), "/admin/{*rest}"),
    ] {
        assert_eq!(label(&endpoints, request.as_bytes()), expected, "{request}");
    }
}

#[test]
fn parameters_are_found_by_name() {
    let endpoints = compile(
        &["/x/{id}"],
        &[
            "/users/{id}/posts/{post_id}",
            "/compare/{base}...{head}",
            "/files/{*path}",
            "/same/{id}/{id}",
            "/v1/{name}:cancel",
            "/admin/{*object}/change",
            "/admin/{*object}/log/{entry}.{form}",
        ],
        &[("^/r", "/r/{id}")],
    )
    .expect("valid");
    for (path, name, expected) in [
        ("/users/7/posts/8", "id", Some("7")),
        ("//users;x/7;y/posts/8/", "post_id", Some("8")),
        ("/users/7/posts/8", "post", None),
        ("/%75sers/%37/posts/8", "id", Some("%37")),
        ("/compare/a...b", "base", Some("a")),
        ("/compare/a...b", "head", Some("b")),
        ("/files/a/b//c?x", "path", Some("a/b//c")),
        ("/same/1/2", "id", Some("1")),
        ("/admin/a/change/", "object", Some("a")),
        ("/admin/a/%2Fb//c;x/change", "object", Some("a/%2Fb//c")),
        ("/admin/a/b/c/log/7.json", "object", Some("a/b/c")),
        ("/admin/a/b/c/log/7.json", "entry", Some("7")),
        ("/admin/a/b/c/log/7.json", "form", Some("json")),
        ("/admin/a/b/c/log/7.json", "other", None),
        ("/v1/a:b:cancel", "name", Some("a:b")),
        ("/v1/a:%63ancel", "name", None),
        ("/x/1", "id", None),
        ("/r/1", "id", None),
        ("/none", "id", None),
    ] {
        let path = CanonicalPath::new(path.as_bytes());
        let found = endpoints.param(b"GET", &path, name);
        assert_eq!(found, expected.map(str::as_bytes), "{path:?} {name}");
    }
}

#[test]
fn every_mistake_is_named_by_its_path() {
    let mistakes = compile(
        &["/healthz", "healthz", "/healthz"],
        &[
            "/users/{id}",
            "/a/{x}{y}",
            "/users/{name}",
            "/b/{}/c/{d",
            "GET /users/{id}",
            "GET /users/{user}",
            "/healthz/",
            "POST /healthz",
            "/x/{a}-{b}",
            "/x/{c}-{d}",
            "/x/{c}_{d}",
        ],
        &[("(", ""), ("^/ok$", "/ok"), ("", "/caf\u{e9}"), ("x", "_OTHER")],
    )
    .expect_err("mistakes");
    let found: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    let expected = [
        "endpoint.exclude[1]: \"healthz\": does not start with a slash",
        "endpoint.templates[1]: \"/a/{x}{y}\": has two parameters side by side",
        "endpoint.templates[3]: \"/b/{}/c/{d\": has a parameter without a name",
        "endpoint.templates[3]: \"/b/{}/c/{d\": has an unclosed brace",
        "endpoint.exclude[2]: \"/healthz\": matches the same requests as endpoint.exclude[0]",
        "endpoint.templates[2]: \"/users/{name}\": matches the same requests as \
         endpoint.templates[0] \"/users/{id}\"",
        "endpoint.templates[5]: \"GET /users/{user}\": matches the same requests as \
         endpoint.templates[4] \"GET /users/{id}\"",
        "endpoint.templates[9]: \"/x/{c}-{d}\": matches the same requests as \
         endpoint.templates[8] \"/x/{a}-{b}\"",
        "endpoint.templates[6]: \"/healthz/\": is never used, because endpoint.exclude[0] \
         \"/healthz\"",
        "endpoint.templates[7]: \"POST /healthz\": is never used, because endpoint.exclude[0]",
        "endpoint.rules[0].regex: \"(\": is not a regular expression",
        "endpoint.rules[0].endpoint: \"\": is empty",
        "endpoint.rules[2].regex: \"\": is empty",
        "endpoint.rules[2].endpoint: \"/caf\u{e9}\": cannot be shown as it is, only as \
         \"/caf%C3%A9\"",
        "endpoint.rules[3].endpoint: \"_OTHER\": cannot be shown as it is",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
}

#[test]
fn nothing_configured_knows_nothing() {
    let endpoints = compile(&[], &[], &[]).expect("valid");
    check(&endpoints, &[("/", "?"), ("/a", "?"), ("*", "?"), ("", "?")]);
    assert!(endpoints.labels().is_empty());
}

#[test]
fn thousands_of_templates_fit_into_a_megabyte() {
    let templates: Vec<String> = (0..5000)
        .map(|index| format!("/api/v{}/service-{}/{{id}}/action-{index}", index % 3, index % 250))
        .collect();
    let borrowed: Vec<&str> = templates.iter().map(String::as_str).collect();
    let endpoints = compile(&[], &borrowed, &[]).expect("valid");
    for template in &templates {
        assert_eq!(label(&endpoints, template.replace("{id}", "42").as_bytes()), template);
    }
    assert!(endpoints.heap_bytes() < 1 << 20, "{} bytes", endpoints.heap_bytes());
}

/// Templates of few words, so that they meet.
fn template() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "{x}",
        "{y}",
        "a{x}",
        "{x}b",
        "{x}-{y}",
        "a{x}-{y}b",
        "{x}:a",
    ]);
    let rest = prop::sample::select(vec![
        "",
        "",
        "",
        "/{*r}",
        "/{*r}/a",
        "/{*r}/{x}",
        "/{*r}/b/{x}",
        "/{*r}/{x}/a{y}",
    ]);
    let method = prop::sample::select(vec!["", "", "GET ", "POST "]);
    (method, prop::collection::vec(segment, 0..5), rest).prop_map(|(method, segments, rest)| {
        let path: String = segments.iter().flat_map(|segment| ["/", segment]).collect();
        let path = path + rest;
        format!("{method}{}", if path.is_empty() { "/" } else { &path })
    })
}

/// Templates that may stand together.
fn templates() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(template(), 1..40).prop_map(|mut templates| {
        let shape = |template: &str| {
            let mut shape = String::new();
            let mut inside = false;
            for c in template.chars() {
                inside = (inside || c == '{') && c != '}';
                if !inside || c == '*' {
                    shape.push(c);
                }
            }
            shape
        };
        let mut seen = std::collections::BTreeSet::new();
        templates.retain(|template| seen.insert(shape(template)));
        templates
    })
}

fn request() -> impl Strategy<Value = String> {
    let segment =
        prop::sample::select(vec!["a", "b", "c", "d", "ab", "a-b", "aa-bb", "-", "b:a", "a1-2b"]);
    let method = prop::sample::select(vec!["GET", "POST", "PUT"]);
    (method, prop::collection::vec(segment, 0..6))
        .prop_map(|(method, segments)| format!("{method} /{}", segments.join("/")))
}

/// How specific a segment is: its kind; for text around parameters less all its text, its prefix, its
/// suffix; at last the texts.
type Rank = (u8, i64, i64, i64, String);

/// Says the slow and obvious way whether a template matches, and how specific it is: per segment
/// its rank, text being the lowest and more text lower than less.
fn specificity(template: &str, request: &str) -> Option<Vec<Rank>> {
    let (method, path) = request.split_once(' ')?;
    let (wanted, pattern) = match template.split_once(' ') {
        Some((wanted, pattern)) => (Some(wanted), pattern),
        None => (None, template),
    };
    if wanted.is_some_and(|wanted| wanted != method) {
        return None;
    }
    let mut regex = String::from("^");
    let mut key = Vec::new();
    let segments: Vec<_> = pattern.split('/').skip(1).filter(|s| !s.is_empty()).collect();
    for (index, segment) in segments.iter().enumerate() {
        let texts: Vec<&str> =
            segment.split('{').map(|piece| piece.rsplit('}').next().unwrap_or_default()).collect();
        let text = |index: usize| texts[index].len() as i64;
        let total: i64 = texts.iter().map(|text| text.len() as i64).sum();
        regex.push('/');
        if segment.starts_with("{*") {
            regex.push_str(".+");
            // The more of the template follows, the more specific it is.
            key.push((3, index as i64 - segments.len() as i64, 0, 0, String::new()));
        } else {
            regex.push_str(&texts.join("[^/]+"));
            key.push(match (texts.len(), total) {
                (1, _) => (0, 0, 0, 0, String::new()),
                (_, 0) => (2, 0, 0, 0, String::new()),
                (count, _) => (1, -total, -text(0), -text(count - 1), texts.join("\0")),
            });
        }
    }
    regex.push_str(if key.is_empty() { "/$" } else { "$" });
    // The end of a path is the most specific of all, and a method breaks the last tie.
    key.push((u8::from(wanted.is_none()), 0, 0, 0, String::new()));
    regex_lite::Regex::new(&regex).expect("a regex").is_match(path).then_some(key)
}

proptest! {
    #[test]
    fn the_search_finds_what_comparing_all_finds(
        templates in templates(),
        requests in prop::collection::vec(request(), 20),
    ) {
        let list: Vec<&str> = templates.iter().map(String::as_str).collect();
        let endpoints = compile(&[], &list, &[]).expect("valid");
        let reversed: Vec<&str> = list.iter().rev().copied().collect();
        let reversed = compile(&[], &reversed, &[]).expect("valid");
        for request in &requests {
            let best = list
                .iter()
                .filter_map(|template| Some((specificity(template, request)?, *template)))
                .min();
            let expected = best.map_or("?", |(_, template)| {
                template.rsplit(' ').next().unwrap_or_default()
            });
            prop_assert_eq!(label(&endpoints, request.as_bytes()), expected, "{}", request);
            prop_assert_eq!(label(&reversed, request.as_bytes()), expected, "{}", request);
        }
    }

    #[test]
    fn a_filled_template_matches_it_or_a_more_specific_one(
        templates in templates(),
        value in "[a-d0-9]{1,6}",
    ) {
        let list: Vec<&str> = templates.iter().map(String::as_str).collect();
        let endpoints = compile(&[], &list, &[]).expect("valid");
        for template in &list {
            let request = ["{x}", "{y}", "{*r}"]
                .iter()
                .fold((*template).to_owned(), |filled, name| filled.replace(name, &value));
            let request =
                if request.starts_with('/') { format!("PUT {request}") } else { request };
            let own = specificity(template, &request).expect("it matches itself");
            let found = label(&endpoints, request.as_bytes());
            let best = list
                .iter()
                .filter(|other| other.rsplit(' ').next() == Some(found))
                .filter_map(|other| specificity(other, &request))
                .min();
            prop_assert!(best.expect("what was found matches") <= own, "{} {}", request, found);
        }
    }

    #[test]
    fn no_bytes_confuse_the_search(
        templates in templates(),
        method in prop::collection::vec(any::<u8>(), 0..10),
        raw in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let list: Vec<&str> = templates.iter().map(String::as_str).collect();
        let endpoints = compile(&["/b/{*x}"], &list, &[("a.*b", "/rule")]);
        // An excluded template is a mistake, not a panic.
        if let Ok(endpoints) = endpoints {
            for raw in [raw.clone(), [b"/", raw.as_slice()].concat()] {
                let path = CanonicalPath::new(&raw);
                let found = endpoints.find(&method, &path);
                let explained = endpoints.explain(&method, &path);
                prop_assert_eq!(found == Found::Unknown, explained.is_none());
                let _ = endpoints.param(&method, &path, "x");
            }
        }
    }

    #[test]
    fn no_template_text_confuses_the_parser(written in "\\PC{0,40}|[/{}*:ab .?-]{0,20}") {
        if let Ok(endpoints) = compile(&[], &[&written], &[]) {
            // What was taken is a label that can be written again.
            let label = endpoints.labels()[0].clone();
            let again = compile(&[], &[&label], &[]).expect("a label is a template");
            prop_assert_eq!(again.labels(), [label]);
        }
    }
}
