//! Coordinate search over the weights, and examples for other ways of learning.

use std::path::Path;
use std::time::{Duration, Instant};

use route_metrics::config::InferenceMode;
use route_metrics::endpoint::{CanonicalPath, Inference, tried};

use crate::corpus::{Corpus, Quality, mean, trains};
use crate::read;

/// What is to be as large as can be.
fn worth(all: &[Quality]) -> f64 {
    let (mean, worst) = mean(all);
    mean.accuracy + 0.5 * mean.kept + 0.3 * mean.f1 + 0.15 * worst - 0.05 * mean.labels
}

fn load(folder: &str, seed: &str, shorten: usize) -> Vec<Corpus> {
    let seed: u64 = seed.parse().expect("a seed");
    let mut all = Vec::new();
    for kind in ["uniform", "stream"] {
        for mut corpus in read(&Path::new(folder).join(kind)) {
            if seed == 0 || trains(&corpus.name, seed) {
                if corpus.from > 0 {
                    corpus.requests.truncate(shorten);
                    corpus.from = corpus.requests.len() / 2;
                }
                all.push(corpus);
            }
        }
    }
    all
}

/// `search FOLDERS SEED SECONDS [GUARDS]`: prints the weights that were found. The corpora of the
/// folders of GUARDS teach nothing, but must not get worse than they are.
pub fn run(arguments: &[String]) {
    let [folders, seed, seconds, guards @ ..] = arguments else {
        panic!("search FOLDERS SEED SECONDS")
    };
    let all: Vec<Corpus> = folders.split(',').flat_map(|it| load(it, seed, 800)).collect();
    let guards: Vec<Corpus> = guards.iter().flat_map(|it| read(Path::new(it))).collect();
    let of = |all: &[Corpus]| all.iter().map(Corpus::score).collect::<Vec<Quality>>();
    let floors = of(&guards);
    read_weights();
    let lost = |now: &[Quality]| -> f64 {
        let pairs = floors.iter().zip(now);
        pairs
            .map(|(then, now)| {
                (then.accuracy - now.accuracy).max(0.0)
                    + (then.kept - now.kept).max(0.0)
                    + 0.2 * (now.labels - then.labels).max(0.0)
            })
            .sum()
    };
    let mut least = lost(&of(&guards));
    let mut worth = || {
        // What the guards have lost is soon known, and decides often.
        let lost = lost(&of(&guards));
        if lost > least + 0.005 {
            return f64::MIN;
        }
        least = least.min(lost);
        worth(&of(&all)) - lost
    };
    let deadline = Instant::now() + Duration::from_secs(seconds.parse().expect("seconds"));
    let mut best = worth();
    eprintln!("{} corpora: {best:.4}", all.len());
    let mut order: Vec<usize> = (0..tried::get().len()).collect();
    // What has no weight yet comes first.
    order.sort_by_key(|&which| tried::get()[which].1 != 0);
    'passes: for step in [16, 10, 6, 4, 3, 2] {
        for &which in &order {
            let (name, start) = tried::get()[which];
            let mut weight = start;
            for direction in [step, -step] {
                while Instant::now() < deadline {
                    tried::set(which, weight + direction);
                    let now = worth();
                    if now <= best + 2e-4 {
                        break;
                    }
                    (best, weight) = (now, weight + direction);
                }
                if weight != start {
                    break;
                }
            }
            tried::set(which, weight);
            if weight != start {
                eprintln!("{name} {start} -> {weight}: {best:.4}");
            }
            if Instant::now() >= deadline {
                break 'passes;
            }
        }
        eprintln!("steps of {step}: {best:.4}");
    }
    for (name, weight) in tried::get() {
        println!("{name} {weight}");
    }
}

/// `examples FOLDER SEED`: the traits of each segment whose template is known, once for each text
/// at a place: `API TEMPLATE SEGMENT IS_FIXED WAS_FIXED TRAIT:TIMES…`.
pub fn examples(arguments: &[String]) {
    let [folder, seed, ..] = arguments else { panic!("examples FOLDER SEED") };
    let all: Vec<Corpus> = folder.split(',').flat_map(|it| load(it, seed, 2000)).collect();
    for corpus in all {
        let mut inference = Inference::new(InferenceMode::Adaptive);
        let mut label = Vec::new();
        for request in corpus.requests.iter().filter(|it| it.counts) {
            let path = CanonicalPath::new(request.path.as_bytes());
            if let Some(number) = request.template {
                let template = &corpus.templates[number];
                let traits = inference.traits(&path);
                if traits.len() == template.len() {
                    for ((truth, own), segment) in template.iter().zip(traits).zip(path.segments())
                    {
                        if let Some((traits, was)) = own {
                            let traits: Vec<String> = traits
                                .iter()
                                .map(|(which, times)| format!("{which}:{times}"))
                                .collect();
                            println!(
                                "{}\t{number}\t{}\t{}\t{}\t{}",
                                corpus.name,
                                String::from_utf8_lossy(segment),
                                u8::from(truth.is_some()),
                                u8::from(was),
                                traits.join(" ")
                            );
                        }
                    }
                }
            }
            label.clear();
            inference.observe(&path, &mut label);
        }
    }
}

/// Tries the weights of the file that WEIGHTS names, `TRAIT WEIGHT` in each line.
pub fn read_weights() {
    let Some(file) = std::env::var_os("WEIGHTS") else { return };
    let text = std::fs::read_to_string(file).expect("WEIGHTS names a file");
    let names: Vec<&str> = tried::get().iter().map(|it| it.0).collect();
    for line in text.lines() {
        let (name, weight) = line.split_once(' ').expect("TRAIT WEIGHT");
        let which = names.iter().position(|it| *it == name).expect("a trait");
        tried::set(which, weight.parse().expect("a weight"));
    }
}
