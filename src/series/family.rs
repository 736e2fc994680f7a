//! A metric with its labels, and how one of its series comes into being.

use super::handle::{Handle, define};
use super::limits::Limits;
use super::list::List;
use super::{Admission, Claim, Key, Series, Shapes};
use crate::host::{Host, MetricKind};
use crate::labels::{self, OTHER};
use crate::secret::Secret;

/// The series of a metric, whatever its kind and labels.
pub(super) struct Budget {
    pub(super) series: Series<Handle>,
    pub(super) shapes: Shapes,
    pub(super) limits: Limits,
    /// `route_metrics_series` and `route_metrics_series_limit`.
    pub(super) gauges: [Handle; 2],
}

/// A label of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FamilyLabel {
    pub(super) name: String,
    pub(super) values: usize,
    pub(super) closed: bool,
}

/// A metric with a kind and labels.
pub(super) struct Family {
    pub(super) name: String,
    pub(super) kind: MetricKind,
    pub(super) labels: Vec<FamilyLabel>,
    pub(super) budget: usize,
    pub(super) shape: u16,
    /// Where what is folded goes if there is no place left for a series of this family.
    pub(super) rest: Option<Handle>,
    /// `route_metrics_overflow_total` by label, defined when first needed.
    pub(super) overflow: Vec<Option<Handle>>,
}

impl Budget {
    /// Sets and tells the limit that holds now.
    pub(super) fn limit(&mut self, host: &impl Host) {
        if let Some((max, kept)) = self.limits.effective() {
            self.series.set_max(max, kept);
        }
        self.gauges[1].record(host, self.series.max() as u64);
    }
}

/// What it takes to bring a series into being.
pub(super) struct Meeting<'a, H> {
    pub(super) host: &'a H,
    pub(super) budget: &'a mut Budget,
    pub(super) lists: &'a [List],
    pub(super) name: &'a mut String,
    pub(super) secret: Secret,
}

impl<H: Host> Meeting<'_, H> {
    /// The series of these values, if it has a place.
    pub(super) fn series(&mut self, family: &Family, ids: &[u32], claim: Claim) -> Option<Handle> {
        let Self { host, budget, lists, name, secret } = self;
        let key = Key::new(ids).of_shape(family.shape);
        if let Some(handle) = budget.series.find(key) {
            return Some(handle);
        }
        let Admission::Admitted { new, .. } = budget.series.admit(*host, key, claim, *secret)
        else {
            return None;
        };
        if new {
            budget.gauges[0].change(*host, 1);
        }
        let pairs = family.labels.iter().zip(ids).map(|(label, &id)| {
            let text = lists.get(label.values).map_or(OTHER, |list| list.values.text(id));
            (label.name.as_str(), text)
        });
        labels::stat_name(&family.name, pairs, name);
        let handle = define(*host, family.kind, name);
        budget.series.keep(key, handle);
        Some(handle)
    }

    /// Where what is folded goes if not even a series for the rest has a place, because the metric
    /// had other labels when its places were taken: into the rest of those. Nothing is dropped, so
    /// where there is none, and where there is no shared data, it goes into a series all the same.
    pub(super) fn rest(&mut self, family: &mut Family) -> Handle {
        let Self { host, budget, name, .. } = self;
        *family.rest.get_or_insert_with(|| {
            let former = budget.series.rest();
            match former.and_then(|key| budget.shapes.rest(key.shape(), family.kind)) {
                Some(pairs) => labels::stat_name(&family.name, pairs.into_iter(), name),
                None => {
                    let pairs = family.labels.iter().map(|label| (label.name.as_str(), OTHER));
                    labels::stat_name(&family.name, pairs, name);
                }
            }
            define(*host, family.kind, name)
        })
    }
}
