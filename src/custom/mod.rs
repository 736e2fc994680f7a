//! Business metrics: made of requests by [`rules`], or reported by the application ([`events`]) in a
//! response header ([`header`]) or by a post ([`post`]).

pub mod events;
pub mod header;
pub mod number;
pub mod post;
pub mod rules;

use crate::host::MetricKind;
use crate::labels::source::LabelPlan;

/// A metric of the configuration's own.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomPlan {
    /// The name in the scrape.
    pub name: String,
    /// What it is.
    pub kind: MetricKind,
    /// Its labels, each with a list of values of its own.
    pub labels: Vec<LabelPlan>,
    /// How many series there may be.
    pub max_series: usize,
}
