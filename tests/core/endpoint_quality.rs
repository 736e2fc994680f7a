//! How well endpoints are inferred where nothing is configured, measured on paths whose templates
//! are known: in one pass, each path labelled at the end of its request. Only scanners' requests
//! end as their status says; what an API answers to its own clients does not matter here. With
//! `-- --nocapture` the figures are printed.
//!
//! The corpora lie beside the repository, or where `ROUTE_METRICS_CORPORA` says. Without them the
//! tests say so and pass.

use std::collections::HashMap;
use std::path::PathBuf;

use route_metrics::config::{self, InferenceMode};
use route_metrics::endpoint::{CanonicalPath, Inference, MAX_LOG_BYTES};
use serde_json::Value;

struct Request {
    path: String,
    /// `None` for a scanner's.
    template: Option<String>,
    status: u16,
}

fn corpus(name: &str) -> Option<Vec<Request>> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpora");
    let directory = std::env::var_os("ROUTE_METRICS_CORPORA").unwrap_or_else(|| beside.into());
    let file = PathBuf::from(directory).join(format!("{name}.jsonl"));
    let Ok(text) = std::fs::read_to_string(&file) else {
        println!("skipped: there is no {}", file.display());
        return None;
    };
    let request = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        Request {
            path: value["path"].as_str().unwrap().to_owned(),
            template: value["template"].as_str().map(str::to_owned),
            status: value["status"].as_u64().map_or(200, |status| u16::try_from(status).unwrap()),
        }
    };
    Some(text.lines().map(request).collect())
}

/// How well labels group requests.
#[derive(Clone, Copy, Debug)]
struct Quality {
    /// Grouping accuracy: the share of requests whose label holds the requests of one template, all
    /// of them and no others.
    accuracy: f64,
    /// Harmonic mean of purity (labels do not mix templates) and inverse purity (templates are not
    /// split).
    f1: f64,
    /// Labels for each template.
    residual: f64,
}

impl Quality {
    fn of<'a>(pairs: &[(&'a str, &'a str)]) -> Self {
        let mut templates = HashMap::<&str, HashMap<&str, f64>>::new();
        let mut labels = HashMap::<&str, HashMap<&str, f64>>::new();
        for (template, label) in pairs {
            *templates.entry(template).or_default().entry(label).or_default() += 1.0;
            *labels.entry(label).or_default().entry(template).or_default() += 1.0;
        }
        let all = pairs.len() as f64;
        let largest = |groups: &HashMap<&str, HashMap<&str, f64>>| {
            groups.values().map(|parts| parts.values().copied().fold(0.0, f64::max)).sum::<f64>()
        };
        let (purity, inverse) = (largest(&labels) / all, largest(&templates) / all);
        let exact = templates
            .values()
            .filter(|parts| parts.len() == 1 && parts.keys().all(|label| labels[label].len() == 1));
        Self {
            accuracy: exact.flat_map(HashMap::values).sum::<f64>() / all,
            f1: 2.0 * purity * inverse / (purity + inverse),
            residual: labels.len() as f64 / templates.len() as f64,
        }
    }
}

#[test]
fn the_measure_is_right() {
    let perfect = Quality::of(&[("a", "1"), ("a", "1"), ("b", "2")]);
    assert_eq!((perfect.accuracy, perfect.f1, perfect.residual), (1.0, 1.0, 1.0));
    let split = Quality::of(&[("a", "1"), ("a", "3"), ("b", "2"), ("b", "2")]);
    assert_eq!((split.accuracy, split.residual), (0.5, 1.5));
    assert!((split.f1 - 2.0 * 0.75 / 1.75).abs() < 1e-9);
    let merged = Quality::of(&[("a", "1"), ("b", "1")]);
    assert_eq!((merged.accuracy, merged.residual), (0.0, 0.5));
}

/// Workers that exchange what they learn.
struct Workers {
    all: Vec<Inference>,
    log: Vec<Vec<u8>>,
    /// How much of the log each has read.
    read: Vec<usize>,
    random: u64,
}

impl Workers {
    fn new(count: usize) -> Self {
        Self {
            all: (0..count).map(|_| Inference::new(InferenceMode::Adaptive)).collect(),
            log: Vec::new(),
            read: vec![0; count],
            random: 1,
        }
    }

    /// The label of a request, from the worker that it comes to.
    fn observe(&mut self, path: &str) -> String {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let worker = (self.random >> 33) as usize % self.all.len();
        let mut label = Vec::new();
        self.all[worker].observe(&CanonicalPath::new(path.as_bytes()), &mut label);
        String::from_utf8_lossy(&label).into_owned()
    }

    /// Every worker tells its news and reads what it has not read, its own news included.
    fn exchange(&mut self) {
        for worker in &mut self.all {
            while let Some(news) = worker.take_news() {
                self.log.push(news);
            }
        }
        for (worker, read) in self.all.iter_mut().zip(&mut self.read) {
            for news in &self.log[*read..] {
                assert!(worker.merge(news));
            }
            *read = self.log.len();
        }
    }

    fn labels(&self, path: &str) -> Vec<String> {
        let label = |worker: &Inference| {
            let mut label = Vec::new();
            worker.label(&CanonicalPath::new(path.as_bytes()), &mut label);
            String::from_utf8_lossy(&label).into_owned()
        };
        self.all.iter().map(label).collect()
    }
}

/// Requests between two exchanges.
const TICK: usize = 250;

/// The quality of one pass. A scanner's requests with an ignored status teach nothing and have no
/// label; what comes before `from` does not count.
fn measure(requests: &[Request], workers: &mut Workers, from: usize) -> Quality {
    let ignored = config::Endpoint::default().ignore_statuses;
    let mut found = Vec::new();
    for (index, request) in requests.iter().enumerate() {
        if request.template.is_none() && ignored.contains(&request.status) {
            continue;
        }
        let label = workers.observe(&request.path);
        if index >= from
            && let Some(template) = &request.template
        {
            found.push((template.as_str(), label));
        }
        if index % TICK == 0 {
            workers.exchange();
        }
    }
    workers.exchange();
    let pairs: Vec<(&str, &str)> =
        found.iter().map(|(template, label)| (*template, label.as_str())).collect();
    Quality::of(&pairs)
}

#[track_caller]
fn check(name: &str, quality: Quality, accuracy: f64, f1: f64, residual: f64) {
    println!(
        "{name}: GA {:.3}, F1 {:.3}, residual {:.2}",
        quality.accuracy, quality.f1, quality.residual
    );
    assert!(quality.accuracy >= accuracy, "{name}: {quality:?}");
    assert!(quality.f1 >= f1, "{name}: {quality:?}");
    assert!(quality.residual <= residual, "{name}: {quality:?}");
}

#[test]
fn one_worker_reaches_what_was_reached() {
    for (name, from, accuracy, f1, residual) in [
        ("github", 0.0, 0.83, 0.97, 1.20),
        ("github_stream", 0.5, 0.93, 0.99, 1.02),
        ("stripe", 0.0, 0.97, 0.992, 1.02),
        ("petstore", 0.0, 1.0, 1.0, 1.0),
    ] {
        let Some(requests) = corpus(name) else { continue };
        let from = (requests.len() as f64 * from) as usize;
        let quality = measure(&requests, &mut Workers::new(1), from);
        check(name, quality, accuracy, f1, residual);
    }
}

#[test]
fn four_workers_agree_and_are_hardly_worse() {
    for (name, from, accuracy, f1, residual) in [
        ("github", 0.0, 0.77, 0.96, 1.30),
        ("github_stream", 0.5, 0.90, 0.985, 1.05),
        ("stripe", 0.0, 0.96, 0.99, 1.05),
        ("petstore", 0.0, 0.94, 0.99, 1.20),
    ] {
        let Some(requests) = corpus(name) else { continue };
        let mut workers = Workers::new(4);
        let from = (requests.len() as f64 * from) as usize;
        let quality = measure(&requests, &mut workers, from);
        check(&format!("{name}, 4 workers"), quality, accuracy, f1, residual);

        let bytes: usize = workers.log.iter().map(Vec::len).sum();
        println!("{name}: a log of {bytes} bytes");
        assert!(bytes < MAX_LOG_BYTES);
        // One that comes later reads the log from the start.
        workers.all.push(Inference::new(InferenceMode::Adaptive));
        workers.read.push(0);
        workers.exchange();
        for request in &requests {
            for path in [request.path.clone(), request.path.replace('a', "e")] {
                let labels = workers.labels(&path);
                assert!(labels.iter().all(|label| *label == labels[0]), "{path}: {labels:?}");
            }
        }
    }
}
