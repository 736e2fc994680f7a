//! What workers tell each other of paths: a log that never fills, in two alternating generations.
//!
//! A generation is a base and a list of what was told since. When the two have become too long, any
//! worker that notices writes the base of the next generation, which is what is still used of this
//! one, and then counts the generation up. All workers begin anew with the base that stands there, so
//! they know the same again, whoever wrote it. Generations use the same two sets of keys by turns, so
//! shared data stays bounded.
//!
//! The base is one value with the number of its generation in front, written by compare and swap. So
//! of two workers that make the next generation at once, the second takes over the base of the
//! first; and where a worker dies between any two steps, the next one goes on from there. What is
//! told while a generation ends may be lost with it, and is then learned again.

use super::{APPEND_TRIES, Append, SharedList, keys};
use crate::host::{CREATE_ONLY, Host, SharedWrite};

/// Tries of one reading or writing of a base against other writers. The next exchange tries again.
const TRIES: usize = 4;

/// Bytes of the number of a generation.
const NUMBER: usize = 4;

/// Hands out all news there are, each time it is called.
pub type Told<'a> = dyn Fn(&mut dyn FnMut(&[u8])) + 'a;

/// What learns, as the exchange sees it.
pub trait Learner {
    /// The next news to tell, `None` where there is none.
    fn take_news(&mut self) -> Option<Vec<u8>>;
    /// Takes in what was told.
    fn merge(&mut self, news: &[u8]);
    /// Forgets all but what was never told.
    fn begin_anew(&mut self);
    /// Whether so much was told that a new generation must begin.
    fn is_full(&self) -> bool;
    /// What is still used of what was told. `told` hands all of it out, each time it is called.
    fn still_used(&self, told: &Told<'_>) -> Vec<u8>;
}

/// The log, as far as this VM has read it.
#[derive(Debug)]
pub struct Generations {
    number: u32,
    list: SharedList,
    /// News that could not be told yet.
    unsent: Option<Vec<u8>>,
}

impl Default for Generations {
    fn default() -> Self {
        Self { number: 0, list: SharedList::new(keys::learned(0)), unsent: None }
    }
}

impl Generations {
    /// Takes in what other workers have learned, and tells them what this one has. To be called
    /// about once a second.
    pub fn exchange(&mut self, host: &impl Host, learner: &mut impl Learner) {
        self.follow(host, learner);
        self.list.sync(host, |news| learner.merge(news));
        while let Some(news) = self.unsent.take().or_else(|| learner.take_news()) {
            let list = &mut self.list;
            let moved = || list.append(host, &news, |news| learner.merge(news)) == Append::Moved;
            if std::iter::repeat_with(moved).take(APPEND_TRIES).all(|moved| moved) {
                // So many others write just now that this one waits for the next time.
                self.unsent = Some(news);
                break;
            }
            self.list.sync(host, |news| learner.merge(news));
        }
        if learner.is_full() {
            self.make_next(host, learner);
            self.follow(host, learner);
        }
    }

    /// Goes on to the generation that holds now.
    fn follow(&mut self, host: &impl Host, learner: &mut impl Learner) {
        for _ in 0..TRIES {
            let (number, _) = current(host);
            if number == self.number {
                return;
            }
            // A base of another number: two generations have ended meanwhile.
            let Some(base) = read_base(host, number) else { continue };
            self.number = number;
            self.list = SharedList::new(keys::learned(number % 2));
            learner.begin_anew();
            if let Some(news) = self.unsent.take() {
                learner.merge(&news);
                self.unsent = Some(news);
            }
            learner.merge(&base);
            self.list.sync(host, |news| learner.merge(news));
            return;
        }
    }

    /// Makes the next generation, as far as no other worker has.
    fn make_next(&self, host: &impl Host, learner: &impl Learner) {
        let next = self.number.wrapping_add(1);
        let is_due = || current(host).0 == self.number;
        let key = keys::learned_base(next % 2);
        for _ in 0..TRIES {
            let mut there = Vec::new();
            let cas = host.shared_get(&key, &mut there).unwrap_or(CREATE_ONLY);
            if !is_due() {
                return;
            }
            if of_number(&there, next).is_none() {
                let mut base = next.to_le_bytes().to_vec();
                base.extend(learner.still_used(&|told| self.hand_out(host, told)));
                match host.shared_set(&key, &base, cas) {
                    SharedWrite::Done => {}
                    SharedWrite::Mismatch => continue,
                    SharedWrite::Failed => return,
                }
            }
            if !SharedList::clear(host, &keys::learned(next % 2), is_due) {
                return;
            }
            let (now, cas) = current(host);
            if now == self.number {
                host.shared_set(keys::LEARNED, &next.to_le_bytes(), cas);
            }
            return;
        }
    }

    /// Hands out all that was told in this generation.
    fn hand_out(&self, host: &impl Host, told: &mut dyn FnMut(&[u8])) {
        if let Some(base) = read_base(host, self.number) {
            told(&base);
        }
        SharedList::new(keys::learned(self.number % 2)).sync(host, told);
    }
}

/// The number of the generation that holds, and its compare-and-swap number.
fn current(host: &impl Host) -> (u32, u32) {
    let mut bytes = Vec::new();
    let cas = host.shared_get(keys::LEARNED, &mut bytes).unwrap_or(CREATE_ONLY);
    (bytes.try_into().map_or(0, u32::from_le_bytes), cas)
}

fn read_base(host: &impl Host, number: u32) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    host.shared_get(&keys::learned_base(number % 2), &mut bytes);
    of_number(&bytes, number).map(<[u8]>::to_vec)
}

/// The base in a value, if it is that of this generation.
fn of_number(value: &[u8], number: u32) -> Option<&[u8]> {
    let (found, base) = value.split_first_chunk::<NUMBER>()?;
    (u32::from_le_bytes(*found) == number).then_some(base)
}

#[cfg(test)]
mod tests;
