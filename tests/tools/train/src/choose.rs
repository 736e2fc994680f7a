//! Chooses each weight between the one that was there and one that was fitted, by how well
//! whole labels come out.

use std::path::Path;
use std::thread;

use crate::corpus::{Corpus, Quality, mean, trains};
use crate::fit::fit;
use crate::read;
use crate::tried::{self, Weights};

/// Requests of traffic that are looked at.
const TRAFFIC: usize = 1500;

/// What a corpus that guards may lose of its GA.
const TOLERANCE: f64 = 0.005;

/// The least that is gained by a weight that is not the fitted one.
const LEAST: f64 = 0.0005;

/// What is to be as large as can be, of requests that are new or of traffic.
fn worth(all: &[Quality]) -> f64 {
    let (mean, worst) = mean(all);
    mean.accuracy + 0.5 * mean.kept + 0.3 * mean.f1 + 0.15 * worst - 0.05 * mean.labels
}

/// What teaches, and what guards.
struct Judge {
    new: Vec<Corpus>,
    traffic: Vec<Corpus>,
    guards: Vec<Corpus>,
    /// The least GA of each guard.
    floors: Vec<f64>,
    /// The least that guards have lost so far.
    lost: f64,
}

impl Judge {
    /// How good weights are, and what the guards lose; `None` where they lose more than before.
    fn judge(&self, weights: &[i32]) -> Option<(f64, f64)> {
        let guards = qualities(&self.guards, weights);
        let lost = guards.iter().zip(&self.floors);
        let lost: f64 = lost.map(|(now, floor)| (floor - TOLERANCE - now.accuracy).max(0.0)).sum();
        // The guards are soon scored, and decide often.
        if lost > self.lost + 0.025 {
            return None;
        }
        let new = worth(&qualities(&self.new, weights));
        let traffic = worth(&qualities(&self.traffic, weights));
        Some(((new + traffic) / 2.0 - 2.0 * lost, lost))
    }
}

/// Scores corpora on all cores.
fn qualities(corpora: &[Corpus], weights: &[i32]) -> Vec<Quality> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let mut all = vec![Quality::default(); corpora.len()];
    thread::scope(|scope| {
        let work = || {
            tried::set(weights);
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some(corpus) = corpora.get(at) else { return done };
                done.push((at, corpus.score()));
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            for (at, quality) in worker.join().expect("scoring") {
                all[at] = quality;
            }
        }
    });
    all
}

fn load(folders: &str, kind: &str, seed: u64) -> Vec<Corpus> {
    let mut all: Vec<Corpus> =
        folders.split(',').flat_map(|folder| read(&Path::new(folder).join(kind))).collect();
    all.retain(|it| seed == 0 || trains(&it.name, seed));
    for corpus in all.iter_mut().filter(|it| it.from > 0) {
        corpus.requests.truncate(TRAFFIC);
        corpus.from = corpus.requests.len() / 2;
    }
    all
}

/// `fit FOLDERS SEED [GUARDS]`: prints the weights that were found. The corpora of the folders of
/// GUARDS teach nothing, but may not get worse.
pub fn run(arguments: &[String]) {
    let [folders, seed, guards @ ..] = arguments else { panic!("fit FOLDERS SEED [GUARDS]") };
    let seed: u64 = seed.parse().expect("a seed");
    let guards: Vec<Corpus> = guards.iter().flat_map(|it| read(Path::new(it))).collect();
    let hand = tried::get();
    let names = tried::names();
    // Examples say nothing of when a place holds values.
    let free: Vec<bool> =
        names.iter().map(|it| !it.starts_with("Collapse") || it.starts_with("Collapsed")).collect();
    let mut judge = Judge {
        new: load(folders, "uniform", seed),
        traffic: load(folders, "stream", seed),
        floors: qualities(&guards, &hand).iter().map(|it| it.accuracy).collect(),
        guards,
        lost: f64::MAX,
    };
    eprintln!(
        "{} corpora teach, {} guard",
        judge.new.len() + judge.traffic.len(),
        judge.guards.len()
    );
    let both: Vec<Corpus> = judge.new.drain(..).chain(judge.traffic.drain(..)).collect();
    let fitted = fit(&both, &hand, &free);
    (judge.traffic, judge.new) = both.into_iter().partition(|it| it.from > 0);
    let chosen = choose(&mut judge, &hand, &fitted, &names);
    for (name, weight) in names.iter().zip(chosen) {
        println!("{name} {weight}");
    }
}

fn choose(judge: &mut Judge, hand: &[i32], fitted: &[i32], names: &[&str]) -> Weights {
    let mut now = fitted.to_vec();
    let (mut best, lost) = judge.judge(&now).expect("no limit yet");
    judge.lost = lost;
    eprintln!("as fitted: {best:.4}, guards lost {:.3}", judge.lost);
    let mut order: Vec<usize> = (0..now.len()).filter(|it| hand[*it] != fitted[*it]).collect();
    order.sort_by_key(|it| -(hand[*it] - fitted[*it]).abs());
    for which in order {
        for weight in [hand[which], (hand[which] + fitted[which]) / 2] {
            let mut tried = now.clone();
            tried[which] = weight;
            if let Some((worth, lost)) = judge.judge(&tried).filter(|it| it.0 > best + LEAST) {
                (best, now, judge.lost) = (worth, tried, lost);
                let name = names[which];
                eprintln!("{name} {weight}: {best:.4}, guards lost {lost:.3}");
                break;
            }
        }
    }
    now
}
