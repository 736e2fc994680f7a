//! Labels given lately.
//!
//! A path that is asked for again gets its label from here, for as long as nothing was learned in
//! between: a label depends on the path and on what was learned alone, and a path that taught
//! nothing when it was seen last teaches nothing now. So this changes what a path costs, and never
//! what it gets. Identifiers are left out of the key, so that an endpoint is found whatever
//! numbers its requests carry. Memory is allocated once, when the first label is kept.

use super::form;
use super::lexicon::Lexicon;
use super::memory::Memory;
use super::token::{Affix, Kind};
use crate::endpoint::path::{CanonicalPath, Form};

/// Labels that are kept in a VM. What fits nowhere displaces one of two.
const VM_PLACES: usize = 512;

/// The command has room for the paths of a whole log.
const PLACES: usize =
    if cfg!(any(target_arch = "wasm32", route_metrics_train)) { VM_PLACES } else { 64 * VM_PLACES };

/// The longest key, and the longest label, that is kept, in bytes.
const MAX_KEY_BYTES: usize = 96;
const MAX_LABEL_BYTES: usize = 128;

/// Stand in a key for an identifier of a form, and for what follows the last segment that counts.
/// No segment of a key is one of these bytes alone: one that begins with a control sign is an
/// identifier.
const FIRST_FORM: u8 = 1;
const TRUNCATED: u8 = 31;

/// What of a path decides on its label.
pub(super) struct Key {
    bytes: [u8; MAX_KEY_BYTES],
    length: usize,
    hash: u64,
}

impl Key {
    /// The key of a path; `None` where it is too long, or is no path.
    pub fn new(path: &CanonicalPath<'_>, memory: &Memory, lexicon: &Lexicon) -> Option<Self> {
        if path.form() != Form::Path {
            return None;
        }
        let mut key = Self { bytes: [0; MAX_KEY_BYTES], length: 0, hash: 0 };
        for (index, segment) in path.segments().iter().enumerate() {
            key.push(b"/")?;
            match identifier(segment, index, memory, lexicon) {
                Some(form) => key.push(&[form])?,
                None => key.push(segment)?,
            }
        }
        if path.truncated() {
            key.push(&[b'/', TRUNCATED])?;
        }
        key.hash = lexicon.secret.hash(key.text());
        Some(key)
    }

    #[inline(always)]
    fn push(&mut self, text: &[u8]) -> Option<()> {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end)?.copy_from_slice(text);
        self.length = end;
        Some(())
    }

    #[inline(always)]
    fn text(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The byte for an identifier of which nothing stays in a label; `None` for anything else.
#[inline]
fn identifier(segment: &[u8], index: usize, memory: &Memory, lexicon: &Lexicon) -> Option<u8> {
    let is_plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'_' | b'-');
    if let Some(form) = form::common_form(segment) {
        return Some(FIRST_FORM + form as u8);
    }
    // Words of small letters are identifiers only if they are long.
    if segment.len() <= MAX_KEY_BYTES / 4 && segment.iter().all(is_plain) {
        return None;
    }
    let token = memory.look(segment, index, lexicon);
    match (token.kind, token.affix) {
        (Kind::Identifier(form), Affix::None) => Some(FIRST_FORM + form as u8),
        _ => None,
    }
}

#[derive(Clone)]
struct Place {
    hash: u64,
    /// What was known when the label was given: [`super::facts::Facts::version`]. 0 where the place
    /// is free.
    version: u32,
    key_length: u8,
    label_length: u8,
    key: [u8; MAX_KEY_BYTES],
    label: [u8; MAX_LABEL_BYTES],
}

impl Place {
    const FREE: Self = Self {
        hash: 0,
        version: 0,
        key_length: 0,
        label_length: 0,
        key: [0; MAX_KEY_BYTES],
        label: [0; MAX_LABEL_BYTES],
    };
}

/// The labels.
pub(super) struct Recent {
    places: Vec<Place>,
    /// How many places there are to be.
    room: usize,
    /// Which of two places is next to be displaced.
    turn: usize,
}

impl Recent {
    pub fn new() -> Self {
        Self { places: Vec::new(), room: PLACES, turn: 0 }
    }

    /// The label that was given while the same was known.
    #[inline]
    pub fn find(&self, key: &Key, version: u32) -> Option<&[u8]> {
        let first = key.hash as usize % PLACES;
        [first, first ^ 1].into_iter().find_map(|at| {
            let place = self.places.get(at)?;
            let same = place.hash == key.hash
                && place.version == version
                && place.key.get(..usize::from(place.key_length)) == Some(key.text());
            same.then(|| place.label.get(..usize::from(place.label_length)))?
        })
    }

    /// Keeps a label that was given, if it is not too long.
    pub fn keep(&mut self, key: &Key, version: u32, label: &[u8]) {
        if self.places.is_empty() {
            self.places.resize(self.room, Place::FREE);
        }
        let first = key.hash as usize % PLACES;
        let is_stale = |at: usize| self.places.get(at).is_some_and(|it| it.version != version);
        let at = match (is_stale(first), is_stale(first ^ 1)) {
            (true, _) => first,
            (_, true) => first ^ 1,
            _ => {
                self.turn ^= 1;
                first ^ self.turn
            }
        };
        let Some(place) = self.places.get_mut(at) else { return };
        let Some(text) = place.label.get_mut(..label.len()) else { return };
        text.copy_from_slice(label);
        place.label_length = label.len() as u8;
        place.key = key.bytes;
        place.key_length = key.length as u8;
        place.hash = key.hash;
        place.version = version;
    }

    /// Bytes on the heap of a VM.
    #[cfg(test)]
    pub fn heap_bytes(&self) -> usize {
        VM_PLACES * size_of::<Place>()
    }

    /// A table that keeps nothing.
    #[cfg(test)]
    pub fn none() -> Self {
        Self { places: Vec::new(), room: 0, turn: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::test;

    #[test]
    fn a_hash_is_not_believed_without_the_text() {
        let (memory, lexicon) = (Memory::new(), Lexicon::new(Secret::default()));
        let key = |path: &[u8]| Key::new(&CanonicalPath::new(path), &memory, &lexicon).unwrap();
        let (users, mut orders) = (key(b"/users/list"), key(b"/orders/list"));
        // As if both had the same hash.
        orders.hash = users.hash;
        let mut recent = Recent::new();
        recent.keep(&orders, 1, b"/orders/list");
        assert_eq!(recent.find(&users, 1), None);
        recent.keep(&users, 1, b"/users/list");
        assert_eq!(recent.find(&users, 1), Some(&b"/users/list"[..]));
        assert_eq!(recent.find(&orders, 1), Some(&b"/orders/list"[..]));
        assert_eq!(recent.find(&orders, 2), None);
    }
}
