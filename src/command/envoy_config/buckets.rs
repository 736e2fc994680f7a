//! The buckets of histograms, for bootstrap, rules, dashboard and preview alike: those of the
//! configuration, else those of the unit.

use crate::config::{Config, DurationUnit, MetricType};

/// The upper bounds of a histogram's buckets, and what they are made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// The unit of the bounds, in words; `None` where the metric's name ends in none that is known.
    pub unit: Option<&'static str>,
    /// Ascending. Envoy keeps two significant digits of a value, so bounds of two digits are exact.
    pub bounds: Vec<u64>,
}

/// Those that OpenTelemetry advises for `http.server.request.duration`, from 5 ms to 10 s, with
/// 1 ms and 2.5 ms below, where a proxy's own answers and caches are, and 30 s above, beyond the
/// 15 s after which Envoy's default route timeout ends a request. Each bound is one line per series
/// in the scrape.
const MICROSECONDS: &[u64] = &[
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000,
    1_000_000, 2_500_000, 5_000_000, 7_500_000, 10_000_000, 30_000_000,
];

/// As [`MICROSECONDS`], in whole milliseconds.
const MILLISECONDS: &[u64] =
    &[1, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000, 30_000];

/// Half a decade each, from a short JSON answer to a download: sizes spread over many orders of
/// magnitude, and what matters is which. Decimal, because 1024 has more than two digits.
const BYTES: &[u64] = &[
    100,
    500,
    1_000,
    5_000,
    10_000,
    50_000,
    100_000,
    500_000,
    1_000_000,
    5_000_000,
    10_000_000,
    100_000_000,
];

/// Units, as they stand at the end of a metric's name, with bounds for them.
const UNITS: [(&str, &[u64]); 3] =
    [("microseconds", MICROSECONDS), ("milliseconds", MILLISECONDS), ("bytes", BYTES)];

/// The buckets of the histogram of a checked configuration that has this full name; `None` where
/// Envoy's own have to do.
pub fn buckets(config: &Config, metric: &str) -> Option<Buckets> {
    let unit = UNITS
        .into_iter()
        .find(|(unit, _)| metric.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_')));
    let bounds = match configured(config, metric) {
        // Checked to be whole, and far below the limit of what fits.
        Some(bounds) => bounds.iter().map(|&bound| bound as u64).collect(),
        None => unit?.1.to_vec(),
    };
    Some(Buckets { unit: unit.map(|(unit, _)| unit), bounds })
}

fn configured<'a>(config: &'a Config, metric: &str) -> Option<&'a [f64]> {
    let metrics = &config.metrics;
    let duration = match metrics.request_duration.unit {
        DurationUnit::Microseconds => "http_request_duration_microseconds",
        DurationUnit::Milliseconds => "http_request_duration_milliseconds",
    };
    let of_requests = [
        (duration, &metrics.request_duration.buckets),
        ("http_response_size_bytes", &metrics.response_size.buckets),
        ("http_request_size_bytes", &metrics.request_size.buckets),
    ];
    let of_requests =
        of_requests.into_iter().find(|(name, _)| config.full_name(name) == metric).map(|(_, b)| b);
    let own = config.custom_metrics.iter();
    let mut own = own.filter(|own| own.r#type == MetricType::Histogram && own.name == metric);
    of_requests.or_else(|| own.next().map(|own| &own.buckets))?.as_deref()
}
