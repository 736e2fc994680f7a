//! How well endpoints are inferred where nothing is configured, measured on paths whose templates
//! are known: in one pass, each path labelled at the end of its request. Only scanners' requests
//! end as their status says; what an API answers to its own clients does not matter here. With
//! `-- --nocapture` the figures are printed.
//!
//! Made-up APIs are in tests/data/apis.txt (`make quality`). The larger corpora, of real APIs, are
//! where `ROUTE_METRICS_CORPORA` says (`make test-corpora`).

use std::collections::{HashMap, HashSet};
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

fn corpus(name: &str) -> Vec<Request> {
    let folder = std::env::var_os("ROUTE_METRICS_CORPORA");
    let folder = folder.expect("ROUTE_METRICS_CORPORA names the folder of the corpora");
    let text =
        std::fs::read_to_string(PathBuf::from(folder).join(format!("{name}.jsonl"))).unwrap();
    let request = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        Request {
            path: value["path"].as_str().unwrap().to_owned(),
            template: value["template"].as_str().map(str::to_owned),
            status: value["status"].as_u64().map_or(200, |status| u16::try_from(status).unwrap()),
        }
    };
    text.lines().map(request).collect()
}

/// A made-up API of tests/data/apis.txt.
struct Api {
    name: &'static str,
    /// The least of GA and F1, the most of labels for each template, the least of what is kept.
    bounds: [f64; 4],
    templates: Vec<&'static str>,
}

fn made_up() -> Vec<Api> {
    let mut all: Vec<Api> = Vec::new();
    for line in include_str!("../data/apis.txt").lines() {
        if let Some(rest) = line.strip_prefix("api ") {
            let mut words = rest.split(' ');
            let name = words.next().unwrap();
            let bounds: Vec<f64> = words.map(|it| it.parse().unwrap()).collect();
            let bounds = bounds.try_into().unwrap();
            all.push(Api { name, bounds, templates: Vec::new() });
        } else if line.starts_with('/') {
            all.last_mut().unwrap().templates.push(line);
        }
    }
    all
}

/// Numbers that look random, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from(b"0123456789abcdef"[self.below(16)])).collect()
    }

    /// A value of a kind that apis.txt names.
    fn value(&mut self, kind: &str) -> String {
        const SYLLABLES: [&str; 12] =
            ["ka", "ro", "mi", "ten", "vul", "sha", "bre", "lod", "fin", "na", "gos", "wy"];
        const WORDS: [&str; 16] = [
            "amber", "river", "quiet", "lantern", "velvet", "harbour", "copper", "meadow",
            "silent", "marble", "winter", "falcon", "orchard", "thunder", "willow", "cobalt",
        ];
        match kind {
            "number" => (1 + self.below(100_000_000)).to_string(),
            "hex" => self.hex(24),
            "mac" => self.hex(12),
            "hashed" => format!("{}.{}", self.of(&WORDS), self.hex(8)),
            "uuid" => [8, 4, 4, 4, 12].map(|digits| self.hex(digits)).join("-"),
            "date" => {
                let (year, month, day) = (self.below(30), self.below(12), self.below(28));
                format!("{}-{:02}-{:02}", 1998 + year, month + 1, day + 1)
            }
            "name" => (0..3 + self.below(2)).map(|_| self.of(&SYLLABLES)).collect(),
            "slug" => {
                let words: Vec<&str> = (0..2 + self.below(3)).map(|_| self.of(&WORDS)).collect();
                words.join("-")
            }
            _ => panic!("there are no values of the kind {kind}"),
        }
    }

    fn path(&mut self, template: &str) -> String {
        let segment = |segment: &str| match segment.split_once('{') {
            None => segment.to_owned(),
            Some((before, rest)) => {
                let (parameter, after) = rest.split_once('}').unwrap();
                let kind = parameter.split_once(':').unwrap().1;
                format!("{before}{}{after}", self.value(kind))
            }
        };
        template.split('/').map(segment).collect::<Vec<_>>().join("/")
    }
}

/// Requests of a made-up API in any order: 20 different ones of a template, 4 of a fixed path.
fn requests(api: &Api) -> Vec<Request> {
    let mut random = Random(7);
    let mut all = Vec::new();
    for template in &api.templates {
        let mut paths = HashSet::new();
        for _ in 0..if template.contains('{') { 20 } else { 4 } {
            let path = random.path(template);
            if paths.insert(path.clone()) || !template.contains('{') {
                all.push(Request { path, template: Some((*template).to_owned()), status: 200 });
            }
        }
    }
    for at in (1..all.len()).rev() {
        all.swap(at, random.below(at + 1));
    }
    all
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
    /// The share of the fixed segments of templates that stand in the labels as they are.
    kept: f64,
}

/// Of the fixed segments of a template those that stand in a label, and all.
fn kept(template: &str, label: &str) -> [f64; 2] {
    let mut counts = [0.0; 2];
    let mut own = label.split('/');
    for fixed in template.split('/') {
        let own = own.next();
        if !fixed.is_empty() && !fixed.contains('{') {
            counts[0] += f64::from(u8::from(own == Some(fixed)));
            counts[1] += 1.0;
        }
    }
    counts
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
        let fixed = pairs.iter().map(|(template, label)| kept(template, label));
        let [stay, were] = fixed.fold([0.0; 2], |all, own| [all[0] + own[0], all[1] + own[1]]);
        Self {
            accuracy: exact.flat_map(HashMap::values).sum::<f64>() / all,
            f1: 2.0 * purity * inverse / (purity + inverse),
            residual: labels.len() as f64 / templates.len() as f64,
            kept: if were > 0.0 { stay / were } else { 1.0 },
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
    let half = Quality::of(&[("/users/{id}/orders", "/users/{id}/{id}"), ("/", "/")]);
    assert_eq!(half.kept, 0.5);
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
fn check(name: &str, quality: Quality, [accuracy, f1, residual, kept]: [f64; 4]) {
    let Quality { accuracy: ga, f1: f, residual: labels, kept: stay } = quality;
    println!("| {name} | {ga:.3} | {f:.3} | {labels:.2} | {stay:.3} |");
    assert!(ga >= accuracy, "{name}: {quality:?}");
    assert!(f >= f1, "{name}: {quality:?}");
    assert!(labels <= residual, "{name}: {quality:?}");
    assert!(stay >= kept, "{name}: {quality:?}");
}

const HEAD: &str =
    "| | GA | F1 | labels per template | fixed segments kept |\n|---|---|---|---|---|";

#[test]
fn made_up_apis_are_told_apart() {
    println!("{HEAD}");
    for api in made_up() {
        check(api.name, measure(&requests(&api), &mut Workers::new(1), 0), api.bounds);
    }
}

#[test]
fn four_workers_agree_on_made_up_apis() {
    for api in made_up() {
        let requests = requests(&api);
        agree(&requests, &mut Workers::new(4), 0);
    }
}

#[test]
#[ignore = "needs more than a clone has: make test-corpora"]
fn one_worker_reaches_what_was_reached() {
    println!("{HEAD}");
    for (name, from, bounds) in [
        ("github", 0.0, [0.83, 0.97, 1.20, 0.92]),
        ("github_stream", 0.5, [0.93, 0.99, 1.02, 0.91]),
        ("stripe", 0.0, [0.965, 0.992, 1.02, 0.90]),
        ("petstore", 0.0, [1.0, 1.0, 1.0, 0.97]),
    ] {
        let requests = corpus(name);
        let from = (requests.len() as f64 * from) as usize;
        check(name, measure(&requests, &mut Workers::new(1), from), bounds);
    }
}

#[test]
#[ignore = "needs more than a clone has: make test-corpora"]
fn four_workers_agree_and_are_hardly_worse() {
    for (name, from, bounds) in [
        ("github", 0.0, [0.77, 0.96, 1.30, 0.90]),
        ("github_stream", 0.5, [0.90, 0.985, 1.05, 0.90]),
        ("stripe", 0.0, [0.96, 0.99, 1.05, 0.90]),
        ("petstore", 0.0, [0.94, 0.99, 1.20, 0.95]),
    ] {
        let requests = corpus(name);
        let mut workers = Workers::new(4);
        let from = (requests.len() as f64 * from) as usize;
        let quality = agree(&requests, &mut workers, from);
        check(&format!("{name}, 4 workers"), quality, bounds);
    }
}

/// Has workers label the requests, and checks that all of them give one label afterwards.
fn agree(requests: &[Request], workers: &mut Workers, from: usize) -> Quality {
    let quality = measure(requests, workers, from);
    let bytes: usize = workers.log.iter().map(Vec::len).sum();
    println!("a log of {bytes} bytes");
    assert!(bytes < MAX_LOG_BYTES);
    // One that comes later reads the log from the start.
    workers.all.push(Inference::new(InferenceMode::Adaptive));
    workers.read.push(0);
    workers.exchange();
    for request in requests {
        for path in [request.path.clone(), request.path.replace('a', "e")] {
            let labels = workers.labels(&path);
            assert!(labels.iter().all(|label| *label == labels[0]), "{path}: {labels:?}");
        }
    }
    quality
}
