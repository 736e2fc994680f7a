//! What the plugin needs of Envoy's `stats_config`: the expressions that take labels out of stat
//! names, and buckets that fit what is measured.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::buckets::{Buckets, buckets};
use crate::config::{Config, MetricType, Mistakes};
use crate::host::MetricKind;
use crate::labels;
use crate::plan;
use crate::plan::{Capacity, OWN_LABELS};

/// Where Envoy puts the metrics of Wasm plugins; Prometheus output drops it.
const SCOPE: &str = "wasmcustom.";
/// Where it puts those of dynamic modules; Prometheus output drops it with [`NATIVE_RUNTIME`].
const NATIVE_SCOPE: &str = "dynamicmodulescustom.";

/// Gives the metrics of dynamic modules the names that they have with Wasm. Envoy has an admin layer
/// where no layers are given.
const NATIVE_RUNTIME: &str = "\
# Metrics of dynamic modules without `envoy_dynamicmodulescustom_` before their names.
layered_runtime:
  layers:
  - name: route_metrics
    static_layer:
      envoy.reloadable_features.dynamic_modules_strip_custom_stat_prefix: true
  - name: admin
    admin_layer: {}
";

/// The library, as Envoy Gateway registers it; an `EnvoyExtensionPolicy` names it.
const NATIVE_GATEWAY: &str = "  # Envoy Gateway 1.8 and newer. The library must be a file in the proxy's container: put it there with an image
  # of your own, an init container, or a volume.
  dynamicModules:
  - name: route-metrics
    doNotClose: true
    source:
      type: Local
      local:
        path: /module/libroute_metrics.so
";

/// What one or more plugins in an Envoy need of its `stats_config`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatsConfig {
    labels: BTreeSet<String>,
    /// Buckets by the full name and whether labels follow it.
    histograms: BTreeMap<(String, bool), Buckets>,
}

impl StatsConfig {
    /// What a configuration needs, with what the environment may switch on.
    ///
    /// # Errors
    /// All mistakes in the configuration.
    pub fn new(config: &Config) -> Result<Self, Mistakes> {
        let mut needs = Self::default();
        needs.add(config)?;
        // `DETAILED_METRICS_ENABLED` may switch these on. Where that would be refused, as with
        // labels that clash, they will never be there.
        if !config.detailed.enabled {
            let mut detailed = config.clone();
            detailed.detailed.enabled = true;
            let _ = needs.add(&detailed);
        }
        Ok(needs)
    }

    fn add(&mut self, config: &Config) -> Result<(), Mistakes> {
        let plan = plan::compile(config, Capacity::Checked)?;
        self.labels.extend(OWN_LABELS.map(str::to_owned));
        self.labels.extend(plan.labels.iter().map(|label| label.name.clone()));
        for metric in plan.metrics.iter().filter(|metric| metric.kind == MetricKind::Histogram) {
            self.add_histogram(config, &metric.name, !metric.labels.is_empty());
        }
        for metric in &config.custom_metrics {
            self.labels.extend(metric.labels.iter().flatten().map(|(name, _)| name.clone()));
            if metric.r#type == MetricType::Histogram {
                let has_labels = metric.labels.iter().any(|labels| !labels.is_empty());
                self.add_histogram(config, &metric.name, has_labels);
            }
        }
        Ok(())
    }

    fn add_histogram(&mut self, config: &Config, name: &str, has_labels: bool) {
        if let Some(buckets) = buckets(config, name) {
            self.histograms.insert((name.to_owned(), has_labels), buckets);
        }
    }

    /// Takes in what another plugin of the same Envoy needs: tags are for the whole process.
    ///
    /// # Errors
    /// A label of one plugin is the end of a label of the other, or they want other buckets for one
    /// histogram.
    pub fn merge(&mut self, other: Self) -> Result<(), String> {
        self.labels.extend(other.labels);
        for ((name, has_labels), buckets) in other.histograms {
            let mut known = [true, false].into_iter();
            if known.any(|labels| {
                self.histograms.get(&(name.clone(), labels)).is_some_and(|known| *known != buckets)
            }) {
                return Err(format!(
                    "two plugins want different buckets for `{name}`, which is one histogram in the \
                     whole Envoy process; give both the same `buckets`, or another `namespace`"
                ));
            }
            self.histograms.insert((name, has_labels), buckets);
        }
        for (short, long) in
            self.labels.iter().flat_map(|a| self.labels.iter().map(move |b| (a, b)))
        {
            if short != long && long.ends_with(short.as_str()) {
                let better = plan::instead(long, short, self.labels());
                return Err(format!(
                    "the label `{short}` of one plugin is the end of the label `{long}` of another, \
                     so Envoy would take it out of that one, too; give `{long}` another name there, such \
                     as `{better}`"
                ));
            }
        }
        Ok(())
    }

    /// The names of all labels, in order.
    pub fn labels(&self) -> impl Iterator<Item = &str> + Clone {
        self.labels.iter().map(String::as_str)
    }

    /// The histograms with buckets of their own, by full name.
    pub fn histograms(&self) -> impl Iterator<Item = (&str, &Buckets)> {
        self.histograms.iter().map(|((name, _), buckets)| (name.as_str(), buckets))
    }

    /// The block `stats_config:` of Envoy's bootstrap.
    pub fn yaml(&self) -> String {
        let mut out = String::from("stats_config:\n  stats_tags:\n");
        for label in &self.labels {
            line(&mut out, 2, &format!("- tag_name: {label}"));
            line(&mut out, 2, &format!("  regex: '{}'", labels::tag_regex(label)));
        }
        self.buckets(SCOPE, &mut out);
        out
    }

    /// What the bootstrap needs for the dynamic module, whose labels are Envoy's own: `layered_runtime:`,
    /// and `stats_config:` where there are histograms.
    pub fn native_yaml(&self) -> String {
        let mut out = NATIVE_RUNTIME.to_owned();
        if !self.histograms.is_empty() {
            line(&mut out, 0, "stats_config:");
            self.buckets(NATIVE_SCOPE, &mut out);
        }
        out
    }

    fn buckets(&self, scope: &str, out: &mut String) {
        if !self.histograms.is_empty() {
            line(out, 1, "histogram_bucket_settings:");
        }
        for ((name, has_labels), buckets) in &self.histograms {
            // Without the dot, a metric whose name only begins like this one would be meant, too.
            let matcher = match has_labels {
                true => format!("prefix: {scope}{name}."),
                false => format!("exact: {scope}{name}"),
            };
            if let Some(unit) = buckets.unit {
                line(out, 2, &format!("# {unit}"));
            }
            line(out, 2, "- match:");
            line(out, 4, &matcher);
            line(out, 3, &format!("buckets: [{}]", list(&buckets.bounds)));
        }
    }

    /// What Istio needs: a part of the mesh configuration for the tags, and of a workload's pod
    /// template for the buckets, for which the mesh configuration has no place.
    ///
    /// Nothing has to be included: Istio's bootstrap always keeps stats that begin with `wasm`
    /// (istio/istio, `pkg/bootstrap/config.go`).
    pub fn istio(&self) -> String {
        let mut out = String::from(
            "# Labels: for the whole mesh, in the mesh configuration. Proxies take it up when they\n\
             # restart. Istio keeps stats that begin with `wasm`, so nothing has to be included.\n\
             meshConfig:\n  defaultConfig:\n    extraStatTags:\n",
        );
        for label in &self.labels {
            line(&mut out, 2, &format!("- {label}"));
        }
        out.push_str(
            "---\n\
             # Or for one workload, with the buckets of the histograms, which can only be set here:\n\
             # annotations of the pod template.\n\
             spec:\n  template:\n    metadata:\n      annotations:\n",
        );
        let names: Vec<&str> = self.labels().collect();
        line(&mut out, 4, &format!("sidecar.istio.io/extraStatTags: {}", names.join(",")));
        if !self.histograms.is_empty() {
            line(&mut out, 4, "sidecar.istio.io/statsHistogramBuckets: |-");
            line(&mut out, 5, "{");
            for (index, ((name, has_labels), buckets)) in self.histograms.iter().enumerate() {
                let dot = if *has_labels { "." } else { "" };
                let comma = if index + 1 < self.histograms.len() { "," } else { "" };
                let bounds = list(&buckets.bounds);
                line(&mut out, 6, &format!("\"{SCOPE}{name}{dot}\": [{bounds}]{comma}"));
            }
            line(&mut out, 5, "}");
        }
        out
    }

    /// What Envoy Gateway needs: an `EnvoyProxy` that merges [`StatsConfig::yaml`] into its
    /// bootstrap.
    pub fn gateway(&self) -> String {
        envoy_proxy("", &self.yaml())
    }

    /// What Envoy Gateway (1.8 and newer) needs for the dynamic module: an `EnvoyProxy` that says where the
    /// library is, and merges [`StatsConfig::native_yaml`] into its bootstrap.
    pub fn native_gateway(&self) -> String {
        envoy_proxy(NATIVE_GATEWAY, &self.native_yaml())
    }
}

/// An `EnvoyProxy` with these lines in its `spec` and this text merged into its bootstrap.
fn envoy_proxy(spec: &str, bootstrap: &str) -> String {
    let mut out = format!(
        "# For the GatewayClass (spec.parametersRef) or the Gateway (spec.infrastructure.parametersRef).\n\
         apiVersion: gateway.envoyproxy.io/v1alpha1\n\
         kind: EnvoyProxy\n\
         metadata:\n  name: route-metrics\n  namespace: envoy-gateway-system\n\
         spec:\n{spec}  bootstrap:\n    type: Merge\n    value: |\n",
    );
    for text in bootstrap.lines() {
        line(&mut out, 3, text);
    }
    out
}

fn line(out: &mut String, depth: usize, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{:1$}{text}", "", depth * 2);
}

fn list(bounds: &[u64]) -> String {
    bounds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}
