//! Budgets of label values and series that hold for the whole Envoy process.
//!
//! Every worker has a VM of its own, so what may exist is agreed on through the host's shared
//! data: for each label and each metric an append-only list ([`SharedList`]), written by
//! compare-and-swap. A list only grows, so a worker that has read it to its end and finds it full
//! knows without asking again that whatever it does not hold is over the limit. The host is asked
//! only for a value or series that this VM has not met, and not at all once the list is full.
//!
//! The position of a value in its list is its id, the same on every worker; a series is the tuple
//! of its value ids ([`Key`]).

use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use crate::host::{CREATE_ONLY, Host, SharedWrite};

/// A page of a list is closed when it has reached this many bytes, so that an append copies a
/// bounded amount however long the list is.
const PAGE_BYTES: usize = 4096;

/// Tries of one append against other writers, before the caller gives up for this request.
const APPEND_TRIES: usize = 16;

/// An append-only list in shared data, as far as this VM has read it.
#[derive(Debug)]
pub struct SharedList {
    name: String,
    page: u32,
    /// The open page as last read, and its compare-and-swap number.
    bytes: Vec<u8>,
    cas: u32,
    /// Bytes of the open page that were handed out.
    read: usize,
    len: usize,
}

/// How an append ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Append {
    /// The entry is in the list.
    Done,
    /// Others have appended in between; what they added was handed out, decide again.
    Moved,
    /// The host refused.
    Failed,
}

impl SharedList {
    /// The list of this name; nothing is read yet.
    pub fn new(name: String) -> Self {
        Self { name, page: 0, bytes: Vec::new(), cas: CREATE_ONLY, read: 0, len: 0 }
    }

    /// How many entries were handed out.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no entry was handed out.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn key(&self) -> String {
        format!("{}/{}", self.name, self.page)
    }

    /// Hands out the entries that were appended since the last call, by whomever, in order.
    pub fn sync(&mut self, host: &impl Host, mut entry: impl FnMut(&[u8])) {
        loop {
            let mut page = std::mem::take(&mut self.bytes);
            page.clear();
            let found = host.shared_get(&self.key(), &mut page);
            self.bytes = page;
            self.cas = found.unwrap_or(CREATE_ONLY);
            while let Some((head, rest)) =
                self.bytes.get(self.read..).and_then(<[u8]>::split_first_chunk::<2>)
            {
                let size = usize::from(u16::from_le_bytes(*head));
                let Some(value) = rest.get(..size) else { break };
                entry(value);
                self.read += 2 + size;
                self.len += 1;
            }
            if self.bytes.len() < PAGE_BYTES {
                return;
            }
            self.page += 1;
            self.read = 0;
            self.bytes.clear();
        }
    }

    /// Appends an entry of at most 65,535 bytes. The list must have been synchronised; `entry` is
    /// called for what others have added in the meantime.
    pub fn append(&mut self, host: &impl Host, value: &[u8], entry: impl FnMut(&[u8])) -> Append {
        let Ok(size) = u16::try_from(value.len()) else { return Append::Failed };
        let before = self.bytes.len();
        self.bytes.extend_from_slice(&size.to_le_bytes());
        self.bytes.extend_from_slice(value);
        match host.shared_set(&self.key(), &self.bytes, self.cas) {
            SharedWrite::Done => {
                self.read = self.bytes.len();
                self.len += 1;
                // The write has changed the number; the next append finds out by reading.
                self.cas = CREATE_ONLY;
                Append::Done
            }
            SharedWrite::Mismatch => {
                self.bytes.truncate(before);
                self.sync(host, entry);
                Append::Moved
            }
            SharedWrite::Failed => {
                self.bytes.truncate(before);
                Append::Failed
            }
        }
    }
}

/// The answer to "may this exist?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may; this VM is the one that brought it in where `new` is true.
    Admitted {
        /// The id of the value.
        id: u32,
        /// Whether this call added it to the list.
        new: bool,
    },
    /// A limit is reached.
    Full,
    /// The host refused; nothing was decided for good.
    Failed,
}

/// The id of [`crate::labels::OTHER`] in every [`Values`].
pub const OTHER_ID: u32 = 0;

/// The values of one label in the whole process.
#[derive(Debug)]
pub struct Values {
    list: SharedList,
    texts: Vec<Box<str>>,
    ids: HashTable<u32>,
    /// By id: whether configuration named the value, so that traffic cannot displace it.
    reserved: Vec<bool>,
    hasher: DefaultHashBuilder,
    max: usize,
}

impl Values {
    /// The values of a label of which at most `max` may exist, [`crate::labels::OTHER`] included.
    pub fn new(name: &str, max: usize) -> Self {
        Self {
            list: SharedList::new(format!("route-metrics/values/{name}")),
            texts: Vec::new(),
            ids: HashTable::new(),
            reserved: Vec::new(),
            hasher: DefaultHashBuilder::default(),
            max,
        }
    }

    /// Sets the limit, as a configuration update does. What exists stays.
    pub fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    /// The text of a value.
    pub fn text(&self, id: u32) -> &str {
        self.texts.get(id as usize).map_or(crate::labels::OTHER, |text| text)
    }

    /// Whether configuration named the value.
    pub fn is_reserved(&self, id: u32) -> bool {
        self.reserved.get(id as usize).copied().unwrap_or(false)
    }

    /// How many values configuration named.
    pub fn reserved_len(&self) -> usize {
        self.reserved.iter().filter(|reserved| **reserved).count()
    }

    /// How many values there are, as far as this VM knows.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The id of a value that this VM knows. Does not allocate or ask the host.
    #[inline]
    pub fn find(&self, text: &str) -> Option<u32> {
        let hash = hash(&self.hasher, text);
        self.ids.find(hash, |&id| self.text(id) == text).copied()
    }

    /// Whether everything that may exist is known here.
    pub fn is_full(&self) -> bool {
        self.texts.len() >= self.max
    }

    fn learn(&mut self, text: &str) {
        let id = u32::try_from(self.texts.len()).unwrap_or(OTHER_ID);
        self.texts.push(text.into());
        self.reserved.push(false);
        let (hasher, texts) = (&self.hasher, &self.texts);
        let rehash = |&id: &u32| hash(hasher, texts.get(id as usize).map_or("", |t| t));
        self.ids.insert_unique(hash(hasher, text), id, rehash);
    }

    fn sync(&mut self, host: &impl Host) {
        let mut news = Vec::new();
        self.list.sync(host, |entry| news.push(String::from_utf8_lossy(entry).into_owned()));
        news.iter().for_each(|text| self.learn(text));
    }

    /// Gives a value a place whatever the limit: [`crate::labels::OTHER`] first, then what
    /// configuration names. `None` where the host refuses.
    pub fn reserve(&mut self, host: &impl Host, text: &str) -> Option<u32> {
        let Admission::Admitted { id, .. } = self.place(host, text, usize::MAX) else {
            return None;
        };
        if let Some(reserved) = self.reserved.get_mut(id as usize) {
            *reserved = true;
        }
        Some(id)
    }

    /// Gives a value that [`Values::find`] did not find a place, if there is one.
    #[cold]
    pub fn admit(&mut self, host: &impl Host, text: &str) -> Admission {
        if self.is_full() {
            return Admission::Full;
        }
        self.place(host, text, self.max)
    }

    fn place(&mut self, host: &impl Host, text: &str, max: usize) -> Admission {
        for _ in 0..APPEND_TRIES {
            self.sync(host);
            if let Some(id) = self.find(text) {
                return Admission::Admitted { id, new: false };
            }
            if self.texts.len() >= max {
                return Admission::Full;
            }
            let mut news = Vec::new();
            let outcome = self.list.append(host, text.as_bytes(), |entry| {
                news.push(String::from_utf8_lossy(entry).into_owned());
            });
            news.iter().for_each(|text| self.learn(text));
            match outcome {
                Append::Done => {
                    self.learn(text);
                    let id = self.find(text).unwrap_or(OTHER_ID);
                    return Admission::Admitted { id, new: true };
                }
                Append::Moved => {}
                Append::Failed => return Admission::Failed,
            }
        }
        Admission::Failed
    }
}

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

fn hash(hasher: &DefaultHashBuilder, text: &str) -> u64 {
    hasher.hash_one(text)
}
