//! The endpoint of a request: configured ones first, then Envoy's route name, then what can be
//! inferred from the path.

use super::{CanonicalPath, Form, Found, Inference};
use crate::config::InferenceMode;
use crate::labels::{self, UNMATCHED};
use crate::plan::Plan;
use crate::request::grpc;
use crate::secret::Secret;

/// Bytes of a path before service and method of a call that are looked at.
const MAX_PREFIX: usize = 256;

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

impl Learners {
    /// The one of a mode; `None` for [`InferenceMode::Off`].
    #[must_use]
    pub fn of(&self, mode: InferenceMode) -> Option<&Inference> {
        match mode {
            InferenceMode::Adaptive => Some(&self.adaptive),
            InferenceMode::Heuristic => Some(&self.heuristic),
            InferenceMode::Off => None,
        }
    }

    /// Hashes what clients send with this key from now on. What was learned with another one is
    /// forgotten.
    pub fn set_secret(&mut self, secret: Secret) {
        self.adaptive.set_secret(secret);
        self.heuristic.set_secret(secret);
    }
}

/// How much is known of a request when its endpoint is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// It is under way.
    Unfinished,
    /// It has ended with this code, 0 for none.
    Answered(u16),
    /// It has ended with this code, but nothing says that the application knows the path: Envoy
    /// failed by itself, or the application does not have the method of a gRPC call.
    Unproven(u16),
}

impl Knowledge {
    fn code(self) -> Option<u16> {
        match self {
            Self::Unfinished => None,
            Self::Answered(code) | Self::Unproven(code) => Some(code),
        }
    }

    /// Whether the answer says that the application knows the path. Too many requests (429) are
    /// answered so before anybody looks at the path.
    fn proves(self) -> bool {
        !matches!(self, Self::Unproven(_) | Self::Answered(0 | 429))
    }
}

/// A request whose endpoint is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The path.
    pub path: &'a CanonicalPath<'a>,
    /// Whether it is a remote call by its content type, so that its path ends in service and
    /// method, whatever their names look like.
    pub call: bool,
    /// How much is known of it.
    pub knowledge: Knowledge,
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
/// appends Envoy's to it and says whether there is one, and `is_known` says whether an endpoint has
/// its place already. Only an answered request, and none with one of the ignored codes, teaches
/// anything. One that proves nothing about its path teaches nothing, and has an inferred endpoint
/// only where that is known.
pub fn decide(
    plan: &Plan,
    asked: &Asked<'_>,
    learners: &mut Learners,
    route_name: impl FnOnce(&mut Vec<u8>) -> bool,
    is_known: impl FnOnce(&[u8]) -> bool,
    out: &mut Vec<u8>,
) -> Decided {
    let &Asked { method, path, call, knowledge } = asked;
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
    let ignored = knowledge.code().is_some_and(|code| plan.ignore_statuses.contains(code));
    let proves = knowledge.proves();
    let named = || is_named_call(method, path);
    match (learner, path.form()) {
        _ if ignored => {}
        // There is nothing in the name of a method to learn.
        (Some(learner), Form::Path) if call || named() => write_call(path, learner, out),
        (Some(learner), Form::Path) if proves && knowledge != Knowledge::Unfinished => {
            learner.observe(path, out);
        }
        (Some(learner), Form::Path) => learner.label(path, out),
        (Some(_), Form::Asterisk) => out.push(b'*'),
        _ => {}
    }
    if !proves && !out.is_empty() && !is_known(out) {
        out.clear();
    }
    if out.is_empty() {
        out.extend_from_slice(UNMATCHED.as_bytes());
    }
    Decided::Written
}

/// Appends the endpoint that a path would be inferred to now; teaches nothing. Nothing is appended
/// for what is no path.
pub fn infer(learner: &Inference, method: &[u8], path: &CanonicalPath<'_>, out: &mut Vec<u8>) {
    match is_named_call(method, path) {
        true => write_call(path, learner, out),
        false => learner.label(path, out),
    }
}

/// Whether a request is a remote call by the names in its path.
#[inline(always)]
pub(super) fn is_named_call(method: &[u8], path: &CanonicalPath<'_>) -> bool {
    method == b"POST" && grpc::is_method_path(path.segments())
}

/// Writes the endpoint of a remote call: service and method as they are, below what the path before
/// them is inferred to be.
fn write_call(path: &CanonicalPath<'_>, learner: &Inference, out: &mut Vec<u8>) {
    let segments = path.segments();
    let (before, name) = segments.split_at(segments.len().saturating_sub(2));
    // A path that was cut does not end in them.
    if name.len() < 2 || path.truncated() {
        return learner.label(path, out);
    }
    if !before.is_empty() {
        let mut buffer = [0; MAX_PREFIX];
        let bytes = before.iter().flat_map(|segment| b"/".iter().chain(*segment));
        let mut length = 0;
        for (place, byte) in buffer.iter_mut().zip(bytes) {
            *place = *byte;
            length += 1;
        }
        let prefix = buffer.get(..length).unwrap_or_default();
        learner.label(&CanonicalPath::new(prefix), out);
    }
    for segment in name {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;
    use crate::plan::Capacity;
    use crate::test;

    /// The endpoint of a request to a filter that knows some.
    fn label_of(
        configuration: &str,
        (method, path, call): (&str, &str, bool),
        knowledge: Knowledge,
        route: &str,
        known: &[&str],
    ) -> Option<String> {
        let plan = plan::load(configuration.as_bytes(), |_| None, Capacity::Checked).unwrap();
        let mut learners = Learners::default();
        let mut out = b"left over".to_vec();
        let route_name = |out: &mut Vec<u8>| {
            out.extend_from_slice(route.as_bytes());
            true
        };
        let path = CanonicalPath::new(path.as_bytes());
        let asked = Asked { method: method.as_bytes(), path: &path, call, knowledge };
        let is_known = |endpoint: &[u8]| known.iter().any(|known| known.as_bytes() == endpoint);
        let decided = decide(&plan, &asked, &mut learners, route_name, is_known, &mut out);
        decided.text(&plan, &out).map(|text| String::from_utf8_lossy(text).into_owned())
    }

    #[test]
    fn a_call_of_grpc_is_an_endpoint() {
        let ok = Knowledge::Answered(200);
        for (method, path, call, knowledge, expected) in [
            ("POST", "/shop.v1.Cart/AddItem", false, ok, "/shop.v1.Cart/AddItem"),
            ("POST", "/shop.v1.Cart/AddItem", false, Knowledge::Answered(404), UNMATCHED),
            ("POST", "/shop.v1.Cart/AddItem", true, Knowledge::Unproven(200), UNMATCHED),
            ("POST", "/Greeter/SayHello", true, ok, "/Greeter/SayHello"),
            ("POST", "/com.example.MyService/doThing", true, ok, "/com.example.MyService/doThing"),
            ("POST", "/api/a0B7/5f3a", true, ok, "/api/a0B7/5f3a"),
            ("POST", "/users/17/a.B/c", true, ok, "/users/{id}/a.B/c"),
            ("POST", "/users/17", false, ok, "/users/{id}"),
            ("POST", "/users", true, ok, "/users"),
            ("POST", "/", true, ok, "/"),
        ] {
            let found = label_of("{}", (method, path, call), knowledge, "", &[]);
            assert_eq!(found.as_deref(), Some(expected), "{path} {call} {knowledge:?}");
        }
        let long = format!("/{}/a.B/c", "x".repeat(1000));
        let found = label_of("{}", ("POST", &long, true), ok, "", &[]).unwrap();
        assert!(found.ends_with("/a.B/c"), "{found}");
    }

    #[test]
    fn what_proves_nothing_is_unmatched_unless_it_is_known() {
        let off = r#"{"endpoint": {"inference": "off"}}"#;
        let template = r#"{"endpoint": {"templates": ["/users"]}}"#;
        let unproven = Knowledge::Unproven;
        for (configuration, knowledge, known, expected) in [
            ("{}", Knowledge::Answered(0), "", UNMATCHED),
            ("{}", Knowledge::Answered(0), "/users", "/users"),
            ("{}", Knowledge::Answered(429), "", UNMATCHED),
            ("{}", Knowledge::Answered(429), "/users", "/users"),
            ("{}", Knowledge::Answered(503), "", "/users"),
            ("{}", unproven(503), "", UNMATCHED),
            ("{}", unproven(503), "/users", "/users"),
            ("{}", unproven(404), "/users", UNMATCHED),
            (off, unproven(503), "/users", UNMATCHED),
            (template, unproven(503), "", "/users"),
        ] {
            let found = label_of(configuration, ("GET", "/users", false), knowledge, "", &[known]);
            assert_eq!(found.as_deref(), Some(expected), "{configuration} {knowledge:?} {known}");
        }
    }

    #[test]
    fn ignored_codes_and_what_is_no_path_are_unmatched() {
        let route = r#"{"endpoint": {"route_name": true}}"#;
        let off = r#"{"endpoint": {"inference": "off"}}"#;
        for (configuration, path, knowledge, name, expected) in [
            ("{}", "/users", Knowledge::Answered(200), "", "/users"),
            ("{}", "/users", Knowledge::Unfinished, "", "/users"),
            ("{}", "/users", Knowledge::Answered(404), "", UNMATCHED),
            ("{}", "*", Knowledge::Answered(200), "", "*"),
            ("{}", "*", Knowledge::Answered(404), "", UNMATCHED),
            ("{}", "*", Knowledge::Answered(0), "", UNMATCHED),
            ("{}", "example.com:443", Knowledge::Answered(200), "", UNMATCHED),
            ("{}", "/users", Knowledge::Answered(200), "a-route", "/users"),
            (route, "/users", Knowledge::Answered(404), "a-route", "a-route"),
            (route, "/users", Knowledge::Answered(0), "a-route", "a-route"),
            (route, "/users", Knowledge::Answered(200), "", "/users"),
            (off, "/users", Knowledge::Answered(200), "", UNMATCHED),
        ] {
            let found = label_of(configuration, ("GET", path, false), knowledge, name, &[]);
            assert_eq!(found.as_deref(), Some(expected), "{configuration} {path} {knowledge:?}");
        }
    }
}
