//! What the core asks of its host: metrics, shared data, the clock, headers and properties.
//!
//! The filter runs on Envoy through the adapters of `module`, and natively on [`recorder::Recorder`], which
//! keeps what was recorded. Nothing here panics on an unexpected answer: what the host does not
//! give is absent.

#[cfg(not(target_os = "wasi"))]
pub mod recorder;

/// The kinds of metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum MetricKind {
    /// Only grows.
    Counter = 0,
    /// Goes up and down.
    Gauge = 1,
    /// Distribution of whole numbers.
    Histogram = 2,
}

impl MetricKind {
    /// The word of the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The header maps of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum HeaderMap {
    /// Request headers.
    Request = 0,
    /// Response headers.
    Response = 2,
    /// Response trailers.
    ResponseTrailers = 3,
}

/// A property of the stream, in the path form of the ABI: parts separated by NUL.
///
/// Envoy documents them as attributes ("Attributes" in its reference).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Property {
    /// `response.code`, 8 bytes.
    ResponseCode,
    /// `response.code_details`: why the response has its code, text.
    ResponseCodeDetails,
    /// `response.flags`, 8 bytes.
    ResponseFlags,
    /// `response.size`: bytes of the response body, 8 bytes.
    ResponseSize,
    /// `response.grpc_status`, 8 bytes.
    ResponseGrpcStatus,
    /// `request.size`: bytes of the request body, 8 bytes.
    RequestSize,
    /// `request.duration`: nanoseconds, 8 bytes.
    RequestDuration,
    /// `request.protocol`: text.
    RequestProtocol,
    /// `xds.route_name`: text.
    RouteName,
    /// `xds.cluster_name`: text.
    ClusterName,
    /// `xds.virtual_host_name`: text.
    VirtualHost,
}

impl Property {
    /// The path as the ABI wants it.
    pub const fn path(self) -> &'static [u8] {
        match self {
            Self::ResponseCode => b"response\0code",
            Self::ResponseCodeDetails => b"response\0code_details",
            Self::ResponseFlags => b"response\0flags",
            Self::ResponseSize => b"response\0size",
            Self::ResponseGrpcStatus => b"response\0grpc_status",
            Self::RequestSize => b"request\0size",
            Self::RequestDuration => b"request\0duration",
            Self::RequestProtocol => b"request\0protocol",
            Self::RouteName => b"xds\0route_name",
            Self::ClusterName => b"xds\0cluster_name",
            Self::VirtualHost => b"xds\0virtual_host_name",
        }
    }
}

/// How a write to shared data ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedWrite {
    /// Written.
    Done,
    /// Somebody else wrote in between.
    Mismatch,
    /// The host refused.
    Failed,
}

/// A compare-and-swap number that no stored value has, so that a write with it only creates.
///
/// Envoy's host compares it only where the key exists (proxy-wasm-cpp-host, `src/shared_data.cc`).
pub const CREATE_ONLY: u32 = u32::MAX;

/// The levels of the host's log.
pub use log::Level as LogLevel;

/// What the core asks of its host. Calls are in the context of the current stream or root.
pub trait Host {
    /// A monotonic clock, in nanoseconds.
    fn now_ns(&self) -> u64;
    /// Defines a metric and gives its id, or `None` where the host refuses. Every call makes a
    /// new entry in the host, so callers define once and keep the id.
    fn define_metric(&self, kind: MetricKind, name: &str) -> Option<u32>;
    /// Adds to a counter (`by` > 0) or a gauge.
    fn increment_metric(&self, id: u32, by: i64);
    /// Sets a gauge or records in a histogram.
    fn record_metric(&self, id: u32, value: u64);
    /// Appends the value of a shared key to `out`; gives its compare-and-swap number, or `None`
    /// where there is no such key.
    fn shared_get(&self, key: &str, out: &mut Vec<u8>) -> Option<u32>;
    /// Writes a shared key. `cas` is the number of the value to replace, [`CREATE_ONLY`] for a key
    /// that must not exist, 0 for whatever is there.
    fn shared_set(&self, key: &str, value: &[u8], cas: u32) -> SharedWrite;
    /// Appends a header's value to `out`; false where there is none.
    fn header(&self, map: HeaderMap, name: &str, out: &mut Vec<u8>) -> bool;
    /// Shows all headers of a map, in their order, at the price of about one [`Host::header`].
    /// `each` must not call the host.
    fn headers(&self, map: HeaderMap, each: impl FnMut(&[u8], &[u8]));
    /// Appends a property's bytes to `out`; false where there is none.
    fn property(&self, property: Property, out: &mut Vec<u8>) -> bool;
    /// Appends the values of all lines of a response header to `out`, joined by commas; false where
    /// there is none.
    fn response_header_lines(&self, name: &str, out: &mut Vec<u8>) -> bool {
        self.header(HeaderMap::Response, name, out)
    }
    /// Lets a request go on that was told to wait. To be called in the context of `root`.
    fn continue_request(&self, root: u32, stream: u32);
    /// Takes a response header away, all lines of it.
    fn remove_response_header(&self, name: &str);
    /// Appends the request body that the host has buffered to `out`, at most `max` bytes; false
    /// where it cannot be had.
    fn request_body(&self, max: usize, out: &mut Vec<u8>) -> bool;
    /// Answers the request, which then goes no further.
    fn send_response(&self, status: u16, headers: &[(&str, &str)], body: &[u8]);
    /// Sets filter state `wasm.NAME` of the stream.
    fn set_filter_state(&self, name: &str, value: &[u8]);
    /// Writes to the host's log.
    fn log(&self, level: LogLevel, message: &str);

    /// A property that is a number, or `None`.
    ///
    /// Envoy gives integers as 8 bytes, little-endian (`source/extensions/common/wasm/context.cc`).
    fn number(&self, property: Property, scratch: &mut Vec<u8>) -> Option<u64> {
        scratch.clear();
        if !self.property(property, scratch) {
            return None;
        }
        let bytes: [u8; 8] = scratch.as_slice().try_into().ok()?;
        Some(u64::from_le_bytes(bytes))
    }
}
