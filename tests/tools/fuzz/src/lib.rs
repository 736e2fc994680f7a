//! What must hold whatever others write: configurations, paths, headers, bodies, logs,
//! specifications, and the order of Envoy's callbacks.
//!
//! A target takes any bytes and panics where a property does not hold. libFuzzer searches for such
//! bytes (`make fuzz`), and the tests replay the corpora with some mutations of each input, always
//! the same ones. Whatever was found is kept in `corpus/TARGET/`, so that it is tried for ever.

pub mod mutate;
pub mod stats;
mod targets;
pub mod worker;

/// A property of any bytes; panics where it does not hold.
pub type Target = fn(&[u8]);

/// The target that is the library's own, where it is built for the fuzzer: the hooks of the dynamic module, on an
/// Envoy in memory. The library's tests replay its corpus (`module::native::tests`).
pub const NATIVE: &str = "native";

/// Every other target, by the name of its corpus.
pub const TARGETS: [(&str, Target); 8] = [
    ("config", targets::config::json),
    ("event-body", targets::events::body),
    ("event-header", targets::events::header),
    ("filter", targets::filter::callbacks),
    ("log", targets::log::lines),
    ("openapi", targets::openapi::specification),
    ("path", targets::path::path),
    ("struct", targets::config::protobuf),
];
