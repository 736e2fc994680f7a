//! What looking at a segment takes: the words, and the key of the hashes.

use super::vocabulary::Vocabulary;
use crate::secret::Secret;

/// The words and the key.
pub(super) struct Lexicon {
    pub words: Vocabulary,
    /// Keys every hash of what a client has sent.
    pub secret: Secret,
}

impl Lexicon {
    pub fn new(secret: Secret) -> Self {
        Self { words: Vocabulary::new(), secret }
    }
}
