//! Which endpoint a request belongs to.

mod hash;
mod infer;
mod learner;
mod path;
mod vocabulary;
#[doc(hidden)]
pub mod weights;

#[doc(hidden)]
pub use infer::Token;
pub use learner::Inference;
pub use path::{CanonicalPath, Decoded, Form, MAX_SEGMENTS};
