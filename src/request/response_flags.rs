//! Envoy's response flags: why a response was not the upstream's own.

/// The long names by bit, as Envoy's access log writes them (`%RESPONSE_FLAGS_LONG%`;
/// `source/common/stream_info/utility.h`, order of `CoreResponseFlag` in
/// `envoy/stream_info/stream_info.h`).
const NAMES: [&str; 30] = [
    "FailedLocalHealthCheck",
    "NoHealthyUpstream",
    "UpstreamRequestTimeout",
    "LocalReset",
    "UpstreamRemoteReset",
    "UpstreamConnectionFailure",
    "UpstreamConnectionTermination",
    "UpstreamOverflow",
    "NoRouteFound",
    "DelayInjected",
    "FaultInjected",
    "RateLimited",
    "UnauthorizedExternalService",
    "RateLimitServiceError",
    "DownstreamConnectionTermination",
    "UpstreamRetryLimitExceeded",
    "StreamIdleTimeout",
    "InvalidEnvoyRequestHeaders",
    "DownstreamProtocolError",
    "UpstreamMaxStreamDurationReached",
    "ResponseFromCacheFilter",
    "NoFilterConfigFound",
    "DurationTimeout",
    "UpstreamProtocolError",
    "NoClusterFound",
    "OverloadManagerTerminated",
    "DnsResolutionFailed",
    "DropOverload",
    "DownstreamRemoteReset",
    "UnconditionalDropOverload",
];

/// Bytes of the longest of the names.
pub const LONGEST: usize = 32;

/// The short names by bit (`%RESPONSE_FLAGS%`).
#[cfg(not(target_arch = "wasm32"))]
const SHORT_NAMES: [&str; 30] = [
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC",
    "URX", "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR",
    "UDO",
];

/// The flags of an access log: names separated by commas, short or long, or a dash. Names that are
/// not known do not count.
#[cfg(not(target_arch = "wasm32"))]
#[must_use]
pub fn from_names(text: &[u8]) -> u64 {
    if text == b"-" {
        return 0;
    }
    let bit = |name: &[u8]| {
        let is = |known: &&str| known.as_bytes() == name;
        SHORT_NAMES.iter().position(is).or_else(|| NAMES.iter().position(is))
    };
    text.split(|&byte| byte == b',').filter_map(bit).fold(0, |flags, bit| flags | 1 << bit)
}

/// Flags that tell how a response was made, not that it failed: a delay by the fault filter, and
/// an answer from the cache.
const HARMLESS: u64 = (1 << 9) | (1 << 20);

/// Flags that only say how another failure went on; the other one is the reason.
const SECONDARY: u64 = 1 << 15;

/// The long name of the reason among the flags, or `None` where no flag tells of a failure. Of
/// several the lowest bit is the reason, and a used-up retry limit only where it is alone.
pub fn reason(flags: u64) -> Option<&'static str> {
    let failures = flags & !HARMLESS;
    let causes = failures & !SECONDARY;
    let bits = if causes == 0 { failures } else { causes };
    if bits == 0 {
        return None;
    }
    Some(NAMES.get(bits.trailing_zeros() as usize).copied().unwrap_or("UnknownResponseFlag"))
}

/// All long names, joined by commas; empty where there is no flag.
pub fn write_names(flags: u64, out: &mut String) {
    let mut separator = "";
    for (bit, name) in NAMES.iter().enumerate() {
        if flags >> bit & 1 == 1 {
            out.push_str(separator);
            out.push_str(name);
            separator = ",";
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    #[cfg(not(target_arch = "wasm32"))]
    #[test]
    fn an_access_log_names_flags() {
        for (text, expected) in [
            (&b"-"[..], 0),
            (b"", 0),
            (b"UF,URX", 1 << 5 | 1 << 15),
            (b"DownstreamConnectionTermination", 1 << 14),
            (b"DC,??,\xff", 1 << 14),
        ] {
            assert_eq!(from_names(text), expected);
        }
    }

    #[test]
    fn the_reason_is_the_first_cause() {
        for (flags, expected) in [
            (0, None),
            (1 << 9, None),
            (1 << 20, None),
            (32, Some("UpstreamConnectionFailure")),
            (32 | 1 << 15, Some("UpstreamConnectionFailure")),
            (1 << 2 | 1 << 15, Some("UpstreamRequestTimeout")),
            (1 << 15, Some("UpstreamRetryLimitExceeded")),
            (256, Some("NoRouteFound")),
            (16384, Some("DownstreamConnectionTermination")),
            (1 << 63, Some("UnknownResponseFlag")),
        ] {
            assert_eq!(reason(flags), expected, "{flags}");
        }
    }

    #[test]
    fn names_are_joined_by_commas() {
        let mut out = String::new();
        write_names(32 | 1 << 15, &mut out);
        assert_eq!(out, "UpstreamConnectionFailure,UpstreamRetryLimitExceeded");
    }
}
