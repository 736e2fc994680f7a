//! What is logged goes to Envoy's log.
//!
//! The SDK has a logger, too, which panics where the host does not take a message, and panics again
//! in the hook that should say so. A host that is not allowed to take messages
//! (`capability_restriction_config`) would end the VM with the first one.

use log::{LevelFilter, Log, Metadata, Record};
use proxy_wasm::types::LogLevel;

use super::host;

struct Logger;

/// From now on, what is logged goes to Envoy, which knows which levels it shows.
pub fn install() {
    // It fails where there is a logger already, which is this one.
    let _ = log::set_logger(&Logger);
    log::set_max_level(LevelFilter::Debug);
}

impl Log for Logger {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        let level = match record.level() {
            log::Level::Trace => LogLevel::Trace,
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        host::log(level, &record.args().to_string());
    }

    fn flush(&self) {}
}
