//! From a configuration to the plan that the filter runs on, with every mistake on the way.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::number::json as shown;
use crate::config::{self, Config, DurationUnit, Label, Limits, Mistakes, Source, join};
use crate::endpoint::Endpoints;
use crate::host::MetricKind;
use crate::labels::source::{Choice, LabelPlan, SourcePlan};
use crate::labels::{self, NONE, OTHER, UNMATCHED};
use crate::plan::{Measure, MetricPlan, Plan, RequestHeader, SamplingPlan};
use crate::request::status::Statuses;
use crate::sampling::Rate;
use crate::series::MAX_LABELS;

/// Labels of the filter's own metrics; the tag expressions are for all metrics alike.
pub const OWN_LABELS: [&str; 6] = ["decision", "label", "metric", "outcome", "reason", "version"];

/// The metric of `detailed`, before the namespace.
const DETAILED: &str = "http_requests_detailed_total";

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
/// All mistakes of structure, or, where there is none, all mistakes of meaning.
pub fn load(
    bytes: &[u8],
    variable: impl Fn(&str) -> Option<String>,
    capacity: Capacity,
) -> Result<Plan, Mistakes> {
    let mut config = config::parse(bytes)?;
    let mut mistakes = Mistakes::default();
    config::apply(&mut config, variable, &mut mistakes);
    match compile(&config, capacity) {
        Ok(plan) if mistakes.is_empty() => Ok(plan),
        Ok(_) => Err(mistakes),
        Err(more) => {
            mistakes.extend(more);
            Err(mistakes)
        }
    }
}

pub(super) struct Compiler<'a> {
    pub(super) config: &'a Config,
    capacity: Capacity,
    pub(super) mistakes: Mistakes,
    /// What is allowed but most likely a mistake.
    pub(super) warnings: Mistakes,
    labels: Vec<LabelPlan>,
    pub(super) request_headers: Vec<RequestHeader>,
    pub(super) response_headers: Vec<String>,
    /// The methods for which request headers are needed now; empty: all.
    pub(super) needed_for: Vec<String>,
    metrics: Vec<MetricPlan>,
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
        let sampling = self.sampling();
        self.label_names();
        self.request_metrics();
        self.detailed();
        self.label_definitions();
        let (rules, events) = self.custom(&endpoints);
        self.suffixes();
        self.warn();
        let exceptions = &config.metrics.exceptions_total;
        let exception_header = self
            .header("metrics.exceptions_total.header", &exceptions.header)
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
            max_series_per_metric,
            max_label_value_length,
        } = *limits;
        for (name, value, range) in [
            ("max_labels_per_metric", max_labels_per_metric, 1..=10),
            ("max_values_per_label", max_values_per_label, 1..=1_000_000),
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

    fn endpoint_capacity(&mut self, endpoints: &Endpoints) {
        let limits = &self.config.limits;
        let max = limits.max_values_per_label as usize;
        let configured = endpoints.labels().len();
        // `_OTHER` and `_UNMATCHED` have places of their own.
        let needed = configured + 2;
        if self.capacity == Capacity::Checked && configured > 0 && needed > max {
            self.mistakes.add(
                "limits.max_values_per_label",
                format!(
                    "{max} is too few: the {configured} endpoints of `endpoint.templates` and \
                     `endpoint.rules`, {OTHER} and {UNMATCHED} need {needed}; raise it to that or more"
                ),
            );
        }
        let most = limits.max_label_value_length as usize;
        let longest = endpoints.labels().iter().map(String::len).max().unwrap_or(0);
        if self.capacity == Capacity::Checked && longest > most {
            self.mistakes.add(
                "limits.max_label_value_length",
                format!(
                    "{most} is too short: the longest endpoint of the configuration has {longest} \
                     characters; raise it to that or more"
                ),
            );
        }
    }

    fn ignore_statuses(&mut self) -> Statuses {
        let mut statuses = Statuses::default();
        for (index, &code) in self.config.endpoint.ignore_statuses.iter().enumerate() {
            if !(100..=999).contains(&code) {
                let path = format!("endpoint.ignore_statuses[{index}]");
                self.mistakes.add(path, format!("{code} is not a status code; use 100 to 999"));
            }
            statuses.insert(code);
        }
        statuses
    }

    pub(super) fn statuses(&mut self, path: &str, list: &[String]) -> Statuses {
        let mut statuses = Statuses::default();
        for (index, text) in list.iter().enumerate() {
            if !statuses.insert_text(text) {
                self.mistakes.add(
                    format!("{path}[{index}]"),
                    format!(
                        "{text:?} is not a status; write a code (\"503\") or a class (\"5xx\")"
                    ),
                );
            }
        }
        statuses
    }

    fn sampling(&mut self) -> SamplingPlan {
        let sampling = &self.config.sampling;
        if !(0.0..=1.0).contains(&sampling.rate) {
            let rate = shown(sampling.rate);
            self.mistakes.add("sampling.rate", format!("{rate} is out of range; use 0 to 1"));
        }
        let always = &sampling.always;
        for (index, endpoint) in always.endpoints.iter().enumerate() {
            if endpoint.is_empty() {
                self.mistakes.add(
                    format!("sampling.always.endpoints[{index}]"),
                    "is empty; write an endpoint as it stands in the label",
                );
            }
        }
        SamplingPlan {
            rate: Rate::new(sampling.rate.clamp(0.0, 1.0)),
            statuses: self.statuses("sampling.always.statuses", &always.statuses),
            endpoints: always.endpoints.clone(),
            slower_than_ns: always.slower_than_ms.map(|ms| ms.saturating_mul(1_000_000)),
        }
    }

    pub(super) fn full_name(&self, name: &str) -> String {
        self.config.full_name(name)
    }

    /// The names that `labels` defines.
    fn label_names(&mut self) {
        for name in self.config.labels.keys() {
            self.label_name(&join("labels", name), name);
        }
    }

    pub(super) fn label_name(&mut self, path: &str, name: &str) {
        if !labels::is_name(name) {
            self.mistakes.add(
                path,
                format!("{name:?} is not a label name; use letters, digits and underscores, and no digit first"),
            );
        } else if name.starts_with("__") || ["le", "quantile"].contains(&name) {
            self.mistakes
                .add(path, format!("`{name}` is reserved by Prometheus; use another name"));
        }
    }

    /// Every definition in `labels` is checked, used or not.
    fn label_definitions(&mut self) {
        self.without_effect(|this| {
            for (name, label) in &this.config.labels {
                this.label(&join("labels", name), name, label);
            }
        });
    }

    /// Checks something that is not in use: it makes mistakes, but no labels or header reads.
    fn without_effect<T>(&mut self, check: impl FnOnce(&mut Self) -> T) -> T {
        let (labels, headers) = (self.labels.len(), self.request_headers.clone());
        let of_responses = self.response_headers.len();
        let result = check(self);
        self.labels.truncate(labels);
        self.request_headers = headers;
        self.response_headers.truncate(of_responses);
        result
    }

    fn request_metrics(&mut self) {
        let metrics = &self.config.metrics;
        let max_series = self.config.limits.max_series_per_metric as usize;
        let duration = match metrics.request_duration.unit {
            DurationUnit::Microseconds => "http_request_duration_microseconds",
            DurationUnit::Milliseconds => "http_request_duration_milliseconds",
        };
        let unit = Measure::Duration(metrics.request_duration.unit);
        let rows: [RequestMetric<'_>; 5] = [
            (
                "requests_total",
                metrics.requests_total.enabled,
                &metrics.requests_total.labels,
                "http_requests_total",
                MetricKind::Counter,
                Measure::Requests,
            ),
            (
                "request_duration",
                metrics.request_duration.enabled,
                &metrics.request_duration.labels,
                duration,
                MetricKind::Histogram,
                unit,
            ),
            (
                "response_size",
                metrics.response_size.enabled,
                &metrics.response_size.labels,
                "http_response_size_bytes",
                MetricKind::Histogram,
                Measure::ResponseSize,
            ),
            (
                "request_size",
                metrics.request_size.enabled,
                &metrics.request_size.labels,
                "http_request_size_bytes",
                MetricKind::Histogram,
                Measure::RequestSize,
            ),
            (
                "exceptions_total",
                metrics.exceptions_total.enabled,
                &metrics.exceptions_total.labels,
                "http_exceptions_total",
                MetricKind::Counter,
                Measure::Exceptions,
            ),
        ];
        for (key, enabled, names, name, kind, measure) in rows {
            let path = format!("metrics.{key}.labels");
            let exceptions = measure == Measure::Exceptions;
            if enabled {
                let labels = self.metric_labels(&path, names, exceptions);
                let name = self.full_name(name);
                self.metrics.push(MetricPlan { name, kind, labels, measure, max_series });
            } else {
                self.without_effect(|this| this.metric_labels(&path, names, exceptions));
            }
        }
    }

    /// The labels of a request metric, as places in the plan.
    fn metric_labels(&mut self, path: &str, names: &[String], exceptions: bool) -> Vec<usize> {
        self.label_count(path, names.len());
        let mut seen = BTreeSet::new();
        let mut places = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if !seen.insert(name) {
                self.mistakes.add(path, format!("`{name}` stands twice; keep one"));
                continue;
            }
            if let Some(label) = self.named_label(&path, name, exceptions) {
                places.push(self.place(label));
            }
        }
        places
    }

    pub(super) fn label_count(&mut self, path: &str, count: usize) {
        let max = (self.config.limits.max_labels_per_metric as usize).min(MAX_LABELS);
        if count > max {
            self.mistakes.add(
                path,
                format!("{count} labels, but `limits.max_labels_per_metric` is {max}; drop some (at most {MAX_LABELS} are possible)"),
            );
        }
    }

    fn named_label(&mut self, path: &str, name: &str, exceptions: bool) -> Option<LabelPlan> {
        let source = if let Some(label) = self.config.labels.get(name) {
            // Its own mistakes are reported where it is defined.
            let mut silent = Mistakes::default();
            std::mem::swap(&mut silent, &mut self.mistakes);
            let plan = self.label(path, name, label);
            self.mistakes = silent;
            return plan;
        } else if exceptions && name == "type" {
            SourcePlan::ExceptionType
        } else if let Some(source) = BUILT_IN.into_iter().find(|&from| source_word(from) == name) {
            self.source(path, source, None, None)?
        } else {
            let mut known: Vec<&str> = BUILT_IN.into_iter().map(source_word).collect();
            if exceptions {
                known.push("type");
            }
            known.extend(self.config.labels.keys().map(String::as_str));
            let hint = if name == "type" {
                "; `type` is a label of `exceptions_total` only"
            } else {
                "; define it in `labels`"
            };
            self.mistakes.add(
                path,
                format!("unknown label {name:?}, expected one of `{}`{hint}", known.join("`, `")),
            );
            return None;
        };
        Some(LabelPlan {
            name: name.to_owned(),
            values: self.full_name(name),
            source,
            choice: Choice { listed: None, absent: NONE.to_owned(), unlisted: OTHER.to_owned() },
            hash: false,
            max_values: self.config.limits.max_values_per_label as usize,
        })
    }

    fn place(&mut self, label: LabelPlan) -> usize {
        if let Some(place) = self.labels.iter().position(|known| *known == label) {
            return place;
        }
        self.labels.push(label);
        self.labels.len() - 1
    }

    fn detailed(&mut self) {
        if !self.config.detailed.enabled {
            self.without_effect(Self::detailed_labels);
            return;
        }
        self.label_count("detailed", 3);
        let limits = &self.config.limits;
        let own = self.config.detailed.limits.max_series_per_metric;
        let metric = MetricPlan {
            name: self.full_name(DETAILED),
            kind: MetricKind::Counter,
            labels: self.detailed_labels(),
            measure: Measure::Requests,
            max_series: own.unwrap_or(limits.max_series_per_metric) as usize,
        };
        self.metrics.push(metric);
    }

    fn detailed_labels(&mut self) -> Vec<usize> {
        let detailed = &self.config.detailed;
        let max = detailed.limits.max_values_per_label;
        let max = max.unwrap_or(self.config.limits.max_values_per_label) as usize;
        let endpoint = self.named_label("detailed", "endpoint", false);
        let mut places: Vec<usize> = endpoint.map(|label| self.place(label)).into_iter().collect();
        for (key, label) in [("org", &detailed.org), ("user", &detailed.user)] {
            if let Some(mut plan) = self.label(&format!("detailed.{key}"), key, label) {
                plan.values = format!("{}/{key}", self.full_name(DETAILED));
                plan.max_values = max;
                places.push(self.place(plan));
            }
        }
        places
    }

    /// A label as it was defined, checked; `None` where its source is not usable.
    pub(super) fn label(&mut self, path: &str, name: &str, label: &Label) -> Option<LabelPlan> {
        let Label { from, name: key, value, map, allow, default, hash } = label;
        let source = self.source(path, *from, key.as_deref(), value.as_deref());
        let choice = self.choice(path, map.as_ref(), allow.as_deref(), default.as_deref());
        self.hash_goes(path, *hash, &choice, matches!(source, Some(SourcePlan::Constant(_))));
        Some(LabelPlan {
            name: name.to_owned(),
            values: self.full_name(name),
            source: source?,
            choice,
            hash: *hash,
            max_values: self.config.limits.max_values_per_label as usize,
        })
    }

    pub(super) fn hash_goes(&mut self, path: &str, hash: bool, choice: &Choice, constant: bool) {
        if hash && (choice.listed.is_some() || constant) {
            self.mistakes.add(
                format!("{path}.hash"),
                "hashes what was found, so it does not go with `map`, `allow` or a constant; drop one",
            );
        }
    }

    pub(super) fn choice(
        &mut self,
        path: &str,
        map: Option<&BTreeMap<String, String>>,
        allow: Option<&[String]>,
        default: Option<&str>,
    ) -> Choice {
        let mut listed = None;
        if map.is_some() || allow.is_some() {
            let mut all: BTreeMap<String, String> = map.cloned().unwrap_or_default();
            for value in allow.unwrap_or_default() {
                all.entry(value.clone()).or_insert_with(|| value.clone());
            }
            for (from, to) in &all {
                if to.is_empty() {
                    let path = join(&format!("{path}.map"), from);
                    self.mistakes.add(path, "is empty; Prometheus takes an empty label for none");
                }
            }
            let max = self.config.limits.max_values_per_label as usize;
            // Collecting would sort first, by another instance of the sort.
            let mut values = BTreeSet::new();
            for value in all.values() {
                values.insert(value);
            }
            let distinct = values.len() + 2;
            if distinct > max && self.capacity == Capacity::Checked {
                self.mistakes.add(
                    path,
                    format!("its `map` and `allow` need {distinct} places with {OTHER} and the default, but `limits.max_values_per_label` is {max}; raise it or list fewer"),
                );
            }
            listed = Some(all);
        }
        if default == Some("") {
            let path = format!("{path}.default");
            self.mistakes.add(path, "is empty; Prometheus takes an empty label for none");
        }
        Choice {
            listed,
            absent: default.unwrap_or(NONE).to_owned(),
            unlisted: default.unwrap_or(OTHER).to_owned(),
        }
    }

    pub(super) fn source(
        &mut self,
        path: &str,
        from: Source,
        key: Option<&str>,
        value: Option<&str>,
    ) -> Option<SourcePlan> {
        let word = source_word(from);
        let needs_name = matches!(
            from,
            Source::RequestHeader | Source::ResponseHeader | Source::QueryParam | Source::PathParam
        );
        match (needs_name, key) {
            (true, None | Some("")) => {
                self.mistakes.add(
                    format!("{path}.name"),
                    format!("is missing; `{word}` needs the name of what to read"),
                );
                return None;
            }
            (false, Some(_)) => {
                self.mistakes
                    .add(format!("{path}.name"), format!("does not go with `{word}`; drop it"));
            }
            _ => {}
        }
        match (from == Source::Constant, value) {
            (true, None | Some("")) => {
                self.mistakes
                    .add(format!("{path}.value"), "is missing; `constant` needs the value");
                return None;
            }
            (false, Some(_)) => {
                self.mistakes
                    .add(format!("{path}.value"), format!("does not go with `{word}`; drop it"));
            }
            _ => {}
        }
        let key = key.unwrap_or_default();
        Some(match from {
            Source::Method => SourcePlan::Method,
            Source::Endpoint => SourcePlan::Endpoint,
            Source::Status => SourcePlan::Status,
            Source::StatusClass => SourcePlan::StatusClass,
            Source::RouteName => SourcePlan::RouteName,
            Source::ClusterName => SourcePlan::ClusterName,
            Source::VirtualHost => SourcePlan::VirtualHost,
            Source::Authority => SourcePlan::RequestHeader(self.request_header(":authority")),
            Source::Protocol => SourcePlan::Protocol,
            Source::GrpcService => SourcePlan::GrpcService,
            Source::GrpcMethod => SourcePlan::GrpcMethod,
            Source::GrpcStatus => SourcePlan::GrpcStatus,
            Source::ResponseFlags => SourcePlan::ResponseFlags,
            Source::RequestHeader => {
                let header = self.header(&format!("{path}.name"), key)?;
                SourcePlan::RequestHeader(self.request_header(&header))
            }
            Source::ResponseHeader => {
                let header = self.header(&format!("{path}.name"), key)?;
                SourcePlan::ResponseHeader(self.response_header(header))
            }
            Source::QueryParam => SourcePlan::QueryParam(key.to_owned()),
            Source::PathParam => {
                let endpoint = &self.config.endpoint;
                let wanted = [format!("{{{key}}}"), format!("{{*{key}}}")];
                if !endpoint.templates.iter().any(|t| wanted.iter().any(|w| t.contains(w))) {
                    self.mistakes.add(
                        format!("{path}.name"),
                        format!("no template of `endpoint.templates` has a placeholder {{{key}}}; add one or mend the name"),
                    );
                }
                SourcePlan::PathParam(key.to_owned())
            }
            Source::Constant => SourcePlan::Constant(value.unwrap_or_default().to_owned()),
        })
    }

    /// The place of a request header, which is kept for the methods that need it.
    pub(super) fn request_header(&mut self, header: &str) -> usize {
        let needed_for = &self.needed_for;
        let known = self.request_headers.iter().position(|known| known.name == header);
        if let Some(known) = known.and_then(|place| self.request_headers.get_mut(place)) {
            if needed_for.is_empty() {
                known.methods.clear();
            } else if !known.methods.is_empty() {
                for method in needed_for {
                    if !known.methods.contains(method) {
                        known.methods.push(method.clone());
                    }
                }
            }
        }
        known.unwrap_or_else(|| {
            let methods = needed_for.clone();
            self.request_headers.push(RequestHeader { name: header.to_owned(), methods });
            self.request_headers.len() - 1
        })
    }

    /// The place of a response header.
    pub(super) fn response_header(&mut self, header: String) -> usize {
        let known = self.response_headers.iter().position(|known| *known == header);
        known.unwrap_or_else(|| {
            self.response_headers.push(header);
            self.response_headers.len() - 1
        })
    }

    /// A header's name in lower case; `None` where it is empty or no name (RFC 9110, 5.1).
    pub(super) fn header(&mut self, path: &str, name: &str) -> Option<String> {
        if name.is_empty() {
            return None;
        }
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if !name.strip_prefix(':').unwrap_or(name).bytes().all(token) {
            self.mistakes.add(path, format!("{name:?} is not a header name"));
            return None;
        }
        Some(name.to_ascii_lowercase())
    }

    /// A label that is the end of another one would be found inside it by its tag expression.
    fn suffixes(&mut self) {
        // Each name, with the place where the configuration gives it.
        let mut names: BTreeMap<&str, Option<String>> = BTreeMap::new();
        names.extend(OWN_LABELS.map(|name| (name, None)));
        names.extend(self.labels.iter().map(|label| (label.name.as_str(), None)));
        for (index, metric) in self.config.custom_metrics.iter().enumerate() {
            let path = format!("custom_metrics[{index}].labels");
            let labels = metric.labels.iter().flatten();
            names.extend(labels.map(|(name, _)| (name.as_str(), Some(join(&path, name)))));
        }
        let labels = self.config.labels.keys();
        names.extend(labels.map(|name| (name.as_str(), Some(join("labels", name)))));
        let mut found = Vec::new();
        for (long, at) in &names {
            for (short, or_at) in &names {
                if long != short && long.ends_with(short) {
                    let path = at.clone().or_else(|| or_at.clone());
                    found.push((path.unwrap_or_else(|| join("labels", short)), *short, *long));
                }
            }
        }
        for (path, short, long) in found {
            self.mistakes.add(
                path,
                format!("`{short}` is the end of `{long}`, so Envoy would take it out of that one, too; rename one of them"),
            );
        }
    }
}

/// Key, whether it is enabled, labels, name before the namespace, kind and measure.
type RequestMetric<'a> = (&'a str, bool, &'a [String], &'a str, MetricKind, Measure);

/// Labels that need no definition: the sources without parameters.
const BUILT_IN: [Source; 13] = [
    Source::Method,
    Source::Endpoint,
    Source::Status,
    Source::StatusClass,
    Source::RouteName,
    Source::ClusterName,
    Source::VirtualHost,
    Source::Authority,
    Source::Protocol,
    Source::GrpcService,
    Source::GrpcMethod,
    Source::GrpcStatus,
    Source::ResponseFlags,
];

/// The word of a source in the configuration.
fn source_word(source: Source) -> &'static str {
    match source {
        Source::Method => "method",
        Source::Endpoint => "endpoint",
        Source::Status => "status",
        Source::StatusClass => "status_class",
        Source::RouteName => "route_name",
        Source::ClusterName => "cluster_name",
        Source::VirtualHost => "virtual_host",
        Source::Authority => "authority",
        Source::Protocol => "protocol",
        Source::GrpcService => "grpc_service",
        Source::GrpcMethod => "grpc_method",
        Source::GrpcStatus => "grpc_status",
        Source::ResponseFlags => "response_flags",
        Source::RequestHeader => "request_header",
        Source::ResponseHeader => "response_header",
        Source::QueryParam => "query_param",
        Source::PathParam => "path_param",
        Source::Constant => "constant",
    }
}
