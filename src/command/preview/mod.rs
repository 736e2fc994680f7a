//! What a configuration makes of access logs, before it is rolled out.
//!
//! [`log`] reads lines of the usual formats, [`Replay`] sends each as a request through the filter
//! on a host in memory ([`host`]), so that endpoints, limits and folding are exactly the filter's,
//! and [`Report`] says what came of it, as text, JSON ([`serde`]) or an HTML page. Memory does not
//! grow with the log. Native only.

mod cost;
pub mod host;
pub mod html;
pub mod log;
pub mod reference;
mod replay;
mod report;
mod text;

pub use replay::{Direction, Replay};
pub use report::{
    Decisions, Directions, DurationReport, EndpointReport, Fold, Input, LabelReport, MetricReport,
    Of, Quantiles, Report, Source, Timing, Waiting,
};
pub use text::write_text;

#[cfg(test)]
mod tests;
