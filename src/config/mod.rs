//! The plugin configuration: JSON in, a checked [`Config`] out, or every mistake in it.

mod mistakes;
mod model;
mod parse;

pub use mistakes::{Mistake, Mistakes};
pub use model::*;
pub use parse::{join, parse};
