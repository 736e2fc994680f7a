//! Maps by numbers that the host gives, one after the other: streams and configurations. Every callback
//! looks into them, and nobody else chooses the numbers, so one multiplication is hash enough.

use std::hash::{BuildHasherDefault, Hasher};

/// A map by the host's numbers.
pub(super) type ById<V> = hashbrown::HashMap<u32, V, BuildHasherDefault<IdHasher>>;

/// An odd number without a pattern in its bits (2^64 divided by the golden ratio), so that neither the
/// low bits nor the high ones of products with it collide for numbers in a row.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hasher of [`ById`].
#[derive(Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    #[inline(always)]
    fn write_u32(&mut self, id: u32) {
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(MULTIPLIER);
    }
}
