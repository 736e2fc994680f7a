//! What the filter runs on: a checked configuration, resolved to indexes.
//!
//! A plan is made once per configuration ([`compile`](fn@compile)) and does not change. Labels
//! are computed once per request and shared by the metrics that name them, so they stand in one
//! list, and metrics refer to them by index.

mod buckets;
mod choice;
mod collisions;
mod compile;
mod custom;
mod endpoints;
mod headers;
mod labels;
mod metrics;
mod sampling;
mod warnings;

pub use crate::custom::CustomPlan;
pub use collisions::instead;
pub use compile::{Capacity, compile, load, read};

use crate::config::{DurationUnit, InferenceMode, Mistakes};
use crate::custom::events::EventsPlan;
use crate::custom::rules::Rules;
use crate::endpoint::Endpoints;
use crate::host::MetricKind;
use crate::labels::source::LabelPlan;
use crate::request::RequestHeader;
use crate::request::status::Statuses;
use crate::sampling::Rate;

/// Labels of the filter's own metrics; the tag expressions are for all metrics alike.
pub const OWN_LABELS: [&str; 6] = ["decision", "label", "metric", "outcome", "reason", "version"];

/// A checked configuration.
#[derive(Debug)]
pub struct Plan {
    /// When false, nothing is recorded.
    pub enabled: bool,
    /// The full name of the gauge of open requests.
    pub active: Option<String>,
    /// Every label that some metric has.
    pub labels: Vec<LabelPlan>,
    /// Every other metric.
    pub metrics: Vec<MetricPlan>,
    /// The request headers to keep from the time when they arrive.
    pub request_headers: Vec<RequestHeader>,
    /// Custom metrics of requests.
    pub rules: Rules,
    /// What the application reports, and how.
    pub events: EventsPlan,
    /// The names of the response headers that some label, value or rule needs, lower case.
    pub response_headers: Vec<String>,
    /// The one that names an exception, by its place in `response_headers`.
    pub exception_header: Option<usize>,
    /// The configured endpoints.
    pub endpoints: Endpoints,
    /// What happens to other paths.
    pub inference: InferenceMode,
    /// An inferred endpoint with one of these is unmatched.
    pub ignore_statuses: Statuses,
    /// Whether Envoy's route name is an endpoint.
    pub route_name: bool,
    /// Whether the endpoint becomes filter state.
    pub export: bool,
    /// Which requests are recorded.
    pub sampling: SamplingPlan,
    /// Characters of a label value.
    pub max_value_length: usize,
    /// What is allowed but most likely a mistake: the command prints it, the filter logs it.
    pub warnings: Mistakes,
}

/// Which requests are recorded.
#[derive(Debug)]
pub struct SamplingPlan {
    /// The share of the uniform sample.
    pub rate: Rate,
    /// Codes that are always kept.
    pub statuses: Statuses,
    /// Endpoints that are always kept.
    pub endpoints: Vec<String>,
    /// Requests that took longer, in nanoseconds, are always kept.
    pub slower_than_ns: Option<u64>,
}

impl SamplingPlan {
    /// Whether a request outside the sample may still be kept.
    pub fn has_always(&self) -> bool {
        !self.statuses.is_empty() || !self.endpoints.is_empty() || self.slower_than_ns.is_some()
    }
}

/// A metric other than the gauge of open requests.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricPlan {
    /// The full name.
    pub name: String,
    /// What it is.
    pub kind: MetricKind,
    /// Its labels, as places in [`Plan::labels`].
    pub labels: Vec<usize>,
    /// What it measures.
    pub measure: Measure,
    /// How many series there may be.
    pub max_series: usize,
}

/// What a metric measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Finished requests.
    Requests,
    /// Time to the end of the stream.
    Duration(DurationUnit),
    /// Bytes of the request body.
    RequestSize,
    /// Bytes of the response body.
    ResponseSize,
    /// Requests that failed.
    Exceptions,
}
