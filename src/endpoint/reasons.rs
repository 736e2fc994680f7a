//! Why an inferred endpoint is what it is, for people.

use serde::Serialize;

use super::decide::is_named_call;
use super::{CanonicalPath, Form, Inference};
use crate::labels;

/// Why a segment is what it is in a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The segment as it stands in the path.
    pub segment: String,
    /// What it is in the label.
    pub label: String,
    /// Why, in words.
    pub why: String,
}

impl Reason {
    /// The segment, what became of it and why, in one line that is fit for a terminal whatever the
    /// client sent: `17: {id}, a number`.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { segment, label, why } = self;
        let mut line = String::new();
        labels::encode(segment.as_bytes(), usize::MAX, &mut line);
        line.push_str(": ");
        match segment == label {
            true => line.push_str("stays"),
            false => labels::encode(label.as_bytes(), usize::MAX, &mut line),
        }
        line + ", " + why
    }
}

/// For each segment of a path what it is in the endpoint that is inferred now, and why; teaches
/// nothing. Empty for what is no path, and for `/` and `*`, which have no segments.
#[must_use]
pub fn reasons(learner: &Inference, method: &[u8], path: &CanonicalPath<'_>) -> Vec<Reason> {
    if path.form() != Form::Path {
        return Vec::new();
    }
    if path.truncated() || !is_named_call(method, path) {
        return learner.explain(path);
    }
    let segments = path.segments().iter().map(|segment| String::from_utf8_lossy(segment));
    let names = ["the service of a call", "the method of a call"];
    let reason = |(segment, why): (String, &str)| Reason {
        label: segment.clone(),
        segment,
        why: why.to_owned(),
    };
    segments.map(Into::into).zip(names).map(reason).collect()
}
