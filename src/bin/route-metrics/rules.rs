//! `route-metrics rules`.

use std::io::Write;
use std::path::PathBuf;

use route_metrics::command::stack::{Families, RuleOptions, rule_file};
use route_metrics::plan::Capacity;

use crate::{Outcome, input};

/// Print Prometheus recording and alerting rules for a plugin configuration
///
/// The rules derive the duration histogram in seconds, record rates, error ratios and latencies
/// per endpoint, and alert on error budgets, latency, limits, crashes and targets that are down.
#[derive(clap::Args)]
pub struct Arguments {
    /// The plugin's JSON, or a configuration of Envoy with the plugin in it; `-` is standard input
    file: PathBuf,
    /// The share of requests that must not fail, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = RuleOptions::default().objective,
          value_parser = percent)]
    objective: f64,
    /// The 95th percentile above which latency alerts
    #[arg(long, value_name = "SECONDS", default_value_t = RuleOptions::default().latency_seconds,
          value_parser = positive)]
    latency: f64,
    /// Where Grafana is, for the links of alerts
    #[arg(long, value_name = "URL", default_value_t = RuleOptions::default().grafana_url)]
    grafana: String,
    /// Print a PrometheusRule for the Prometheus Operator
    #[arg(long)]
    kubernetes: bool,
}

fn percent(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    // Six nines are more than a month of traffic can tell.
    if (0.0..=99.9999).contains(&value) { Ok(value) } else { Err("use 0 to 99.9999".to_owned()) }
}

fn positive(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value > 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err("use a number above 0".to_owned())
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    let (config, plan) = input::plan(&arguments.file, Capacity::Checked)?;
    let options = RuleOptions {
        objective: arguments.objective,
        latency_seconds: arguments.latency,
        grafana_url: arguments.grafana.trim_end_matches('/').to_owned(),
    };
    let file = rule_file(&Families::new(&config, &plan), &options);
    let yaml = if arguments.kubernetes { file.kubernetes() } else { file.yaml() }?;
    std::io::stdout().lock().write_all(yaml.as_bytes())?;
    Ok(())
}
