use crate::test;
use proptest::prelude::*;

use super::*;

fn text(raw: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; raw.len() + 1];
    CanonicalPath::new(raw).text(&mut buffer).to_vec()
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (raw, expected) in cases {
        let found = text(raw.as_bytes());
        assert_eq!(String::from_utf8_lossy(&found), *expected, "raw path {raw:?}");
        assert_eq!(CanonicalPath::new(raw.as_bytes()).text_len(), expected.len(), "{raw:?}");
    }
}

#[test]
fn query_fragment_and_empty_segments_are_dropped() {
    check(&[
        ("/", "/"),
        ("//", "/"),
        ("/a", "/a"),
        ("/a/", "/a"),
        ("/a//", "/a"),
        ("//a///b//", "/a/b"),
        ("/a?b=/c/d", "/a"),
        ("/a#b?c", "/a"),
        ("/a?b#c", "/a"),
        ("/a/?", "/a"),
        ("//evil.example/users/1", "/evil.example/users/1"),
        ("/a%2Fb/%41", "/a%2Fb/%41"),
    ]);
}

#[test]
fn matrix_parameters_are_stripped() {
    check(&[
        ("/a;x=1/b;y", "/a/b"),
        ("/a;x=1", "/a"),
        ("/a;x=1/", "/a"),
        ("/;x=1/b", "/b"),
        ("/;;;;", "/"),
        ("/a;.;method=.=DELETE;.;/b", "/a/b"),
    ]);
}

#[test]
fn dot_segments_are_resolved_and_never_leave_the_root() {
    check(&[
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a"),
        ("/../../etc/passwd", "/etc/passwd"),
        ("/..", "/"),
        ("/a/.../b", "/a/.../b"),
        ("/a/..;/b", "/b"),
        ("/a/.;x=1/b", "/a/b"),
        ("/static/%2e%2E/admin", "/admin"),
        ("/static/.%2e/admin", "/admin"),
        ("/a/..%2fb", "/a/..%2fb"),
        ("/a/%2e%2e%2e", "/a/%2e%2e%2e"),
        ("/.well-known/x", "/.well-known/x"),
    ]);
}

#[test]
fn scheme_and_authority_are_dropped() {
    check(&[
        ("http://example.com/users/123?x=1#y", "/users/123"),
        ("HTTP://EXAMPLE.COM/Users/123", "/Users/123"),
        ("https://user:pass@example.com:8443/users/1", "/users/1"),
        ("http://[::1]:8080/users/9", "/users/9"),
        ("http://example.com", "/"),
        ("http://example.com?x=/y", "/"),
        ("/http://example.com/x", "/http:/example.com/x"),
    ]);
}

#[test]
fn what_is_no_path_has_no_segments() {
    for (raw, form, expected) in [
        ("*", Form::Asterisk, "*"),
        ("*?x", Form::Asterisk, "*"),
        ("example.com:443", Form::None, ""),
        ("[2001:db8::1]:443", Form::None, ""),
        ("users/123", Form::None, ""),
        ("1://x/y", Form::None, ""),
        ("://x/y", Form::None, ""),
        ("", Form::None, ""),
        ("?a=/b", Form::None, ""),
    ] {
        let path = CanonicalPath::new(raw.as_bytes());
        assert_eq!(path.form(), form, "{raw:?}");
        assert!(path.segments().is_empty(), "{raw:?}");
        check(&[(raw, expected)]);
    }
}

#[test]
fn segments_beyond_the_bound_are_dropped_and_flagged() {
    let full = "/a".repeat(MAX_SEGMENTS);
    for (raw, truncated) in [
        (full.clone(), false),
        (format!("{full}/"), false),
        (format!("{full}/b"), true),
        (format!("/{full}/b/"), true),
        (format!("{full}/b/.."), false),
        (format!("{full}/b/c/.."), true),
    ] {
        let path = CanonicalPath::new(raw.as_bytes());
        assert_eq!(path.truncated(), truncated, "{raw}");
        assert_eq!(path.segments().len(), MAX_SEGMENTS, "{raw}");
        check(&[(&raw, &full)]);
    }
    // A segment that a later `..` brought back into the bound is not lost.
    check(&[(&format!("{full}/b/../../c"), &format!("{}/c", "/a".repeat(MAX_SEGMENTS - 1)))]);
}

#[test]
fn text_that_does_not_fit_is_cut() {
    let path = CanonicalPath::new(b"/abc//def");
    for (room, expected) in [(0, ""), (1, "/"), (3, "/ab"), (5, "/abc/"), (64, "/abc/def")] {
        assert_eq!(path.text(&mut vec![0; room]), expected.as_bytes());
    }
}

#[test]
fn query_parameters_are_decoded() {
    let raw = b"/p?a=1&b=x+y%2B&a=2&c&=e&%64=%zz%4&long=%61bcdefghijk#a=3";
    let path = CanonicalPath::new(raw);
    for (name, expected) in [
        ("a", Some("1")),
        ("b", Some("x y+")),
        ("c", Some("")),
        ("", Some("e")),
        ("d", Some("%zz%4")),
        ("long", Some("abcdefgh")),
        ("x", None),
    ] {
        let mut buffer = [0; 8];
        let found = path.query_param(name.as_bytes(), &mut buffer);
        assert_eq!(found, expected.map(str::as_bytes), "{name}");
    }
    assert_eq!(CanonicalPath::new(b"/p").query(), None);
    assert_eq!(CanonicalPath::new(b"/p?").query(), Some(&b""[..]));
    assert_eq!(CanonicalPath::new(b"/p?").query_param(b"", &mut []), None);
}

/// Paths made of the bytes that decide.
fn raw_path() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "/", "/", "/", ".", "..", ";", "?", "#", "%2e", "%2F", "%", "a", "bc", ":", "://", "*",
        "\u{ff}", " ",
    ]);
    prop_oneof![
        prop::collection::vec(piece, 0..80).prop_map(|pieces| pieces.concat().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..300),
    ]
}

proptest! {
    #[test]
    fn canonical_form_is_idempotent(raw in raw_path()) {
        let once = text(&raw);
        prop_assert_eq!(&text(&once), &once);
        let path = CanonicalPath::new(&raw);
        let again = CanonicalPath::new(&once);
        prop_assert_eq!(again.form(), path.form());
        prop_assert_eq!(again.segments(), path.segments());
        prop_assert!(!again.truncated());
    }

    #[test]
    fn text_is_the_segments_joined(raw in raw_path()) {
        let path = CanonicalPath::new(&raw);
        let mut joined = Vec::new();
        for segment in path.segments() {
            prop_assert!(!segment.is_empty());
            prop_assert!(!segment.iter().any(|byte| b"/;?#".contains(byte)));
            joined.push(b'/');
            joined.extend_from_slice(segment);
        }
        match path.form() {
            Form::Path if joined.is_empty() => prop_assert_eq!(text(&raw), b"/"),
            Form::Asterisk => prop_assert_eq!(text(&raw), b"*"),
            _ => prop_assert_eq!(text(&raw), joined),
        }
        prop_assert_eq!(path.text_len(), text(&raw).len());
    }
}
