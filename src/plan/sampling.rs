//! Which requests are recorded.

use super::compile::Compiler;
use crate::config::number::json as shown;
use crate::plan::SamplingPlan;
use crate::request::status::Statuses;
use crate::sampling::Rate;

impl Compiler<'_> {
    pub(super) fn sampling(&mut self) -> SamplingPlan {
        let sampling = &self.config.sampling;
        if !(0.0..=1.0).contains(&sampling.rate) {
            let rate = shown(sampling.rate);
            self.mistakes.add("sampling.rate", format!("{rate} is out of range; use 0 to 1"));
        }
        let always = &sampling.always;
        for (index, endpoint) in always.endpoints.iter().enumerate() {
            if endpoint.is_empty() {
                self.mistakes.add(
                    format!("sampling.always.endpoints[{index}]"),
                    "is empty; write an endpoint as it stands in the label",
                );
            }
        }
        SamplingPlan {
            rate: Rate::new(sampling.rate.clamp(0.0, 1.0)),
            statuses: self.statuses("sampling.always.statuses", &always.statuses),
            endpoints: always.endpoints.clone(),
            slower_than_ns: always.slower_than_ms.map(|ms| ms.saturating_mul(1_000_000)),
        }
    }

    pub(super) fn statuses(&mut self, path: &str, list: &[String]) -> Statuses {
        let mut statuses = Statuses::default();
        for (index, text) in list.iter().enumerate() {
            if !statuses.insert_text(text) {
                self.mistakes.add(
                    format!("{path}[{index}]"),
                    format!(
                        "{text:?} is not a status; write a code (\"503\") or a class (\"5xx\")"
                    ),
                );
            }
        }
        statuses
    }
}
