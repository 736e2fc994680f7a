//! The key of the hashes of what clients send.
//!
//! A client that can compute a hash can make texts that have the hash of another, and change what
//! that one is taken for, or fill one place of a table. So such hashes have a key, which is random
//! and the same for all workers of a process: they tell each other things by hash.

use siphasher::sip::SipHasher13;

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

    /// The hash of a byte string: SipHash-1-3.
    #[inline]
    #[must_use]
    pub fn hash(self, bytes: &[u8]) -> u64 {
        let [first, second] = self.halves;
        SipHasher13::new_with_keys(first, second).hash(bytes)
    }
}

/// Says nothing of the key.
impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secret")
    }
}
