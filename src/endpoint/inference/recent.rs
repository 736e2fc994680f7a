//! Labels given lately.
//!
//! A path that is asked for again gets its label from here, for as long as nothing was learned in
//! between: a label depends on the path and on what was learned alone, and a path that taught
//! nothing when it was seen last teaches nothing now. So this changes what a path costs, and never
//! what it gets. Identifiers are left out of the key, so that an endpoint is found whatever
//! numbers its requests carry. Memory is allocated once, when the first label is kept.

use super::form::{self, VERSION_DEPTH};
use super::lexicon::Lexicon;
use super::memory::Memory;
use super::token::{self, Affix, Kind};
use crate::endpoint::path::{CanonicalPath, Form};
use crate::secret::little_endian;

/// Labels that are kept in a VM. What fits nowhere displaces one of two.
const VM_PLACES: usize = 512;

/// The command has room for the paths of a whole log.
const PLACES: usize =
    if cfg!(any(target_arch = "wasm32", route_metrics_train)) { VM_PLACES } else { 64 * VM_PLACES };

/// Words of eight bytes in the longest key that is kept: it is made, hashed and compared by words.
const MAX_KEY_WORDS: usize = 12;
/// The longest label that is kept, in bytes.
const MAX_LABEL_BYTES: usize = 128;

/// Segments of small letters are identifiers only if they are longer.
const MAX_PLAIN_BYTES: usize = 24;
/// A segment of digits, letters and signs that has fewer bytes is not hexadecimal.
const MIN_HEX_BYTES: usize = 16;

/// Stand in a key for an identifier of a form, and for what follows the last segment that counts.
/// No segment of a key is one of these bytes alone: one that begins with a control sign is an
/// identifier.
const FIRST_FORM: u8 = 1;
const TRUNCATED: u8 = 31;

/// What of a path decides on its label: its segments, each with a slash behind it, and for identifiers
/// the byte of their form. Zeros fill up the last word.
pub(super) struct Key {
    words: [[u8; 8]; MAX_KEY_WORDS],
    /// How many of them count.
    length: usize,
    hash: u64,
}

impl Key {
    /// The key of the root.
    pub fn new() -> Self {
        Self { words: [[0; 8]; MAX_KEY_WORDS], length: 0, hash: 0 }
    }

    /// Becomes the key of a path; `None`, and the key of nothing, where that is too long, or is no path.
    // An old key serves for a new path, because clearing one takes a call as Wasm.
    pub fn read(
        &mut self,
        path: &CanonicalPath<'_>,
        memory: &Memory,
        lexicon: &Lexicon,
    ) -> Option<()> {
        if path.form() != Form::Path {
            return None;
        }
        let mut writer =
            Writer { words: &mut self.words, end: End { length: 0, word: 0, bits: 0 } };
        for (index, segment) in path.segments().iter().enumerate() {
            writer.segment(segment, index, memory, lexicon)?;
        }
        if path.truncated() {
            writer.mark(TRUNCATED)?;
        }
        self.length = writer.finish()?;
        self.hash = lexicon.secret.hash(self.text().as_flattened());
        Some(())
    }

    #[inline(always)]
    fn text(&self) -> &[[u8; 8]] {
        self.words.get(..self.length).unwrap_or_default()
    }
}

/// Puts a key together.
struct Writer<'k> {
    words: &'k mut [[u8; 8]; MAX_KEY_WORDS],
    end: End,
}

/// Where a key ends so far.
#[derive(Clone, Copy)]
struct End {
    /// Words that are full.
    length: usize,
    /// The one that is not, and its bits, fewer than 64.
    word: u64,
    bits: u32,
}

impl Writer<'_> {
    /// Appends a segment, or the byte of its form.
    #[inline(always)]
    fn segment(
        &mut self,
        segment: &[u8],
        index: usize,
        memory: &Memory,
        lexicon: &Lexicon,
    ) -> Option<()> {
        if segment.len() > MAX_PLAIN_BYTES {
            return self.long_segment(segment, index, memory, lexicon);
        }
        let start = self.end;
        let mut signs = Signs::default();
        let (words, rest) = segment.as_chunks::<8>();
        for word in words {
            let word = u64::from_le_bytes(*word);
            signs.add(word, u64::MAX);
            self.push(word, 64)?;
        }
        let bits = u32::try_from(rest.len() * 8).ok()?;
        let rest = little_endian(rest);
        signs.add(rest, (1 << bits) - 1);
        self.push(rest | u64::from(b'/') << bits, bits + 8)?;
        let form = if signs.other_than_digits == 0 {
            Some(token::Form::Number)
        } else if signs.other_than_plain == 0 || is_version(segment, index) {
            None
        } else {
            identifier(segment, index, memory, lexicon)
        };
        let Some(form) = form else { return Some(()) };
        self.end = start;
        self.mark(FIRST_FORM + form as u8)
    }

    /// As [`Self::segment`], of one that is likely an identifier, and need not fit.
    #[inline(never)]
    fn long_segment(
        &mut self,
        segment: &[u8],
        index: usize,
        memory: &Memory,
        lexicon: &Lexicon,
    ) -> Option<()> {
        let form = form::common_form(segment);
        if let Some(form) = form.or_else(|| identifier(segment, index, memory, lexicon)) {
            return self.mark(FIRST_FORM + form as u8);
        }
        for &byte in segment.iter().chain(b"/") {
            self.push(u64::from(byte), 8)?;
        }
        Some(())
    }

    /// Appends a byte that stands for something.
    #[inline(never)]
    fn mark(&mut self, byte: u8) -> Option<()> {
        self.push(u64::from(u16::from_le_bytes([byte, b'/'])), 16)
    }

    /// Appends the lowest bits of a word, of which there are one to eight bytes, and zeros above.
    #[inline(always)]
    fn push(&mut self, word: u64, bits: u32) -> Option<()> {
        let End { length, word: last, bits: before } = &mut self.end;
        *last |= word << *before;
        let after = *before + bits;
        if after >= u64::BITS {
            *self.words.get_mut(*length)? = last.to_le_bytes();
            *length += 1;
            // Nothing of it is left if there was nothing before.
            *last = (word >> 1) >> (u64::BITS - 1 - *before);
        }
        *before = after % u64::BITS;
        Some(())
    }

    /// How many words there are.
    #[inline(always)]
    fn finish(self) -> Option<usize> {
        let End { length, word, bits } = self.end;
        if bits == 0 {
            return Some(length);
        }
        *self.words.get_mut(length)? = word.to_le_bytes();
        Some(length + 1)
    }
}

/// What bytes there are in a segment: the highest bits of the places of those that are no digits, and of
/// those that are neither small letters nor `-` nor `_`.
#[derive(Default)]
struct Signs {
    other_than_digits: u64,
    other_than_plain: u64,
}

impl Signs {
    /// Adds the bytes of a word that a mask covers. No sum carries from one byte into the next.
    #[inline(always)]
    fn add(&mut self, word: u64, mask: u64) {
        const HIGH: u64 = u64::MAX / 255 * 0x80;
        let all = |byte: u8| u64::MAX / 255 * u64::from(byte);
        let low = word & !HIGH;
        let differs = |byte| (low ^ all(byte)) + all(0x7f);
        // Digits are `0` and what follows it up to 9, letters a grave accent and what follows up to 26.
        let digits = (low ^ all(b'0')) + all(0x7f - 9);
        let letters = (low ^ all(b'`')) + all(0x7f - 26);
        let mask = mask & HIGH;
        self.other_than_digits |= (digits | word) & mask;
        self.other_than_plain |= (letters & differs(b'-') & differs(b'_') | word) & mask;
    }
}

/// Whether a segment is a version of the API and nothing else, so that it stays.
#[inline(always)]
fn is_version(segment: &[u8], index: usize) -> bool {
    index < VERSION_DEPTH
        && segment.len() < MIN_HEX_BYTES
        && form::version(segment).is_some_and(|parts| parts <= 2)
}

/// The form of an identifier of which nothing stays in a label; `None` for anything else.
fn identifier(
    segment: &[u8],
    index: usize,
    memory: &Memory,
    lexicon: &Lexicon,
) -> Option<token::Form> {
    let token = memory.look(segment, index, lexicon);
    match (token.kind, token.affix) {
        (Kind::Identifier(form), Affix::None) => Some(form),
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
    key: [[u8; 8]; MAX_KEY_WORDS],
    label: [u8; MAX_LABEL_BYTES],
}

impl Place {
    const FREE: Self = Self {
        hash: 0,
        version: 0,
        key_length: 0,
        label_length: 0,
        key: [[0; 8]; MAX_KEY_WORDS],
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
                && usize::from(place.key_length) == key.length
                && key.text().iter().zip(&place.key).all(|(own, other)| own == other);
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
        place.key = key.words;
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
        let key = |path: &[u8]| {
            let mut key = Key::new();
            key.read(&CanonicalPath::new(path), &memory, &lexicon).unwrap();
            key
        };
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
