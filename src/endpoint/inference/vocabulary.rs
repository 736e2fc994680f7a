//! Words that public APIs use as literal path words.
//!
//! A name says nothing about whether it is a resource or a value; that many APIs use a word
//! literally does. `vocabulary.txt` has the words that three or more public APIs use, with the
//! binary logarithm of how many.

use crate::endpoint::hash;

const WORDS: &[u8] = include_bytes!("vocabulary.txt");

/// Places in the table; a power of two, more than twice the words.
const PLACES: usize = 4096;

/// The longest word that is looked up.
const LONGEST: usize = 24;

/// Words of less than this are not taken as a part of a compound without a mark (`configmaps`).
const SHORTEST_PART: usize = 4;

/// How common a word is: the binary logarithm of the number of APIs that use it, from 1 to 7.
pub(super) type Level = u8;

/// A table of the words, by what is left without an ending.
pub(super) struct Vocabulary {
    /// One more than where the line of a word begins; 0 is a free place.
    places: Box<[u16; PLACES]>,
}

impl Vocabulary {
    pub(super) fn new() -> Self {
        let mut places = Box::new([0_u16; PLACES]);
        let mut start = 0;
        for line in WORDS.split(|&byte| byte == b'\n') {
            let word = line.split(|&byte| byte == b' ').next().unwrap_or_default();
            if !word.is_empty() {
                let mut place = place_of(stem(word));
                while let Some(taken) = places.get(place)
                    && *taken != 0
                {
                    place = (place + 1) % PLACES;
                }
                if let Some(free) = places.get_mut(place) {
                    *free = u16::try_from(start + 1).unwrap_or(0);
                }
            }
            start += line.len() + 1;
        }
        Self { places }
    }

    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.places)
    }

    /// How common a lower-case word is; singular and plural are one word. `None` for an unknown
    /// word.
    pub(super) fn level(&self, word: &[u8]) -> Option<Level> {
        if word.is_empty() || word.len() > LONGEST {
            return None;
        }
        let wanted = stem(word);
        let mut place = place_of(wanted);
        let mut best = None;
        // The table is never full, so this ends.
        while let Some(&taken) = self.places.get(place)
            && taken != 0
        {
            let line = WORDS.get(usize::from(taken) - 1..).unwrap_or_default();
            let length = line.iter().position(|&byte| byte == b' ').unwrap_or(0);
            let (found, rest) = line.split_at_checked(length).unwrap_or_default();
            if stem(found) == wanted {
                let level = rest.get(1).map_or(0, |digit| digit.wrapping_sub(b'0'));
                best = best.max(Some(level));
            }
            place = (place + 1) % PLACES;
        }
        best
    }

    /// Whether a lower-case word is two or three known words without a mark between them, as
    /// `configmaps`.
    pub(super) fn is_compound(&self, word: &[u8]) -> bool {
        if word.len() < 2 * SHORTEST_PART || word.len() > LONGEST + 8 {
            return false;
        }
        (SHORTEST_PART..=word.len() - SHORTEST_PART).any(|at| {
            word.split_at_checked(at).is_some_and(|(head, tail)| {
                // The head is the modifier: `clusterroles`, not `clustersroles`.
                self.level(tail).is_some()
                    && (self.level(head).is_some() || (head.len() >= 8 && self.is_compound(head)))
            })
        })
    }
}

fn place_of(stem: &[u8]) -> usize {
    hash::of_bytes(stem) as usize % PLACES
}

/// A word without the ending of a plural.
fn stem(word: &[u8]) -> &[u8] {
    match word {
        [rest @ .., b'i', b'e', b's'] if rest.len() > 2 => rest,
        [rest @ .., b'y'] if rest.len() > 2 => rest,
        [rest @ .., b's' | b'x' | b'h', b'e', b's'] if rest.len() > 1 => {
            word.get(..rest.len() + 1).unwrap_or(rest)
        }
        [.., b's' | b'u' | b'i', b's'] => word,
        [rest @ .., b's'] if rest.len() > 2 => rest,
        _ => word,
    }
}

/// Whether a word looks like a plural.
pub(super) fn is_plural(word: &[u8]) -> bool {
    word.len() > 3 && word.ends_with(b"s") && stem(word).len() < word.len()
}
