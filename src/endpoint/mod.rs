//! Which endpoint a request belongs to.

mod path;

pub use path::{CanonicalPath, Decoded, Form, MAX_SEGMENTS};
mod stub;
pub use stub::*;
