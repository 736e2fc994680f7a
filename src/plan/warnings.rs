//! What is allowed but most likely not meant. A warning says what will happen and what to write
//! instead; the command prints it, and the filter logs it.

use super::compile::Compiler;
use crate::config::{MetricType, join};
use crate::labels::source::{LabelPlan, SourcePlan};
use crate::request::response_flags;

/// Labels of targets. Prometheus gives `job` and `instance` to each
/// (prometheus.io/docs/concepts/jobs_instances); its Operator gives the others to those of a
/// `PodMonitor` or `ServiceMonitor` (`pkg/prometheus/promcfg.go`). `endpoint` is one of them, too, and
/// what the filter is for: the shipped manifests keep ours.
const TARGET_LABELS: [&str; 7] =
    ["job", "instance", "namespace", "pod", "container", "service", "node"];

impl Compiler<'_> {
    /// Everything that can be said once the rest has been looked at.
    pub(super) fn warn(&mut self) {
        self.fractions_that_are_lost();
        self.labels_of_targets();
        self.words_that_are_cut();
    }

    /// Words of the filter's own, which are one value where they are cut alike.
    fn words_that_are_cut(&mut self) {
        let max = self.config.limits.max_label_value_length as usize;
        let words = |label: &&LabelPlan| {
            let source = &label.source;
            matches!(source, SourcePlan::ExceptionType | SourcePlan::ResponseFlags)
                && label.choice.listed.is_none()
                && !label.hash
        };
        if max >= response_flags::LONGEST {
            return;
        }
        if let Some(label) = self.labels.iter().find(words) {
            let message = format!(
                "{max} is shorter than words of `{}`, which become one value where they are cut \
                 alike (UpstreamConnectionFailure, UpstreamConnectionTermination); use {} or more",
                label.name,
                response_flags::LONGEST
            );
            self.warnings.add("limits.max_label_value_length", message);
        }
    }

    /// Prometheus renames a label that the target has already, or lets it hide the target's.
    fn labels_of_targets(&mut self) {
        let config = self.config;
        let defined = config.labels.keys().map(|name| ("labels".to_owned(), name));
        let custom = config.custom_metrics.iter().enumerate().flat_map(|(index, metric)| {
            let names = metric.labels.iter().flatten().map(|(name, _)| name);
            names.map(move |name| (format!("custom_metrics[{index}].labels"), name))
        });
        for (path, name) in defined.chain(custom) {
            if TARGET_LABELS.contains(&name.as_str()) {
                self.warnings.add(
                    join(&path, name),
                    format!(
                        "`{name}` is also a label that Prometheus or its Operator gives to targets: \
                         ours becomes `exported_{name}`, or hides the target's where \
                         `honor_labels` is set; use another name"
                    ),
                );
            }
        }
    }

    /// Envoy's counters, gauges and histograms hold whole numbers only.
    fn fractions_that_are_lost(&mut self) {
        for (index, metric) in self.config.custom_metrics.iter().enumerate() {
            let name = metric.name.strip_suffix("_total").unwrap_or(&metric.name);
            let gauge = metric.r#type == MetricType::Gauge;
            let histogram = metric.r#type == MetricType::Histogram;
            // Whole hours may well be counted; times that are measured seldom come in them.
            let longer = ["_minutes", "_hours"].into_iter().filter(|_| histogram);
            let mut times = ["_seconds"].into_iter().filter(|_| !gauge).chain(longer);
            let better = if let Some(stem) = times.find_map(|unit| name.strip_suffix(unit)) {
                format!("{stem}_milliseconds")
            } else if let Some(stem) = name.strip_suffix("_ratio") {
                format!("{stem}_percent")
            } else {
                continue;
            };
            let total = if name == metric.name { "" } else { "_total" };
            self.warnings.add(
                format!("custom_metrics[{index}].name"),
                format!(
                    "`{}` holds whole numbers only, as all of Envoy's metrics of filters do, so \
                     0.4 is recorded as 0; name it `{better}{total}` and give the `scale` that \
                     turns what is measured into that",
                    metric.name
                ),
            );
        }
    }
}
