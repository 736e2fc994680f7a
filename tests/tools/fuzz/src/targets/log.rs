//! Access logs.

use std::io::Read;
use std::time::Duration;

use route_metrics::command::preview::log::{Entry, Lines, MAX_LINE, Parser};
use route_metrics::command::preview::{Replay, Report, html, write_text};

/// A configuration with few places, so that some lines are folded.
const CONFIGURATION: &str = r#"{
    "endpoint": {"exclude": ["/healthz"], "templates": ["/users/{id}"]},
    "limits": {"max_values_per_label": 12}
}"#;

/// Gives a few bytes at a time.
struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let size = self.0.len().min(buffer.len()).min(7);
        let (now, later) = self.0.split_at(size);
        buffer[..size].copy_from_slice(now);
        self.0 = later;
        Ok(size)
    }
}

/// The lines of a log, and what is reported of them.
pub fn lines(input: &[u8]) {
    let mut replay = Replay::new(CONFIGURATION.as_bytes()).expect("the configuration is right");
    replay.start_input("input");
    let mut reader = Lines::new(Slow(input));
    let mut expected = input.split(|&byte| byte == b'\n');
    let (mut parser, mut entry) = (Parser::default(), Entry::default());
    let (mut good, mut broken) = (0, 0);
    while let Some(line) = reader.read_line().expect("memory can be read") {
        let line = line.expect("an input is shorter than the longest line");
        assert!(line.len() <= MAX_LINE);
        assert_eq!(Some(line), expected.next(), "the lines differ");
        let blank = line.trim_ascii().is_empty();
        match parser.parse(line, &mut entry) {
            Ok(_) => {
                good += 1;
                assert!(!blank, "a blank line is a request");
                assert!(entry.status < 1000, "{entry:?}");
            }
            Err(_) if blank => {}
            Err(_) => broken += 1,
        }
        replay.line(line);
    }
    assert!(expected.all(<[u8]>::is_empty), "a line was lost");
    assert_eq!(replay.requests(), good, "requests");
    let report = Report::new(&mut replay, Duration::from_secs(1));
    assert_eq!(report.requests, good);
    assert_eq!(report.inputs.iter().map(|input| input.broken_lines).sum::<u64>(), broken);
    let rows: u64 = report.endpoints.iter().map(|row| row.requests).sum();
    assert_eq!(rows, good, "the endpoints do not add up to the requests");
    printed(&report);
}

/// What is printed cannot take over a terminal or a page.
fn printed(report: &Report) {
    let mut text = Vec::new();
    write_text(report, true, &mut text).expect("memory can be written");
    let text = String::from_utf8(text).expect("the report is text");
    let control = text.chars().find(|&c| c.is_control() && c != '\n');
    assert_eq!(control, None, "{text}");
    let mut page = Vec::new();
    html::write(report, &mut page).expect("memory can be written");
    let page = String::from_utf8(page).expect("the page is text").to_ascii_lowercase();
    for hostile in ["<img", "<iframe", "<object", "<body onload"] {
        assert!(!page.contains(hostile), "{hostile} is in the page");
    }
    serde_json::to_string(report).expect("the report can be written as JSON");
}
