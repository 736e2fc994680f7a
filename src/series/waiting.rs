//! What waits for a place: how often it was asked for lately.
//!
//! A table of fixed size in buckets of four, by a keyed hash. Something new takes the oldest of
//! the least seen in its bucket; where all four were seen again, it lowers the least seen of them
//! instead (Misra and Gries, 1982). So a flood of things seen once displaces things seen once, and
//! no count is ever too high. Counts halve each hour, so that what comes rarely does not add up.
//!
//! Workers exchange their tables through shared data, only while something waits: about once a
//! second, and after some requests for what waits. Each adds to the shared table what has
//! changed in its own since the last time. So it hardly matters over how many workers requests are
//! spread.

use crate::host::{CREATE_ONLY, Host, SharedWrite};

/// Entries of a bucket.
const WAYS: usize = 4;
const BUCKETS: usize = 512;

/// Counts halve after so long.
const HALF_LIFE_NS: u64 = 3_600_000_000_000;

/// The shared table begins with the time of its last halving.
const HEAD: usize = 8;

/// Tries of one exchange against other writers. The next one tries again.
const TRIES: usize = 4;

/// So many requests for what waits make an exchange worth its while before the next tick, and so many
/// where something is asked for again: others may have been asked for it, too, and a scan does not ask
/// twice.
const EARLY: u32 = 32;
const EARLY_AGAIN: u32 = 8;

/// A name of 16 bits, 0 for none, and a count of 16 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Entry {
    name: u16,
    count: u16,
}

type Bucket = [Entry; WAYS];

/// What waits for a place in a list.
#[derive(Debug, Default)]
pub struct Waiting {
    /// Nothing until something waits.
    own: Box<[Bucket]>,
    /// As they were after the last exchange.
    before: Box<[Bucket]>,
    /// How often something was asked for or served since.
    changes: u32,
    halved_ns: u64,
    page: Vec<u8>,
}

impl Waiting {
    /// It was asked for. Gives how often it was lately, as far as this VM knows. Allocates once.
    pub fn ask(&mut self, hash: u64) -> u32 {
        if self.own.is_empty() {
            self.own = vec![Bucket::default(); BUCKETS].into();
            self.before = self.own.clone();
        }
        self.changes += 1;
        let name = name(hash);
        let Some(bucket) = self.own.get_mut(place(hash)) else { return 0 };
        if let Some(entry) = bucket.iter_mut().find(|entry| entry.name == name) {
            entry.count = entry.count.saturating_add(1);
            return u32::from(entry.count);
        }
        u32::from(insert(bucket, Entry { name, count: 1 }))
    }

    /// How often it was asked for lately.
    pub fn asked(&self, hash: u64) -> u32 {
        let bucket = self.own.get(place(hash)).into_iter().flatten();
        let entry = bucket.into_iter().find(|entry| entry.name == name(hash));
        entry.map_or(0, |entry| u32::from(entry.count))
    }

    /// Whether so much was asked for since the last exchange that the next one should not wait for
    /// the tick, at the request for something that was `seen` so often.
    pub fn is_eager(&self, seen: u32) -> bool {
        self.changes >= if seen > 1 { EARLY_AGAIN } else { EARLY }
    }

    /// It does not wait any more.
    pub fn served(&mut self, hash: u64) {
        if let Some(bucket) = self.own.get_mut(place(hash))
            && let Some(entry) = bucket.iter_mut().find(|entry| entry.name == name(hash))
        {
            // The name stays until the others have heard of it.
            entry.count = 0;
            self.changes += 1;
        }
    }

    /// How many were asked for more than once.
    pub fn asked_again(&self) -> usize {
        self.own.as_flattened().iter().filter(|entry| entry.count > 1).count()
    }

    /// Whether anything has waited here.
    pub fn is_used(&self) -> bool {
        !self.own.is_empty()
    }

    /// Exchanges with the other workers, once something has waited here. To be called about once a
    /// second, and where [`Waiting::is_eager`] says so.
    pub fn exchange(&mut self, host: &impl Host, key: &str) {
        if !self.is_used() {
            return;
        }
        let now = host.now_ns();
        let changed = std::mem::take(&mut self.changes) > 0;
        let page = &mut self.page;
        for _ in 0..TRIES {
            page.clear();
            let found = host.shared_get(key, page);
            let (mut shared, mut halved_ns) = decode(page)
                .unwrap_or_else(|| (vec![Bucket::default(); BUCKETS].into_boxed_slice(), now));
            let changes = self.own.iter().zip(&self.before).zip(&mut shared);
            for ((own, before), shared) in changes.filter(|((own, before), _)| own != before) {
                merge(shared, own, before);
            }
            let due = now.saturating_sub(halved_ns) >= HALF_LIFE_NS;
            if due {
                halve(&mut shared);
                halved_ns = now;
            }
            if !changed && !due {
                self.before.clone_from(&shared);
                (self.own, self.halved_ns) = (shared, halved_ns);
                return;
            }
            encode(&shared, halved_ns, page);
            match host.shared_set(key, page, found.unwrap_or(CREATE_ONLY)) {
                SharedWrite::Done => {
                    self.before.clone_from(&shared);
                    self.own = shared;
                    self.halved_ns = halved_ns;
                    return;
                }
                SharedWrite::Mismatch => {}
                SharedWrite::Failed => break,
            }
        }
        // What has changed goes out the next time. Alone, time goes on all the same.
        self.changes = u32::from(changed);
        if now.saturating_sub(self.halved_ns) >= HALF_LIFE_NS {
            halve(&mut self.own);
            halve(&mut self.before);
            self.halved_ns = now;
        }
    }
}

/// The upper bits: the lower ones choose the bucket.
fn name(hash: u64) -> u16 {
    ((hash >> 48) as u16).max(1)
}

fn place(hash: u64) -> usize {
    hash as usize % BUCKETS
}

/// Puts a new entry into a bucket, and gives its count there; 0 where it found no place.
fn insert(bucket: &mut Bucket, new: Entry) -> u16 {
    // Of those seen least, the last: new ones come in front.
    let victim = bucket.iter().enumerate().rev().min_by_key(|(_, entry)| entry.count);
    let Some((place, count)) = victim.map(|(place, entry)| (place, entry.count)) else { return 0 };
    if count > new.count {
        if let Some(entry) = bucket.get_mut(place) {
            entry.count -= new.count;
        }
        return 0;
    }
    bucket.copy_within(..place, 1);
    if let Some(first) = bucket.first_mut() {
        *first = new;
    }
    new.count
}

/// Brings what has changed from `before` to `own` into `shared`.
fn merge(shared: &mut Bucket, own: &Bucket, before: &Bucket) {
    for entry in own.iter().rev().filter(|entry| entry.name != 0) {
        let known = before.iter().find(|known| known.name == entry.name);
        let known = known.map_or(0, |known| known.count);
        match shared.iter_mut().find(|there| there.name == entry.name) {
            Some(there) if entry.count >= known => {
                there.count = there.count.saturating_add(entry.count - known);
            }
            Some(there) => there.count = there.count.saturating_sub(known - entry.count),
            None if entry.count > known => {
                insert(shared, Entry { count: entry.count - known, ..*entry });
            }
            None => {}
        }
    }
}

fn halve(buckets: &mut [Bucket]) {
    buckets.as_flattened_mut().iter_mut().for_each(|entry| entry.count /= 2);
}

fn encode(buckets: &[Bucket], halved_ns: u64, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&halved_ns.to_le_bytes());
    for entry in buckets.as_flattened() {
        out.extend_from_slice(&entry.name.to_le_bytes());
        out.extend_from_slice(&entry.count.to_le_bytes());
    }
}

/// `None` for anything but a whole table.
fn decode(bytes: &[u8]) -> Option<(Box<[Bucket]>, u64)> {
    let (halved_ns, entries) = bytes.split_first_chunk::<HEAD>()?;
    let (entries, rest) = entries.as_chunks::<4>();
    if entries.len() != WAYS * BUCKETS || !rest.is_empty() {
        return None;
    }
    let mut buckets = vec![Bucket::default(); BUCKETS].into_boxed_slice();
    for (entry, [a, b, c, d]) in buckets.as_flattened_mut().iter_mut().zip(entries) {
        *entry = Entry { name: u16::from_le_bytes([*a, *b]), count: u16::from_le_bytes([*c, *d]) };
    }
    Some((buckets, u64::from_le_bytes(*halved_ns)))
}

#[cfg(test)]
mod tests;
