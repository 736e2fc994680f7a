//! A list of values as the filter's own metrics show it.

use super::handle::Handle;
use super::limits::Limits;
use super::{Admission, Values};
use crate::host::Host;

/// A list of values, and what is told of it.
pub(super) struct List {
    pub(super) name: String,
    pub(super) values: Values,
    pub(super) limits: Limits,
    /// How many values this VM has brought in.
    pub(super) brought: i64,
    /// How many values wait, as last told.
    pub(super) waiting: usize,
    /// The gauges of the values that there are and may be, and of those that wait; only where
    /// places must be earned.
    pub(super) gauges: Option<[Handle; 3]>,
}

impl List {
    /// Asks for a place, and tells of it where it was given.
    pub(super) fn admitted(
        &mut self,
        host: &impl Host,
        ask: impl FnOnce(&mut Values) -> Admission,
    ) -> Admission {
        let admission = ask(&mut self.values);
        if matches!(admission, Admission::Admitted { new: true, .. }) {
            self.brought += 1;
            if let Some([there, ..]) = self.gauges {
                there.change(host, 1);
            }
        }
        admission
    }

    /// Sets and tells the limit that holds now.
    pub(super) fn limit(&mut self, host: &impl Host) {
        if let Some((max, _)) = self.limits.effective() {
            self.values.set_max(max);
        }
        if let Some([_, limit, _]) = self.gauges {
            limit.record(host, self.values.max() as u64);
        }
    }
}
