//! What is logged goes to standard error, one message after the other, as it is: it is meant for people.

use std::io::Write;

use log::{LevelFilter, Log, Metadata, Record};

struct Logger;

/// From now on, warnings and errors go to standard error.
pub fn install() {
    // It fails where there is a logger already, which is this one.
    let _ = log::set_logger(&Logger);
    log::set_max_level(LevelFilter::Warn);
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            // Nobody can be told that standard error is closed.
            let _ = writeln!(std::io::stderr(), "{}", record.args());
        }
    }

    fn flush(&self) {}
}
