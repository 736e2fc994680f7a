//! `route-metrics label`.

use std::io::{self, BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use route_metrics::custom::rules;
use route_metrics::endpoint::Knowledge;
use route_metrics::host::recorder::Recorder;
use route_metrics::labels::OTHER;
use route_metrics::labels::source::SourcePlan;
use route_metrics::plan::Capacity;
use route_metrics::plan::Plan;
use route_metrics::series::registry::Registry;

use crate::labeller::Labeller;
use crate::{Outcome, input};

/// Bytes of a line that are looked at; the filter looks at far fewer of a path.
const MAX_LINE: usize = 64 * 1024;

/// Read requests from standard input, one per line, and print the endpoint label of each
///
/// A line is METHOD, PATH and, where it is known, STATUS, separated by tabs; without STATUS the
/// request counts as answered with 200, and 0 means that there was no answer. Labels are printed
/// in order, one per line, as they stand in the scrape; the line of an excluded request is empty.
/// There is one pass, and every request teaches what it would teach one worker of the filter at the
/// end of its stream. Limits are out of the way unless `--limits` applies them, and routes have no
/// names.
#[derive(clap::Args)]
pub struct Arguments {
    /// The plugin's JSON, or a configuration of Envoy with the plugin in it
    file: PathBuf,
    /// Apply `limits.max_values_per_label`: an endpoint without a place is `_OTHER`, as in one worker
    /// that starts with this request
    #[arg(long)]
    limits: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    if arguments.file == Path::new("-") {
        bail!("standard input holds the requests; give the configuration as a file");
    }
    let capacity = if arguments.limits { Capacity::Checked } else { Capacity::Ignored };
    let (_, plan) = input::plan(&arguments.file, capacity)?;
    let places = match arguments.limits {
        true => Some(Places::new(&plan).context(
            "no metric has a label with the endpoint as it is, so --limits has nothing to apply",
        )?),
        false => None,
    };
    let output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let requests = io::BufReader::with_capacity(1 << 16, io::stdin().lock());
    Ok(label(&plan, places, requests, output)?)
}

/// The values of the label with the endpoint, as one VM keeps them.
struct Places {
    host: Recorder,
    registry: Registry,
    list: usize,
}

impl Places {
    /// With places for what the plan names; `None` where no label shows endpoints as they are.
    fn new(plan: &Plan) -> Option<Self> {
        let label = plan.labels.iter().find(|label| {
            label.source == SourcePlan::Endpoint && label.choice.listed.is_none() && !label.hash
        })?;
        let (host, mut registry) = (Recorder::default(), Registry::default());
        let (endpoints, max) = (plan.endpoints.labels(), plan.max_value_length);
        let (list, _) = rules::label_values(&host, &mut registry, label, endpoints, max);
        Some(Self { host, registry, list })
    }

    /// The endpoint, or what it is counted under where it has no place.
    fn admit<'t>(&mut self, endpoint: &'t str) -> &'t str {
        let value = self.registry.value(&self.host, self.list, endpoint);
        if value.folded { OTHER } else { endpoint }
    }
}

fn label(
    plan: &Plan,
    mut places: Option<Places>,
    mut requests: impl BufRead,
    mut labels: impl Write,
) -> io::Result<()> {
    let mut labeller = Labeller::new(plan);
    let mut line = Vec::new();
    while read_line(&mut requests, &mut line)? {
        let (method, path, status) = fields(&line);
        let (mut text, _) = labeller.label(method, path, Knowledge::Answered(status));
        if let (Some(places), false) = (&mut places, text.is_empty()) {
            text = places.admit(text);
        }
        labels.write_all(text.as_bytes())?;
        labels.write_all(b"\n")?;
    }
    labels.flush()
}

/// Reads a line without its end into `line`, dropping what is too long; false where there is none.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            break;
        }
        any = true;
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
        let room = MAX_LINE.saturating_sub(line.len());
        line.extend_from_slice(part.get(..room).unwrap_or(part));
        let used = end.map_or(buffer.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            break;
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(any)
}

/// Method, path and status. A tab in a path can only be meant for one where no status follows it.
fn fields(line: &[u8]) -> (&[u8], &[u8], u16) {
    const UNKNOWN: u16 = 200;
    let tab = |text: &[u8]| text.iter().position(|&byte| byte == b'\t');
    let Some((method, rest)) = tab(line).and_then(|at| line.split_at_checked(at)) else {
        return (line, b"", UNKNOWN);
    };
    let rest = rest.get(1..).unwrap_or_default();
    let last = rest.iter().rposition(|&byte| byte == b'\t');
    if let Some((path, status)) = last.and_then(|at| rest.split_at_checked(at)) {
        let status = status.get(1..).unwrap_or_default().trim_ascii();
        if matches!(status, b"" | b"-") {
            return (method, path, UNKNOWN);
        }
        let number = std::str::from_utf8(status).ok().and_then(|text| text.parse().ok());
        if let Some(status) = number.filter(|status| matches!(status, 0 | 100..1000)) {
            return (method, path, status);
        }
    }
    (method, rest, UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use route_metrics::plan;

    fn labels(configuration: &str, requests: &[u8]) -> String {
        let plan = plan::load(configuration.as_bytes(), |_| None, Capacity::Ignored).unwrap();
        let mut out = Vec::new();
        label(&plan, None, requests, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const CONFIGURATION: &str = r#"{
        "limits": {"max_values_per_label": 1},
        "endpoint": {"exclude": ["/healthz"], "templates": ["/users/{id}"], "inference": "off"}
    }"#;

    #[test]
    fn every_line_gives_one_label() {
        let requests =
            b"GET\t/users/1\nGET\t/healthz\t200\r\nGET\t/\t404\n\n\xff\nGET\t/users/\xff\t500";
        assert_eq!(
            labels(CONFIGURATION, requests),
            "/users/{id}\n\n_UNMATCHED\n_UNMATCHED\n_UNMATCHED\n/users/{id}\n"
        );
        assert_eq!(labels(CONFIGURATION, b""), "");
    }

    #[test]
    fn limits_are_applied_where_they_are_asked_for() {
        let configuration = br#"{
            "limits": {"max_values_per_label": 4},
            "endpoint": {"templates": ["/users/{id}"], "inference": "heuristic"}}"#;
        let plan = plan::load(configuration, |_| None, Capacity::Checked).unwrap();
        let words = ["orders", "carts", "search"];
        let mut requests = String::new();
        for round in 0..200 {
            for word in words {
                requests.push_str(&format!("GET\t/{word}/{round}\n"));
            }
            requests.push_str("GET\t/users/7\n");
        }
        let mut out = Vec::new();
        label(&plan, Places::new(&plan), requests.as_bytes(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let count = |label: &str| text.lines().filter(|line| *line == label).count();
        // _OTHER, _UNMATCHED and the template have a place each, so one of the others gets the last.
        assert_eq!(count("/users/{id}"), 200);
        let places = words.iter().filter(|word| count(&format!("/{word}/{{id}}")) > 0).count();
        assert_eq!(places, 1, "{text}");
        assert!(count(OTHER) >= 400);
        let none = br#"{"metrics": {"requests_total": {"labels": ["method"]},
            "request_duration": {"labels": []}, "response_size": {"labels": []},
            "exceptions_total": {"labels": ["type"]}}}"#;
        let plan = plan::load(none, |_| None, Capacity::Checked).unwrap();
        assert!(Places::new(&plan).is_none());
    }

    #[test]
    fn the_status_decides_what_counts_where_it_is_known() {
        let requests = b"GET\t/a\t404\nGET\t/a\t200\nGET\t/a\t0\nGET\t/a\t\nGET\t/a\t-\nGET\t/a";
        assert_eq!(labels("{}", requests), "_UNMATCHED\n/a\n/a\n/a\n/a\n/a\n");
    }

    #[test]
    fn labels_are_encoded_as_in_the_scrape() {
        let requests = "GET\t/tag.x;.;/caf\u{e9}.\nGET\t/a\tb\n".as_bytes();
        let found = labels(r#"{"endpoint": {"inference": "heuristic"}}"#, requests);
        assert!(found.is_ascii() && found.lines().count() == 2, "{found}");
    }

    #[test]
    fn a_line_of_any_length_is_one_request() {
        let mut requests = b"GET\t/users/".to_vec();
        requests.resize(1_000_000, b'7');
        requests.extend_from_slice(b"\t404\nGET\t/users/1\n");
        // Above the limit of a path it is no endpoint, as in the filter.
        assert_eq!(labels(CONFIGURATION, &requests), "_UNMATCHED\n/users/{id}\n");
    }

    #[test]
    fn fields_are_separated_by_tabs() {
        for (line, expected) in [
            (&b"GET\t/a\t404"[..], (&b"GET"[..], &b"/a"[..], 404)),
            (b"GET\t/a\tb", (b"GET", b"/a\tb", 200)),
            (b"GET\t/a\tb\t301", (b"GET", b"/a\tb", 301)),
            (b"GET\t/a\t99", (b"GET", b"/a\t99", 200)),
            (b"GET\t", (b"GET", b"", 200)),
            (b"GET", (b"GET", b"", 200)),
        ] {
            assert_eq!(fields(line), expected);
        }
    }
}
