//! Leaving out what `check` would refuse: the configuration must be good whatever a specification
//! holds.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{MAX_LABEL_BYTES, path_of, shown_bytes};
use crate::config::{Config, EndpointRule};
use crate::plan::{self, Capacity};

/// Leaves out templates that `check` would refuse, and says which and why.
///
/// There are none where the rest of this module is right, but those whose labels are too long.
pub fn drop_refused(templates: &mut Vec<String>) -> Vec<String> {
    let mut notes = Vec::new();
    templates.retain(|template| {
        let fits = shown_bytes(path_of(template)) <= MAX_LABEL_BYTES;
        if !fits {
            notes.push(format!("left out: {template:?}: its label is too long"));
        }
        fits
    });
    let mut config = Config::default();
    config.endpoint.templates.clone_from(templates);
    notes.extend(drop_mistaken(&config, "endpoint.templates[", templates));
    notes
}

/// Leaves out rules that `check` would refuse, such as one with an expression that is too long, and
/// says which and why. The template of such a rule stays.
pub(super) fn drop_refused_rules(rules: &mut Vec<Value>) -> Vec<String> {
    let text = |rule: &Value, key: &str| rule[key].as_str().unwrap_or_default().to_owned();
    let rule = |rule: &Value| EndpointRule {
        regex: text(rule, "regex"),
        endpoint: text(rule, "endpoint"),
    };
    let mut config = Config::default();
    config.endpoint.rules = rules.iter().map(rule).collect();
    drop_mistaken(&config, "endpoint.rules[", rules)
}

/// Leaves out of a list what a configuration with it is refused for.
fn drop_mistaken<T>(config: &Config, list: &str, entries: &mut Vec<T>) -> Vec<String> {
    let Err(mistakes) = plan::compile(config, Capacity::Ignored) else { return Vec::new() };
    let mut refused = BTreeMap::new();
    for mistake in mistakes.iter() {
        let index = mistake.path.strip_prefix(list).and_then(|rest| rest.split_once(']'));
        if let Some(Ok(index)) = index.map(|(index, _)| index.parse::<usize>()) {
            refused.insert(index, format!("left out: {}", mistake.message));
        }
    }
    let mut index = 0;
    entries.retain(|_| {
        index += 1;
        !refused.contains_key(&(index - 1))
    });
    refused.into_values().collect()
}
