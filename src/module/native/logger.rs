//! What is logged goes to Envoy's log, and so does what a panic says.

use std::panic;

use log::{LevelFilter, Log, Metadata, Record};

use super::abi::{self, Buffer};

struct Logger;

/// From now on, what is logged goes to Envoy, which knows which levels it shows.
pub fn install() {
    // It fails where there is a logger already, which is this one.
    let _ = log::set_logger(&Logger);
    log::set_max_level(LevelFilter::Debug);
    panic::set_hook(Box::new(|info| log::error!("route-metrics: {info}; the request goes on")));
}

impl Log for Logger {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        let level = match record.level() {
            log::Level::Trace => 0,
            log::Level::Debug => 1,
            log::Level::Info => 2,
            log::Level::Warn => 3,
            log::Level::Error => 4,
        };
        let text = record.args().to_string();
        // SAFETY: the pointer is valid for the call.
        unsafe { abi::log(level, Buffer::new(text.as_bytes())) };
    }

    fn flush(&self) {}
}
