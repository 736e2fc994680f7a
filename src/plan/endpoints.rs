//! The `endpoint` label: what the configuration names of it.

use super::compile::{Capacity, Compiler};
use crate::endpoint::Endpoints;
use crate::labels::{OTHER, UNMATCHED};
use crate::request::status::Statuses;

impl Compiler<'_> {
    pub(super) fn endpoint_capacity(&mut self, endpoints: &Endpoints) {
        let limits = &self.config.limits;
        let max = limits.endpoints() as usize;
        let configured = endpoints.labels().len();
        // `_OTHER` and `_UNMATCHED` have places of their own.
        let needed = configured + 2;
        if self.capacity == Capacity::Checked && configured > 0 && needed > max {
            let at = match limits.max_endpoints {
                Some(_) => "limits.max_endpoints",
                None => "limits.max_values_per_label",
            };
            self.mistakes.add(
                at,
                format!(
                    "{max} is too few: the {configured} endpoints of `endpoint.templates` and \
                     `endpoint.rules`, {OTHER} and {UNMATCHED} need {needed}; raise it to that or more"
                ),
            );
        }
        let most = limits.max_label_value_length as usize;
        let longest = endpoints.labels().iter().map(String::len).max().unwrap_or(0);
        if self.capacity == Capacity::Checked && longest > most {
            self.mistakes.add(
                "limits.max_label_value_length",
                format!(
                    "{most} is too short: the longest endpoint of the configuration has {longest} \
                     characters; raise it to that or more"
                ),
            );
        }
    }

    pub(super) fn ignore_statuses(&mut self) -> Statuses {
        let mut statuses = Statuses::default();
        for (index, &code) in self.config.endpoint.ignore_statuses.iter().enumerate() {
            if !(100..=999).contains(&code) {
                let path = format!("endpoint.ignore_statuses[{index}]");
                self.mistakes.add(path, format!("{code} is not a status code; use 100 to 999"));
            }
            statuses.insert(code);
        }
        statuses
    }
}
