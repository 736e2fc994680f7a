//! Events that are posted: a JSON array, and what it is answered with.
//!
//! ```json
//! [{"metric": "app_celery_tasks_total", "labels": {"task": "mail"}, "value": 1}]
//! ```

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::events::{Event, EventsPlan, MAX_EVENTS, Outcome, Refusal, Reported, shown};
use crate::custom::number::Number;

/// The longest body that is read, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;
/// The longest path to post to, in bytes.
pub const MAX_PATH_BYTES: usize = 1024;
/// The most mistakes that an answer names.
const MAX_SHOWN: usize = 20;

/// An answer of the filter's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The response code.
    pub status: u16,
    /// Headers besides the content type.
    pub headers: Vec<(&'static str, &'static str)>,
    /// A JSON object, or nothing.
    pub body: String,
    /// Events to count, by what became of them.
    pub outcomes: Vec<Outcome>,
}

impl Answer {
    fn new(status: u16, message: impl Into<String>) -> Self {
        let body = json!({"errors": [{"message": message.into()}]}).to_string();
        Self { status, headers: Vec::new(), body, outcomes: vec![Outcome::Malformed] }
    }

    /// All was recorded.
    #[must_use]
    pub fn done() -> Self {
        Self { status: 204, headers: Vec::new(), body: String::new(), outcomes: Vec::new() }
    }

    /// The body has more than [`MAX_BYTES`].
    #[must_use]
    pub fn too_large() -> Self {
        Self::new(413, format!("the body is too large; {MAX_BYTES} bytes are the most"))
    }

    /// The host did not hand over the body.
    #[must_use]
    pub fn unreadable() -> Self {
        Self::new(500, "the body could not be read")
    }
}

/// What is known of a post when its headers are there.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The method.
    pub method: &'a [u8],
    /// `content-type`.
    pub content_type: Option<&'a [u8]>,
    /// `content-encoding`.
    pub content_encoding: Option<&'a [u8]>,
    /// `content-length`.
    pub content_length: Option<&'a [u8]>,
}

impl Head<'_> {
    /// The answer, where the body need not be seen: 405, 415 or 413.
    #[must_use]
    pub fn refuse(&self) -> Option<Answer> {
        if self.method != b"POST" {
            let mut answer = Answer::new(405, "events are posted; use POST");
            answer.headers.push(("allow", "POST"));
            // Nothing was reported.
            answer.outcomes.clear();
            return Some(answer);
        }
        // Parameters do not matter: JSON is UTF-8 whatever they say (RFC 8259, 11).
        let media = self.content_type.unwrap_or_default().split(|&b| b == b';').next();
        if !media.unwrap_or_default().trim_ascii().eq_ignore_ascii_case(b"application/json") {
            return Some(Answer::new(
                415,
                "events are JSON; send `content-type: application/json`",
            ));
        }
        let coding = self.content_encoding.unwrap_or(b"identity").trim_ascii();
        if !coding.eq_ignore_ascii_case(b"identity") {
            return Some(Answer::new(415, "the body is encoded; send it without content-encoding"));
        }
        let length = self.content_length.and_then(|text| std::str::from_utf8(text).ok());
        let too_large = length.is_some_and(|text| match text.trim().parse::<u64>() {
            Ok(length) => length > MAX_BYTES as u64,
            Err(error) => *error.kind() == std::num::IntErrorKind::PosOverflow,
        });
        too_large.then(Answer::too_large)
    }
}

/// The events of a body, all of them checked.
///
/// # Errors
/// The answer that says what is wrong with which of them; then nothing is to be recorded.
pub fn parse(plan: &EventsPlan, body: &[u8]) -> Result<Vec<Event<'static>>, Answer> {
    if body.len() > MAX_BYTES {
        return Err(Answer::too_large());
    }
    let items: Value = serde_json::from_slice(body)
        .map_err(|error| Answer::new(400, format!("the body is not JSON: {error}")))?;
    let Value::Array(items) = items else {
        return Err(Answer::new(400, "the body is not an array; put the event in brackets: [{…}]"));
    };
    if items.len() > MAX_EVENTS {
        let message = format!("{} events, but {MAX_EVENTS} are the most in one post", items.len());
        return Err(Answer::new(400, message));
    }
    let mut events = Vec::with_capacity(items.len());
    let (mut outcomes, mut errors) = (Vec::new(), Vec::new());
    for (index, item) in items.into_iter().enumerate() {
        match read(item).and_then(|reported| plan.check(reported)) {
            Ok(event) => events.push(event),
            Err(refusal) => {
                outcomes.push(refusal.outcome);
                if errors.len() < MAX_SHOWN {
                    errors.push(json!({"item": index, "message": refusal.to_string()}));
                }
            }
        }
    }
    if outcomes.is_empty() {
        return Ok(events);
    }
    if outcomes.len() > errors.len() {
        let more = outcomes.len() - errors.len();
        errors.push(json!({"message": format!("and {more} more events were refused")}));
    }
    let body = json!({"errors": errors}).to_string();
    Err(Answer { status: 400, headers: Vec::new(), body, outcomes })
}

fn read(item: Value) -> Result<Reported<'static>, Refusal> {
    let malformed = |part: &str, message: &str| Refusal::new(Outcome::Malformed, part, message);
    let Value::Object(mut item) = item else {
        return Err(malformed("", "is not an object"));
    };
    let metric = match item.remove("metric") {
        Some(Value::String(metric)) => metric,
        Some(_) => return Err(malformed("metric", "is not a string")),
        None => return Err(malformed("metric", "is missing")),
    };
    let labels = match item.remove("labels") {
        None => Map::new(),
        Some(Value::Object(labels)) => labels,
        Some(_) => return Err(malformed("labels", "is not an object")),
    };
    let value = match item.remove("value") {
        None => None,
        Some(Value::Number(number)) => Some(match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => Number::Whole(whole),
            (None, real) => Number::Real(real.unwrap_or(f64::NAN)),
        }),
        Some(_) => return Err(Refusal::new(Outcome::Invalid, "value", "is not a number")),
    };
    if let Some(key) = item.keys().next() {
        let message = format!(
            "{} is not a key of an event; those are `metric`, `labels` and `value`",
            shown(key)
        );
        return Err(malformed("", &message));
    }
    let labels = labels.into_iter().map(|(name, value)| {
        let text = match value {
            Value::String(text) => text,
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                let part = format!("labels.{}", name.escape_debug());
                let message = "is not a string, number or boolean";
                return Err(Refusal::new(Outcome::Invalid, part, message));
            }
        };
        Ok((Cow::Owned(name), Cow::Owned(text.into_bytes())))
    });
    Ok(Reported { metric: metric.into(), labels: labels.collect::<Result<_, _>>()?, value })
}
