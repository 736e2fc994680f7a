//! The buckets of Envoy's histograms.
//!
//! One table for the bootstrap, which tells them to Envoy, and for the Prometheus rules, which
//! have to name each one. The choice hangs on the end of a metric's name, so that metrics of the
//! user's own have fitting buckets, too. Each bucket is one more line per series in a scrape and
//! one more series in Prometheus.

/// The boundaries of OpenTelemetry's `http.server.request.duration` (5 ms to 10 s), and below and
/// above what a proxy also sees: answers from a cache, and requests that hang. Microseconds.
const MICROSECONDS: [u64; 18] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000,
    1_000_000, 2_500_000, 5_000_000, 7_500_000, 10_000_000, 30_000_000,
];

/// The same in milliseconds, as far as whole numbers go: values are cut to them, so a boundary
/// below 1 would hold what is cut to 0 alone.
const MILLISECONDS: [u64; 17] =
    [1, 2, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000, 30_000];

/// Durations of jobs and requests.
const SECONDS: [u64; 12] = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 86_400];

/// Steps of four from 256 bytes to 64 MiB.
const BYTES: [u64; 10] =
    [256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864];

/// Anything else: 1, 2.5, 5 by powers of ten.
const COUNTS: [u64; 15] =
    [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 100_000, 1_000_000];

/// The upper bounds of the buckets of a histogram with this name, ascending, without +Inf, in the
/// unit that the end of the name says.
pub fn of(name: &str) -> &'static [u64] {
    let ends = |unit: &str| name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'));
    if ends("microseconds") {
        &MICROSECONDS
    } else if ends("milliseconds") {
        &MILLISECONDS
    } else if ends("seconds") {
        &SECONDS
    } else if ends("bytes") {
        &BYTES
    } else {
        &COUNTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_at_the_end_of_the_name_chooses() {
        for (name, first, last) in [
            ("http_request_duration_microseconds", 500, 30_000_000),
            ("django_http_request_duration_milliseconds", 1, 30_000),
            ("app_job_duration_seconds", 1, 86_400),
            ("http_response_size_bytes", 256, 67_108_864),
            ("app_rows", 1, 1_000_000),
            ("megabytes", 1, 1_000_000),
        ] {
            let bounds = of(name);
            assert_eq!((bounds[0], bounds[bounds.len() - 1]), (first, last), "{name}");
            assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "{name}");
        }
    }
}
