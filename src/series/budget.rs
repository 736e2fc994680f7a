//! The series of one metric in the whole process.

use std::hash::{Hash, Hasher};

use hashbrown::HashMap;

use super::price::price;
use super::shared_list::APPEND_TRIES;
use super::waiting::Waiting;
use super::{Admission, Append, SharedList, keys};
use crate::host::Host;
use crate::secret::Secret;

/// Labels that a key has room for.
pub const MAX_LABELS: usize = 10;
/// Bits of one value id in a key: limits go up to a million.
const ID_BITS: usize = 24;
/// Bytes of a key, and of an entry of the list: a key and the claim that it was admitted by.
const KEY_BYTES: usize = 32;
const ENTRY_BYTES: usize = KEY_BYTES + 1;

/// A series: the ids of its label values, packed, and the shape of its metric.
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

    /// The same ids in a shape of the metric.
    #[inline]
    #[must_use]
    pub fn of_shape(mut self, shape: u16) -> Self {
        // Ten ids leave the upper sixteen bits.
        self.0[3] |= u64::from(shape) << 48;
        self
    }

    /// The shape.
    pub fn shape(self) -> u16 {
        (self.0[3] >> 48) as u16
    }

    fn keyed_hash(self, secret: Secret) -> u64 {
        secret.hash(&self.to_bytes())
    }

    fn to_bytes(self) -> [u8; KEY_BYTES] {
        let mut bytes = [0; KEY_BYTES];
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
///
/// A metric has one budget, whatever its kind and labels were in the course of updates: they are
/// part of the keys, as its [`super::Shapes`] number them.
#[derive(Debug)]
pub struct Series<T> {
    list: SharedList,
    /// `None`: it exists in the process, this VM has not used it yet.
    known: HashMap<Key, Option<T>>,
    /// How many there are by [`Claim`].
    counts: [usize; 3],
    /// The first that was admitted as the rest.
    rest: Option<Key>,
    max: usize,
    /// Places that only series of configured and closed values may take.
    kept: usize,
    waiting: Waiting,
    waiting_key: String,
}

/// Who asks for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// A series with a value that traffic made.
    Open = 0,
    /// A series of configured, closed or folded values only.
    Configured = 1,
    /// The series whose values are all [`crate::labels::OTHER`].
    Rest = 2,
}

impl Claim {
    fn from_byte(byte: Option<&u8>) -> Self {
        match byte {
            Some(1) => Self::Configured,
            Some(2) => Self::Rest,
            _ => Self::Open,
        }
    }
}

impl<T: Copy> Series<T> {
    /// The series of a metric of which at most `max` may exist; `kept` of them are out of reach
    /// for [`Claim::Open`], at most half of all.
    pub fn new(name: &str, max: usize, kept: usize) -> Self {
        let mut series = Self {
            list: SharedList::new(keys::series(name)),
            known: HashMap::new(),
            counts: [0; 3],
            rest: None,
            max: 0,
            kept: 0,
            waiting: Waiting::default(),
            waiting_key: keys::waiting_series(name),
        };
        series.set_max(max, kept);
        series
    }

    /// Sets the limits, as a configuration update does. What exists stays.
    pub fn set_max(&mut self, max: usize, kept: usize) {
        self.max = max;
        self.kept = kept.min(max / 2);
    }

    /// The limit.
    pub fn max(&self) -> usize {
        self.max
    }

    /// What this VM keeps of a series, if it has used it. Does not ask the host.
    #[inline]
    pub fn find(&self, key: Key) -> Option<T> {
        self.known.get(&key).copied().flatten()
    }

    /// The first series that was admitted as the rest.
    pub fn rest(&self) -> Option<Key> {
        self.rest
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

    /// How often a series must have been asked for to get the next place; `None` where none is
    /// left. Half of the places for [`Claim::Open`] are given at first sight, and as many for
    /// [`Claim::Configured`] as are kept for it.
    fn price(&self, claim: Claim) -> Option<u32> {
        let [open, configured, rests] = self.counts;
        // One place is left for the rest, where what is folded must land.
        let total = self.max.saturating_sub(rests.max(1));
        let left = total.saturating_sub(open + configured);
        let unused = self.kept.saturating_sub(configured);
        let (total, left) = match claim {
            Claim::Rest => return (self.len() < self.max || rests == 0).then_some(1),
            Claim::Configured if left > 0 && unused > 0 => return Some(1),
            Claim::Configured => (total, left),
            Claim::Open => (total.saturating_sub(self.kept), left.saturating_sub(unused)),
        };
        price(total, left, total.div_ceil(2))
    }

    /// Gives a series a place, if there is one and it has been asked for often enough. Asks the
    /// host only where that is so.
    #[cold]
    pub fn admit(&mut self, host: &impl Host, key: Key, claim: Claim, secret: Secret) -> Admission {
        let admitted = |new| Admission::Admitted { id: 0, new };
        if self.known.contains_key(&key) {
            return admitted(false);
        }
        let Some(price) = self.price(claim) else { return Admission::Full };
        let hash = key.keyed_hash(secret);
        let mut seen = 1;
        if price > 1 {
            seen = self.waiting.ask(hash);
            if seen < price && self.waiting.is_eager(seen) {
                self.exchange(host);
                if self.known.contains_key(&key) {
                    return admitted(false);
                }
                seen = self.waiting.asked(hash);
            }
            if seen < price {
                return Admission::Waiting;
            }
        }
        for _ in 0..APPEND_TRIES {
            self.sync(host);
            if self.known.contains_key(&key) {
                return admitted(false);
            }
            match self.price(claim) {
                None => return Admission::Full,
                Some(price) if seen < price => return Admission::Waiting,
                Some(_) => {}
            }
            let mut entry = [0; ENTRY_BYTES];
            entry[..KEY_BYTES].copy_from_slice(&key.to_bytes());
            entry[KEY_BYTES] = claim as u8;
            let Self { list, known, counts, rest, .. } = self;
            let mut learn = |entry: &[u8]| learn(known, counts, rest, entry);
            match list.append(host, &entry, &mut learn) {
                Append::Done => {
                    learn(&entry);
                    if price > 1 {
                        self.waiting.served(hash);
                    }
                    return admitted(true);
                }
                Append::Moved => {}
                Append::Failed => return Admission::Failed,
            }
        }
        Admission::Failed
    }

    fn sync(&mut self, host: &impl Host) {
        let Self { list, known, counts, rest, .. } = self;
        list.sync(host, |entry| learn(known, counts, rest, entry));
    }

    /// Takes in the series of the other workers, and exchanges with them what waits. To be called
    /// about once a second; asks the host only where some series has waited.
    pub fn exchange(&mut self, host: &impl Host) {
        if !self.waiting.is_used() {
            return;
        }
        self.sync(host);
        self.waiting.exchange(host, &self.waiting_key);
    }
}

/// Takes in an entry of the list.
fn learn<T>(
    known: &mut HashMap<Key, Option<T>>,
    counts: &mut [usize; 3],
    rest: &mut Option<Key>,
    entry: &[u8],
) {
    let claim = Claim::from_byte(entry.get(KEY_BYTES));
    let key = Key::from_bytes(entry.get(..KEY_BYTES).unwrap_or(entry));
    if !known.contains_key(&key) {
        known.insert(key, None);
        if let Some(count) = counts.get_mut(claim as usize) {
            *count += 1;
        }
        if claim == Claim::Rest {
            rest.get_or_insert(key);
        }
    }
}
