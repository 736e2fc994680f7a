//! Which requests are recorded.

use super::compile::Compiler;
use crate::config::number::json as shown;
use crate::endpoint::Endpoints;
use crate::plan::SamplingPlan;
use crate::request::status::Statuses;
use crate::sampling::Rate;

impl Compiler<'_> {
    pub(super) fn sampling(&mut self, endpoints: &Endpoints) -> SamplingPlan {
        let sampling = &self.config.sampling;
        if !(0.0..=1.0).contains(&sampling.rate) {
            let rate = shown(sampling.rate);
            self.mistakes.add("sampling.rate", format!("{rate} is out of range; use 0 to 1"));
        }
        let always = &sampling.always;
        let names = &always.endpoints;
        let names = self.endpoint_names("sampling.always.endpoints", names, &[], endpoints);
        SamplingPlan {
            rate: Rate::new(sampling.rate.clamp(0.0, 1.0)),
            statuses: self.statuses("sampling.always.statuses", &always.statuses),
            endpoints: names,
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
