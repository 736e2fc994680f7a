//! From a configuration to the plan that the filter runs on, with every mistake on the way.

use crate::config::{self, Config, Limits, Mistakes};
use crate::endpoint::Endpoints;
use crate::labels;
use crate::labels::source::LabelPlan;
use crate::plan::{MetricPlan, Plan};
use crate::request::RequestHeader;

/// Whether the numbers of configured values are held against the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// They must fit, as in the filter.
    Checked,
    /// Limits are out of the way, as for trying out endpoints.
    Ignored,
}

/// The plan of a configuration.
///
/// # Errors
/// Every mistake of meaning, by JSON path.
pub fn compile(config: &Config, capacity: Capacity) -> Result<Plan, Mistakes> {
    let mut compiler = Compiler {
        config,
        capacity,
        mistakes: Mistakes::default(),
        warnings: Mistakes::default(),
        labels: Vec::new(),
        request_headers: Vec::new(),
        response_headers: Vec::new(),
        needed_for: Vec::new(),
        metrics: Vec::new(),
    };
    let plan = compiler.plan();
    if compiler.mistakes.is_empty() { Ok(plan) } else { Err(compiler.mistakes) }
}

/// The plan of a plugin configuration as the host hands it over, with the environment's overrides.
///
/// # Errors
/// All mistakes of structure, and all mistakes of meaning that do not only follow from these.
pub fn load(
    bytes: &[u8],
    variable: impl Fn(&str) -> Option<String>,
    capacity: Capacity,
) -> Result<Plan, Mistakes> {
    read_with(bytes, variable, capacity).map(|(_, plan)| plan)
}

/// A plugin configuration as its file has it, without the environment's overrides, and its plan.
///
/// # Errors
/// As [`load`].
pub fn read(bytes: &[u8], capacity: Capacity) -> Result<(Config, Plan), Mistakes> {
    read_with(bytes, |_| None, capacity)
}

fn read_with(
    bytes: &[u8],
    variable: impl Fn(&str) -> Option<String>,
    capacity: Capacity,
) -> Result<(Config, Plan), Mistakes> {
    let mut mistakes = Mistakes::default();
    let Some(mut config) = config::parse_as_far(bytes, &mut mistakes) else {
        return Err(mistakes);
    };
    let structural = mistakes.clone();
    config::apply(&mut config, variable, &mut mistakes);
    match compile(&config, capacity) {
        Ok(plan) if mistakes.is_empty() => Ok((config, plan)),
        Ok(_) => Err(mistakes),
        Err(more) => {
            mistakes.extend(more.without_consequences_of(&structural));
            Err(mistakes)
        }
    }
}

/// The plan as far as it is made, and what was found on the way.
pub(super) struct Compiler<'a> {
    pub(super) config: &'a Config,
    pub(super) capacity: Capacity,
    pub(super) mistakes: Mistakes,
    /// What is allowed but most likely a mistake.
    pub(super) warnings: Mistakes,
    pub(super) labels: Vec<LabelPlan>,
    pub(super) request_headers: Vec<RequestHeader>,
    pub(super) response_headers: Vec<String>,
    /// The methods for which request headers are needed now; empty: all.
    pub(super) needed_for: Vec<String>,
    pub(super) metrics: Vec<MetricPlan>,
}

impl Compiler<'_> {
    fn plan(&mut self) -> Plan {
        let config = self.config;
        self.limits(&config.limits);
        if !config.namespace.is_empty() && !labels::is_name(&config.namespace) {
            let found = &config.namespace;
            self.mistakes.add(
                "namespace",
                format!("{found:?} is not a name; use letters, digits and underscores, and no digit first"),
            );
        }
        let endpoints = Endpoints::compile(&config.endpoint, &mut self.mistakes);
        self.endpoint_capacity(&endpoints);
        let ignore_statuses = self.ignore_statuses();
        let sampling = self.sampling(&endpoints);
        self.label_names();
        self.request_metrics();
        self.buckets();
        self.detailed();
        self.label_definitions();
        let (rules, events) = self.custom(&endpoints);
        self.collisions();
        self.warn();
        let exceptions = &config.metrics.exceptions_total;
        // That of events is refused where it stands.
        let carrier = &config.events.response_header;
        let exception_header = Some(&exceptions.header)
            .filter(|header| !header.eq_ignore_ascii_case(carrier))
            .and_then(|header| self.answered_header("metrics.exceptions_total.header", header))
            .filter(|_| exceptions.enabled)
            .map(|header| self.response_header(header));
        Plan {
            enabled: config.enabled,
            active: config
                .metrics
                .requests_active
                .enabled
                .then(|| self.full_name("http_requests_active")),
            labels: std::mem::take(&mut self.labels),
            metrics: std::mem::take(&mut self.metrics),
            request_headers: std::mem::take(&mut self.request_headers),
            rules,
            events,
            exception_header,
            response_headers: std::mem::take(&mut self.response_headers),
            endpoints,
            inference: config.endpoint.inference,
            ignore_statuses,
            route_name: config.endpoint.route_name,
            export: config.endpoint.export,
            sampling,
            max_value_length: config.limits.max_label_value_length as usize,
            warnings: std::mem::take(&mut self.warnings),
        }
    }

    fn limits(&mut self, limits: &Limits) {
        let Limits {
            max_labels_per_metric,
            max_values_per_label,
            max_endpoints,
            max_series_per_metric,
            max_label_value_length,
        } = *limits;
        for (name, value, range) in [
            ("max_labels_per_metric", max_labels_per_metric, 1..=10),
            ("max_values_per_label", max_values_per_label, 1..=1_000_000),
            ("max_endpoints", max_endpoints.unwrap_or(1), 1..=1_000_000),
            ("max_series_per_metric", max_series_per_metric, 1..=1_000_000),
            ("max_label_value_length", max_label_value_length, 16..=1024),
        ] {
            self.range(&format!("limits.{name}"), value, range);
        }
        let own = &self.config.detailed.limits;
        for (name, value) in [
            ("max_values_per_label", own.max_values_per_label),
            ("max_series_per_metric", own.max_series_per_metric),
        ] {
            if let Some(value) = value {
                self.range(&format!("detailed.limits.{name}"), value, 1..=1_000_000);
            }
        }
    }

    fn range(&mut self, path: &str, value: u32, range: std::ops::RangeInclusive<u32>) {
        if !range.contains(&value) {
            let (least, most) = (range.start(), range.end());
            self.mistakes.add(path, format!("{value} is out of range; use {least} to {most}"));
        }
    }

    pub(super) fn full_name(&self, name: &str) -> String {
        self.config.full_name(name)
    }

    /// Checks something that is not in use: it makes mistakes, but no labels or header reads.
    pub(super) fn without_effect<T>(&mut self, check: impl FnOnce(&mut Self) -> T) -> T {
        let (labels, headers) = (self.labels.len(), self.request_headers.clone());
        let of_responses = self.response_headers.len();
        let result = check(self);
        self.labels.truncate(labels);
        self.request_headers = headers;
        self.response_headers.truncate(of_responses);
        result
    }
}
