use crate::test;
use proptest::prelude::*;

use super::super::form;
use super::super::{MAX_LOG_BYTES, MAX_NEWS_BYTES};
use super::*;

fn adaptive() -> Inference {
    Inference::new(InferenceMode::Adaptive)
}

fn label(inference: &Inference, path: &str) -> String {
    let mut out = Vec::new();
    inference.label(&CanonicalPath::new(path.as_bytes()), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn observe(inference: &mut Inference, path: &str) -> String {
    let mut out = Vec::new();
    inference.observe(&CanonicalPath::new(path.as_bytes()), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn all_news(inference: &mut Inference) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| inference.take_news()).collect()
}

/// A user's name that is in no vocabulary.
fn name(number: usize) -> String {
    let syllables = ["ka", "ro", "mi", "ten", "vul", "sha", "bre", "lod"];
    (0..4).map(|at| syllables[number / 8_usize.pow(at) % 8]).collect()
}

#[test]
fn heuristics_need_no_learning() {
    let heuristic = Inference::new(InferenceMode::Heuristic);
    for (path, expected) in [
        ("/", "/"),
        ("/users", "/users"),
        ("/users/", "/users"),
        ("/users/1", "/users/{id}"),
        ("/users/1?x=2", "/users/{id}"),
        ("/users/-17", "/users/{id}"),
        ("/orders/2024-02-29", "/orders/{id}"),
        ("/orders/7f9c0d1e-58a1-4e0a-9f5b-2d3c4b5a6978", "/orders/{id}"),
        ("/orders/ord_7f9c0d1e-58a1-4e0a-9f5b-2d3c4b5a6978", "/orders/{id}"),
        ("/commits/5a8a98c27b9f169d57f6f99250d92e07", "/commits/{id}"),
        ("/charges/ch_1xe2PYB7WZ01zgkWWR17XZcE", "/charges/{id}"),
        ("/users/me@example.com", "/users/{id}"),
        ("/users/%C3%A9t%C3%A9", "/users/{id}"),
        ("/users/1,2,3", "/users/{id}"),
        ("/users/1.json", "/users/{id}.json"),
        ("/jobs/17:cancel", "/jobs/{id}:cancel"),
        ("/items(17)/name", "/items({id})/name"),
        ("/api/v1/users", "/api/v1/users"),
        ("/api/v1beta1/users", "/api/v1beta1/users"),
        ("/2.0/users", "/2.0/users"),
        ("/releases/v1.30.2", "/releases/{id}"),
        ("/oauth2/token", "/oauth2/token"),
        ("*", "*"),
        ("example.com:443", ""),
    ] {
        assert_eq!(label(&heuristic, path), expected, "{path}");
    }
    let long = format!("/{}", "a".repeat(500));
    assert_eq!(label(&heuristic, &long), "/{id}");
    let deep = "/groups/1".repeat(15);
    assert_eq!(label(&heuristic, &deep), format!("{}/{{*}}", "/groups/{id}".repeat(12)));
    assert_eq!(label(&Inference::new(InferenceMode::Off), "/users"), "");
}

#[test]
fn common_identifiers_are_what_a_closer_look_says() {
    let lexicon = Lexicon::new(Secret::default());
    for text in [
        "7",
        "4711",
        "20240229123456789012345678901234567",
        "7f9c0d1e-58a1-4e0a-9f5b-2d3c4b5a6978",
        "7F9C0D1E-58A1-4E0A-9F5B-2D3C4B5A6978",
        "71910011-5801-4300-9051-203040506978",
        "face",
        "decade",
        "7f9c0d1e-58a1-4e0a-9f5b-2d3c4b5a697g",
    ] {
        if let Some(form) = form::common_form(text.as_bytes()) {
            for index in [0, 7] {
                let kind = Token::new(text.as_bytes(), index, &lexicon).kind;
                assert_eq!(kind, Kind::Identifier(form), "{text}");
            }
        }
    }
}

#[test]
fn names_collapse_and_stay_collapsed() {
    let mut inference = adaptive();
    for number in 0..100 {
        observe(&mut inference, &format!("/users/{}/orders", name(number)));
        observe(&mut inference, "/users/search");
    }
    assert_eq!(label(&inference, "/users/hollow/orders"), "/users/{id}/orders");
    assert_eq!(label(&inference, "/users/search"), "/users/search");
    assert_eq!(observe(&mut inference, "/users/orders/orders"), "/users/{id}/orders");
    let place = hash::below(ROOT_NODE, hash::name(Secret::default(), b"users"));
    assert!(inference.facts.as_ref().unwrap().node(place).is(Node::COLLAPSED));
    for _ in 0..1000 {
        observe(&mut inference, "/users/search");
        observe(&mut inference, "/users/groups/settings");
    }
    assert!(inference.facts.as_ref().unwrap().node(place).is(Node::COLLAPSED));
    assert_eq!(label(&inference, "/users/hollow/orders"), "/users/{id}/orders");
}

const ROOT_NODE: u64 = super::super::score::ROOT;

#[test]
fn a_static_level_of_a_hundred_words_stays() {
    let mut inference = adaptive();
    let words: Vec<&str> = include_str!("../vocabulary.txt").lines().step_by(16).collect();
    let words: Vec<&str> = words.iter().filter_map(|line| line.split(' ').next()).collect();
    assert!(words.len() >= 100);
    for round in 0..20 {
        for word in &words {
            let path = format!("/api/v1/{word}/{round}");
            assert_eq!(observe(&mut inference, &path), format!("/api/v1/{word}/{{id}}"));
        }
    }
}

#[test]
fn labels_before_the_end_teach_nothing() {
    let inference = adaptive();
    for number in 0..100 {
        label(&inference, &format!("/users/{}", name(number)));
    }
    assert_eq!(inference.facts.as_ref().unwrap().size(), 0);
}

#[test]
fn workers_that_exchange_agree_in_any_order() {
    let mut workers: Vec<Inference> = (0..4).map(|_| adaptive()).collect();
    for number in 0..400 {
        let worker = &mut workers[number % 4];
        observe(worker, &format!("/teams/{}/members/{}", name(number), name(number * 7)));
        observe(worker, &format!("/teams/{}/settings", name(number / 3)));
        observe(worker, &format!("/files/report-{}.txt", name(number)));
    }
    let news: Vec<Vec<Vec<u8>>> = workers.iter_mut().map(all_news).collect();
    for (own, worker) in workers.iter_mut().enumerate() {
        // Each in an order of its own, its own facts included, and everything twice.
        for other in (0..8).map(|step| (own * 3 + step) % 4) {
            for facts in news[other].iter().rev() {
                assert!(facts.len() <= MAX_NEWS_BYTES);
                assert!(worker.merge(facts));
            }
        }
    }
    for number in 0..2000 {
        for path in [
            format!("/teams/{}/members/{}", name(number), name(number * 3)),
            format!("/teams/{}", name(number)),
            format!("/files/{}-{}", name(number), name(number + 1)),
            format!("/{}/settings", name(number)),
        ] {
            let labels: Vec<String> = workers.iter().map(|worker| label(worker, &path)).collect();
            assert!(labels.iter().all(|other| *other == labels[0]), "{path}: {labels:?}");
        }
    }
    assert_eq!(label(&workers[0], "/teams/zolderim/settings"), "/teams/{id}/settings");
}

#[test]
fn malformed_facts_are_refused_whole() {
    let mut inference = adaptive();
    for number in 0..50 {
        observe(&mut inference, &format!("/users/{}", name(number)));
    }
    let news = inference.take_news().unwrap();
    let mut other = adaptive();
    assert!(!other.merge(&news[1..]));
    let mut wrong = news.clone();
    *wrong.first_mut().unwrap() = 0xff;
    assert!(!other.merge(&wrong));
    assert_eq!(other.facts.as_ref().unwrap().size(), 0);
    assert!(other.merge(&news));
    assert!(other.merge(&[]));
}

#[test]
fn what_is_learned_is_bounded() {
    let mut inference = adaptive();
    let mut told = 0;
    let words: Vec<&str> = include_str!("../vocabulary.txt").lines().collect();
    let word = |at: usize| words[at % words.len()].split(' ').next().unwrap();
    for number in 0..200_000_usize {
        // Known words in ever new places, which is the worst that there is.
        let path = format!("/{}/{}/{}/x", word(number), word(number / 7), word(number * 31));
        observe(&mut inference, &path);
        told += inference.take_news().map_or(0, |news| news.len());
    }
    assert!(told <= MAX_LOG_BYTES + MAX_NEWS_BYTES, "{told}");
    assert!(inference.facts.as_ref().unwrap().size() < 26_000);
    // One that is alone goes on learning up to the same bound; one that shares waits to be heard.
    for (shares, least, most) in
        [(false, 16 * 1024, MAX_LOG_BYTES), (true, 8 * 1024, 8 * 1024 + 11)]
    {
        let mut inference = adaptive();
        if shares {
            assert!(inference.take_news().is_none());
        }
        for number in 0..100_000_usize {
            let path = format!("/{}/{}/{}", word(number), word(number / 7), word(number * 31));
            observe(&mut inference, &path);
        }
        let bytes: usize = all_news(&mut inference).iter().map(Vec::len).sum();
        assert!((least..=most).contains(&bytes), "{bytes}");
    }
}

#[test]
fn memory_and_labels_are_bounded_under_attack() {
    const MOST_BYTES: usize = 1_450_000;
    const MOST_CHARACTERS: usize = 120;
    let words: Vec<&str> = include_str!("../vocabulary.txt").lines().collect();
    // One that tells what it learns after each thousand requests, and one that is alone.
    for shares in [true, false] {
        let mut inference = adaptive();
        let mut random = 0x1234_5678_9abc_def1_u64;
        let mut next = |most: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 11) as usize % most
        };
        let (mut path, mut out, mut text) = (Vec::new(), Vec::new(), String::new());
        for number in 0..150_000 {
            path.clear();
            for _ in 0..=next(8) {
                path.extend_from_slice(b"/");
                match next(4) {
                    0 => path.extend_from_slice(
                        words[next(words.len())].split(' ').next().unwrap().as_bytes(),
                    ),
                    1 => path.extend_from_slice(name(next(4096)).as_bytes()),
                    2 => (0..=next(12)).for_each(|_| path.push(b'a' + next(26) as u8)),
                    _ => (0..=next(200)).for_each(|_| path.push(next(256) as u8)),
                }
            }
            out.clear();
            inference.observe(&CanonicalPath::new(&path), &mut out);
            text.clear();
            crate::labels::encode(&out, MOST_CHARACTERS, &mut text);
            assert!(text.starts_with('/') && text.len() <= MOST_CHARACTERS, "{text}");
            if shares && number % 1000 == 0 {
                inference.take_news();
            }
        }
        let bytes = inference.heap_bytes();
        assert!(bytes < MOST_BYTES, "{bytes}");
    }
}

#[test]
fn templates_are_what_labels_have_become() {
    let mut inference = adaptive();
    inference.count_labels();
    for number in 0..200 {
        observe(&mut inference, &format!("/users/{}/orders/{number}", name(number)));
        observe(&mut inference, "/health");
        observe(&mut inference, "/health");
    }
    assert_eq!(inference.templates(), ["/health", "/users/{id}/orders/{id}"]);
    assert_eq!(adaptive().templates(), [""; 0]);
}

#[test]
fn every_segment_is_explained() {
    let inference = adaptive();
    let reasons = inference.explain(&CanonicalPath::new(b"/api/v1/users/17"));
    let found: Vec<(&str, &str)> =
        reasons.iter().map(|reason| (reason.segment.as_str(), reason.label.as_str())).collect();
    assert_eq!(found, [("api", "api"), ("v1", "v1"), ("users", "users"), ("17", "{id}")]);
    assert_eq!(reasons[1].why, "a version of the API");
    assert_eq!(reasons[3].why, "a number");
    assert!(reasons[2].why.starts_with("score "), "{}", reasons[2].why);
}

/// With the hash that had no key, the first segment of the second path was made for the place and
/// the hash of `users`.
#[test]
fn a_crafted_segment_changes_no_other_label() {
    for mut inference in [adaptive(), Inference::new(InferenceMode::Heuristic)] {
        for crafted in ["/api/Y7btvO43JkNHbdn", "/Y7btvO43JkNHbdn"] {
            observe(&mut inference, crafted);
            assert_eq!(label(&inference, "/users"), "/users", "{crafted}");
            assert_eq!(observe(&mut inference, "/users"), "/users", "{crafted}");
            assert_eq!(label(&inference, "/users/17"), "/users/{id}", "{crafted}");
        }
    }
}

fn with_secret(byte: u8) -> Inference {
    let mut inference = adaptive();
    inference.set_secret(Secret::new([byte; 16]));
    inference
}

/// A path whose label is another one after [`teach`].
const ASKED: &str = "/api/v1/hollowford";

fn teach(inference: &mut Inference) {
    for number in 0..100 {
        observe(inference, &format!("/api/v1/{}", name(number)));
    }
}

#[test]
fn workers_with_one_secret_agree_and_others_do_not_understand() {
    let mut teacher = with_secret(1);
    teach(&mut teacher);
    let (mut pupil, mut stranger) = (with_secret(1), with_secret(2));
    assert_eq!(label(&pupil, ASKED), ASKED);
    for news in all_news(&mut teacher) {
        assert!(pupil.merge(&news) && stranger.merge(&news));
    }
    assert_eq!(label(&teacher, ASKED), "/api/v1/{id}");
    assert_eq!(label(&pupil, ASKED), "/api/v1/{id}");
    assert_eq!(label(&stranger, ASKED), ASKED);
    teach(&mut pupil);
    assert_eq!(pupil.take_news(), None, "all of it was known");
    teach(&mut stranger);
    assert_ne!(stranger.take_news(), None, "none of it was");
}

#[test]
fn another_secret_forgets_and_the_same_one_does_not() {
    let mut inference = with_secret(1);
    teach(&mut inference);
    inference.set_secret(Secret::new([1; 16]));
    assert_eq!(observe(&mut inference, ASKED), "/api/v1/{id}");
    inference.set_secret(Secret::new([2; 16]));
    assert_eq!(inference.facts.as_ref().map(Facts::size), Some(0));
    assert_eq!(inference.take_news(), None);
    assert_eq!(observe(&mut inference, ASKED), ASKED);
}

proptest! {
    #[test]
    fn any_bytes_have_a_label(paths in prop::collection::vec(any::<Vec<u8>>(), 1..30)) {
        let mut inference = adaptive();
        for path in &paths {
            let mut raw = b"/".to_vec();
            raw.extend_from_slice(path);
            let mut before = Vec::new();
            inference.label(&CanonicalPath::new(&raw), &mut before);
            let mut out = Vec::new();
            inference.observe(&CanonicalPath::new(&raw), &mut out);
            prop_assert_eq!(&before, &out);
            prop_assert!(out.starts_with(b"/"));
            prop_assert!(inference.explain(&CanonicalPath::new(&raw)).len() <= 24);
        }
    }

    #[test]
    fn labels_given_lately_change_nothing(seed in any::<u64>()) {
        let (mut with, mut without) = (adaptive(), adaptive());
        without.recent = Recent::none();
        let mut random = seed | 1;
        let mut next = |most: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as usize % most
        };
        for step in 0..2000 {
            let path = match next(7) {
                0 => format!("/users/{}", name(next(200))),
                1 => format!("/users/{}/orders/{}.json", name(next(12)), next(40)),
                2 => format!("/v{}/{}/{}", next(3), name(next(3)), name(next(4096))),
                3 => format!("/groups/{}/members(7)/v1", next(60)),
                4 => format!("/files/{}", ["%41", "\u{1}", "\u{1}.json", "a;x=1", "b-c"][next(5)]),
                5 => "/x".repeat(22 + next(6)),
                _ => "/groups/search?x=1".to_owned(),
            };
            prop_assert_eq!(label(&with, &path), label(&without, &path), "{}", &path);
            prop_assert_eq!(observe(&mut with, &path), observe(&mut without, &path), "{}", &path);
            if step % 300 == 299 {
                prop_assert_eq!(with.take_news(), without.take_news());
            }
        }
        prop_assert_eq!(all_news(&mut with), all_news(&mut without));
    }

    #[test]
    fn any_facts_are_safe(facts in any::<Vec<u8>>(), kinds in prop::collection::vec(0_u8..13, 0..40)) {
        let mut inference = adaptive();
        inference.merge(&facts);
        let mut made = Vec::new();
        for (kind, byte) in kinds.iter().zip(facts.iter().cycle()) {
            made.push(*kind);
            made.extend_from_slice(&[*byte; 10]);
        }
        inference.merge(&made);
        observe(&mut inference, "/users/octave/orders/17");
        let label = label(&inference, "/users/17");
        prop_assert!(label.ends_with("/{id}"), "{}", label);
    }

    #[test]
    fn the_order_of_facts_does_not_matter(seed in any::<u64>(), order in any::<u64>()) {
        let mut teacher = adaptive();
        let mut random = seed | 1;
        let mut next = |most: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as usize % most
        };
        let paths: Vec<String> = (0..300)
            .map(|_| match next(4) {
                0 => format!("/users/{}", name(next(4096))),
                1 => format!("/users/{}/orders", name(next(4096))),
                2 => format!("/{}/{}", name(next(20)), name(next(4096))),
                _ => format!("/groups/{}/members/{}", name(next(3)), next(50)),
            })
            .collect();
        for path in &paths {
            observe(&mut teacher, path);
        }
        let news: Vec<u8> = all_news(&mut teacher).concat();
        let mut facts: Vec<&[u8]> = news.chunks(11).collect();
        let mut random = order | 1;
        for at in (1..facts.len()).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            facts.swap(at, (random >> 33) as usize % (at + 1));
        }
        let mut pupil = adaptive();
        prop_assert!(pupil.merge(&facts.concat()));
        for path in &paths {
            prop_assert_eq!(label(&pupil, path), label(&teacher, path));
        }
    }
}
