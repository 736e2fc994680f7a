//! An Envoy in memory, for the tests of the adapter: the functions of the ABI that it calls.
//!
//! It holds the module to what Envoy asserts, or trusts it in: numbers that were defined, as many label
//! values as label names, gauges that do not go below zero, nothing of a request outside of one. Which Envoy it
//! is says the environment variable `MOCK_ENVOY`, 1.38, 1.39 or (by default) 1.40.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::abi::{Buffer, Header, Pointer, attribute, body, map};
use super::shared::lock;
use crate::host::MetricKind;

/// Lines of a header map.
pub type Lines = Vec<(Vec<u8>, Vec<u8>)>;

/// A configuration as Envoy has it: what the module has defined.
#[derive(Default)]
pub struct Config {
    defined: Vec<(MetricKind, String, Vec<String>)>,
}

/// A stream as Envoy has it.
#[derive(Default)]
pub struct Stream {
    /// Its configuration.
    pub config: usize,
    /// What the module has made for it.
    pub module: usize,
    /// The request's headers, the response's and its trailers.
    pub headers: [Lines; 3],
    /// The response code; 0 where there is none.
    pub code: u64,
    /// The other attributes that are numbers; Envoy has no others.
    pub numbers: BTreeMap<u32, u64>,
    /// What each attribute is that is a text, where it has any.
    pub text: Option<Vec<u8>>,
    /// A bit for each header map that is not there.
    pub missing: u8,
    /// The pieces of the body that has come, and of that which was kept.
    pub pieces: [Vec<Vec<u8>>; 2],
    /// Whether what has come is what was kept, by a filter before.
    pub is_buffered: bool,
    /// The length of the piece of the response's body.
    pub response_piece: usize,
    /// The status of the module's own answer.
    pub answer: Option<u32>,
    /// Filter state that the module has set.
    pub state: Lines,
}

/// A series.
type Key = (String, Vec<(String, String)>);

/// All series of a process.
pub type AllSeries = BTreeMap<Key, Series>;

static SERIES: Mutex<AllSeries> = Mutex::new(BTreeMap::new());

/// Exchanges the series that there are.
pub fn swap(other: &mut AllSeries) {
    std::mem::swap(&mut *lock(&SERIES), other);
}

/// The families, with how many series they have.
pub fn families() -> BTreeMap<String, usize> {
    let mut families = BTreeMap::new();
    for (name, _) in lock(&SERIES).keys() {
        *families.entry(name.clone()).or_default() += 1;
    }
    families
}

/// How many series a configuration holds.
pub fn held() -> usize {
    lock(&SERIES).values().filter(|series| !series.holders.is_empty()).count()
}

/// Bytes as Envoy shows them: of no bytes it may show no place, either.
pub fn shown(bytes: &[u8]) -> Buffer {
    if bytes.is_empty() { Buffer::EMPTY } else { Buffer::new(bytes) }
}

/// A series, which Envoy forgets with the last configuration that has touched it. Those of histograms stay here,
/// for the tests count in them what has been recorded.
#[derive(Default)]
pub struct Series {
    value: u64,
    kept: bool,
    holders: BTreeSet<usize>,
}

impl Drop for Config {
    fn drop(&mut self) {
        let own = ptr::from_ref(self) as usize;
        lock(&SERIES).retain(|_, series| {
            series.holders.remove(&own);
            series.kept || !series.holders.is_empty()
        });
    }
}

/// How often the ticker has asked to be called back.
pub static COMMITS: AtomicU64 = AtomicU64::new(0);

/// Seconds by which the clock was put forward.
static SECONDS: AtomicU64 = AtomicU64::new(0);

/// Puts the clock forward by a second.
pub fn second() {
    SECONDS.fetch_add(1, Ordering::Relaxed);
}

/// By how much the clock was put forward.
pub fn later() -> Duration {
    Duration::from_secs(SECONDS.load(Ordering::Relaxed))
}

/// The sum of a family over its series with this label value; for histograms how many values there were.
pub fn sum(family: &str, value: Option<&str>) -> u64 {
    let all = lock(&SERIES);
    let of_value = |labels: &[(String, String)]| {
        value.is_none_or(|value| labels.iter().any(|(_, label)| label == value))
    };
    let series = all.iter().filter(|((name, labels), _)| name == family && of_value(labels));
    series.map(|(_, series)| series.value).sum()
}

/// The version of this Envoy.
fn version() -> u32 {
    let minor = std::env::var("MOCK_ENVOY").ok();
    minor.and_then(|text| text.strip_prefix("1.")?.parse().ok()).unwrap_or(40)
}

/// What `dlsym` gives in this Envoy.
pub fn find(symbol: &CStr) -> Pointer {
    let name = symbol.to_str().unwrap().strip_prefix("envoy_dynamic_module_callback_").unwrap();
    let found = match name {
        "http_filter_config_increment_counter" => outside_add as super::abi::Change as Pointer,
        "http_filter_config_increment_gauge" => outside_add as super::abi::Change as Pointer,
        "http_filter_config_decrement_gauge" => outside_take as super::abi::Change as Pointer,
        "http_filter_config_set_gauge" => outside_set as super::abi::Change as Pointer,
        // Only whether they are there is asked.
        "http_get_header_values" => outside_add as super::abi::Change as Pointer,
        "http_get_timing_info" if version() >= 40 => outside_add as super::abi::Change as Pointer,
        _ => ptr::null_mut(),
    };
    if version() >= 39 { found } else { ptr::null_mut() }
}

unsafe fn stream<'a>(pointer: Pointer) -> &'a mut Stream {
    assert!(!pointer.is_null(), "of no stream");
    // SAFETY: the tests give the module nothing but streams here.
    unsafe { &mut *pointer.cast::<Stream>() }
}

unsafe fn text(buffer: Buffer) -> String {
    // SAFETY: the module's bytes are there for the call.
    let text = std::str::from_utf8(unsafe { buffer.bytes() }).expect("it is UTF-8");
    assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text:?}");
    text.to_owned()
}

unsafe fn texts(buffers: *const Buffer, count: usize) -> Vec<String> {
    // SAFETY: the module's array has so many.
    (0..count).map(|place| unsafe { text(*buffers.add(place)) }).collect()
}

unsafe fn define(
    config: Pointer,
    kind: MetricKind,
    name: Buffer,
    labels: *const Buffer,
    count: usize,
    id: *mut usize,
) -> u32 {
    // SAFETY: the tests give the module nothing but configurations here, and the rest is the module's.
    unsafe {
        let config = &mut *config.cast::<Config>();
        *id = config.defined.len();
        config.defined.push((kind, text(name), texts(labels, count)));
    }
    0
}

unsafe fn change(
    config: Pointer,
    kind: MetricKind,
    id: usize,
    values: *const Buffer,
    count: usize,
    change: impl FnOnce(&mut u64),
) -> u32 {
    let holder = config as usize;
    // SAFETY: as above.
    let (config, values) = unsafe { (&*config.cast::<Config>(), texts(values, count)) };
    let (defined, name, labels) = &config.defined[id];
    assert_eq!((*defined, labels.len()), (kind, count), "{name}");
    let key = (name.clone(), labels.iter().cloned().zip(values).collect());
    let mut all = lock(&SERIES);
    let series = all.entry(key).or_default();
    series.holders.insert(holder);
    series.kept = kind == MetricKind::Histogram;
    change(&mut series.value);
    0
}

fn add(by: u64) -> impl FnOnce(&mut u64) {
    move |value| *value += by
}

fn take(by: u64) -> impl FnOnce(&mut u64) {
    move |value| *value = value.checked_sub(by).expect("a gauge stays above zero")
}

unsafe fn kind_of(config: Pointer, id: usize) -> MetricKind {
    // SAFETY: as above.
    unsafe { (&*config.cast::<Config>()).defined[id].0 }
}

unsafe extern "C" fn outside_add(
    config: Pointer,
    id: usize,
    values: *const Buffer,
    count: usize,
    by: u64,
) -> u32 {
    // SAFETY: as above.
    unsafe { change(config, kind_of(config, id), id, values, count, add(by)) }
}

unsafe extern "C" fn outside_take(
    config: Pointer,
    id: usize,
    values: *const Buffer,
    count: usize,
    by: u64,
) -> u32 {
    // SAFETY: as above.
    unsafe { change(config, MetricKind::Gauge, id, values, count, take(by)) }
}

unsafe extern "C" fn outside_set(
    config: Pointer,
    id: usize,
    values: *const Buffer,
    count: usize,
    to: u64,
) -> u32 {
    // SAFETY: as above.
    unsafe { change(config, MetricKind::Gauge, id, values, count, |value| *value = to) }
}

unsafe fn lines<'a>(pointer: Pointer, of: u32) -> &'a [(Vec<u8>, Vec<u8>)] {
    let place = match of {
        map::REQUEST => 0,
        map::RESPONSE => 1,
        map::RESPONSE_TRAILERS => 2,
        other => panic!("header map {other}"),
    };
    // SAFETY: as above.
    let stream = unsafe { stream(pointer) };
    if stream.missing >> place & 1 == 1 { &[] } else { &stream.headers[place] }
}

unsafe fn pieces<'a>(pointer: Pointer, of: u32) -> &'a [Vec<u8>] {
    // SAFETY: as above.
    let pieces = unsafe { &stream(pointer).pieces };
    match of {
        body::RECEIVED_REQUEST => &pieces[0],
        // SAFETY: as above.
        body::BUFFERED_REQUEST if unsafe { stream(pointer) }.is_buffered => &pieces[0],
        body::BUFFERED_REQUEST => &pieces[1],
        other => panic!("body {other}"),
    }
}

macro_rules! callbacks {
    ($($symbol:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? $body:block)*) => {
        $(
            #[unsafe(no_mangle)]
            #[allow(unused_variables, unused_unsafe, reason = "the arguments are the ABI's")]
            unsafe extern "C" fn $symbol($($argument: $type),*) $(-> $result)? {
                // SAFETY: the pointers are the module's or the tests', and valid for the call.
                unsafe { $body }
            }
        )*
    };
}

callbacks! {
    envoy_dynamic_module_callback_log(level: u32, message: Buffer) {
        assert!(level <= 5);
        let message = String::from_utf8_lossy(message.bytes());
        assert!(level < 4 || message.contains("refused") || message.contains("configuration"), "{message}");
    }
    envoy_dynamic_module_callback_http_filter_config_define_counter(
        config: Pointer, name: Buffer, labels: *const Buffer, count: usize, id: *mut usize
    ) -> u32 { define(config, MetricKind::Counter, name, labels, count, id) }
    envoy_dynamic_module_callback_http_filter_config_define_gauge(
        config: Pointer, name: Buffer, labels: *const Buffer, count: usize, id: *mut usize
    ) -> u32 { define(config, MetricKind::Gauge, name, labels, count, id) }
    envoy_dynamic_module_callback_http_filter_config_define_histogram(
        config: Pointer, name: Buffer, labels: *const Buffer, count: usize, id: *mut usize
    ) -> u32 { define(config, MetricKind::Histogram, name, labels, count, id) }
    envoy_dynamic_module_callback_http_filter_config_scheduler_new(config: Pointer) -> Pointer {
        Box::into_raw(Box::new(0u8)).cast()
    }
    envoy_dynamic_module_callback_http_filter_config_scheduler_commit(scheduler: Pointer, event: u64) {
        assert_eq!(*scheduler.cast::<u8>(), 0);
        COMMITS.fetch_add(1, Ordering::Relaxed);
    }
    envoy_dynamic_module_callback_http_filter_config_scheduler_delete(scheduler: Pointer) {
        drop(Box::from_raw(scheduler.cast::<u8>()));
    }
    envoy_dynamic_module_callback_http_filter_increment_counter(
        of: Pointer, id: usize, values: *const Buffer, count: usize, by: u64
    ) -> u32 { change(stream(of).config as Pointer, MetricKind::Counter, id, values, count, add(by)) }
    envoy_dynamic_module_callback_http_filter_increment_gauge(
        of: Pointer, id: usize, values: *const Buffer, count: usize, by: u64
    ) -> u32 { change(stream(of).config as Pointer, MetricKind::Gauge, id, values, count, add(by)) }
    envoy_dynamic_module_callback_http_filter_decrement_gauge(
        of: Pointer, id: usize, values: *const Buffer, count: usize, by: u64
    ) -> u32 { change(stream(of).config as Pointer, MetricKind::Gauge, id, values, count, take(by)) }
    envoy_dynamic_module_callback_http_filter_set_gauge(
        of: Pointer, id: usize, values: *const Buffer, count: usize, to: u64
    ) -> u32 {
        change(stream(of).config as Pointer, MetricKind::Gauge, id, values, count, |value| *value = to)
    }
    envoy_dynamic_module_callback_http_filter_record_histogram_value(
        of: Pointer, id: usize, values: *const Buffer, count: usize, value: u64
    ) -> u32 { change(stream(of).config as Pointer, MetricKind::Histogram, id, values, count, add(1)) }
    envoy_dynamic_module_callback_http_filter_get_attribute_int(
        of: Pointer, id: u32, out: *mut u64
    ) -> bool {
        let stream = stream(of);
        let newer = matches!(id, attribute::RESPONSE_FLAGS | attribute::RESPONSE_SIZE) && version() < 39
            || matches!(id, attribute::REQUEST_SIZE | attribute::RESPONSE_GRPC_STATUS) && version() < 40;
        assert!(!newer, "Envoy 1.{} does not know attribute {id}", version());
        let code = (stream.code > 0).then_some(&stream.code);
        let found = if id == attribute::RESPONSE_CODE { code } else { stream.numbers.get(&id) };
        *out = found.copied().unwrap_or_default();
        found.is_some()
    }
    envoy_dynamic_module_callback_http_filter_get_attribute_string(
        of: Pointer, id: u32, out: *mut Buffer
    ) -> bool {
        let text = &stream(of).text;
        *out = shown(text.as_deref().unwrap_or_default());
        text.is_some()
    }
    envoy_dynamic_module_callback_http_get_cluster_name(of: Pointer, out: *mut Buffer) -> bool {
        *out = Buffer::new(b"cluster");
        stream(of).code > 0
    }
    envoy_dynamic_module_callback_http_get_headers_size(of: Pointer, of_map: u32) -> usize {
        lines(of, of_map).len()
    }
    envoy_dynamic_module_callback_http_get_headers(of: Pointer, of_map: u32, out: *mut Header) -> bool {
        for (place, (name, value)) in lines(of, of_map).iter().enumerate() {
            *out.add(place) = Header { name: shown(name), value: shown(value) };
        }
        !lines(of, of_map).is_empty()
    }
    envoy_dynamic_module_callback_http_get_header(
        of: Pointer, of_map: u32, name: Buffer, out: *mut Buffer, index: usize, count: *mut usize
    ) -> bool {
        let name = name.bytes();
        let found = lines(of, of_map).iter().filter(|(other, _)| other == name);
        if !count.is_null() {
            *count = found.clone().count();
        }
        let line = found.clone().nth(index);
        *out = line.map_or(Buffer::EMPTY, |(_, value)| shown(value));
        line.is_some()
    }
    envoy_dynamic_module_callback_http_set_header(
        of: Pointer, of_map: u32, name: Buffer, value: Buffer
    ) -> bool {
        assert_eq!(of_map, map::RESPONSE);
        let name = name.bytes().to_vec();
        stream(of).headers[1].retain(|(other, _)| *other != name);
        true
    }
    envoy_dynamic_module_callback_http_get_body_size(of: Pointer, of_body: u32) -> usize {
        match of_body {
            body::RECEIVED_RESPONSE => stream(of).response_piece,
            of_body => pieces(of, of_body).iter().map(Vec::len).sum(),
        }
    }
    envoy_dynamic_module_callback_http_get_body_chunks_size(of: Pointer, of_body: u32) -> usize {
        pieces(of, of_body).len()
    }
    envoy_dynamic_module_callback_http_get_body_chunks(
        of: Pointer, of_body: u32, out: *mut Buffer
    ) -> bool {
        for (place, piece) in pieces(of, of_body).iter().enumerate() {
            *out.add(place) = shown(piece);
        }
        true
    }
    envoy_dynamic_module_callback_http_received_buffered_request_body(of: Pointer) -> bool {
        stream(of).is_buffered
    }
    envoy_dynamic_module_callback_http_send_response(
        of: Pointer, status: u32, headers: *const Header, count: usize, body: Buffer, details: Buffer
    ) {
        let stream = stream(of);
        assert!(stream.answer.is_none(), "a second answer");
        assert!(!details.bytes().is_empty());
        stream.headers[1] = (0..count)
            .map(|place| *headers.add(place))
            .map(|line| (line.name.bytes().to_vec(), line.value.bytes().to_vec()))
            .collect();
        stream.answer = Some(status);
        stream.code = status.into();
        // Envoy calls these from within.
        let module = stream.module as Pointer;
        super::envoy_dynamic_module_on_http_filter_local_reply(of, module, status, details, false);
        super::envoy_dynamic_module_on_http_filter_response_headers(of, module, body.bytes().is_empty());
    }
    envoy_dynamic_module_callback_http_set_filter_state_bytes(
        of: Pointer, key: Buffer, value: Buffer
    ) -> bool {
        stream(of).state.push((key.bytes().to_vec(), value.bytes().to_vec()));
        true
    }
}
