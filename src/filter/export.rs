//! The endpoint as filter state, for access logs and traces.

use super::{Filter, Phase};
use crate::endpoint::{Asked, CanonicalPath, Decided, Knowledge, decide};
use crate::host::{Host, Property};
use crate::labels::UNMATCHED;

impl<H: Host> Filter<H> {
    /// Sets the endpoint, as far as it is known before the response, as filter state.
    pub(super) fn export(&mut self, stream: u32) {
        let Self { host, roots, streams, pool, scratch, learners, .. } = self;
        let Some(state) = streams.get(&stream) else { return };
        let Some(root) = roots.get(&state.root) else { return };
        // Access logs and traces have a sampling of their own, so this one does not count here.
        let mut unsampled = None;
        let kept = match &state.phase {
            Phase::Kept { kept, .. } => kept,
            _ => {
                let kept = unsampled.insert(pool.take());
                kept.fill(host, &[]);
                kept
            }
        };
        let path = CanonicalPath::new(kept.path());
        let asked = Asked {
            method: kept.method(),
            path: &path,
            call: kept.is_call(),
            knowledge: Knowledge::Unfinished,
        };
        let route_name = |out: &mut Vec<u8>| host.property(Property::RouteName, out);
        let out = &mut scratch.endpoint;
        let known = decide(&root.plan, &asked, learners, route_name, |_| true, out);
        if let Some(text) = known.text(&root.plan, &scratch.endpoint) {
            let text = scratch.value.encode(text, root.plan.max_value_length);
            host.set_filter_state("endpoint", text.as_bytes());
            // A route is what the configuration says; what was inferred is a template of paths.
            match known {
                Decided::Configured(_) => host.set_filter_state("route", text.as_bytes()),
                _ if text != UNMATCHED => host.set_filter_state("url_template", text.as_bytes()),
                _ => {}
            }
        }
        if let Some(kept) = unsampled {
            pool.give(kept);
        }
    }
}
