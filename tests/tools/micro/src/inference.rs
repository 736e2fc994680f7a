//! What inference costs: warm, with many distinct paths, and under attack. Natively it keeps more
//! labels than in a VM, for `preview`; what a VM has on its heap is what the run as Wasm prints.

use std::hint::black_box;
use std::time::Instant;

use route_metrics::config::InferenceMode;
use route_metrics::endpoint::{CanonicalPath, Inference};

use crate::alloc;

/// Distinct hostile paths, told as so many parts.
const HOSTILE: usize = 10_000_000;
const PARTS: usize = 10;
pub const ROUNDS: usize = 51;

/// A generator whose numbers are the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.next(words.len())]
    }
}

const RESOURCES: [&str; 12] = [
    "users", "orders", "items", "groups", "teams", "projects", "files", "reports", "events",
    "accounts", "payments", "messages",
];
const LEAVES: [&str; 6] = ["settings", "history", "status", "members", "comments", "search"];

/// A path of an ordinary API.
fn ordinary(random: &mut Random, path: &mut Vec<u8>) {
    use std::io::Write;
    path.clear();
    let number = random.next(1_000_000);
    let (first, second) = (random.pick(&RESOURCES), random.pick(&RESOURCES));
    let leaf = random.pick(&LEAVES);
    let written = match random.next(4) {
        0 => write!(path, "/api/v1/{first}/{number}"),
        1 => write!(path, "/api/v1/{first}/{number}/{second}/{}", number / 3),
        2 => write!(path, "/api/v1/{first}/{number}/{leaf}"),
        _ => write!(path, "/api/v1/{first}/{leaf}"),
    };
    written.expect("a vector takes all");
}

/// A path with a name in it that no other has.
fn named(random: &mut Random, path: &mut Vec<u8>) {
    path.clear();
    path.extend_from_slice(b"/api/v1/users/");
    (0..5 + random.next(8)).for_each(|_| path.push(b'a' + random.next(26) as u8));
    path.push(b'/');
    path.extend_from_slice(random.pick(&LEAVES).as_bytes());
}

/// A path made to fill a memory: random bytes, known words in ever new places, names, depth.
fn hostile(random: &mut Random, path: &mut Vec<u8>) {
    path.clear();
    for _ in 0..=random.next(6) {
        path.push(b'/');
        match random.next(4) {
            0 => path.extend_from_slice(random.pick(&RESOURCES).as_bytes()),
            1 => path.extend_from_slice(random.pick(&LEAVES).as_bytes()),
            2 => (0..=random.next(12)).for_each(|_| path.push(b'a' + random.next(26) as u8)),
            _ => (0..=random.next(20)).for_each(|_| path.push(random.next(256) as u8)),
        }
    }
}

/// Prints three tables' worth of lines, of the cases whose names hold a text.
pub fn run(wanted: &str, rounds: usize) {
    println!("| inference | ns per path | median | allocations | heap, kB |");
    println!("|---|---|---|---|---|");
    for (name, distinct, make) in [
        ("a warm path", 1, ordinary as fn(&mut Random, &mut Vec<u8>)),
        ("1,000 distinct paths", 1000, ordinary),
        ("50,000 distinct paths", 50_000, ordinary),
        ("50,000 distinct names", 50_000, named),
    ] {
        if name.contains(wanted) {
            warm(name, distinct, make, rounds);
        }
    }
    if "hostile".contains(wanted) {
        attack();
    }
}

fn warm(name: &str, distinct: usize, make: fn(&mut Random, &mut Vec<u8>), count: usize) {
    let mut random = Random(88_172_645_463_325_252);
    let mut path = Vec::new();
    let paths: Vec<Vec<u8>> = (0..distinct)
        .map(|_| {
            make(&mut random, &mut path);
            path.clone()
        })
        .collect();
    let before = alloc::live();
    let mut inference = Inference::new(InferenceMode::Adaptive);
    let mut out = Vec::with_capacity(256);
    for _ in 0..20_000 {
        make(&mut random, &mut path);
        out.clear();
        inference.observe(&CanonicalPath::new(&path), &mut out);
        inference.take_news();
    }
    let repeats = (10_000 / distinct).max(1);
    let mut rounds = Vec::new();
    let mut allocations = 0;
    for _ in 0..count {
        let allocated = alloc::count();
        let start = Instant::now();
        for _ in 0..repeats {
            for path in &paths {
                out.clear();
                inference.observe(&CanonicalPath::new(black_box(path)), &mut out);
                black_box(&out);
            }
        }
        let spent = start.elapsed().as_secs_f64() * 1e9 / (repeats * paths.len()) as f64;
        allocations = alloc::count() - allocated;
        rounds.push(spent);
    }
    rounds.sort_by(f64::total_cmp);
    let heap = (alloc::live() - before) / 1000;
    println!("| {name} | {:.0} | {:.0} | {allocations} | {heap} |", rounds[0], rounds[count / 2]);
}

fn attack() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let before = alloc::live();
    let mut inference = Inference::new(InferenceMode::Adaptive);
    let mut out = Vec::with_capacity(8192);
    let batch = 1000;
    let mut paths = (0..batch).map(|_| Vec::with_capacity(256)).collect::<Vec<_>>();
    let mut told = 0;
    let mut most = 0;
    for part in 1..=PARTS {
        let mut spent = 0.0;
        let mut allocations = 0;
        for _ in 0..HOSTILE / PARTS / batch {
            paths.iter_mut().for_each(|path| hostile(&mut random, path));
            let count = alloc::count();
            let start = Instant::now();
            for path in &paths {
                out.clear();
                inference.observe(&CanonicalPath::new(black_box(path)), &mut out);
                black_box(&out);
            }
            spent += start.elapsed().as_secs_f64();
            allocations += alloc::count() - count;
            told += inference.take_news().map_or(0, |news| news.len());
            most = most.max(alloc::live() - before);
        }
        println!(
            "| hostile, {part} of {PARTS} million | {:.0} | | {allocations} | {} |",
            spent * 1e9 / (HOSTILE / PARTS) as f64,
            most / 1000,
        );
    }
    println!("\nTold to other workers under attack: {told} bytes.");
}
