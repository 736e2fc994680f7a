//! The endpoint of a request: configured ones first, then Envoy's route name, then what can be
//! inferred from the path.

use super::{CanonicalPath, Form, Found, Inference};
use crate::config::InferenceMode;
use crate::labels::{self, UNMATCHED};
use crate::plan::Plan;
use crate::request::grpc;

/// What infers endpoints, one for each mode; configurations of one VM share them.
pub struct Learners {
    /// Learns from the traffic.
    pub adaptive: Inference,
    /// Does not.
    pub heuristic: Inference,
}

impl Default for Learners {
    fn default() -> Self {
        Self {
            adaptive: Inference::new(InferenceMode::Adaptive),
            heuristic: Inference::new(InferenceMode::Heuristic),
        }
    }
}

/// How much is known of a request when its endpoint is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// It is under way.
    Unfinished,
    /// It has ended with this code, 0 for none.
    Answered(u16),
}

/// The endpoint of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// It is not counted.
    Excluded,
    /// By its place in [`super::Endpoints::labels`].
    Configured(usize),
    /// In the buffer that was given to [`decide`].
    Written,
}

impl Decided {
    /// The endpoint as it is before encoding; `None` where the request is excluded.
    pub fn text<'a>(self, plan: &'a Plan, written: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Excluded => None,
            Self::Configured(index) => Some(
                plan.endpoints.labels().get(index).map_or(UNMATCHED, String::as_str).as_bytes(),
            ),
            Self::Written => Some(written),
        }
    }
}

/// Decides. What is not configured is written into `out`, replacing what was there; `route_name`
/// appends Envoy's to it and says whether there is one. Only an answered request, and none with
/// one of the ignored codes, teaches anything.
pub fn decide(
    plan: &Plan,
    method: &[u8],
    path: &CanonicalPath<'_>,
    knowledge: Knowledge,
    learners: &mut Learners,
    route_name: impl FnOnce(&mut Vec<u8>) -> bool,
    out: &mut Vec<u8>,
) -> Decided {
    match plan.endpoints.find(method, path) {
        Found::Excluded => return Decided::Excluded,
        Found::Configured(index) => return Decided::Configured(index as usize),
        Found::Unknown => {}
    }
    out.clear();
    if plan.route_name && route_name(out) && !out.is_empty() {
        labels::escape_own_word(out);
        return Decided::Written;
    }
    out.clear();
    let learner = match plan.inference {
        InferenceMode::Adaptive => Some(&mut learners.adaptive),
        InferenceMode::Heuristic => Some(&mut learners.heuristic),
        InferenceMode::Off => None,
    };
    match (learner, knowledge, path.form()) {
        (_, Knowledge::Answered(code), _) if plan.ignore_statuses.contains(code) => {}
        // A call of gRPC is an endpoint by its name; there is nothing in it to learn.
        (Some(_), _, Form::Path) if method == b"POST" && grpc::is_method_path(path.segments()) => {
            for segment in path.segments() {
                out.push(b'/');
                out.extend_from_slice(segment);
            }
        }
        (Some(learner), Knowledge::Unfinished | Knowledge::Answered(0), Form::Path) => {
            learner.label(path, out);
        }
        (Some(learner), Knowledge::Answered(_), Form::Path) => learner.observe(path, out),
        (Some(_), _, Form::Asterisk) => out.push(b'*'),
        _ => {}
    }
    if out.is_empty() {
        out.extend_from_slice(UNMATCHED.as_bytes());
    }
    Decided::Written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;
    use crate::plan::Capacity;
    use crate::test;

    #[test]
    fn a_call_of_grpc_is_an_endpoint() {
        let plan = plan::load(b"{}", |_| None, Capacity::Checked).unwrap();
        let mut learners = Learners::default();
        for (code, expected) in [(200, "/shop.v1.Cart/AddItem"), (404, UNMATCHED)] {
            let mut out = Vec::new();
            let path = CanonicalPath::new(b"/shop.v1.Cart/AddItem");
            let code = Knowledge::Answered(code);
            decide(&plan, b"POST", &path, code, &mut learners, |_| false, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }

    fn label(configuration: &str, path: &str, knowledge: Knowledge, route: &str) -> Option<String> {
        let plan = plan::load(configuration.as_bytes(), |_| None, Capacity::Checked).unwrap();
        let mut learners = Learners::default();
        let mut out = b"left over".to_vec();
        let route_name = |out: &mut Vec<u8>| {
            out.extend_from_slice(route.as_bytes());
            true
        };
        let path = CanonicalPath::new(path.as_bytes());
        let decided = decide(&plan, b"GET", &path, knowledge, &mut learners, route_name, &mut out);
        decided.text(&plan, &out).map(|text| String::from_utf8_lossy(text).into_owned())
    }

    #[test]
    fn ignored_codes_and_what_is_no_path_are_unmatched() {
        let route = r#"{"endpoint": {"route_name": true}}"#;
        let off = r#"{"endpoint": {"inference": "off"}}"#;
        for (configuration, path, knowledge, name, expected) in [
            ("{}", "/users", Knowledge::Answered(200), "", "/users"),
            ("{}", "/users", Knowledge::Answered(0), "", "/users"),
            ("{}", "/users", Knowledge::Unfinished, "", "/users"),
            ("{}", "/users", Knowledge::Answered(404), "", UNMATCHED),
            ("{}", "*", Knowledge::Answered(200), "", "*"),
            ("{}", "*", Knowledge::Answered(404), "", UNMATCHED),
            ("{}", "example.com:443", Knowledge::Answered(200), "", UNMATCHED),
            ("{}", "/users", Knowledge::Answered(200), "a-route", "/users"),
            (route, "/users", Knowledge::Answered(404), "a-route", "a-route"),
            (route, "/users", Knowledge::Answered(200), "", "/users"),
            (off, "/users", Knowledge::Answered(200), "", UNMATCHED),
        ] {
            let found = label(configuration, path, knowledge, name);
            assert_eq!(found.as_deref(), Some(expected), "{configuration} {path} {knowledge:?}");
        }
    }
}
