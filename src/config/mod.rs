//! The plugin configuration: JSON in, a checked [`Config`] out, or every mistake in it.

mod mistakes;
mod model;

pub use mistakes::{Mistake, Mistakes};
pub use model::*;
