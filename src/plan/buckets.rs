//! The bounds of histogram buckets. Envoy takes them from its bootstrap and not from the filter, so
//! here they are only checked; the command makes bootstrap, rules and dashboard of them.

use super::compile::Compiler;
use crate::config::number::json as shown;
use crate::config::{DurationUnit, MetricType};

/// Each bound is a line per series in every scrape, and a Prometheus rule.
const MAX_BOUNDS: usize = 100;

/// Petabytes and thirty years; up to here a `f64` and an Envoy histogram tell whole numbers apart.
const MAX_BOUND: f64 = 1e15;

impl Compiler<'_> {
    /// Checks every list of bounds, of metrics that are switched off, too.
    pub(super) fn buckets(&mut self) {
        let metrics = &self.config.metrics;
        let duration = &metrics.request_duration;
        let unit = duration.unit.word();
        for (key, bounds, unit) in [
            ("request_duration", &duration.buckets, unit),
            ("response_size", &metrics.response_size.buckets, "bytes"),
            ("request_size", &metrics.request_size.buckets, "bytes"),
        ] {
            if let Some(bounds) = bounds {
                self.bounds(&format!("metrics.{key}.buckets"), bounds, unit);
            }
        }
        self.duration_in_another_unit();
        for (index, metric) in self.config.custom_metrics.iter().enumerate() {
            let Some(bounds) = &metric.buckets else { continue };
            let path = format!("custom_metrics[{index}].buckets");
            if metric.r#type != MetricType::Histogram {
                self.mistakes.add(path, "goes with a histogram only; drop it");
                continue;
            }
            let unit = metric.name.rsplit('_').next().unwrap_or_default();
            let unit = ["microseconds", "milliseconds", "bytes"].contains(&unit).then_some(unit);
            self.bounds(&path, bounds, unit.unwrap_or("the unit of what is recorded"));
        }
    }

    fn bounds(&mut self, path: &str, bounds: &[f64], unit: &str) {
        if bounds.is_empty() {
            self.mistakes.add(path, "is empty; list the upper bounds, or drop it");
        } else if bounds.len() > MAX_BOUNDS {
            let count = bounds.len();
            let message = format!(
                "{count} bounds are too many, for each is a line per series in every scrape; use at \
                 most {MAX_BOUNDS}"
            );
            self.mistakes.add(path, message);
            return;
        }
        let mut last = 0.0;
        for (index, &bound) in bounds.iter().enumerate() {
            let found = shown(bound);
            let message = if !(1.0..=MAX_BOUND).contains(&bound) || bound.fract() != 0.0 {
                format!("{found} is not a bound; use whole numbers of {unit}, 1 to 10^15")
            } else if bound <= last {
                format!("{found} is not above {}; bounds ascend", shown(last))
            } else {
                last = bound;
                continue;
            };
            self.mistakes.add(format!("{path}[{index}]"), message);
        }
    }

    /// A list that stayed when the unit was changed is off by a thousand.
    fn duration_in_another_unit(&mut self) {
        let duration = &self.config.metrics.request_duration;
        let Some([first, .., last]) = duration.buckets.as_deref() else { return };
        let message = match duration.unit {
            DurationUnit::Microseconds if *last <= 1_000.0 => format!(
                "end at {} microseconds, before most requests do; are they milliseconds? Then \
                 multiply them by 1000, or set `unit`",
                shown(*last)
            ),
            DurationUnit::Milliseconds if *first >= 1_000.0 => format!(
                "begin at {} milliseconds, after most requests have ended; are they microseconds? \
                 Then divide them by 1000, or set `unit`",
                shown(*first)
            ),
            _ => return,
        };
        self.warnings.add("metrics.request_duration.buckets", message);
    }
}
