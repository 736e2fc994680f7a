//! The endpoint label of one request after another, as one worker of the filter would give it.

use std::collections::HashSet;

use route_metrics::endpoint::{Asked, CanonicalPath, Decided, Knowledge, Learners, decide};
use route_metrics::labels;
use route_metrics::plan::Plan;
use route_metrics::request::{MAX_METHOD, readable};

/// One worker. It has no Envoy, so there is no route name.
pub struct Labeller<'a> {
    plan: &'a Plan,
    learners: Learners,
    /// The endpoints that answered requests had.
    known: HashSet<Vec<u8>>,
    written: Vec<u8>,
    text: String,
}

impl<'a> Labeller<'a> {
    pub fn new(plan: &'a Plan) -> Self {
        let (known, written, text) = (HashSet::new(), Vec::new(), String::new());
        Self { plan, learners: Learners::default(), known, written, text }
    }

    /// The label as it stands in the scrape, and what decided; empty where the request is excluded.
    pub fn label(&mut self, method: &[u8], path: &[u8], knowledge: Knowledge) -> (&str, Decided) {
        let Self { plan, learners, known, written, text } = self;
        let method = method.get(..MAX_METHOD).unwrap_or(method);
        let path = CanonicalPath::new(readable(path));
        // What a request was by its content type is not known here.
        let asked = Asked { method, path: &path, call: false, knowledge };
        let is_known = |endpoint: &[u8]| known.contains(endpoint);
        let decided = decide(plan, &asked, learners, |_| false, is_known, written);
        if decided == Decided::Written && !known.contains(written) {
            known.insert(written.clone());
        }
        text.clear();
        if let Some(endpoint) = decided.text(plan, written) {
            labels::encode(endpoint, plan.max_value_length, text);
        }
        (text, decided)
    }
}
