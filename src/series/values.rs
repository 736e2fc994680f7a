//! The values of one label in the whole process.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::shared_list::APPEND_TRIES;
use super::{Admission, Append, SharedList};
use crate::host::Host;

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

fn hash(hasher: &DefaultHashBuilder, text: &str) -> u64 {
    hasher.hash_one(text)
}
