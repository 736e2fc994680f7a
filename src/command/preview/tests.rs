use std::time::Duration;

use super::{Replay, Report, Source, cost, html, write_text};

fn replay(configuration: &str, lines: impl IntoIterator<Item = String>) -> Report {
    let mut replay = Replay::new(configuration.as_bytes()).unwrap();
    replay.start_input("test.log");
    for line in lines {
        replay.line(line.as_bytes());
    }
    Report::new(&mut replay, Duration::from_secs(1))
}

fn line(path: &str, status: u16) -> String {
    format!(r#"[t] "GET {path} HTTP/1.1" {status} - 0 100 20 - "-" "-" "-" "-" "-""#)
}

fn find<'r>(report: &'r Report, endpoint: &str) -> &'r super::EndpointReport {
    let is = |row: &&super::EndpointReport| row.endpoint == endpoint;
    report.endpoints.iter().find(is).unwrap_or_else(|| panic!("{endpoint} is not in {report:?}"))
}

const CONFIGURATION: &str = r#"{"endpoint": {
    "exclude": ["/healthz"], "templates": ["/users/{id}"],
    "rules": [{"regex": "^/old/.*\\.php$", "endpoint": "/old/{script}"}]}}"#;

#[test]
fn each_endpoint_says_what_gave_it() {
    let paths = ["/healthz", "/users/1", "/users/2?q=3", "/old/a.php", "/orders/17", "/login"];
    let mut lines: Vec<String> = paths.iter().map(|path| line(path, 200)).collect();
    lines.push(line("/wp-admin.php", 404));
    let report = replay(CONFIGURATION, lines);
    for (endpoint, source, entry, requests) in [
        ("/healthz", Source::Exclude, Some("exclude[0]"), 1),
        ("/users/{id}", Source::Template, Some("templates[0]"), 2),
        ("/old/{script}", Source::Rule, Some("rules[0]"), 1),
        ("/orders/{id}", Source::Heuristic, None, 1),
        ("/login", Source::Heuristic, None, 1),
        ("_UNMATCHED", Source::Unmatched, None, 1),
    ] {
        let row = find(&report, endpoint);
        assert_eq!((row.source, row.entry.as_deref(), row.requests), (source, entry, requests));
        assert!(!row.folded, "{endpoint}");
    }
    assert_eq!((report.decisions.recorded, report.decisions.excluded), (6, 1));
    assert_eq!(report.endpoints.iter().map(|row| row.requests).sum::<u64>(), report.requests);
    assert_eq!(report.templates, ["/users/{id}", "/login", "/orders/{id}"]);
}

#[test]
fn names_are_learned_and_printed_as_templates() {
    let names =
        ["ada", "bjarne", "grace", "linus", "server", "docs", "tools", "main", "web", "api"];
    let paths = (0..400).map(|n| line(&format!("/people/{}/posts", names[n % names.len()]), 200));
    let report = replay("{}", paths);
    let learned = report.endpoints.iter().find(|row| row.source == Source::Learned);
    assert_eq!(learned.map(|row| row.settled()), Some("/people/{id}/posts"), "{report:?}");
    for row in &report.endpoints {
        assert!(report.templates.iter().any(|template| template == row.settled()), "{row:?}");
    }
    let configuration = report.configuration().to_string();
    let again = replay(&configuration, [line("/people/zoe/posts", 200)]);
    assert_eq!(find(&again, "/people/{id}/posts").source, Source::Template);
}

#[test]
fn an_inferred_endpoint_says_why_each_segment_is_what_it_is() {
    let names =
        ["ada", "bjarne", "grace", "linus", "server", "docs", "tools", "main", "web", "api"];
    let people = (0..400).map(|n| line(&format!("/people/{}/posts", names[n % names.len()]), 200));
    let call = line("/shop.v1.Cart/AddItem", 200).replace("GET", "POST");
    let lines = [line("/users/17", 200), line("/", 200), call, line("/healthz", 200)];
    let report = replay(CONFIGURATION, people.chain(lines));
    let mut told = 0;
    for row in &report.endpoints {
        let labels: Vec<&str> = row.segments.iter().map(|reason| reason.label.as_str()).collect();
        match row.source {
            Source::Heuristic | Source::Learned if row.endpoint != "/" => {
                assert_eq!(format!("/{}", labels.join("/")), row.settled());
                assert!(row.segments.iter().all(|reason| !reason.why.is_empty()), "{row:?}");
                told += 1;
            }
            _ => assert!(labels.is_empty(), "{row:?}"),
        }
    }
    assert!(told > 1);
    let learned = report.endpoints.iter().find(|row| row.source == Source::Learned).unwrap();
    assert_eq!(learned.settled(), "/people/{id}/posts");
    // What traffic taught is among the reasons, which nothing but the log can say.
    let why = learned.segments[1].line();
    assert!(why.contains(": {id}, score -") && why.contains(" here "), "{why}");
    let call = find(&report, "/shop.v1.Cart/AddItem");
    assert_eq!((call.source, call.became.as_deref()), (Source::Heuristic, None));
    assert_eq!(call.segments[1].line(), "AddItem: stays, the method of a call");
    let mut page = Vec::new();
    html::write(&report, &mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains("<li>AddItem: stays, the method of a call</li>"), "{page}");
    assert_eq!(page.matches("<details class=\"why\">").count(), told);
}

#[test]
fn a_note_says_why_most_requests_are_unmatched() {
    let answered = |codes: &[u16]| -> Vec<String> {
        codes.iter().map(|&code| line("/users/17", code)).collect()
    };
    let note = |configuration: &str, codes: &[u16]| {
        let notes = replay(configuration, answered(codes)).notes;
        notes.into_iter().find(|note| note.contains("_UNMATCHED"))
    };
    let all = note("{}", &[404, 404, 401, 200]).unwrap();
    assert!(
        all.starts_with("3 of 4 requests (75.0%) are _UNMATCHED, by status: 404 2, 401 1. A path"),
        "{all}"
    );
    assert!(note("{}", &[429, 0]).unwrap().contains("by status: no answer 1, 429 1."));
    let mut few = vec![200; 10];
    few.push(404);
    assert_eq!(note("{}", &few), None);
    assert_eq!(note(r#"{"endpoint": {"templates": ["/users/{id}"]}}"#, &[404, 404]), None);
    let off = note(r#"{"endpoint": {"inference": "off"}}"#, &[200]).unwrap();
    assert!(off.ends_with("so only templates and rules give endpoints"), "{off}");
}

#[test]
fn folding_is_that_of_the_filter() {
    let configuration = r#"{"limits": {"max_values_per_label": 5}}"#;
    let words = ["login", "logout", "search", "orders", "products", "invoices", "settings"];
    let lines = words.iter().flat_map(|word| (0..30).map(move |_| line(&format!("/{word}"), 200)));
    let report = replay(configuration, lines);
    assert_eq!(report.requests, 210);
    // _OTHER and _UNMATCHED have a place each, and the last one has to be asked for nine times.
    assert_eq!(report.folded_endpoints_total, 4);
    assert_eq!(report.folded_endpoints, ["/invoices", "/orders", "/products", "/settings"]);
    let fold = report.folded.iter().find(|fold| fold.metric == "http_requests_total").unwrap();
    assert_eq!((fold.label.as_str(), fold.requests), ("endpoint", 8 + 4 * 30));
    let metric = report.metrics.iter().find(|row| row.metric == "http_requests_total").unwrap();
    assert_eq!((metric.series, metric.series_limit), (4, 2000));
    assert!(report.notes.iter().any(|note| note.contains("limits fold")));
    let raise = "`endpoint` has 5 places, so 4 endpoints went to _OTHER: where they are the \
                 application's own, raise `limits.max_endpoints` to 200";
    assert!(report.notes.iter().any(|note| note.starts_with(raise)), "{:?}", report.notes);
}

#[test]
fn durations_and_sizes_are_those_of_the_log() {
    let lines = (1..=100)
        .map(|ms| format!(r#"[t] "GET /a HTTP/1.1" 200 - 0 10 {ms} - "-" "-" "-" "-" "-""#));
    let report = replay("{}", lines);
    let row = find(&report, "/a");
    let duration = row.duration_ms.unwrap();
    assert!((duration.mean - 50.5).abs() < 0.01, "{duration:?}");
    for (found, exact) in [(duration.p50, 50.0), (duration.p95, 95.0), (duration.p99, 99.0)] {
        assert!((found / exact - 1.0).abs() < 0.07, "{duration:?}");
    }
    assert_eq!(row.response_bytes, 1000);
}

#[test]
fn sampling_is_left_out() {
    let lines = (0..50).map(|_| line("/a", 200));
    let report = replay(r#"{"sampling": {"rate": 0.01}}"#, lines);
    assert_eq!((report.decisions.recorded, report.decisions.sampled_out), (50, 0));
    assert!(report.notes.iter().any(|note| note.contains("sampling is left out")));
}

#[test]
fn labels_from_headers_are_pointed_out() {
    let configuration = r#"{
        "metrics": {"requests_total": {"labels": ["endpoint", "tenant"]}},
        "labels": {"tenant": {"from": "request_header", "name": "x-tenant"}}}"#;
    let report = replay(configuration, [line("/a", 200)]);
    let note = report.notes.iter().find(|note| note.contains("`tenant`"));
    assert!(
        note.is_some_and(|note| note.contains("access logs do not hold")),
        "{:?}",
        report.notes
    );
}

#[test]
fn broken_lines_are_counted_and_shown() {
    let mut replay = Replay::new(b"{}").unwrap();
    replay.start_input("a.log");
    replay.line(b"");
    replay.line(b"starting \x1b[31mserver");
    replay.line(line("/a", 200).as_bytes());
    replay.too_long();
    replay.start_input("b.log");
    (0..9).for_each(|_| replay.line(b"{"));
    let report = Report::new(&mut replay, Duration::ZERO);
    let [a, b] = report.inputs.as_slice() else { panic!("{report:?}") };
    assert_eq!((a.lines, a.broken_lines, b.broken_lines), (4, 2, 9));
    assert_eq!(
        a.broken_examples,
        [
            (2, "no known format".to_owned(), "starting \u{fffd}[31mserver".to_owned()),
            (4, "longer than 1 MiB".to_owned(), String::new()),
        ]
    );
    assert_eq!(b.broken_examples.len(), 5);
    assert_eq!((report.requests, report.broken_lines), (1, 11));
}

#[test]
fn memory_does_not_grow_with_distinct_paths() {
    let lines = (0u64..30_000).map(|n| {
        let word: String = (0..6)
            .map(|i| char::from(b'a' + (n.wrapping_mul(7919) >> (i * 4) & 15) as u8))
            .collect();
        line(&format!("/{word}/{}", n % 97), 200)
    });
    let report = replay("{}", lines);
    assert!(report.endpoints.len() <= 20_000);
    assert!(report.growth.len() <= 257);
    let counted: u64 = report.endpoints.iter().map(|row| row.requests).sum();
    assert_eq!(counted + report.other_endpoints_requests, report.requests);
}

#[test]
fn a_stat_name_is_taken_apart() {
    for (name, metric, labels) in [
        ("a_total", "a_total", &[][..]),
        ("a_total.method=.=GET;.;", "a_total", &[("method", "GET")]),
        (
            "a_total.method=.=GET;.;endpoint=.=/v1.0/{id};.;",
            "a_total",
            &[("method", "GET"), ("endpoint", "/v1.0/{id}")],
        ),
    ] {
        assert_eq!(cost::parse_name(name), (metric, labels.to_vec()));
    }
}

#[test]
fn the_text_has_every_part() {
    let mut lines: Vec<String> = (0..9).map(|n| line(&format!("/users/{n}"), 200)).collect();
    lines.push("broken".to_owned());
    let mut text = Vec::new();
    write_text(&replay(CONFIGURATION, lines), true, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    for part in [
        "test.log: 10 lines, Envoy 9",
        "1 lines are no requests (1 no known format), 0 of them were likely meant to be, the first:",
        "line 10: no known format: broken",
        "9 requests: 9 recorded, 0 excluded",
        "template             1            9  100.0%",
        "/users/{id}",
        "http_requests_total                               1    2,000",
        "endpoint 1/100",
        "No overflow",
        "one scrape",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn the_page_is_whole_and_nothing_in_it_is_the_logs() {
    let hostile = "/\"><script>alert(1)</script><img src=x onerror=y>&'";
    let mut lines: Vec<String> = (0..600).map(|n| line(&format!("/users/{n}"), 200)).collect();
    lines.push(line(hostile, 200));
    lines.push(format!("<script>{hostile}"));
    let mut replay = Replay::new(br#"{"limits": {"max_values_per_label": 3}}"#).unwrap();
    replay.start_input("<script>.log");
    lines.iter().for_each(|line| replay.line(line.as_bytes()));
    let mut page = Vec::new();
    html::write(&Report::new(&mut replay, Duration::from_secs(1)), &mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    for part in ["default-src 'none'", "<svg ", "/users/{id}", "Overflow", "&lt;script&gt;.log"] {
        assert!(page.contains(part), "{part}");
    }
    for element in ["section", "table", "tr", "td", "div", "span", "svg", "g", "p", "details"] {
        let count = |text: &str| page.matches(text).count();
        let opened = count(&format!("<{element} ")) + count(&format!("<{element}>"));
        assert_eq!(opened, count(&format!("</{element}>")), "{element}");
    }
    assert!(!page.contains("http://") && !page.contains("https://"));
}
