//! Environment variables of the VM that override the plugin configuration.

use super::{Config, Mistakes};
use crate::config::number;

/// The variables, in the order in which they are read.
pub const VARIABLES: [&str; 4] =
    ["OBSERVABILITY_ENABLED", "METRICS_ENABLED", "DETAILED_METRICS_ENABLED", "METRICS_SAMPLE_RATE"];

/// Applies the variables that are set and not empty. A value that is not understood is a mistake
/// named by the variable.
pub fn apply(
    config: &mut Config,
    variable: impl Fn(&str) -> Option<String>,
    mistakes: &mut Mistakes,
) {
    let get = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let mut flag = |name: &str| {
        let value = get(name)?;
        let flag = parse_flag(value.trim());
        if flag.is_none() {
            mistakes.add(name, format!("{value:?} is not a switch; write true or false"));
        }
        flag
    };
    let [observability, metrics, detailed, rate] = VARIABLES;
    if let Some(enabled) = flag(observability) {
        config.enabled = enabled;
    }
    if flag(metrics) == Some(false) {
        let metrics = &mut config.metrics;
        metrics.requests_total.enabled = false;
        metrics.request_duration.enabled = false;
        metrics.requests_active.enabled = false;
        metrics.response_size.enabled = false;
        metrics.request_size.enabled = false;
        metrics.exceptions_total.enabled = false;
        config.detailed.enabled = false;
        config.custom_metrics_off = true;
    } else if let Some(enabled) = flag(detailed) {
        config.detailed.enabled = enabled;
    }
    if let Some(value) = get(rate) {
        match number::real(value.trim()) {
            Some(share) if (0.0..=1.0).contains(&share) => config.sampling.rate = share,
            _ => {
                mistakes.add(rate, format!("{value:?} is not a share; write a number from 0 to 1"))
            }
        }
    }
}

fn parse_flag(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    fn applied(pairs: &[(&str, &str)]) -> (Config, Vec<String>) {
        let mut config = Config::default();
        let mut mistakes = Mistakes::default();
        let find = |name: &str| {
            pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        };
        apply(&mut config, find, &mut mistakes);
        (config, mistakes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn variables_override_the_file() {
        let (config, mistakes) = applied(&[
            ("OBSERVABILITY_ENABLED", "False"),
            ("METRICS_SAMPLE_RATE", " 0.1 "),
            ("DETAILED_METRICS_ENABLED", "1"),
            ("METRICS_ENABLED", ""),
        ]);
        assert!(mistakes.is_empty());
        assert!(
            !config.enabled && config.detailed.enabled && config.metrics.requests_total.enabled
        );
        assert!((config.sampling.rate - 0.1).abs() < f64::EPSILON);
    }

    #[test]
    fn metrics_off_means_all_of_them() {
        let (config, _) =
            applied(&[("METRICS_ENABLED", "off"), ("DETAILED_METRICS_ENABLED", "on")]);
        assert!(!config.metrics.requests_active.enabled && !config.detailed.enabled);
    }

    #[test]
    fn a_bad_value_names_its_variable() {
        let (_, mistakes) =
            applied(&[("METRICS_ENABLED", "maybe"), ("METRICS_SAMPLE_RATE", "NaN")]);
        assert_eq!(
            mistakes,
            [
                "METRICS_ENABLED: \"maybe\" is not a switch; write true or false",
                "METRICS_SAMPLE_RATE: \"NaN\" is not a share; write a number from 0 to 1",
            ]
        );
    }
}
