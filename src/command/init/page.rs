//! What is said of the first configuration: the page beside it, and what to do next.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Kind, Platform, Start, member, texts};

/// Templates that the page shows.
const SHOWN: usize = 40;

impl Start {
    /// What to do next.
    pub(super) fn steps(&self, folder: &str) -> String {
        let log = self.sources.iter().find(|(_, kind, _)| *kind == Kind::Log);
        let look = match log {
            Some((log, ..)) => format!(
                "route-metrics preview {folder}/plugin.json {log}\n   shows the endpoints, series and \
                 cost that your log would give."
            ),
            None => format!(
                "route-metrics explain {folder}/plugin.json GET /a/path\n   shows the endpoint of a \
                 request; with an access log, `preview` shows all of them."
            ),
        };
        let stats = match self.platform {
            Platform::Envoy if self.has_stats_config => {
                "Your bootstrap has a `stats_config:`. Add the lists in bootstrap.yaml to those in it."
            }
            Platform::Envoy => "Put bootstrap.yaml at the top level of Envoy's bootstrap.",
            Platform::Istio => {
                "Put bootstrap.yaml into the mesh configuration, or on the workloads; it has both."
            }
            Platform::Gateway => {
                "Apply bootstrap.yaml, and name it in your GatewayClass or Gateway."
            }
        };
        let filter = match (self.plugins.as_slice(), self.filters.as_slice()) {
            ([], []) => format!(
                "Put the filter in front of Envoy's router, with plugin.json as its configuration:\n   \
                 route-metrics envoy {folder}/plugin.json --upstream HOST:PORT\n   prints a whole \
                 configuration to copy it from."
            ),
            ([], filters) => format!(
                "Put the filter in front of the router here, with plugin.json as its configuration:\n   \
                 {}\n   route-metrics envoy {folder}/plugin.json --upstream HOST:PORT\n   prints a \
                 whole configuration to copy it from.",
                filters.join("\n   ")
            ),
            (plugins, _) => format!(
                "Replace the plugin's configuration with plugin.json here:\n   {}",
                plugins.join("\n   ")
            ),
        };
        format!(
            "1. {look}\n2. {stats}\n3. {filter}\n4. Name rules.yaml under `rule_files:` of \
             Prometheus.\n5. route-metrics dashboard {folder}/plugin.json > dashboard.json\n   prints \
             the dashboard for Grafana.\n"
        )
    }

    /// The page that explains the configuration.
    pub(super) fn page(&self, requests: &[(String, u64)], steps: &str) -> String {
        let mut page = String::from(
            "# What plugin.json says\n\nJSON has no comments, so they are here. `route-metrics init` \
             wrote this page; it may be deleted.\n\n",
        );
        let mut add = |text: &str| page.push_str(text);
        if self.sources.is_empty() {
            add("No file was given, so every setting has its default.\n\n");
        } else {
            add("| File | What it is | What it gave |\n|---|---|---|\n");
            for (name, kind, gave) in &self.sources {
                add(&format!("| {} | {} | {gave} |\n", cell(name), kind.name()));
            }
            add("\n");
        }
        add("## `endpoint`\n\n");
        let templates = texts(&self.plugin, "templates");
        if templates.is_empty() {
            add("There are no templates: the filter infers endpoints from the traffic. A \
                 specification (`route-metrics init SPEC`) or `templates` give them names.\n\n");
        } else {
            let _ = write!(
                page,
                "`templates` has {} entries. The most specific one that fits a request is its \
                 `endpoint` label, whatever the order; `{{name}}` is one segment, `{{*name}}` several. \
                 What none of them fits is inferred; `\"inference\": \"off\"` counts it under \
                 `_UNMATCHED` instead.\n\n| Template | From | Requests in the logs |\n|---|---|---|\n",
                templates.len()
            );
            for template in templates.iter().take(SHOWN) {
                let from = self.origins.iter().find(|(known, _)| known == template);
                let from = from.map_or("", |(_, from)| from);
                let path = template.find('/').and_then(|at| template.get(at..)).unwrap_or(template);
                let count = requests.iter().find(|(endpoint, _)| endpoint == path);
                let count = count.map(|(_, count)| count.to_string()).unwrap_or_default();
                let _ = writeln!(page, "| `{}` | {} | {count} |", cell(template), cell(from));
            }
            if templates.len() > SHOWN {
                let _ = writeln!(page, "| … and {} more | | |", templates.len() - SHOWN);
            }
            page.push('\n');
        }
        let rules = member(&self.plugin, "rules").len();
        if rules > 0 {
            let _ = write!(
                page,
                "`rules` has {rules} regular expressions. They are tried in order where no template \
                 fits.\n\n"
            );
        }
        if let Some(limits) = self.plugin.get("limits").and_then(Value::as_object) {
            page.push_str("## `limits`\n\n");
            for (key, value) in limits {
                let why = match key.as_str() {
                    "max_endpoints" => {
                        "how many endpoints have a place of their own, with some to spare"
                    }
                    "max_series_per_metric" => {
                        "how many series a metric has at most: endpoints, methods and statuses"
                    }
                    "max_label_value_length" => "as long as the longest template",
                    _ => "as it was",
                };
                let _ = writeln!(page, "- `{key}`: {value}, {why}.");
            }
            page.push('\n');
        }
        page.push_str(
            "## What is not there has its default\n\n\
             - `\"namespace\": \"shop\"` puts `shop_` before each metric.\n\
             - `\"endpoint\": {\"exclude\": [\"/healthz\"]}` counts such requests not at all.\n\
             - `\"sampling\": {\"rate\": 0.1}` looks at a tenth of the requests.\n\
             - `\"labels\": {\"status\": {\"from\": \"status_class\"}}` has `2xx` instead of `200`.\n\n\
             `route-metrics schema` prints all settings, `route-metrics check` finds every \
             mistake.\n\n",
        );
        if !self.notes.is_empty() {
            page.push_str("## What was changed or left out\n\n");
            for note in &self.notes {
                let _ = writeln!(page, "- {}", note.replace('\n', " "));
            }
            page.push('\n');
        }
        let _ = write!(page, "## Next\n\n{steps}");
        page
    }
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
