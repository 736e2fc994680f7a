//! The end of a request: its endpoint, whether it counts, and what is recorded.

use super::configured::Root;
use super::decisions::Decision;
use super::{Filter, Scratch, posts};
use crate::config::DurationUnit;
use crate::custom::rules::{self, Measured};
use crate::endpoint::{Asked, CanonicalPath, Decided, Knowledge, decide};
use crate::host::{Host, Property};
use crate::labels::value::{self, Facts};
use crate::plan::{Measure, MetricPlan, Plan, SamplingPlan};
use crate::request::{Kept, Outcome};
use crate::series::MAX_LABELS;
use crate::series::registry::{Amount, Registry, ValueId};

impl<H: Host> Filter<H> {
    /// Decides what a request that has ended was, and records it.
    pub(super) fn finish(
        &mut self,
        root: u32,
        plan: &Plan,
        kept: &Kept,
        in_sample: bool,
    ) -> Decision {
        let Some(root) = self.roots.get(&root) else { return Decision::SampledOut };
        let Self { host, registry, random, outcome, scratch, learners, .. } = self;
        outcome.reset();
        if in_sample && root.reads_headers {
            outcome.read_headers(host, &plan.response_headers);
        }
        let code = outcome.code(host);
        let path = CanonicalPath::new(kept.path());
        // Another filter may have answered before this one has seen the headers.
        if plan.events.path.as_ref().is_some_and(|events| posts::is_path(&path, events)) {
            return Decision::Excluded;
        }
        let call = kept.is_call() && outcome.is_call(host, &plan.response_headers);
        let knowledge = match outcome.proves_nothing(host, kept.is_call()) {
            true => Knowledge::Unproven(code),
            false => Knowledge::Answered(code),
        };
        let asked = Asked { method: kept.method(), path: &path, call, knowledge };
        let route_name = |out: &mut Vec<u8>| host.property(Property::RouteName, out);
        let Scratch { decided: last, endpoint, ids, value, rules, .. } = scratch;
        let is_known = |endpoint: &[u8]| {
            let text = value.encode(endpoint, plan.max_value_length);
            root.endpoints.is_some_and(|list| registry.knows(list, text))
        };
        let decided = decide(plan, &asked, learners, route_name, is_known, endpoint);
        *last = Some(decided);
        let Some(endpoint) = decided.text(plan, endpoint) else {
            return Decision::Excluded;
        };
        let always = is_always(&plan.sampling, host, outcome, code, endpoint);
        if !always && !in_sample {
            return Decision::SampledOut;
        }
        let weight = if always { 1 } else { plan.sampling.rate.weight(random) };
        let configured = match decided {
            Decided::Configured(place) => Some(place),
            _ => None,
        };
        let measured = Measured { endpoint: configured, weight, in_sample };
        let mut facts = Facts {
            endpoints: &plan.endpoints,
            response_headers: &plan.response_headers,
            exception_header: plan.exception_header,
            max_value_length: plan.max_value_length,
            hash_key: &root.hash_key,
            kept,
            path: &path,
            endpoint,
            outcome,
        };
        record(host, registry, root, &mut facts, &measured, ids, value);
        if !root.rules.is_empty() {
            let defined = (&plan.rules, root.rules.as_slice());
            rules::record(host, registry, defined, &mut facts, measured, rules, value);
        }
        Decision::Recorded
    }
}

/// Whether a rule of `always` keeps the request.
fn is_always(
    sampling: &SamplingPlan,
    host: &impl Host,
    outcome: &mut Outcome,
    code: u16,
    endpoint: &[u8],
) -> bool {
    sampling.has_always()
        && (sampling.statuses.contains(code)
            || sampling.slower_than_ns.is_some_and(|bound| outcome.duration_ns(host) > bound)
            || sampling.endpoints.iter().any(|kept| kept.as_bytes() == endpoint))
}

/// Records the built-in metrics. A label's value is looked up when a metric first needs it, and
/// `ids` keeps it for the next one.
fn record(
    host: &impl Host,
    registry: &mut Registry,
    root: &Root,
    facts: &mut Facts<'_>,
    measured: &Measured,
    ids: &mut Vec<Option<ValueId>>,
    buffers: &mut value::Buffers,
) {
    let plan = &*root.plan;
    ids.clear();
    ids.resize(plan.labels.len(), None);
    for (metric, &family) in plan.metrics.iter().zip(&root.families) {
        let Some(amount) = amount(metric, host, facts, measured, buffers) else { continue };
        let mut labels = [ValueId { id: 0, folded: false }; MAX_LABELS];
        for (to, &place) in labels.iter_mut().zip(&metric.labels) {
            let Some(known) = ids.get_mut(place) else { continue };
            *to = match *known {
                Some(id) => id,
                None => {
                    let id = match measured.endpoint.and_then(|e| root.endpoint_id(place, e)) {
                        Some(id) => id,
                        None => label_id(host, registry, root, facts, place, buffers),
                    };
                    *known = Some(id);
                    id
                }
            };
        }
        let labels = labels.get(..metric.labels.len()).unwrap_or_default();
        registry.record(host, family, labels, amount);
    }
}

/// The value of a label for this request.
fn label_id(
    host: &impl Host,
    registry: &mut Registry,
    root: &Root,
    facts: &mut Facts<'_>,
    place: usize,
    buffers: &mut value::Buffers,
) -> ValueId {
    let (Some(label), Some(&list)) = (root.plan.labels.get(place), root.values.get(place)) else {
        return ValueId { id: 0, folded: true };
    };
    let text = facts.value(host, label, buffers);
    registry.value(host, list, text)
}

/// What a request adds to a metric; `None` where it is none of the metric's.
fn amount(
    metric: &MetricPlan,
    host: &impl Host,
    facts: &mut Facts<'_>,
    measured: &Measured,
    buffers: &mut value::Buffers,
) -> Option<Amount> {
    match metric.measure {
        Measure::Requests => return Some(Amount::Add(measured.weight)),
        Measure::Exceptions => {
            return facts.is_exception(host, buffers).then_some(Amount::Add(measured.weight));
        }
        _ if !measured.in_sample => return None,
        _ => {}
    }
    Some(Amount::Record(match metric.measure {
        Measure::Duration(DurationUnit::Microseconds) => facts.outcome.duration_ns(host) / 1_000,
        Measure::Duration(DurationUnit::Milliseconds) => {
            facts.outcome.duration_ns(host) / 1_000_000
        }
        Measure::RequestSize => facts.outcome.request_size(host),
        _ => facts.response_size(host),
    }))
}
