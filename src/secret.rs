//! The key of the hashes of what clients send.
//!
//! A client that can compute a hash can make texts that have the hash of another, and change what
//! that one is taken for, or fill one place of a table. So such hashes have a key, which is random
//! and the same for all workers of a process: they tell each other things by hash.

/// The key. The default one is known to everybody; it is for the command and for tests, which
/// shall say the same each time.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Secret {
    halves: [u64; 2],
}

impl Secret {
    /// The key of these bytes, which should be random.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Self {
        let all = u128::from_le_bytes(bytes);
        Self { halves: [all as u64, (all >> 64) as u64] }
    }

    /// The hash of a byte string: SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF").
    // The crate's has its state in memory and calls a function for each round, as the module is built, and
    // paths are hashed for each request.
    #[must_use]
    pub fn hash(self, bytes: &[u8]) -> u64 {
        let [first, second] = self.halves;
        let mut state = [
            first ^ 0x736f_6d65_7073_6575,
            second ^ 0x646f_7261_6e64_6f6d,
            first ^ 0x6c79_6765_6e65_7261,
            second ^ 0x7465_6462_7974_6573,
        ];
        let (words, rest) = bytes.as_chunks::<8>();
        let last = little_endian(rest) | (bytes.len() as u64) << 56;
        let words = words.iter().map(|word| u64::from_le_bytes(*word));
        for word in words.chain([last]) {
            let [a, b, c, d] = state;
            let [a, b, c, d] = round([a, b, c, d ^ word]);
            state = [a ^ word, b, c, d];
        }
        let [a, b, c, d] = state;
        state = [a, b, c ^ 0xff, d];
        for _ in 0..3 {
            state = round(state);
        }
        let [a, b, c, d] = state;
        a ^ b ^ c ^ d
    }
}

/// One round of SipHash.
#[inline(always)]
fn round([a, b, c, d]: [u64; 4]) -> [u64; 4] {
    let (a, c) = (a.wrapping_add(b), c.wrapping_add(d));
    let (b, d) = (b.rotate_left(13) ^ a, d.rotate_left(16) ^ c);
    let (a, c) = (a.rotate_left(32).wrapping_add(d), c.wrapping_add(b));
    let (b, d) = (b.rotate_left(17) ^ c, d.rotate_left(21) ^ a);
    [a, b, c.rotate_left(32), d]
}

/// Up to seven bytes as a number, the first one lowest.
#[inline(always)]
pub(crate) fn little_endian(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let shift = (bytes.len() - 4) * 8;
        return u64::from(u32::from_le_bytes(*first))
            | u64::from(u32::from_le_bytes(*last)) << shift;
    }
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// Says nothing of the key.
impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use siphasher::sip::SipHasher13;

    use super::*;
    use crate::test;

    #[test]
    fn it_is_siphash() {
        let text: Vec<u8> = (0..=255).map(|number: u8| number.wrapping_mul(151)).collect();
        for key in [[0; 16], [255; 16], *b"0123456789abcdef"] {
            let reference = SipHasher13::new_with_key(&key);
            for (length, byte) in text.iter().enumerate() {
                let part = &text[..length];
                assert_eq!(Secret::new(key).hash(part), reference.hash(part), "{length} {byte}");
            }
        }
    }
}
