//! The series of one metric in the whole process.

use std::hash::{Hash, Hasher};

use hashbrown::HashMap;

use super::shared_list::APPEND_TRIES;
use super::{Admission, Append, SharedList};
use crate::host::Host;

/// Labels that a key has room for.
pub const MAX_LABELS: usize = 10;
/// Bits of one value id in a key: limits go up to a million.
const ID_BITS: usize = 24;

/// A series: the ids of its label values, packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key([u64; 4]);

impl Key {
    /// The key of these ids, in the order of the metric's labels; at most [`MAX_LABELS`].
    #[inline]
    pub fn new(ids: &[u32]) -> Self {
        let mut words = [0u64; 4];
        for (index, &id) in ids.iter().enumerate().take(MAX_LABELS) {
            let bit = index * ID_BITS;
            let (word, shift) = (bit / 64, bit % 64);
            let id = u64::from(id) & ((1 << ID_BITS) - 1);
            if let Some(low) = words.get_mut(word) {
                *low |= id << shift;
            }
            if shift + ID_BITS > 64
                && let Some(high) = words.get_mut(word + 1)
            {
                *high |= id >> (64 - shift);
            }
        }
        Self(words)
    }

    fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks(8)) {
            let mut whole = [0; 8];
            whole.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            *word = u64::from_le_bytes(whole);
        }
        Self(words)
    }
}

impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Most metrics have at most five labels; folding keeps the hash at two words.
        let [a, b, c, d] = self.0;
        state.write_u64(a ^ c.rotate_left(29));
        state.write_u64(b ^ d.rotate_left(29));
    }
}

/// The series of one metric in the whole process, each with what this VM keeps of it.
#[derive(Debug)]
pub struct Series<T> {
    list: SharedList,
    /// `None`: it exists in the process, this VM has not used it yet.
    known: HashMap<Key, Option<T>>,
    max: usize,
    /// Places that only series of configured and closed values may take.
    kept: usize,
}

/// Who asks for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// A series with a value that traffic made.
    Open,
    /// A series of configured, closed or folded values only.
    Configured,
    /// The series whose values are all [`crate::labels::OTHER`].
    Rest,
}

impl<T: Copy> Series<T> {
    /// The series of a metric of which at most `max` may exist; `kept` of them are out of reach
    /// for [`Claim::Open`], at most half of all.
    pub fn new(name: &str, max: usize, kept: usize) -> Self {
        let mut series = Self {
            list: SharedList::new(format!("route-metrics/series/{name}")),
            known: HashMap::new(),
            max: 0,
            kept: 0,
        };
        series.set_max(max, kept);
        series
    }

    /// Sets the limits, as a configuration update does. What exists stays.
    pub fn set_max(&mut self, max: usize, kept: usize) {
        self.max = max;
        self.kept = kept.min(max / 2);
    }

    /// What this VM keeps of a series, if it has used it. Does not ask the host.
    #[inline]
    pub fn find(&self, key: Key) -> Option<T> {
        self.known.get(&key).copied().flatten()
    }

    /// Keeps something of a series that was admitted.
    pub fn keep(&mut self, key: Key, value: T) {
        self.known.insert(key, Some(value));
    }

    /// How many series there are, as far as this VM knows.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn places(&self, claim: Claim) -> usize {
        match claim {
            // There is only one, and what is counted must land somewhere.
            Claim::Rest => usize::MAX,
            Claim::Configured => self.max.saturating_sub(1),
            Claim::Open => self.max.saturating_sub(1 + self.kept),
        }
    }

    /// Gives a series a place, if there is one. Cheap where the series is known or the metric is
    /// full; else the host is asked.
    #[cold]
    pub fn admit(&mut self, host: &impl Host, key: Key, claim: Claim) -> Admission {
        let admitted = |new| Admission::Admitted { id: 0, new };
        for _ in 0..APPEND_TRIES {
            if self.known.contains_key(&key) {
                return admitted(false);
            }
            if self.known.len() >= self.places(claim) {
                return Admission::Full;
            }
            let known = &mut self.known;
            let mut learn = |entry: &[u8]| {
                known.entry(Key::from_bytes(entry)).or_insert(None);
            };
            self.list.sync(host, &mut learn);
            if self.known.contains_key(&key) || self.known.len() >= self.places(claim) {
                continue;
            }
            let known = &mut self.known;
            let outcome = self.list.append(host, &key.to_bytes(), |entry| {
                known.entry(Key::from_bytes(entry)).or_insert(None);
            });
            match outcome {
                Append::Done => {
                    self.known.insert(key, None);
                    return admitted(true);
                }
                Append::Moved => {}
                Append::Failed => return Admission::Failed,
            }
        }
        Admission::Failed
    }
}
