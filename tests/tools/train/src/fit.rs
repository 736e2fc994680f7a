//! A logistic regression of whether a segment is fixed, over its traits, pulled towards the weights
//! that are there.

use std::collections::{HashMap, HashSet};

use route_metrics::config::InferenceMode;
use route_metrics::endpoint::{CanonicalPath, Inference};

use crate::corpus::Corpus;
use crate::tried::{self, Weights};

/// The points of a weight that double the odds one and a half times: odds of e are 25 points.
const POINTS: f64 = 25.0;

/// What a segment that is fixed counts, beside one that is a value.
const FIXED: f64 = 0.7;

/// How strongly weights are pulled to what they were, for each squared unit of log odds.
const PULL: f64 = 0.003;

/// What is seen of a place depends on what was decided before, so examples are taken with the
/// weights of each round, and those of all rounds teach the next.
const ROUNDS: usize = 3;

/// A segment of a request.
struct Example {
    /// Traits, and how often each counts.
    traits: Vec<(usize, f64)>,
    /// 1 for a fixed segment, -1 for a value.
    sign: f64,
    weight: f64,
}

/// The weights of a regression over the requests of APIs, starting from given weights. Those whose
/// `free` is false stay.
pub fn fit(corpora: &[Corpus], start: &[i32], free: &[bool]) -> Weights {
    let mut weights = start.to_vec();
    let mut examples = Vec::new();
    for round in 1..=ROUNDS {
        tried::set(&weights);
        examples.extend(take(corpora));
        weights = regress(&examples, start, free);
        eprintln!("regression {round} of {ROUNDS}: {} segments", examples.len());
    }
    weights
}

/// Of each text at a place some of the times that it comes. Each provider counts the same in all,
/// in it each API, and in that each template.
fn take(corpora: &[Corpus]) -> Vec<Example> {
    let mut all = Vec::new();
    let mut of_provider = HashMap::<&str, f64>::new();
    for corpus in corpora {
        *of_provider.entry(corpus.provider()).or_default() += 1.0;
    }
    for corpus in corpora {
        let mut inference = Inference::new(InferenceMode::Adaptive);
        let mut label = Vec::new();
        let mut times = HashMap::<(usize, Vec<u8>), usize>::new();
        let mut of_template = HashMap::<usize, f64>::new();
        let mut own = Vec::new();
        for request in corpus.requests.iter().filter(|it| it.counts) {
            let path = CanonicalPath::new(request.path.as_bytes());
            if let Some(number) = request.template {
                let template = &corpus.templates[number];
                let traits = inference.traits(&path);
                let fits = traits.len() == template.len();
                let parts = template.iter().zip(traits).zip(path.segments());
                for ((truth, traits), segment) in parts.filter(|_| fits) {
                    let Some(traits) = traits else { continue };
                    let times = times.entry((number, segment.to_vec())).or_default();
                    *times += 1;
                    if *times > 4 && !matches!(*times, 9 | 17 | 65) {
                        continue;
                    }
                    *of_template.entry(number).or_default() += 1.0;
                    let traits = traits.iter().map(|it| (it.0, f64::from(it.1))).collect();
                    let sign = if truth.is_some() { 1.0 } else { -1.0 };
                    own.push((number, Example { traits, sign, weight: 1.0 }));
                }
            }
            label.clear();
            inference.observe(&path, &mut label);
        }
        let templates = own.iter().map(|it| it.0).collect::<HashSet<_>>().len() as f64;
        for (number, mut example) in own {
            let shares = of_template[&number] * templates * of_provider[corpus.provider()];
            example.weight = if example.sign > 0.0 { FIXED } else { 1.0 } / shares;
            all.push(example);
        }
    }
    all
}

/// Newton's method on the mean logistic loss and the pull.
fn regress(examples: &[Example], start: &[i32], free: &[bool]) -> Weights {
    let base: Vec<f64> = start.iter().map(|it| f64::from(*it) / POINTS).collect();
    let all: f64 = examples.iter().map(|it| it.weight).sum();
    let count = base.len();
    let mut now = base.clone();
    for _ in 0..30 {
        let mut slope: Vec<f64> =
            now.iter().zip(&base).map(|(now, base)| 2.0 * PULL * (now - base)).collect();
        let mut curve = vec![vec![0.0; count]; count];
        for (which, row) in curve.iter_mut().enumerate() {
            row[which] = 2.0 * PULL;
        }
        for Example { traits, sign, weight } in examples {
            let sum: f64 = traits.iter().map(|(which, times)| now[*which] * times).sum();
            let wrong = 1.0 / (1.0 + (sign * sum).min(50.0).exp());
            let weight = weight / all;
            for &(which, times) in traits {
                slope[which] -= weight * sign * wrong * times;
                for &(other, others) in traits {
                    curve[which][other] += weight * wrong * (1.0 - wrong) * times * others;
                }
            }
        }
        for which in (0..count).filter(|it| !free[*it]) {
            slope[which] = 0.0;
            curve[which].fill(0.0);
            curve.iter_mut().for_each(|row| row[which] = 0.0);
            curve[which][which] = 1.0;
        }
        let step = solve(curve, slope);
        now.iter_mut().zip(&step).for_each(|(now, step)| *now -= step);
        if step.iter().all(|it| it.abs() < 1e-4) {
            break;
        }
    }
    now.iter().map(|it| (it * POINTS).round() as i32).collect()
}

/// Solves a system of equations whose matrix is positive definite.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let count = right.len();
    for at in 0..count {
        let pivot = matrix[at].clone();
        for below in at + 1..count {
            let factor = matrix[below][at] / pivot[at];
            if factor != 0.0 {
                for column in at..count {
                    matrix[below][column] -= factor * pivot[column];
                }
                right[below] -= factor * right[at];
            }
        }
    }
    for at in (0..count).rev() {
        let known: f64 = (at + 1..count).map(|column| matrix[at][column] * right[column]).sum();
        right[at] = (right[at] - known) / matrix[at][at];
    }
    right
}
