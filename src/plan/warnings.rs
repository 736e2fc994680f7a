//! What is allowed but most likely not meant. A warning says what will happen and what to write
//! instead; the command prints it, and the filter logs it.

use super::compile::Compiler;
use crate::config::MetricType;

impl Compiler<'_> {
    /// Everything that can be said once the rest has been looked at.
    pub(super) fn warn(&mut self) {
        self.fractions_that_are_lost();
    }

    /// Envoy's counters, gauges and histograms hold whole numbers only.
    fn fractions_that_are_lost(&mut self) {
        for (index, metric) in self.config.custom_metrics.iter().enumerate() {
            let name = metric.name.strip_suffix("_total").unwrap_or(&metric.name);
            let gauge = metric.r#type == MetricType::Gauge;
            let better = if let Some(stem) = name.strip_suffix("_seconds").filter(|_| !gauge) {
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
