//! Which endpoint a request belongs to.

mod decide;
mod path;

pub use decide::{Decided, Knowledge, Learners, decide};
pub use path::{CanonicalPath, Decoded, Form, MAX_SEGMENTS};
mod stub;
pub use stub::*;
