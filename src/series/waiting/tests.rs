use super::*;
use crate::host::recorder::Recorder;
use crate::test;
use proptest::prelude::*;

const KEY: &str = "key";

/// Hashes that fill the table evenly.
fn hash(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn exchange(waiting: &mut Waiting, host: &Recorder) {
    waiting.exchange(host, KEY);
}

#[test]
fn what_is_asked_for_is_counted_until_it_is_served() {
    let mut waiting = Waiting::default();
    assert_eq!([waiting.ask(hash(1)), waiting.ask(hash(1)), waiting.ask(hash(2))], [1, 2, 1]);
    assert_eq!(waiting.asked_again(), 1);
    waiting.served(hash(1));
    assert_eq!((waiting.asked_again(), waiting.ask(hash(1))), (0, 1));
}

#[test]
fn a_flood_of_things_seen_once_reaches_no_price_and_displaces_nothing_asked_for_often() {
    let mut waiting = Waiting::default();
    for _ in 0..5 {
        waiting.ask(hash(0));
    }
    let highest = (1..50_000).map(|number| waiting.ask(hash(number))).max();
    assert!(highest <= Some(2), "{highest:?}");
    assert!(waiting.ask(hash(0)) >= 4, "what is asked for often stays");
    // And what comes after the flood is counted, too.
    let late: Vec<u32> = (0..4).map(|_| waiting.ask(hash(2_000_000))).collect();
    assert_eq!(late, [1, 2, 3, 4]);
}

#[test]
fn what_comes_after_a_flood_of_things_seen_often_gets_its_turn() {
    let mut waiting = Waiting::default();
    for number in 0..20_000u64 {
        for _ in 0..10 {
            waiting.ask(hash(number));
        }
    }
    let asked = (1..).find(|_| waiting.ask(hash(1 << 40)) >= 10).unwrap();
    assert!(asked <= 60, "{asked}");
}

#[test]
fn workers_add_up_what_they_saw() {
    let host = Recorder::default();
    let workers = [host.worker(), host.worker(), host.worker()];
    let mut tables = [Waiting::default(), Waiting::default(), Waiting::default()];
    for _ in 0..2 {
        for (table, worker) in tables.iter_mut().zip(&workers) {
            table.ask(hash(7));
            exchange(table, worker);
            exchange(table, worker);
        }
    }
    assert_eq!(tables[2].ask(hash(7)), 7);
    // What one has served waits on none, once they have exchanged.
    tables[2].served(hash(7));
    exchange(&mut tables[2], &workers[2]);
    assert_eq!(tables[2].asked_again(), 0);
    exchange(&mut tables[0], &workers[0]);
    assert_eq!(tables[0].ask(hash(7)), 1);
}

#[test]
fn counts_halve_each_hour_so_that_rare_things_do_not_add_up() {
    let host = Recorder::default();
    let mut waiting = Waiting::default();
    let mut highest = 0;
    for half_hour in 1..200u64 {
        host.set_now_ns(half_hour * HALF_LIFE_NS / 2);
        highest = highest.max(waiting.ask(hash(3)));
        exchange(&mut waiting, &host);
    }
    assert!(highest <= 4, "{highest}");
    // Also where nothing is asked for any more.
    host.set_now_ns(110 * HALF_LIFE_NS);
    exchange(&mut waiting, &host);
    assert_eq!(waiting.asked_again(), 0);
}

#[test]
fn a_host_without_shared_data_and_one_with_rubbish_do_no_harm() {
    let host = Recorder::default();
    host.shared_set(KEY, b"rubbish", 0);
    let mut waiting = Waiting::default();
    waiting.ask(hash(1));
    exchange(&mut waiting, &host);
    assert_eq!(waiting.ask(hash(1)), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn no_count_is_ever_too_high(asked in proptest::collection::vec((1u64..3000, 0usize..3, 0u8..50), 0..1000)) {
        let host = Recorder::default();
        let workers = [host.worker(), host.worker(), host.worker()];
        let mut tables = [Waiting::default(), Waiting::default(), Waiting::default()];
        let mut truth = std::collections::HashMap::new();
        for (number, worker, exchanged) in asked {
            // Names have 16 bits, so that two may be taken for one: not these.
            let count = tables[worker].ask((number << 48) | (number % 7));
            let seen = truth.entry((number, number % 7)).or_insert(0);
            *seen += 1;
            prop_assert!(count <= *seen, "{count} of {seen}");
            if exchanged == 0 {
                exchange(&mut tables[worker], &workers[worker]);
            }
        }
    }
}
