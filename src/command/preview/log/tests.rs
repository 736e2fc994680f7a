use super::{Broken, Entry, Format, Lines, MAX_LINE, Parser};

fn parse(line: &[u8]) -> Result<(Format, Entry), Broken> {
    let mut entry = Entry::default();
    Parser::default().parse(line, &mut entry).map(|format| (format, entry))
}

/// Method, path, status, milliseconds, response bytes; a dash where there is none.
fn brief(entry: &Entry) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let number = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
    format!(
        "{} {} {} {} {}",
        text(&entry.method),
        text(&entry.path),
        entry.status,
        entry.duration_ns.map_or("-".to_owned(), |ns| (ns as f64 / 1e6).to_string()),
        number(entry.response_bytes)
    )
}

#[test]
fn every_format_is_recognised() {
    for (line, format, expected) in [
        (
            r#"[2026-01-02T03:04:05.678Z] "GET /a/b?c=d HTTP/1.1" 200 - 0 13 5 4 "1.2.3.4" "curl/8" "id" "api.example" "10.0.0.1:80""#,
            Format::ENVOY,
            "GET /a/b?c=d 200 5 13",
        ),
        (
            r#"[2026-01-02T03:04:05.678Z] "- - HTTP/1.1" 400 DPE 0 11 0 - "-" "-" "-" "-" "-""#,
            Format::ENVOY,
            "  400 0 11",
        ),
        (
            r#"[2026-01-02T03:04:05.678Z] "POST /a HTTP/2" 0 DC 7 0 12 - "-" "say "hi"" "id" "api.example" "-""#,
            Format::ENVOY,
            "POST /a 0 12 0",
        ),
        (
            r#"2026-01-02T03:04:05Z stdout F [2026-01-02T03:04:05.678Z] "GET /x HTTP/1.1" 503 UF,URX 0 91 1 - "-" "-" "-" "-" "-""#,
            Format::ENVOY,
            "GET /x 503 1 91",
        ),
        (
            r#"[2026-01-02T03:04:05.678Z] "GET /a HTTP/1.1" 200 - via_upstream - "-" 0 48 3 2 "-" "curl" "id" "httpbin:8000" "127.0.0.6:80" inbound|8000|| 127.0.0.1:1 10.0.0.1:80 10.0.0.2:1 outbound_.8000_._.h default"#,
            Format::ISTIO,
            "GET /a 200 3 48",
        ),
        (
            r#"[2026-01-02T03:04:05.678Z] "GET /a HTTP/1.1" 503 UF upstream_reset_before_response_started{remote_connection_failure} - "delayed connect error: 111" 0 152 9 - "-" "c" "i" "h" "u" c - l r - default"#,
            Format::ISTIO,
            "GET /a 503 9 152",
        ),
        (
            r#"1.2.3.4 - - [02/Jan/2026:03:04:05 +0000] "GET /a HTTP/1.0" 200 2326"#,
            Format::COMMON,
            "GET /a 200 - 2326",
        ),
        (
            r#"::1 - bob [02/Jan/2026:03:04:05 +0000] "GET / HTTP/1.0" 304 -"#,
            Format::COMMON,
            "GET / 304 - -",
        ),
        (
            r#"1.2.3.4 - - [02/Jan/2026:03:04:05 +0000] "GET /a HTTP/1.0" 404 - 1234"#,
            Format::COMMON,
            "GET /a 404 1234 -",
        ),
        (
            r#"1.2.3.4 - - [02/Jan/2026:03:04:05 +0000] "GET /a HTTP/1.1" 200 612 "https://x/" "Mozilla/5.0 (X11)""#,
            Format::COMBINED,
            "GET /a 200 - 612",
        ),
        (
            r#"vhost:80 1.2.3.4 - - [02/Jan/2026:03:04:05 +0000] "GET /a HTTP/1.1" 200 612 "-" "M" rt=0.125 uct="0.001""#,
            Format::COMBINED,
            "GET /a 200 125 612",
        ),
        (
            r#"1.2.3.4 - - [02/Jan/2026:03:04:05 +0000] "GET /a HTTP/1.1" 200 612 "-" "M" 412 0.002 [up] [] 10.0.0.1:80 612 0.002 200 id"#,
            Format::COMBINED,
            "GET /a 200 2 612",
        ),
        (
            r#"1.2.3.4 - - [02/Jan/2026:03:04:05 +0000] "GET /a HTTP/1.1" 200 612 "-" "M" 17 "router@file" "http://10.0.0.1" 31ms"#,
            Format::COMBINED,
            "GET /a 200 31 612",
        ),
        (
            r#"1.2.3.4 - - [02/Jan/2026:03:04:05 +0000] "-" 408 0 "-" "-""#,
            Format::COMBINED,
            "  408 - 0",
        ),
        (
            r#"1.2.3.4 - - [02/Jan/2026:03:04:05 +0000] "\x16\x03\x01\x00" 400 157 "-" "-""#,
            Format::COMBINED,
            "\u{16}\u{3}\u{1}\0  400 - 157",
        ),
        ("GET\t/a/b\t404", Format::TABS, "GET /a/b 404 - -"),
        ("GET\t/a/b", Format::TABS, "GET /a/b 200 - -"),
    ] {
        let (found, entry) = parse(line.as_bytes()).unwrap_or_else(|why| panic!("{why}: {line}"));
        assert_eq!((found, brief(&entry).as_str()), (format, expected), "{line}");
    }
}

#[test]
fn json_keys_of_many_programs_are_known() {
    for (line, expected) in [
        // Envoy
        (
            r#"{"method":"GET","path":"/a","response_code":200,"duration":5,"bytes_sent":13,"response_flags":"-","start_time":"x"}"#,
            "GET /a 200 5 13",
        ),
        (
            r#"{"path":"/rewritten","x_envoy_original_path":"/a","method":"GET","response_code":200}"#,
            "GET /a 200 - -",
        ),
        (
            r#"{"x-envoy-original-path":null,"path":"/a","method":"GET","response_code":null}"#,
            "GET /a 0 - -",
        ),
        (r#"{":METHOD":"GET","path":null,"method":null,"response_code":400}"#, "GET  400 - -"),
        // nginx, where all values are text
        (
            r#"{"request":"GET /a?b HTTP/1.1","status":"200","request_time":"0.125","body_bytes_sent":"77","uri":"/index.php"}"#,
            "GET /a?b 200 125 77",
        ),
        (
            r#"{"request_method":"PUT","request_uri":"/a","uri":"/b","status":201,"request_time":0.5}"#,
            "PUT /a 201 500 -",
        ),
        // Traefik
        (
            r#"{"RequestMethod":"GET","RequestPath":"/a","DownstreamStatus":200,"Duration":1500000,"DownstreamContentSize":9,"OriginStatus":500}"#,
            "GET /a 200 1.5 9",
        ),
        // Caddy
        (
            r#"{"level":"info","request":{"remote_ip":"1.2.3.4","proto":"HTTP/2.0","method":"GET","host":"x","uri":"/a","headers":{"Accept":["*/*"]}},"bytes_read":0,"duration":0.0025,"size":12,"status":200}"#,
            "GET /a 200 2.5 12",
        ),
        // Elastic Common Schema, nested and flat
        (
            r#"{"http":{"request":{"method":"GET","bytes":1},"response":{"status_code":200,"bytes":7}},"url":{"path":"/p","original":"/a"},"event":{"duration":3000000}}"#,
            "GET /a 200 3 7",
        ),
        (
            r#"{"http.request.method":"GET","http.response.status_code":200,"url.path":"/a"}"#,
            "GET /a 200 - -",
        ),
        // Google load balancers
        (
            r#"{"httpRequest":{"requestMethod":"GET","requestUrl":"https://x/a","status":200,"latency":"0.012s","responseSize":"5"}}"#,
            "GET /a 200 12 5",
        ),
        // others
        (r#"{"method":"GET","url":"/a","status":200.0,"latency":"1.5ms"}"#, "GET /a 200 1.5 -"),
        (
            r#"{"method":"GET","path":"/\u00e9\"","status":200,"duration_ms":0.25}"#,
            "GET /é\" 200 0.25 -",
        ),
        (r#"{"method":"GET","path":"/a","status":200,"duration":-1}"#, "GET /a 200 - -"),
        // wrapped by a container runtime
        (
            r#"{"log":"1.2.3.4 - - [x] \"GET /a HTTP/1.1\" 200 3 \"-\" \"-\"\n","stream":"stdout"}"#,
            "GET /a 200 - 3",
        ),
        (r#"{"message":"{\"method\":\"GET\",\"path\":\"/a\",\"status\":204}"}"#, "GET /a 204 - -"),
        (r#"{"jsonPayload":{"method":"GET","path":"/a","status":204}}"#, "GET /a 204 - -"),
    ] {
        let (_, entry) = parse(line.as_bytes()).unwrap_or_else(|why| panic!("{why}: {line}"));
        assert_eq!(brief(&entry), expected, "{line}");
    }
}

#[test]
fn what_else_a_line_holds_is_kept() {
    let line =
        br#"[t] "POST /a HTTP/2" 503 UF,URX 41 13 5 - "xff" "say "hi"" "id" "api.example:443" "-""#;
    let (_, entry) = parse(line).unwrap();
    assert_eq!(entry.protocol, b"HTTP/2");
    assert_eq!(entry.authority, b"api.example:443");
    assert_eq!(entry.request_bytes, Some(41));
    assert_eq!(
        crate::request::response_flags::reason(entry.flags),
        Some("UpstreamConnectionFailure")
    );
    let line = br#"[t] "GET /a HTTP/1.1" 200 - via_upstream - "-" 0 48 3 2 "-" "curl" "id" "auth" "up" inbound|80|| a b c sni rt"#;
    let (_, entry) = parse(line).unwrap();
    assert_eq!((&*entry.authority, &*entry.cluster), (&b"auth"[..], &b"inbound|80||"[..]));
    assert_eq!(entry.route, b"rt");
}

#[test]
fn hostile_lines_do_no_harm() {
    let long = "a".repeat(MAX_LINE - 100);
    let long_request = format!(r#"h - - [t] "GET /{long} HTTP/1.1" 200 5"#);
    let deep = format!("{}1{}", "{\"a\":".repeat(5000), "}".repeat(5000));
    for (line, expected) in [
        (&b""[..], Err(Broken::NoFormat)),
        (b"\0\0\0", Err(Broken::NoFormat)),
        (b"hello world", Err(Broken::NoFormat)),
        (b"\"", Err(Broken::OpenQuote)),
        (b"[t] \"GET /a", Err(Broken::OpenQuote)),
        (b"[t] \"GET /a HTTP/1.1\"", Err(Broken::NoStatus)),
        (b"[t] \"GET /a HTTP/1.1\" abc", Err(Broken::NoStatus)),
        (b"[t] \"GET /a HTTP/1.1\" 20", Err(Broken::NoStatus)),
        (b"[t] \"GET /a HTTP/1.1\" 2000 1", Err(Broken::NoStatus)),
        (b"{", Err(Broken::NotJson)),
        (b"{\"method\":\"GET\"", Err(Broken::NotJson)),
        (b"{\"method\":\"GET\",\"path\":\"/\"} x", Err(Broken::NotJson)),
        (b"{}", Err(Broken::NoRequest)),
        (b"{\"msg\":\"started\"}", Err(Broken::NoRequest)),
        (b"{\"method\":\"GET\",\"path\":\"/\"}", Err(Broken::NoJsonStatus)),
        (deep.as_bytes(), Err(Broken::NoRequest)),
        (b"{\"a\":{\"b\":[}", Err(Broken::NotJson)),
        (b"{\"method\":\"GET\",\"status\":200}", Err(Broken::NoPath)),
        (b"a\tb\tc", Err(Broken::NoFormat)),
        // A request line that looks like JSON, or like the end of a line, is a request line.
        (b"h - - [t] \"GET /{\\\"a\\\":1} HTTP/1.1\" 200 5", Ok("GET /{\"a\":1} 200")),
        (b"h - - [t] \"GET /a\\\" 500 \\\"b HTTP/1.1\" 200 5", Ok("GET /a\" 500 \"b 200")),
        (b"[t] \"GET /a\"b HTTP/1.1\" 200 - 0 0 0 0 \"-\"", Ok("GET /a\"b 200")),
        (b"h - - [t] \"GET /a b c HTTP/1.1\" 200 5", Ok("GET /a b c 200")),
        (b"h - - [t] \"GET /\\\\ HTTP/1.1\" 200 5", Ok("GET /\\ 200")),
        (b"h - - [t] \"GET /\\x4 HTTP/1.1\" 200 5", Ok("GET /\\x4 200")),
        (b"h - - [t] \"GET /\xff\xfe HTTP/1.1\" 200 5", Ok("GET /\u{fffd}\u{fffd} 200")),
        (b"{\"method\":\"GET\",\"path\":\"/\xff\",\"status\":200}", Ok("GET /\u{fffd} 200")),
        (b"{\"method\":\"GET\",\"path\":\"/\",\"status\":99999999999}", Err(Broken::NoJsonStatus)),
        (b"{\"method\":\"GET\",\"path\":\"/\",\"status\":[1],\"code\":200}", Ok("GET / 200")),
        (b"h - - [t] \"GET / HTTP/1.1\" 200 99999999999999999999999", Ok("GET / 200")),
    ] {
        let found = parse(line).map(|(_, entry)| {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            format!("{} {} {}", text(&entry.method), text(&entry.path), entry.status)
        });
        let shown = String::from_utf8_lossy(line.get(..line.len().min(80)).unwrap());
        assert_eq!(found, expected.map(str::to_owned), "{shown}");
    }
    let (_, entry) = parse(long_request.as_bytes()).unwrap();
    assert_eq!(entry.path.len(), long.len() + 1);
}

#[test]
fn nothing_of_a_line_is_left_for_the_next() {
    let mut parser = Parser::default();
    let mut entry = Entry::default();
    let full = br#"{"method":"GET","path":"/a","status":200,"duration":5,"bytes_sent":1,"bytes_received":1,"authority":"x","route_name":"r","upstream_cluster":"c","protocol":"p","response_flags":"UF"}"#;
    parser.parse(full, &mut entry).unwrap();
    parser.parse(b"\t", &mut entry).unwrap_err();
    assert_eq!(entry, Entry::default());
}

fn lines(bytes: &[u8], chunk: usize) -> Vec<Result<Vec<u8>, super::lines::TooLong>> {
    /// Gives a few bytes at a time.
    struct Drip<'a>(&'a [u8], usize);
    impl std::io::Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let count = self.0.len().min(self.1).min(out.len());
            let (head, rest) = self.0.split_at(count);
            out[..count].copy_from_slice(head);
            self.0 = rest;
            Ok(count)
        }
    }
    let mut lines = Lines::new(Drip(bytes, chunk));
    let mut all = Vec::new();
    while let Some(line) = lines.read_line().unwrap() {
        all.push(line.map(<[u8]>::to_vec));
    }
    all
}

#[test]
fn lines_of_any_length_are_read() {
    for chunk in [1, 2, 7, 1000] {
        let found = lines(b"a\n\nbc\r\nlast", chunk);
        let expected = [&b"a"[..], b"", b"bc\r", b"last"];
        assert_eq!(found, expected.map(|line| Ok(line.to_vec())));
    }
    assert_eq!(lines(b"", 1), []);
    assert_eq!(lines(b"\n", 1), [Ok(Vec::new())]);
    let mut log = b"first\n".to_vec();
    log.extend(std::iter::repeat_n(b'x', 3 * MAX_LINE));
    log.extend(b"\nsecond\n");
    let found = lines(&log, 100_000);
    assert_eq!(found, [Ok(b"first".to_vec()), Err(super::lines::TooLong), Ok(b"second".to_vec())]);
}

mod laws {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parsing_never_panics(line in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&line);
        }

        /// Lines that are almost right.
        #[test]
        fn parsing_of_damaged_lines_never_panics(
            place in 0usize..160,
            byte in any::<u8>(),
            which in 0usize..3,
        ) {
            let mut line = [
                &br#"[t] "GET /a\"b HTTP/1.1" 200 - via - "-" 0 13 5 4 "x" "y" "z" "a" "u" c d e f g"#[..],
                br#"h - - [t] "GET /a\x0a HTTP/1.1" 200 612 "-" "M" rt=0.125 "x""#,
                br#"{"request":{"method":"GET","uri":"/a\u00e9"},"status":"200","duration":1.5e-3,"x":[{}]}"#,
            ][which].to_vec();
            let place = place % line.len();
            line[place] = byte;
            let _ = parse(&line);
            line.truncate(place);
            let _ = parse(&line);
        }

        /// A request in the common format is read back as it was, whatever the path.
        #[test]
        fn escaped_paths_come_back(path in proptest::collection::vec(1u8.., 0..40)) {
            prop_assume!(!path.contains(&b' ') && path != b"-");
            let mut line = b"h - - [t] \"GET ".to_vec();
            for &byte in &path {
                match byte {
                    b'"' | b'\\' => line.extend([b'\\', byte]),
                    0x20..0x7f => line.push(byte),
                    _ => line.extend(format!("\\x{byte:02x}").bytes()),
                }
            }
            line.extend(b" HTTP/1.1\" 200 5");
            let (_, entry) = parse(&line).unwrap();
            prop_assert_eq!(entry.path, path);
        }

        #[test]
        fn lines_are_those_of_split(text in "[ab\n]{0,60}", chunk in 1usize..9) {
            let found: Vec<Vec<u8>> =
                lines(text.as_bytes(), chunk).into_iter().map(Result::unwrap).collect();
            let expected: Vec<Vec<u8>> = text.lines().map(|line| line.as_bytes().to_vec()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
