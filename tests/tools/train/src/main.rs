//! How well endpoints are inferred on requests whose templates are known, and the fit of the
//! weights. See README.md beside this.

#[cfg(route_metrics_train)]
mod choose;
mod corpus;
#[cfg(route_metrics_train)]
mod fit;
#[cfg(route_metrics_train)]
mod tried;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use corpus::{Corpus, Quality, mean, trains};

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|it| it == "jsonl"));
    files.sort();
    files
}

fn read(folder: &Path) -> Vec<Corpus> {
    files(folder).iter().map(|file| Corpus::read(file)).collect()
}

fn row(name: &str, quality: Quality, worst: Option<f64>) {
    let worst = worst.map_or(String::new(), |worst| format!("{worst:.2}"));
    let Quality { accuracy, f1, labels, kept } = quality;
    println!("| {name} | {accuracy:.3} | {f1:.3} | {labels:.2} | {kept:.3} | {worst} |");
}

fn head() {
    println!("| | GA | F1 | labels per template | fixed segments kept | worst tenth below |");
    println!("|---|---|---|---|---|---|");
}

/// Each API of a folder, and their mean.
fn score(folders: &[String]) {
    head();
    for folder in folders {
        let all = read(Path::new(folder));
        let qualities: Vec<Quality> = all.iter().map(Corpus::score).collect();
        for (corpus, quality) in all.iter().zip(&qualities) {
            row(&corpus.name, *quality, None);
        }
        let (quality, worst) = mean(&qualities);
        row(&format!("mean of {}", all.len()), quality, Some(worst));
    }
}

/// Each request of a file that is scored: its template, its path and its label.
fn labels(file: &str) {
    let corpus = Corpus::read(Path::new(file));
    corpus.score_with(|request, label| {
        let segments = request.template.map(|number| &corpus.templates[number]);
        let template: String = segments
            .into_iter()
            .flatten()
            .map(|it| format!("/{}", it.as_deref().unwrap_or("{}")))
            .collect();
        println!("{template}\t{}\t{}", request.path, String::from_utf8_lossy(label));
    });
}

/// Providers that train and providers that check, for the split of each seed.
fn split(folder: &Path, seeds: &[String]) {
    head();
    let kinds = [("new", read(&folder.join("uniform"))), ("traffic", read(&folder.join("stream")))];
    let kinds = kinds.map(|(kind, all)| {
        let scored: Vec<(String, Quality)> =
            all.iter().map(|it| (it.name.clone(), it.score())).collect();
        (kind, scored)
    });
    for seed in seeds {
        let seed: u64 = seed.parse().unwrap_or_else(|error| panic!("{seed}: {error}"));
        for (side, is_training) in [("train", true), ("check", false)] {
            for (kind, scored) in &kinds {
                let of = scored.iter().filter(|(name, _)| trains(name, seed) == is_training);
                let (quality, worst) = mean(&of.map(|it| it.1).collect::<Vec<_>>());
                row(&format!("seed {seed}, {side}, {kind}"), quality, Some(worst));
            }
        }
    }
}

/// Writes the weights of a file, `TRAIT WEIGHT` in each line, into the source that has them.
fn apply(file: &str, source: &str) {
    let read = |file: &str| {
        std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"))
    };
    let found = read(file);
    let found: HashMap<&str, &str> =
        found.lines().filter_map(|line| line.split_once(' ')).collect();
    let mut text = String::new();
    for line in read(source).lines() {
        let parts = line.split_once(" = ").and_then(|(name, rest)| {
            let (_, meaning) = rest.split_once(", ")?;
            Some((name, found.get(name.trim())?, meaning))
        });
        match parts {
            Some((name, weight, meaning)) => text += &format!("{name} = {weight}, {meaning}\n"),
            None => text += &format!("{line}\n"),
        }
    }
    std::fs::write(source, text).unwrap_or_else(|error| panic!("{source}: {error}"));
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    #[cfg(route_metrics_train)]
    if let Some(file) = std::env::var_os("WEIGHTS") {
        tried::set(&tried::read(&file.to_string_lossy()));
    }
    match arguments.split_first() {
        Some((command, folders)) if command == "score" && !folders.is_empty() => score(folders),
        Some((command, [folder, seeds @ ..])) if command == "split" && !seeds.is_empty() => {
            split(Path::new(folder), seeds);
        }
        Some((command, [file])) if command == "labels" => labels(file),
        Some((command, [file, source])) if command == "apply" => apply(file, source),
        #[cfg(route_metrics_train)]
        Some((command, rest)) if command == "fit" => choose::run(rest),
        _ => {
            eprintln!(
                "usage: route-metrics-train score FOLDER…  |  split FOLDER SEED…  |  labels FILE  |  apply FILE SOURCE"
            );
            std::process::exit(2);
        }
    }
}
