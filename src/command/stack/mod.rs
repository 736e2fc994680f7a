//! What stands around the filter, derived from its configuration: Prometheus rules, the Grafana
//! dashboard, the listener through which Prometheus scrapes, and tracing.
//!
//! Nothing here knows a metric or a label by itself: names, labels, units and buckets come from
//! the plan, so that a dashboard cannot ask for what the filter does not record. Native only.

mod alerts;
mod dashboard;
mod families;
mod recordings;
mod rule_file;

pub use dashboard::dashboard;
pub use families::{CustomFamily, Duration, Families, RequestFamily};
pub use rule_file::{PromRule, RuleFile, RuleGroup, RuleOptions, rule_file};
