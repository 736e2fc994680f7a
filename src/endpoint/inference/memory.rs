//! Segments looked at lately: the same ones come again and again.

use super::form::VERSION_DEPTH;
use super::lexicon::Lexicon;
use super::token::Token;
use crate::secret::little_endian;

/// The longest segment that is remembered, in bytes and in words of eight: texts are compared by words.
const MAX_TEXT: usize = 8 * MAX_WORDS;
const MAX_WORDS: usize = 4;

/// What a segment of a text looks like.
#[derive(Clone, Copy)]
struct Entry {
    /// The hash of the text and of where it stands; 0 where the entry is free.
    key: u64,
    /// Filled up with zeros.
    text: [[u8; 8]; MAX_WORDS],
    length: u8,
    token: Token<'static>,
}

impl Entry {
    fn is_of(&self, key: u64, raw: &[u8]) -> bool {
        if self.key != key || usize::from(self.length) != raw.len() {
            return false;
        }
        let (words, rest) = raw.as_chunks::<8>();
        let last = self.text.get(words.len()).map_or(0, |word| u64::from_le_bytes(*word));
        let same = words.iter().zip(&self.text).all(|(own, other)| own == other);
        same && (rest.is_empty() || last == little_endian(rest))
    }
}

/// The tokens of segments. Its places are made when the first one is remembered, because many VMs
/// never infer.
pub(super) struct Memory(Vec<Entry>);

impl Memory {
    /// The command has room for the words of a whole log.
    const PLACES: usize = if cfg!(any(target_arch = "wasm32", route_metrics_train)) {
        Self::VM_PLACES
    } else {
        16_384
    };
    const VM_PLACES: usize = 2048;

    pub fn new() -> Self {
        Self(Vec::new())
    }

    #[cold]
    #[inline(never)]
    fn make_places(&mut self) {
        let free = Entry { key: 0, text: [[0; 8]; MAX_WORDS], length: 0, token: Token::default() };
        self.0.resize(Self::PLACES, free);
    }

    /// Bytes on the heap of a VM.
    #[cfg(test)]
    pub fn heap_bytes(&self) -> usize {
        Self::VM_PLACES * size_of::<Entry>()
    }

    /// The key of an entry for a segment with this hash.
    fn key(hash: u64, index: usize) -> u64 {
        // Of the index only whether it is near the front counts.
        hash ^ index.min(VERSION_DEPTH) as u64
    }

    /// The token of a segment.
    pub fn look<'a>(&self, raw: &'a [u8], index: usize, lexicon: &Lexicon) -> Token<'a> {
        let hash = lexicon.secret.hash(raw);
        let key = Self::key(hash, index);
        if let Some(entry) = self.0.get(key as usize % Self::PLACES)
            && entry.is_of(key, raw)
        {
            return entry.token.with(raw);
        }
        Token::with_hash(raw, hash, index, lexicon)
    }

    /// The token of a segment, remembered.
    pub fn remember<'a>(&mut self, raw: &'a [u8], index: usize, lexicon: &Lexicon) -> Token<'a> {
        if self.0.is_empty() {
            self.make_places();
        }
        let hash = lexicon.secret.hash(raw);
        let key = Self::key(hash, index);
        if let Some(entry) = self.0.get_mut(key as usize % Self::PLACES) {
            if entry.is_of(key, raw) {
                return entry.token.with(raw);
            }
            if raw.len() <= MAX_TEXT {
                let token = Token::with_hash(raw, hash, index, lexicon);
                entry.text = [[0; 8]; MAX_WORDS];
                for (place, byte) in entry.text.as_flattened_mut().iter_mut().zip(raw) {
                    *place = *byte;
                }
                entry.length = raw.len() as u8;
                entry.key = key;
                entry.token = token.with(&[]);
                return token;
            }
        }
        Token::with_hash(raw, hash, index, lexicon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::inference::token::Kind;
    use crate::secret::Secret;
    use crate::test;

    #[test]
    fn a_hash_is_not_believed_without_the_text() {
        let lexicon = Lexicon::new(Secret::default());
        let mut memory = Memory::new();
        assert_eq!(memory.remember(b"users", 0, &lexicon).kind, Kind::Word);
        // As if the hash of what stands in the place were that of `users`.
        let other = Token::new(b"Y7btvO43JkNHbdn", 0, &lexicon);
        assert!(matches!(other.kind, Kind::Identifier(_)));
        for entry in &mut memory.0 {
            entry.key = Memory::key(lexicon.secret.hash(b"users"), 0);
            entry.text.as_flattened_mut()[..15].copy_from_slice(other.raw);
            entry.length = 15;
            entry.token = other.with(&[]);
        }
        assert_eq!(memory.look(b"users", 0, &lexicon).kind, Kind::Word);
        assert_eq!(memory.remember(b"users", 0, &lexicon).kind, Kind::Word);
        assert_eq!(memory.look(b"users", 0, &lexicon).kind, Kind::Word);
    }

    #[test]
    fn what_is_remembered_is_what_a_look_says() {
        let lexicon = Lexicon::new(Secret::new([7; 16]));
        let mut memory = Memory::new();
        for segment in
            ["users", "v1", "2.0", "items(5)", "17:cancel", "a.json", &"x".repeat(33), ""]
        {
            for index in [0, 1, 5, 6, 7, 20] {
                let new = format!("{:?}", Token::new(segment.as_bytes(), index, &lexicon));
                for _ in 0..2 {
                    let remembered = memory.remember(segment.as_bytes(), index, &lexicon);
                    assert_eq!(format!("{remembered:?}"), new);
                    let looked = memory.look(segment.as_bytes(), index, &lexicon);
                    assert_eq!(format!("{looked:?}"), new);
                }
            }
        }
    }
}
