//! Custom metrics of events: what the application may report, and by which ways.

use crate::config::{CustomLabel, CustomMetric, join};
use crate::custom::events::EventMetric;
use crate::custom::header;
use crate::custom::post::MAX_PATH_BYTES;
use crate::endpoint::CanonicalPath;
use crate::labels::source::{LabelPlan, SourcePlan};
use crate::plan::choice::Lists;
use crate::plan::compile::Compiler;

/// Response headers that HTTP itself needs, so that they cannot be taken away.
const NEEDED: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "grpc-status",
    "location",
    "set-cookie",
    "transfer-encoding",
    "upgrade",
];

impl Compiler<'_> {
    pub(in crate::plan) fn event_metric(
        &mut self,
        path: &str,
        metric: &CustomMetric,
    ) -> Option<EventMetric> {
        let (by_header, by_post) = {
            let events = &self.config.events;
            (!events.response_header.is_empty(), !events.path.is_empty())
        };
        if !by_header && !by_post {
            let message = "is \"event\", but there is no way to report; set `events.response_header` or `events.path`";
            self.mistakes.add(format!("{path}.source"), message);
        }
        for (key, given) in [("match", metric.r#match.is_some()), ("value", metric.value.is_some())]
        {
            if given {
                let message = "does not go with \"source\": \"event\", where the application says what counts; drop one of them";
                self.mistakes.add(format!("{path}.{key}"), message);
            }
        }
        let scale = self.scale(&format!("{path}.scale"), metric.scale);
        if metric.labels.is_none() {
            let message = "is missing; declare what the application may report, such as {\"status\": {}}, or {} for no labels";
            self.mistakes.add(format!("{path}.labels"), message);
        }
        let declared = metric.labels.iter().flatten();
        let labels: Vec<Option<LabelPlan>> = declared
            .map(|(name, label)| {
                let at = join(&format!("{path}.labels"), name);
                self.label_name(&at, name);
                if by_header && name == header::VALUE {
                    let message = format!("`{name}` is the value of an event in a response header; use another name");
                    self.mistakes.add(at.as_str(), message);
                }
                let key = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
                let key = name.bytes().all(key) && !name.starts_with('_');
                if by_header && !by_post && !key {
                    let message = format!("{name:?} cannot stand in a response header (RFC 9651); use lower case, and a letter first");
                    self.mistakes.add(at.as_str(), message);
                }
                self.event_label(&at, name, label)
            })
            .collect();
        let metric = self.custom_plan(path, metric, labels)?;
        Some(EventMetric { metric, scale })
    }

    pub(in crate::plan) fn event_label(
        &mut self,
        at: &str,
        name: &str,
        label: &CustomLabel,
    ) -> Option<LabelPlan> {
        let CustomLabel { from, name: key, value, map, allow, default, hash } = label;
        let given = [("from", from.is_some()), ("name", key.is_some()), ("value", value.is_some())];
        for (key, _) in given.into_iter().filter(|(_, given)| *given) {
            let message = "does not go with \"source\": \"event\", where the application reports the value; drop it";
            self.mistakes.add(format!("{at}.{key}"), message);
        }
        let max_values = self.config.limits.max_values_per_label as usize;
        let (map, allow, default) = (map.as_ref(), allow.as_deref(), default.as_deref());
        let limit = "limits.max_values_per_label";
        let choice = self.choice(at, Lists { map, allow, default, max_values, limit });
        self.hash_goes(at, *hash, &choice, false);
        Some(LabelPlan {
            name: name.to_owned(),
            values: String::new(),
            source: SourcePlan::Reported,
            choice,
            hash: *hash,
            max_values,
        })
    }

    pub(in crate::plan) fn events_header(&mut self) -> Option<String> {
        const PATH: &str = "events.response_header";
        let name = self.header(PATH, &self.config.events.response_header)?;
        if name.starts_with(':') || name == "*" || NEEDED.contains(&name.as_str()) {
            let message = format!(
                "`{name}` is needed by HTTP, and would be taken away; use one of your own, such as \
                 x-metric-events"
            );
            self.mistakes.add(PATH, message);
        }
        if name.eq_ignore_ascii_case(&self.config.metrics.exceptions_total.header) {
            let message =
                format!("`{name}` is also `metrics.exceptions_total.header`; use two headers");
            self.mistakes.add(PATH, message);
        }
        Some(name)
    }

    pub(in crate::plan) fn events_path(&mut self) -> Option<String> {
        const PATH: &str = "events.path";
        let path = self.config.events.path.as_str();
        if path.is_empty() {
            return None;
        }
        let mut buffer = [0; MAX_PATH_BYTES];
        let parsed = CanonicalPath::new(path.as_bytes());
        let canonical = String::from_utf8_lossy(parsed.text(&mut buffer)).into_owned();
        let plain = |b: u8| b.is_ascii_graphic() && !b"{}*%\"\\".contains(&b);
        if !path.starts_with('/') || !path.bytes().all(plain) || path.len() > MAX_PATH_BYTES {
            let message = format!(
                "{path:?} is not a path; write one without placeholders and percent-encoding, such as /metric-events"
            );
            self.mistakes.add(PATH, message);
        } else if path == "/" {
            let message =
                "`/` is where a site begins; use a path of its own, such as /metric-events";
            self.mistakes.add(PATH, message);
        } else if canonical != path {
            self.mistakes
                .add(PATH, format!("{path:?} is not in canonical form; write {canonical:?}"));
        }
        Some(canonical)
    }
}
