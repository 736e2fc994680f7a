//! What the workers of one process tell each other: what was learned of endpoints, and secrets.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use super::Filter;
use crate::endpoint::Inference;
use crate::host::{CREATE_ONLY, Host};
use crate::secret::Secret;
use crate::series::{Learner, Told, keys};

/// The environment variable with the secret from which the key of hashed values is made.
pub const HASH_KEY: &str = "METRICS_HASH_KEY";

impl<H: Host> Filter<H> {
    /// The key of hashed label values: made of [`HASH_KEY`] where it is set, so that all proxies of
    /// a fleet agree, else a random one that the workers of this process share.
    pub(super) fn hash_key(&mut self, variable: &impl Fn(&str) -> Option<String>) -> [u8; 16] {
        let mut key = [0; 16];
        if let Some(text) = variable(HASH_KEY).filter(|text| !text.is_empty()) {
            for (half, chunk) in key.chunks_exact_mut(8).enumerate() {
                let mut hasher = SipHasher24::new_with_keys(half as u64, 0);
                hasher.write(text.as_bytes());
                chunk.copy_from_slice(&hasher.finish().to_le_bytes());
            }
            return key;
        }
        self.shared_key(keys::HASH_KEY)
    }

    /// The key of hashes of what clients send.
    pub(super) fn secret(&mut self) -> Secret {
        Secret::new(self.shared_key(keys::SECRET))
    }

    /// A random key that the workers of this process share: that of whoever was first.
    fn shared_key(&mut self, name: &str) -> [u8; 16] {
        let mut key = [0; 16];
        for chunk in key.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.random.next_u64().to_le_bytes());
        }
        self.host.shared_set(name, &key, CREATE_ONLY);
        let mut shared = Vec::new();
        self.host.shared_get(name, &mut shared);
        shared.try_into().unwrap_or(key)
    }

    /// Tells the other workers what this one has learned and what waits for a place, and takes in
    /// what they have.
    pub(super) fn exchange(&mut self) {
        let Self { host, learners, learned, registry, .. } = self;
        registry.exchange(host);
        learned.exchange(host, &mut learners.adaptive);
    }
}

impl Learner for Inference {
    fn take_news(&mut self) -> Option<Vec<u8>> {
        self.take_news()
    }

    fn merge(&mut self, news: &[u8]) {
        // What is malformed is of no worker.
        self.merge(news);
    }

    fn begin_anew(&mut self) {
        self.begin_anew();
    }

    fn is_full(&self) -> bool {
        self.is_full()
    }

    fn still_used(&self, told: &Told<'_>) -> Vec<u8> {
        self.still_used(told)
    }
}
