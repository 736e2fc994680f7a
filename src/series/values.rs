//! The values of one label in the whole process.

use hashbrown::HashTable;

use super::price::price;
use super::shared_list::APPEND_TRIES;
use super::waiting::Waiting;
use super::{Admission, Append, SharedList, keys};
use crate::host::Host;
use crate::secret::Secret;

/// The id of [`crate::labels::OTHER`] in every [`Values`].
pub const OTHER_ID: u32 = 0;

/// Places of a list that are given at first sight, at most; never more than half of those that
/// traffic can take.
const FREE: usize = 50;

/// The values of one label in the whole process.
#[derive(Debug)]
pub struct Values {
    list: SharedList,
    texts: Vec<Box<str>>,
    ids: HashTable<u32>,
    /// By id: whether configuration named the value, so that traffic cannot displace it.
    reserved: Vec<bool>,
    reserved_len: usize,
    secret: Secret,
    max: usize,
    /// Whether traffic can make up values, so that places must be earned.
    earned: bool,
    waiting: Waiting,
    waiting_key: String,
    /// Whether some value was not found since the last exchange.
    missed: bool,
}

impl Values {
    /// The values of a label of which at most `max` may exist, [`crate::labels::OTHER`] included.
    /// Where traffic can make them up, places must be `earned`. The secret should be that of all
    /// workers.
    pub fn new(name: &str, max: usize, earned: bool, secret: Secret) -> Self {
        Self {
            list: SharedList::new(keys::values(name)),
            texts: Vec::new(),
            ids: HashTable::new(),
            reserved: Vec::new(),
            reserved_len: 0,
            secret,
            max,
            earned,
            waiting: Waiting::default(),
            waiting_key: keys::waiting_values(name),
            missed: false,
        }
    }

    /// Sets the limit, as a configuration update does. What exists stays.
    pub fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    /// The limit.
    pub fn max(&self) -> usize {
        self.max
    }

    /// Says that traffic can make up values, so that places must be earned from now on.
    pub fn set_earned(&mut self) {
        self.earned = true;
    }

    /// Whether places must be earned.
    pub fn is_earned(&self) -> bool {
        self.earned
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
        self.reserved_len
    }

    /// How many values there are, as far as this VM knows.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// How many values wait for a place and were asked for more than once.
    pub fn waiting(&self) -> usize {
        self.waiting.asked_again()
    }

    /// The id of a value that this VM knows. Does not allocate or ask the host.
    #[inline]
    pub fn find(&self, text: &str) -> Option<u32> {
        self.ids.find(self.secret.hash(text.as_bytes()), |&id| self.text(id) == text).copied()
    }

    /// Whether a value has its place, as far as this VM knows. Does not ask the host; where it has
    /// none, what the others know is looked up with the next exchange.
    pub fn knows(&mut self, text: &str) -> bool {
        let known = self.find(text).is_some();
        self.missed |= !known;
        known
    }

    /// Whether everything that may exist is known here.
    pub fn is_full(&self) -> bool {
        self.texts.len() >= self.max
    }

    /// How often a value must have been seen to get the next place; `None` where none is left.
    fn price(&self) -> Option<u32> {
        let left = self.max.saturating_sub(self.texts.len());
        if !self.earned {
            return (left > 0).then_some(1);
        }
        let total = self.max.saturating_sub(self.reserved_len);
        price(total, left, FREE.min(total.div_ceil(2)))
    }

    fn learn(&mut self, text: &str) {
        let id = u32::try_from(self.texts.len()).unwrap_or(OTHER_ID);
        self.texts.push(text.into());
        self.reserved.push(false);
        let (secret, texts) = (self.secret, &self.texts);
        let rehash = |&id: &u32| secret.hash(texts.get(id as usize).map_or(&[], |t| t.as_bytes()));
        self.ids.insert_unique(secret.hash(text.as_bytes()), id, rehash);
    }

    fn sync(&mut self, host: &impl Host) {
        let mut news = Vec::new();
        self.list.sync(host, |entry| news.push(String::from_utf8_lossy(entry).into_owned()));
        news.iter().for_each(|text| self.learn(text));
    }

    /// Gives a value a place whatever the limit: [`crate::labels::OTHER`] first, then what
    /// configuration names.
    pub fn reserve(&mut self, host: &impl Host, text: &str) -> Admission {
        let admission = self.place(host, text, |_| true);
        if let Admission::Admitted { id, .. } = admission
            && let Some(reserved) = self.reserved.get_mut(id as usize)
            && !std::mem::replace(reserved, true)
        {
            self.reserved_len += 1;
        }
        admission
    }

    /// Gives a value that [`Values::find`] did not find a place, if there is one and it has been
    /// seen often enough. Asks the host only where that is so.
    #[cold]
    pub fn admit(&mut self, host: &impl Host, text: &str) -> Admission {
        let Some(price) = self.price() else { return Admission::Full };
        let mut hash = None;
        let mut seen = 1;
        if price > 1 {
            let hash = *hash.insert(self.secret.hash(text.as_bytes()));
            seen = self.waiting.ask(hash);
            if seen < price && self.waiting.is_eager(seen) {
                self.exchange(host);
                if let Some(id) = self.find(text) {
                    return Admission::Admitted { id, new: false };
                }
                seen = self.waiting.asked(hash);
            }
            if seen < price {
                return Admission::Waiting;
            }
        }
        let admission =
            self.place(host, text, |values| values.price().is_some_and(|price| seen >= price));
        if let (Admission::Admitted { .. }, Some(hash)) = (admission, hash) {
            self.waiting.served(hash);
        }
        admission
    }

    /// Gives a value a place for as long as `may` says so, which is asked again when others were
    /// faster.
    fn place(&mut self, host: &impl Host, text: &str, may: impl Fn(&Self) -> bool) -> Admission {
        for _ in 0..APPEND_TRIES {
            self.sync(host);
            if let Some(id) = self.find(text) {
                return Admission::Admitted { id, new: false };
            }
            if !may(self) {
                return if self.is_full() { Admission::Full } else { Admission::Waiting };
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

    /// Takes in the values of the other workers, and exchanges with them what waits. To be called
    /// about once a second; asks the host only where some value was not found.
    pub fn exchange(&mut self, host: &impl Host) {
        if std::mem::take(&mut self.missed) || self.waiting.is_used() {
            self.sync(host);
        }
        self.waiting.exchange(host, &self.waiting_key);
    }
}
