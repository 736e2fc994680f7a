//! The plugin configuration: JSON in, a [`Config`] out, or every mistake in its structure. What it
//! means is found by [`crate::plan`]; nothing of the crate is imported here.

mod env;
pub(crate) mod json_values;
mod mistakes;
mod model;
pub(crate) mod number;
mod parse;
mod protobuf;
mod read;

pub use env::{VARIABLES, apply};
pub use mistakes::{Mistake, Mistakes};
pub use model::*;
pub use parse::{join, parse, parse_as_far};
