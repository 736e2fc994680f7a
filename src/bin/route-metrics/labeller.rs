//! The endpoint label of one request after another, as one worker of the filter would give it.

use route_metrics::endpoint::{CanonicalPath, Decided, Knowledge, Learners, decide};
use route_metrics::labels;
use route_metrics::plan::Plan;
use route_metrics::request::{MAX_METHOD, MAX_PATH};

/// One worker. It has no Envoy, so there is no route name.
pub struct Labeller<'a> {
    plan: &'a Plan,
    learners: Learners,
    written: Vec<u8>,
    text: String,
}

impl<'a> Labeller<'a> {
    pub fn new(plan: &'a Plan) -> Self {
        let (written, text) = (Vec::new(), String::new());
        Self { plan, learners: Learners::default(), written, text }
    }

    /// The label as it stands in the scrape, and what decided; empty where the request is excluded.
    pub fn label(&mut self, method: &[u8], path: &[u8], knowledge: Knowledge) -> (&str, Decided) {
        let Self { plan, learners, written, text } = self;
        let method = method.get(..MAX_METHOD).unwrap_or(method);
        let path = CanonicalPath::new(path.get(..MAX_PATH).unwrap_or(path));
        let decided = decide(plan, method, &path, knowledge, learners, |_| false, written);
        text.clear();
        if let Some(endpoint) = decided.text(plan, written) {
            labels::encode(endpoint, plan.max_value_length, text);
        }
        (text, decided)
    }
}
