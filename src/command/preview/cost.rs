//! What series cost Envoy, from measurements.

use super::host::Stat;
use crate::host::MetricKind;

/// Memory of one series in Envoy, in bytes, with one worker and with four: the growth of its heap
/// with tens of thousands of series, on Envoy 1.36 to 1.40. A histogram has a copy per worker.
const COUNTER_BYTES: [u64; 2] = [350, 500];
const HISTOGRAM_BYTES: [u64; 2] = [6_000, 13_000];

/// What the first Wasm filter of an Envoy process adds to its memory, and each further VM; there is
/// one VM per worker, and one on the main thread.
const FIRST_VM_BYTES: u64 = 34_000_000;
const NEXT_VM_BYTES: u64 = 950_000;

/// The upper bounds of Envoy's own buckets (`source/common/stats/histogram_impl.cc`), where no
/// others are set.
const ENVOY_BOUNDS: [&str; 19] = [
    "0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000",
    "30000", "60000", "300000", "600000", "1800000", "3600000",
];

/// Bytes with one worker and with four.
pub(super) fn memory(kind: MetricKind, series: u64) -> [u64; 2] {
    let each = match kind {
        MetricKind::Counter | MetricKind::Gauge => COUNTER_BYTES,
        MetricKind::Histogram => HISTOGRAM_BYTES,
    };
    each.map(|bytes| bytes * series)
}

/// Bytes for Wasm itself with one worker and with four.
pub(super) fn vms() -> [u64; 2] {
    [1, 4].map(|workers| FIRST_VM_BYTES + workers * NEXT_VM_BYTES)
}

/// The lines of a series in Envoy's Prometheus output, in bytes, as
/// `source/server/admin/prometheus_stats.cc` writes them.
pub(super) fn scrape(stat: &Stat) -> u64 {
    let (metric, labels) = parse_name(&stat.name);
    // name="value", joined by commas
    let inside: usize = labels.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let line = metric.len() + inside.saturating_sub(1) + "{} \n".len();
    let digits = |value: u64| value.checked_ilog10().unwrap_or(0) as usize + 1;
    let total = match stat.kind {
        MetricKind::Counter | MetricKind::Gauge => line + digits(stat.value),
        MetricKind::Histogram => {
            let comma = usize::from(inside > 0);
            let bucket = line + "_bucket".len() + comma + "le=\"\"".len() + digits(stat.count);
            let (bounds, count) = bounds(stat.bounds.as_deref());
            (bucket * (count + 1) + bounds + "+Inf".len())
                + (line + "_sum".len() + digits(stat.value))
                + (line + "_count".len() + digits(stat.count))
        }
    };
    total as u64
}

/// Characters of a histogram's bounds, and how many there are.
fn bounds(bounds: Option<&[u64]>) -> (usize, usize) {
    match bounds {
        Some(bounds) => (bounds.iter().map(|b| b.to_string().len()).sum(), bounds.len()),
        None => (ENVOY_BOUNDS.iter().map(|b| b.len()).sum(), ENVOY_BOUNDS.len()),
    }
}

/// The metric and labels of a stat name; see [`crate::labels::stat_name`].
pub(super) fn parse_name(name: &str) -> (&str, Vec<(&str, &str)>) {
    let Some(at) = name.find("=.=") else { return (name, Vec::new()) };
    let dot = name.get(..at).and_then(|head| head.rfind('.')).unwrap_or(at);
    let labels = name.get(dot + 1..).unwrap_or_default();
    let pairs = labels.split(";.;").filter_map(|pair| {
        let (label, value) = pair.split_once("=.=")?;
        Some((label.trim_start_matches('.'), value))
    });
    (name.get(..dot).unwrap_or_default(), pairs.collect())
}
