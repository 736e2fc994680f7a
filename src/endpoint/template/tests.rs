use super::*;
use crate::test;

#[test]
fn paths_are_kept_in_canonical_form() {
    for (written, method, path) in [
        ("/", None, "/"),
        ("/users/{id}", None, "/users/{id}"),
        ("/users/{id}/", None, "/users/{id}"),
        ("POST /orders/{order_id}/items", Some("POST"), "/orders/{order_id}/items"),
        ("M-SEARCH /x", Some("M-SEARCH"), "/x"),
        ("/v1/{name}:cancel", None, "/v1/{name}:cancel"),
        ("/files/{*path}", None, "/files/{*path}"),
        ("/{*}", None, "/{*}"),
        ("/a/{*x}/b/", None, "/a/{*x}/b"),
        ("/{*x}/{y}/z-{a}", None, "/{*x}/{y}/z-{a}"),
        ("/a/{base}...{head}", None, "/a/{base}...{head}"),
        ("/Users('{user-id}')/x.json", None, "/Users('{user-id}')/x.json"),
        ("/%75sers/a%2fb", None, "/users/a%2Fb"),
        ("/{id}/{id}", None, "/{id}/{id}"),
    ] {
        let template = Template::parse(written).expect(written);
        assert_eq!((template.method.as_deref(), &*template.path), (method, path), "{written}");
    }
}

#[test]
fn mistakes_are_named() {
    let long = format!("/{}", "a".repeat(MAX_BYTES));
    let deep = "/a".repeat(MAX_SEGMENTS + 1);
    for (written, expected) in [
        ("", "is empty"),
        ("users", "write /users"),
        ("{id}", "write /{id}"),
        ("GET users", "write /users"),
        ("get /users", "has \"get\" before the path"),
        (" /users", "has \"\" before the path"),
        ("GET  /users", "white space ' '"),
        ("/a b", "white space ' '"),
        ("/a ", "white space ' '"),
        ("/a\t", "white space '\\t'"),
        ("/a\u{0}", "white space '\\0'"),
        ("/a?b={c}", "holds '?'"),
        ("/a#b", "holds '#'"),
        ("//a", "empty segment"),
        ("/a//b", "empty segment"),
        ("//", "empty segment"),
        ("/a/{}", "parameter without a name"),
        ("/a/{*x}{y}", "{*x} in"),
        ("/a/{*x}/{*y}", "{*x} and {*y}, and nothing says"),
        ("/{*x}/b/{*x}", "{*x} and {*x}"),
        ("/a/{*x}-{y}", "{*x} in"),
        ("/a/{*x}{*y}", "{*x} in"),
        ("/a/x{*y}", "{*y} in"),
        ("/a/{*x}:cancel", "{*x} in"),
        ("/a/{x", "unclosed brace"),
        ("/a/{x/b}", "unclosed brace"),
        ("/a/{x{y}}", "unclosed brace"),
        ("/a/x}", "unopened brace"),
        ("/a/{x}}", "unopened brace"),
        ("/a/{x}{y}", "side by side"),
        ("/a/{id:int}", "types and patterns"),
        ("/a/{x=users}", "types and patterns"),
        ("/a/{x y}", "white space"),
        ("/a/{x+}", "has '+' in the parameter"),
        ("/a/<int:id>", "write {name} for a parameter"),
        ("/a/:id", "write {id} for a parameter"),
        ("/a/*", "{*name} for several"),
        ("/a/**/b", "{*name} for several"),
        ("/a/./b", "once it is resolved"),
        ("/a/%2E%2e", "once it is resolved"),
        ("/a;v=1", "has ';'"),
        ("/caf\u{e9}", "write %C3%A9"),
        ("/a\"b", "write %22"),
        ("/a%2", "write %25"),
        (&long, "at most 1024"),
        (&deep, "has 25 segments"),
    ] {
        let messages = Template::parse(written).expect_err(written).join("\n");
        assert!(messages.contains(expected), "{written:?}: {messages}");
    }
    let messages = Template::parse("/{}/a/x}/{y").expect_err("three mistakes");
    assert_eq!(messages.len(), 3, "{messages:?}");
}

#[test]
fn the_more_specific_comes_first() {
    let sorted = [
        "/",
        "/a",
        "/a/b",
        "/a/{x}.tar.gz",
        "/a/prefi-{x}",
        "/a/{x}.json",
        "/a/{x}-{y}",
        "/a/{x}",
        "/a/{*x}/b/{y}",
        "/a/{*x}/{y}/b",
        "/a/{*x}/b",
        "/a/{*x}/{y}",
        "/a/{*x}",
        "/{x}",
        "/{x}/b",
        "/{*x}/a",
        "/{*x}",
    ]
    .map(|written| Template::parse(written).expect(written));
    for (index, one) in sorted.iter().enumerate() {
        for (other, two) in sorted.iter().enumerate() {
            assert_eq!(one.compare_paths(two), index.cmp(&other), "{one:?} {two:?}");
        }
    }
}

#[test]
fn parameters_take_as_little_as_they_can() {
    for (pattern, segment, expected) in [
        ("{a}", "x", Some(vec!["x"])),
        ("{a}.json", "x.json.json", Some(vec!["x.json"])),
        ("{a}.json", ".json", None),
        ("v{a}", "v", None),
        ("v{a}", "v12", Some(vec!["12"])),
        ("{a}...{b}", "main...feature...x", Some(vec!["main", "feature...x"])),
        ("{a}...{b}", "....", None),
        ("{a}...{b}", "a....", Some(vec!["a", "."])),
        ("{a}...{b}", "....b", Some(vec![".", "b"])),
        ("{a}-{b}-{c}!", "1-2-3-4!", Some(vec!["1", "2", "3-4"])),
        ("{a}-{b}-{c}!", "1-2-3", None),
        ("{a}-{b}", "-", None),
        ("{a}:x", "a:x:x", Some(vec!["a:x"])),
    ] {
        let mut values = Vec::new();
        let pieces = texts(pattern).map(str::as_bytes);
        let fits = fit(pieces, segment.as_bytes(), |_, value| {
            values.push(std::str::from_utf8(value).expect("UTF-8"));
        });
        assert_eq!(fits.then_some(values), expected, "{pattern} {segment}");
    }
}
