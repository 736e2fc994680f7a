//! Metrics of the host, and what is done to them.

use crate::host::{Host, LogLevel, MetricKind};

/// A metric of the host, or none where it refused to define it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handle(Option<u32>);

impl Handle {
    /// Adds to it, where it exists.
    #[inline]
    pub fn add(self, host: &impl Host, by: u64) {
        if let (Some(id), Ok(by @ 1..)) = (self.0, i64::try_from(by)) {
            host.increment_metric(id, by);
        }
    }

    /// Changes a gauge, where it exists.
    pub fn change(self, host: &impl Host, by: i64) {
        if let (Some(id), true) = (self.0, by != 0) {
            host.increment_metric(id, by);
        }
    }

    /// Sets or observes, where it exists. Values above `i64::MAX` count as that: Envoy would take
    /// them for negative.
    #[inline]
    pub fn record(self, host: &impl Host, value: u64) {
        if let Some(id) = self.0 {
            host.record_metric(id, value.min(i64::MAX.unsigned_abs()));
        }
    }
}

/// What is done to a metric's series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Adds to a counter; nothing where it is 0.
    Add(u64),
    /// Observes in a histogram or sets a gauge.
    Record(u64),
}

/// Defines a metric; the host's log says where it refuses.
pub(super) fn define(host: &impl Host, kind: MetricKind, name: &str) -> Handle {
    let id = host.define_metric(kind, name);
    if id.is_none() {
        host.log(LogLevel::Warn, &format!("the host refused to define {name}"));
    }
    Handle(id)
}
