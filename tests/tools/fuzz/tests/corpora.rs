//! Every input of the corpora, and mutations of them, have the properties of their target.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use route_metrics_fuzz::mutate::Mutator;
use route_metrics_fuzz::{NATIVE, TARGETS, Target};

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = fs::read_dir(&folder).expect("each target has a corpus");
    let mut files: Vec<PathBuf> =
        files.map(|file| file.expect("a corpus can be read").path()).collect();
    files.sort();
    let read = |file: PathBuf| {
        let bytes = fs::read(&file).expect("a corpus can be read");
        (file, bytes)
    };
    files.into_iter().map(read).collect()
}

fn try_input(name: &str, target: Target, input: &[u8], what: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("found-{name}"));
        fs::write(&kept, input).expect("target/tmp is writable");
        eprintln!("{what}: {:?}\nkept in {}", String::from_utf8_lossy(input), kept.display());
        std::panic::resume_unwind(panic);
    }
}

/// Tries the corpus of a target and so many mutations of it. `FUZZ_RUNS` in the environment is
/// another number, `FUZZ_SEED` gives others.
fn run(name: &str, runs: u64) {
    let (_, target) =
        *TARGETS.iter().find(|(known, _)| *known == name).expect("there is such a target");
    let corpus = corpus(name);
    for (file, input) in &corpus {
        try_input(name, target, input, &file.display().to_string());
    }
    let inputs: Vec<Vec<u8>> = corpus.into_iter().map(|(_, input)| input).collect();
    let mut mutator = Mutator::new(number("FUZZ_SEED", 1));
    for run in 0..number("FUZZ_RUNS", runs) {
        try_input(name, target, &mutator.mutated(&inputs), &format!("{name}, mutation {run}"));
    }
}

#[test]
fn every_corpus_has_its_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let folders = fs::read_dir(folder).expect("there are corpora");
    let name = |folder: std::io::Result<fs::DirEntry>| {
        folder.expect("a folder can be read").file_name().into_string().expect("names are ASCII")
    };
    let mut found: Vec<String> = folders.map(name).collect();
    found.sort();
    let mut targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).chain([NATIVE]).collect();
    targets.sort_unstable();
    assert_eq!(found, targets);
}

#[test]
fn configurations_as_json() {
    run("config", 20_000);
}

#[test]
fn configurations_as_structs() {
    run("struct", 20_000);
}

#[test]
fn paths() {
    run("path", 500);
}

#[test]
fn events_in_headers() {
    run("event-header", 500);
}

#[test]
fn events_in_bodies() {
    run("event-body", 500);
}

#[test]
fn lines_of_logs() {
    run("log", 500);
}

#[test]
fn specifications() {
    run("openapi", 5_000);
}

#[test]
fn callbacks_in_any_order() {
    run("filter", 1_000);
}
