//! The metric families of a configuration, as Prometheus sees them.

use crate::command::envoy_config::buckets;
use crate::config::{Config, DurationUnit, MetricType};
use crate::host::MetricKind;
use crate::labels::source::SourcePlan;
use crate::plan::{Measure, MetricPlan, Plan};

/// A family and which of its labels mean what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFamily {
    /// The name in a scrape, without `_bucket`, `_sum`, `_count`.
    pub name: String,
    /// All label names.
    pub labels: Vec<String>,
    /// The label that holds the endpoint as it is.
    pub endpoint: Option<String>,
    /// The label that holds the code or its class, so that `5..` matches server errors.
    pub status: Option<String>,
    /// The label that holds the method.
    pub method: Option<String>,
    /// The label that holds the type of an exception.
    pub exception: Option<String>,
}

/// The duration histogram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duration {
    /// As the filter records it.
    pub recorded: RequestFamily,
    /// The name of the histogram in seconds, which the rules derive.
    pub seconds: String,
    /// Recorded units in a second.
    pub per_second: u64,
    /// The upper bounds of its buckets, in recorded units, ascending.
    pub bounds: Vec<u64>,
}

/// A metric of `custom_metrics`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomFamily {
    /// The name in a scrape.
    pub name: String,
    /// What it is.
    pub kind: MetricType,
    /// Its label names, in order.
    pub labels: Vec<String>,
}

/// Every family that a configuration records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Families {
    /// The namespace and an underscore, or nothing.
    pub prefix: String,
    /// `http_requests_total`.
    pub requests: Option<RequestFamily>,
    /// `http_request_duration_…`.
    pub duration: Option<Duration>,
    /// `http_requests_active`.
    pub active: Option<String>,
    /// `http_response_size_bytes`.
    pub response_size: Option<RequestFamily>,
    /// `http_request_size_bytes`.
    pub request_size: Option<RequestFamily>,
    /// `http_exceptions_total`.
    pub exceptions: Option<RequestFamily>,
    /// `http_requests_detailed_total`.
    pub detailed: Option<RequestFamily>,
    /// The metrics of `custom_metrics`.
    pub custom: Vec<CustomFamily>,
}

impl Families {
    /// The families of a configuration and its plan; none where the filter is switched off.
    pub fn new(config: &Config, plan: &Plan) -> Self {
        let prefix = match config.namespace.as_str() {
            "" => String::new(),
            namespace => format!("{namespace}_"),
        };
        let find = |name: &str| {
            let name = format!("{prefix}{name}");
            let metric = plan.metrics.iter().filter(|_| plan.enabled).find(|m| m.name == name)?;
            Some((metric.measure, family(plan, metric)))
        };
        let only = |name: &str| find(name).map(|(_, family)| family);
        let duration = match config.metrics.request_duration.unit {
            DurationUnit::Microseconds => find("http_request_duration_microseconds"),
            DurationUnit::Milliseconds => find("http_request_duration_milliseconds"),
        };
        let per_second = |measure| match measure {
            Measure::Duration(DurationUnit::Milliseconds) => 1_000,
            _ => 1_000_000,
        };
        Self {
            requests: only("http_requests_total"),
            duration: duration.map(|(measure, recorded)| Duration {
                bounds: buckets(config, &recorded.name).map_or_else(Vec::new, |b| b.bounds),
                recorded,
                seconds: format!("{prefix}http_request_duration_seconds"),
                per_second: per_second(measure),
            }),
            active: plan.active.clone().filter(|_| plan.enabled),
            response_size: only("http_response_size_bytes"),
            request_size: only("http_request_size_bytes"),
            exceptions: only("http_exceptions_total"),
            detailed: only("http_requests_detailed_total"),
            custom: custom(config),
            prefix,
        }
    }
}

fn custom(config: &Config) -> Vec<CustomFamily> {
    let metrics = config.custom_metrics.iter().filter(|_| config.enabled);
    metrics
        .map(|metric| CustomFamily {
            name: metric.name.clone(),
            kind: metric.r#type,
            labels: metric.labels.iter().flatten().map(|(name, _)| name.clone()).collect(),
        })
        .collect()
}

fn family(plan: &Plan, metric: &MetricPlan) -> RequestFamily {
    let labels = || metric.labels.iter().filter_map(|&place| plan.labels.get(place));
    let plain = |wanted: &[SourcePlan]| {
        let mut labels = labels();
        let found = labels.find(|label| {
            label.choice.listed.is_none() && !label.hash && wanted.contains(&label.source)
        });
        found.map(|label| label.name.clone())
    };
    debug_assert!(matches!(metric.kind, MetricKind::Counter | MetricKind::Histogram));
    RequestFamily {
        name: metric.name.clone(),
        labels: labels().map(|label| label.name.clone()).collect(),
        endpoint: plain(&[SourcePlan::Endpoint]),
        status: plain(&[SourcePlan::Status, SourcePlan::StatusClass]),
        method: plain(&[SourcePlan::Method]),
        exception: plain(&[SourcePlan::ExceptionType]),
    }
}
