//! A libFuzzer program for the target that the environment variable `FUZZ_TARGET` names; `make
//! fuzz` builds it with coverage and runs it for each target.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod fuzzer {
    use std::sync::OnceLock;

    use route_metrics_fuzz::{NATIVE, TARGETS, Target};

    static CHOSEN: OnceLock<Target> = OnceLock::new();

    fn chosen() -> Target {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let native: (&str, Target) = (NATIVE, route_metrics::module::drive);
        match TARGETS.iter().chain([&native]).find(|(known, _)| *known == name) {
            Some((_, target)) => *target,
            None => {
                let known = TARGETS.iter().map(|(name, _)| *name).chain([NATIVE]);
                let known: Vec<&str> = known.collect();
                eprintln!("FUZZ_TARGET={name:?} is not one of {}", known.join(", "));
                std::process::exit(2);
            }
        }
    }

    libfuzzer_sys::fuzz_target!(|input: &[u8]| CHOSEN.get_or_init(chosen)(input));
}

#[cfg(not(fuzzing))]
fn main() {
    for (name, _) in route_metrics_fuzz::TARGETS {
        println!("{name}");
    }
}
