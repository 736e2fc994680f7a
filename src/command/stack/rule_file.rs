//! A Prometheus rule file: what it is made of, how it is written, and what its reader may choose.

use std::collections::BTreeMap;

use serde::Serialize;

use super::families::Families;
use super::{alerts, recordings};

/// What a rule file can be told.
#[derive(Clone, Debug)]
pub struct RuleOptions {
    /// The share of requests that must not fail, in percent.
    pub objective: f64,
    /// The 95th percentile above which latency alerts, in seconds.
    pub latency_seconds: f64,
    /// Where Grafana is; alerts link to the dashboard there.
    pub grafana_url: String,
}

impl Default for RuleOptions {
    fn default() -> Self {
        Self {
            objective: 99.9,
            latency_seconds: 1.0,
            grafana_url: "http://localhost:3001".to_owned(),
        }
    }
}

/// A rule file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleFile {
    /// Its groups.
    pub groups: Vec<RuleGroup>,
}

impl RuleFile {
    /// The file as Prometheus reads it.
    ///
    /// # Errors
    /// The writer's, which does not happen for strings.
    pub fn yaml(&self) -> Result<String, serde_saphyr::ser::Error> {
        serde_saphyr::to_string(self)
    }

    /// The same as a `PrometheusRule` of the Prometheus Operator.
    ///
    /// # Errors
    /// The writer's, which does not happen for strings.
    pub fn kubernetes(&self) -> Result<String, serde_saphyr::ser::Error> {
        #[derive(Serialize)]
        struct Resource<'a> {
            #[serde(rename = "apiVersion")]
            api_version: &'a str,
            kind: &'a str,
            metadata: BTreeMap<&'a str, &'a str>,
            spec: &'a RuleFile,
        }
        serde_saphyr::to_string(&Resource {
            api_version: "monitoring.coreos.com/v1",
            kind: "PrometheusRule",
            metadata: BTreeMap::from([("name", "route-metrics")]),
            spec: self,
        })
    }
}

/// Rules that are evaluated one after the other, at one time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleGroup {
    /// The name, unique in the file.
    pub name: String,
    /// The rules.
    pub rules: Vec<PromRule>,
}

/// A recording or alerting rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PromRule {
    /// The name of the series, for a recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The name of the alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// The query.
    pub expr: String,
    /// How long the query must have had results before the alert fires.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
    /// Labels that are added, or put in the place of others.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Words for people.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl PromRule {
    /// A rule that records what the query gives under a name.
    pub(super) fn recording(name: impl Into<String>, expr: impl Into<String>) -> Self {
        Self { record: Some(name.into()), expr: expr.into(), ..Self::default() }
    }
}

/// The rules for a configuration's families. A rule about something that the configuration does
/// not record, or records without the label that the rule needs, is left out.
pub fn rule_file(families: &Families, options: &RuleOptions) -> RuleFile {
    let prefix = &families.prefix;
    let groups = [
        ("seconds", families.duration.as_ref().map(recordings::seconds).unwrap_or_default()),
        ("endpoints", recordings::endpoints(families)),
        ("filter", recordings::filter()),
        ("alerts", alerts::all(families, options)),
    ];
    let groups = groups.into_iter().filter(|(_, rules)| !rules.is_empty());
    RuleFile {
        groups: groups
            .map(|(name, rules)| RuleGroup { name: format!("route_metrics_{prefix}{name}"), rules })
            .collect(),
    }
}
