//! What one endpoint decision costs: nanoseconds and allocations per path, as a Markdown table.
//!
//! Cases run in turn, many short rounds, and the fastest round of each is printed beside the median:
//! the first is what the code costs, the second tells how busy the machine was. Runs natively and
//! as Wasm (`wasm32-wasip1`, by `run-wasm.mjs`). An argument picks the cases whose names hold it, and a second one says
//! how many rounds of each: what an instruction counter says of two runs differs by the rounds alone.

mod alloc;
mod inference;
mod traffic;

use std::hint::black_box;
use std::time::Instant;

use route_metrics::config::{self, Mistakes};
use route_metrics::endpoint::{CanonicalPath, Endpoints, Found};

/// Paths of each case, all different.
const PATHS: usize = 1000;
const ROUNDS: usize = 301;
/// How often each path is decided in a round.
const REPEATS: usize = 2;

struct Case {
    name: String,
    endpoints: Endpoints,
    paths: Vec<String>,
    /// Nanoseconds per path of each round.
    rounds: Vec<f64>,
    allocations: usize,
}

impl Case {
    fn new(name: String, endpoint: config::Endpoint, paths: Vec<String>) -> Self {
        let mut mistakes = Mistakes::default();
        let endpoints = Endpoints::compile(&endpoint, &mut mistakes);
        assert!(mistakes.is_empty(), "{mistakes}");
        Self { name, endpoints, paths, rounds: Vec::new(), allocations: 0 }
    }

    fn run(&mut self) {
        let before = alloc::count();
        let start = Instant::now();
        for _ in 0..REPEATS {
            for path in &self.paths {
                let path = CanonicalPath::new(black_box(path.as_bytes()));
                black_box(self.endpoints.find(b"GET", &path));
            }
        }
        let decided = (REPEATS * self.paths.len()) as f64;
        self.rounds.push(start.elapsed().as_secs_f64() * 1e9 / decided);
        self.allocations = alloc::count() - before;
    }

    fn matched(&self) -> usize {
        let found = |path: &&String| {
            let path = CanonicalPath::new(path.as_bytes());
            self.endpoints.find(b"GET", &path) != Found::Unknown
        };
        self.paths.iter().filter(found).count()
    }

    /// The fastest round, and the median one.
    fn cost(&self) -> (f64, f64) {
        let mut sorted = self.rounds.clone();
        sorted.sort_by(f64::total_cmp);
        (sorted[0], sorted[sorted.len() / 2])
    }
}

fn main() {
    let all = traffic::templates(5000);
    let with = |count: usize| config::Endpoint {
        templates: all[..count].to_vec(),
        ..config::Endpoint::default()
    };
    let rule = |regex: &str| config::Endpoint {
        rules: vec![config::EndpointRule { regex: regex.to_owned(), endpoint: "/rule".to_owned() }],
        ..config::Endpoint::default()
    };
    let mut cases = Vec::new();
    let same = traffic::paths(&all[..10], PATHS);
    for count in [10, 1000, 5000] {
        let name = format!("{count} templates, paths of all of them");
        cases.push(Case::new(name, with(count), traffic::paths(&all[..count], PATHS)));
    }
    for count in [10, 1000, 5000] {
        let name = format!("{count} templates, paths of the same ten");
        cases.push(Case::new(name, with(count), same.clone()));
    }
    let unknown: Vec<String> = same.iter().map(|path| format!("{path}/more")).collect();
    cases.push(Case::new("5000 templates, no path matches".to_owned(), with(5000), unknown));
    let encoded: Vec<String> = same.iter().map(|path| format!("{path}%20")).collect();
    cases.push(Case::new("5000 templates, percent-encoded".to_owned(), with(5000), encoded));
    cases.push(Case::new(
        "none, the canonical path alone".to_owned(),
        config::Endpoint::default(),
        same.clone(),
    ));
    cases.push(Case::new("1 rule, skipped by its prefix".to_owned(), rule("^/zz/"), same.clone()));
    cases.push(Case::new("1 rule, regular expression run".to_owned(), rule("\\.php$"), same));

    let wanted = std::env::args().nth(1).unwrap_or_default();
    let rounds = std::env::args().nth(2).map(|text| text.parse().expect("a number of rounds"));
    cases.retain(|case| case.name.contains(&wanted));
    for case in &mut cases {
        // The first use of a rule allocates, and caches are cold.
        case.run();
        case.rounds.clear();
    }
    for _ in 0..rounds.unwrap_or(ROUNDS) {
        for case in &mut cases {
            case.run();
        }
    }
    println!("| case | ns per path | ratio to ten | median | matched | allocations | heap, kB |");
    println!("|---|---|---|---|---|---|---|");
    for (index, case) in cases.iter().enumerate() {
        let base = if index < 3 || cases.len() < 4 { 0 } else { 3 };
        let (ten, _) = cases[base].cost();
        let (least, median) = case.cost();
        println!(
            "| {} | {least:.1} | {:.2} | {median:.1} | {}/{} | {} | {} |",
            case.name,
            least / ten,
            case.matched(),
            case.paths.len(),
            case.allocations,
            case.endpoints.heap_bytes() / 1000,
        );
    }
    println!();
    inference::run(&wanted, rounds.unwrap_or(inference::ROUNDS));
}
