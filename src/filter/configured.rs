//! One configuration at work: its plan, and what was defined at the host for it.

use std::rc::Rc;

use crate::custom::events;
use crate::custom::rules::{self, Rule};
use crate::host::{Host, MetricKind};
use crate::labels::source::{LabelPlan, SourcePlan};
use crate::plan::{Measure, MetricPlan, Plan};
use crate::series::open_requests::Active;
use crate::series::registry::{Definition, Registry, ValueId};

/// One configuration: a root context of the host.
pub(super) struct Root {
    pub(super) plan: Rc<Plan>,
    /// The lists of values of the plan's labels.
    pub(super) values: Vec<usize>,
    /// The families of the plan's metrics.
    pub(super) families: Vec<usize>,
    /// For each label, the ids of the configured endpoints where they stand in it as they are.
    pub(super) endpoint_ids: Vec<Vec<ValueId>>,
    /// The list in which endpoints stand as they are.
    pub(super) endpoints: Option<usize>,
    /// What was defined for the plan's rules.
    pub(super) rules: Vec<rules::Family>,
    pub(super) events: events::Families,
    /// Whether Envoy has shown the body of a post of itself.
    pub(super) shows_bodies: bool,
    pub(super) gauge: Option<usize>,
    pub(super) hash_key: [u8; 16],
    /// Whether reading all headers of the response in one call is worth its while.
    pub(super) reads_headers: bool,
    pub(super) last_flush: u64,
}

impl Root {
    /// The value of the label at this place for a configured endpoint, where that stands in it as it
    /// is.
    #[inline]
    pub(super) fn endpoint_id(&self, place: usize, endpoint: usize) -> Option<ValueId> {
        self.endpoint_ids.get(place)?.get(endpoint).copied()
    }

    /// Defines what a plan needs. `flushes` is the number of flushes so far.
    pub(super) fn define(
        host: &impl Host,
        registry: &mut Registry,
        active: &mut Active,
        plan: Rc<Plan>,
        hash_key: [u8; 16],
        flushes: u64,
    ) -> Self {
        let mut values = Vec::new();
        let mut endpoint_ids = Vec::new();
        let (endpoints, max) = (plan.endpoints.labels(), plan.max_value_length);
        for label in &plan.labels {
            let (list, ids) = rules::label_values(host, registry, label, endpoints, max);
            values.push(list);
            endpoint_ids.push(ids);
        }
        let plain = |label: &LabelPlan| {
            label.source == SourcePlan::Endpoint && label.choice.listed.is_none() && !label.hash
        };
        let place_of_endpoint = plan.labels.iter().position(plain);
        let endpoint_list = place_of_endpoint.and_then(|place| values.get(place).copied());
        let mut families = Vec::new();
        for metric in plan.metrics.iter().filter(|_| plan.enabled) {
            let labels = metric.labels.iter().filter_map(|&place| {
                let label = plan.labels.get(place)?;
                Some((label.name.as_str(), *values.get(place)?, label.source.is_closed()))
            });
            let definition = Definition {
                name: &metric.name,
                kind: metric.kind,
                labels: labels.collect(),
                max_series: metric.max_series,
            };
            families.push(registry.family(host, &definition));
        }
        let define = |rule: &Rule| rules::define(host, registry, &rule.metric, endpoints, max);
        let rules = plan.rules.all().iter().map(define).collect();
        let events = events::Families::define(host, registry, &plan.events, max);
        let gauge = plan.active.as_deref().filter(|_| plan.enabled);
        let gauge = gauge.map(|name| active.gauge(host, registry, name));
        let gauge_of = MetricKind::Gauge;
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.own(host, gauge_of, "route_metrics_build_info", &version).record(host, 1);
        registry
            .own(host, gauge_of, "route_metrics_sample_rate_ppm", &[])
            .record(host, plan.sampling.rate.ppm());
        let reads_headers = headers_pay(&plan);
        Self {
            plan,
            values,
            families,
            endpoint_ids,
            endpoints: endpoint_list,
            rules,
            events,
            shows_bodies: false,
            gauge,
            hash_key,
            reads_headers,
            last_flush: flushes,
        }
    }
}

/// Whether a plan needs more of the response's headers than the code, which is needed always, to
/// tell endpoints from what was ignored: by measurement, all of them cost as much as two properties.
fn headers_pay(plan: &Plan) -> bool {
    let size = |metric: &MetricPlan| metric.measure == Measure::ResponseSize;
    !plan.response_headers.is_empty() || plan.metrics.iter().any(size)
}
