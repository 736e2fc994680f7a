use proptest::prelude::*;

use super::*;
use crate::config::InferenceMode;
use crate::endpoint::{CanonicalPath, Inference, MAX_LOG_BYTES};
use crate::host::recorder::Recorder;
use crate::test;

struct Worker {
    host: Recorder,
    learned: Generations,
    inference: Inference,
}

impl Worker {
    fn on(host: Recorder) -> Self {
        let inference = Inference::new(InferenceMode::Adaptive);
        Self { host, learned: Generations::default(), inference }
    }

    fn observe(&mut self, path: &str) -> String {
        let mut out = Vec::new();
        self.inference.observe(&CanonicalPath::new(path.as_bytes()), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn label(&self, path: &str) -> String {
        let mut out = Vec::new();
        self.inference.label(&CanonicalPath::new(path.as_bytes()), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn tick(&mut self) {
        self.learned.exchange(&self.host, &mut self.inference);
    }
}

fn workers(count: usize) -> Vec<Worker> {
    let host = Recorder::default();
    (0..count).map(|_| Worker::on(host.worker())).collect()
}

/// A name that is in no vocabulary.
fn name(number: usize) -> String {
    let syllables = ["ka", "ro", "mi", "ten", "vul", "sha", "bre", "lod"];
    (0..5).map(|at| syllables[number / 8_usize.pow(at) % 8]).collect()
}

const WORDS: [&str; 16] = [
    "accounts", "builds", "comments", "events", "files", "groups", "images", "invoices", "items",
    "jobs", "labels", "members", "messages", "orders", "payments", "products",
];

/// A path of known words that was never asked for before.
fn made_up(number: usize) -> String {
    let word = |place: u32| WORDS[number / 16_usize.pow(place) % 16];
    format!("/{}/{}/{}/{}/x", word(0), word(1), word(2), word(3))
}

const ASKED: [&str; 3] = ["/teams/zolderim/settings", "/people/hollowford", "/shop/vulten/parts"];
const LABELS: [&str; 3] = ["/teams/{id}/settings", "/people/{id}", "/shop/{id}/parts"];

fn teach(workers: &mut [Worker], seed: usize) {
    let count = workers.len();
    for number in 0..200 {
        let worker = &mut workers[number % count];
        worker.observe(&format!("/teams/{}/settings", name(seed + number)));
        worker.observe(&format!("/people/{}", name(seed + number)));
        worker.observe(&format!("/shop/{}/parts", name(seed + number)));
    }
}

fn settle(workers: &mut [Worker]) {
    for _ in 0..4 {
        workers.iter_mut().for_each(Worker::tick);
    }
}

#[track_caller]
fn expect_agreement(workers: &[Worker]) {
    let paths = (0..3000).step_by(7).map(made_up);
    let names = (0..50).map(|number| format!("/teams/{}/settings", name(number * 31)));
    for path in paths.chain(names).chain(ASKED.map(str::to_owned)) {
        let labels: Vec<String> = workers.iter().map(|worker| worker.label(&path)).collect();
        assert!(labels.iter().all(|label| *label == labels[0]), "{path}: {labels:?}");
    }
}

#[test]
fn learning_never_ends() {
    let mut workers = workers(4);
    let mut most_bytes = 0;
    for number in 0..60_000 {
        workers[number % 4].observe(&made_up(number));
        if number % 500 == 499 {
            workers.iter_mut().for_each(Worker::tick);
            most_bytes = most_bytes.max(workers[0].host.shared_bytes());
        }
    }
    settle(&mut workers);
    assert!(workers[0].learned.number >= 2, "{}", workers[0].learned.number);
    assert!(workers.iter().all(|worker| worker.learned.number == workers[0].learned.number));
    // Two logs and two bases, and what all workers may tell at once.
    assert!(most_bytes < 3 * MAX_LOG_BYTES + 64 * 1024, "{most_bytes}");
    expect_agreement(&workers);
    teach(&mut workers, 1000);
    settle(&mut workers);
    for worker in &workers {
        assert_eq!(ASKED.map(|path| worker.label(path)), LABELS);
    }
    expect_agreement(&workers);
}

#[test]
fn what_is_used_is_kept() {
    let mut workers = workers(3);
    teach(&mut workers, 0);
    settle(&mut workers);
    for number in 0..60_000 {
        workers[number % 3].observe(&made_up(number));
        if number % 10 == 0 {
            workers[number / 10 % 3].observe(ASKED[number / 30 % 3]);
        }
        if number % 300 == 299 {
            workers.iter_mut().for_each(Worker::tick);
        }
        if number % 5000 == 4999 {
            settle(&mut workers);
            for worker in &workers {
                assert_eq!(ASKED.map(|path| worker.label(path)), LABELS, "after {number}");
            }
        }
    }
    assert!(workers[0].learned.number >= 2);
}

#[test]
fn one_that_comes_late_or_is_alone_learns_as_well() {
    let mut workers = workers(2);
    for number in 0..40_000 {
        workers[number % 2].observe(&made_up(number));
        if number % 300 == 299 {
            workers.iter_mut().for_each(Worker::tick);
        }
    }
    teach(&mut workers, 0);
    settle(&mut workers);
    let late = Worker::on(workers[0].host.worker());
    workers.push(late);
    settle(&mut workers);
    expect_agreement(&workers);
    assert_eq!(ASKED.map(|path| workers[2].label(path)), LABELS);

    // One that exchanges nothing: the command.
    let mut alone = Worker::on(Recorder::default());
    for number in 0..60_000 {
        alone.observe(&made_up(number));
    }
    for number in 0..100 {
        alone.observe(&format!("/teams/{}/settings", name(number)));
    }
    assert_eq!(alone.label(ASKED[0]), LABELS[0]);
}

/// What a worker that dies can leave behind, and what anybody could have written.
#[test]
fn half_a_switch_is_finished_and_nonsense_does_no_harm() {
    let fill = |workers: &mut [Worker], many: usize| {
        for number in 0..many {
            workers[number / 16 % 2].observe(&made_up(number));
            if number % 500 == 499 {
                workers.iter_mut().for_each(Worker::tick);
            }
        }
    };
    // The next base is there, and the number is not counted up.
    let mut half = workers(2);
    let host = half[0].host.worker();
    host.shared_set(&keys::learned_base(1), &1_u32.to_le_bytes(), CREATE_ONLY);
    fill(&mut half, 60_000);
    settle(&mut half);
    assert!(half[0].learned.number >= 1);
    expect_agreement(&half);
    // A number without a base, a base of another form, a page that is cut.
    for (key, value) in [
        (keys::LEARNED.to_owned(), vec![7, 0, 0, 0]),
        (keys::LEARNED.to_owned(), vec![1, 2]),
        (keys::learned_base(0), vec![1]),
        (keys::learned_base(1), b"\x01\0\0\0nonsense".to_vec()),
        (format!("{}/0", keys::learned(0)), vec![255, 255, 1]),
    ] {
        let mut odd = workers(2);
        odd[0].host.shared_set(&key, &value, CREATE_ONLY);
        fill(&mut odd, 6000);
        settle(&mut odd);
        assert!(odd[0].host.shared_bytes() < 3 * MAX_LOG_BYTES, "{key}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever the order of requests and exchanges, whoever writes in between and whoever dies:
    /// once all have exchanged, all give the same labels.
    #[test]
    fn workers_agree_in_any_order(
        steps in proptest::collection::vec((0_usize..4, 0_usize..12, 20_usize..900), 20..90),
    ) {
        let mut workers = workers(4);
        let mut number = 0;
        for (at, what, count) in steps {
            match what {
                0 => workers[at] = Worker::on(workers[at].host.worker()),
                1 => workers[at].host.contend((count % 25) as u32),
                2..=5 => workers[at].tick(),
                6 => teach(&mut workers[at..], count),
                _ => for _ in 0..count {
                    workers[at].observe(&made_up(number));
                    number += 1;
                },
            }
        }
        workers[0].host.contend(0);
        for _ in 0..6 {
            workers.iter_mut().for_each(Worker::tick);
        }
        expect_agreement(&workers);
    }
}
