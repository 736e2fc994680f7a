//! Hashing of segments, with and without a key.
//!
//! What a client has sent is hashed with a [`Secret`], and where a hit decides, the text is compared.
//! Without a key are hashed the texts of the configuration and of this crate, to which a client can
//! add nothing. Those who look a client's text up among them compare the text, too.
//!
//! What one worker has learned is told to the others by names alone: 32 bits for a segment, 48 for a
//! position. With a key that it does not know a client cannot aim at one. By chance a made-up segment
//! has the name of one of n known ones once in 2³²/n tries, with a thousand known ones once in four
//! million requests, and then it counts as one more sighting of that one. Two positions of n have one
//! name with a chance of n²/2⁴⁹: one in a million for the 18,000 or so that a process can learn of.

use crate::secret::Secret;

/// Bits of a hash that leave the machine's memory: positions have 48, segments 32.
const KEY_BITS: u32 = 48;

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads every bit of the input over the whole word (the finaliser of SplitMix64).
#[inline(always)]
fn spread(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The hash of a byte string that comes from the configuration or from this crate.
pub(super) fn of_bytes(bytes: &[u8]) -> u64 {
    spread(fold(bytes))
}

/// Folds a byte string, eight bytes at a time; the last eight may overlap those before.
#[inline(always)]
fn fold(text: &[u8]) -> u64 {
    let length = text.len() as u64;
    if let Some(last) = text.last_chunk::<8>() {
        let (words, _) = text.as_chunks::<8>();
        let hash = words.iter().fold(length, |hash, word| mix(hash, u64::from_le_bytes(*word)));
        return mix(hash, u64::from_le_bytes(*last));
    }
    let word = match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
        }
        _ => text.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    mix(length, word)
}

/// Adds a value to a hash of values.
#[inline(always)]
pub(super) fn mix(hash: u64, value: u64) -> u64 {
    let product = (hash.rotate_left(26) ^ value).wrapping_mul(MULTIPLIER);
    product ^ product >> 29
}

/// 32 bits of the hash of a segment that is compared with those of templates.
#[inline(always)]
pub(super) fn segment(bytes: &[u8]) -> u32 {
    (of_bytes(bytes) >> 32) as u32
}

/// The name of a segment that a client has sent.
pub(super) fn name(secret: Secret, segment: &[u8]) -> u32 {
    short(secret.hash(segment))
}

/// The name of a segment that has this hash.
pub(super) fn short(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// The position below `parent` along `edge`, as a 48-bit key.
#[inline(always)]
pub(super) fn below(parent: u64, edge: u32) -> u64 {
    spread(parent.wrapping_mul(MULTIPLIER) ^ u64::from(edge)) >> (64 - KEY_BITS)
}

/// Hasher of tables whose keys are hashes already.
#[derive(Clone, Copy, Default)]
pub(super) struct KeyHasher(u64);

impl core::hash::Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= of_bytes(bytes);
    }

    fn write_u64(&mut self, key: u64) {
        // hashbrown takes the bucket from the low bits and its tag from the highest seven.
        self.0 = key.wrapping_mul(MULTIPLIER).rotate_left(20);
    }
}

/// A map from keys that are hashes already.
pub(super) type KeyMap<V> = hashbrown::HashMap<u64, V, core::hash::BuildHasherDefault<KeyHasher>>;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::test;

    #[test]
    fn two_secrets_give_unrelated_names() {
        let [one, other] = [1, 2].map(|byte| Secret::new([byte; 16]));
        let segments: Vec<String> = (0..1000).map(|number| format!("segment-{number}")).collect();
        let names = |secret| segments.iter().map(move |it| name(secret, it.as_bytes()));
        assert_eq!(names(one).zip(names(other)).filter(|(a, b)| a == b).count(), 0);
        // What both differ by is not the same for any two segments, so none says anything of another.
        let differences: BTreeSet<u32> = names(one).zip(names(other)).map(|(a, b)| a ^ b).collect();
        assert_eq!(differences.len(), segments.len());
        let ones: u32 = names(one).zip(names(other)).map(|(a, b)| (a ^ b).count_ones()).sum();
        assert!((15_500..16_500).contains(&ones), "{ones} of 32,000 bits differ");
        assert!(names(one).eq(names(Secret::new([1; 16]))));
    }
}
