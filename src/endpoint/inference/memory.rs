//! Segments looked at lately: the same ones come again and again.

use super::form::VERSION_DEPTH;
use super::lexicon::Lexicon;
use super::token::Token;

/// The longest segment that is remembered, in bytes.
const MAX_TEXT: usize = 32;

/// What a segment of a text looks like.
#[derive(Clone, Copy)]
struct Entry {
    /// The hash of the text and of where it stands; 0 where the entry is free.
    key: u64,
    text: [u8; MAX_TEXT],
    length: u8,
    token: Token<'static>,
}

impl Entry {
    fn is_of(&self, key: u64, raw: &[u8]) -> bool {
        self.key == key && self.text.get(..usize::from(self.length)) == Some(raw)
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
        let free = Entry { key: 0, text: [0; MAX_TEXT], length: 0, token: Token::default() };
        self.0.resize(Self::PLACES, free);
    }

    /// Bytes on the heap of a VM.
    #[cfg(test)]
    pub fn heap_bytes(&self) -> usize {
        Self::VM_PLACES * size_of::<Entry>()
    }

    fn key(raw: &[u8], index: usize, lexicon: &Lexicon) -> u64 {
        // Of the index only whether it is near the front counts.
        lexicon.secret.hash(raw) ^ index.min(VERSION_DEPTH) as u64
    }

    /// The token of a segment.
    pub fn look<'a>(&self, raw: &'a [u8], index: usize, lexicon: &Lexicon) -> Token<'a> {
        if raw.len() <= MAX_TEXT {
            let key = Self::key(raw, index, lexicon);
            if let Some(entry) = self.0.get(key as usize % Self::PLACES)
                && entry.is_of(key, raw)
            {
                return entry.token.with(raw);
            }
        }
        Token::new(raw, index, lexicon)
    }

    /// The token of a segment, remembered.
    pub fn remember<'a>(&mut self, raw: &'a [u8], index: usize, lexicon: &Lexicon) -> Token<'a> {
        if raw.len() > MAX_TEXT {
            return Token::new(raw, index, lexicon);
        }
        if self.0.is_empty() {
            self.make_places();
        }
        let key = Self::key(raw, index, lexicon);
        let Some(entry) = self.0.get_mut(key as usize % Self::PLACES) else {
            return Token::new(raw, index, lexicon);
        };
        if entry.is_of(key, raw) {
            return entry.token.with(raw);
        }
        let token = Token::new(raw, index, lexicon);
        let Some(text) = entry.text.get_mut(..raw.len()) else { return token };
        text.copy_from_slice(raw);
        entry.length = raw.len() as u8;
        entry.key = key;
        entry.token = token.with(&[]);
        token
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
            entry.key = Memory::key(b"users", 0, &lexicon);
            entry.text[..15].copy_from_slice(other.raw);
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
