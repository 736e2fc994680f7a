//! What became of requests: recorded, outside the sample, or excluded.

use crate::host::{Host, MetricKind};
use crate::series::registry::{Handle, Registry};

/// What became of a request.
#[derive(Clone, Copy)]
pub(super) enum Decision {
    Recorded,
    SampledOut,
    Excluded,
}

/// `route_metrics_requests_total`, by [`Decision`]. The host is told with the flush: this is not
/// worth a call for each request.
#[derive(Default)]
pub(super) struct Decisions([(Handle, u64); 3]);

impl Decisions {
    pub(super) fn define(&mut self, host: &impl Host, registry: &mut Registry) {
        let names = ["recorded", "sampled_out", "excluded"];
        for ((handle, _), decision) in self.0.iter_mut().zip(names) {
            let labels = [("decision", decision)];
            let name = "route_metrics_requests_total";
            *handle = registry.own(host, MetricKind::Counter, name, &labels);
        }
    }

    pub(super) fn count(&mut self, decision: Decision) {
        if let Some((_, count)) = self.0.get_mut(decision as usize) {
            *count += 1;
        }
    }

    pub(super) fn flush(&mut self, host: &impl Host) {
        for (handle, count) in self.0.iter_mut().filter(|(_, count)| *count > 0) {
            handle.add(host, std::mem::take(count));
        }
    }
}
