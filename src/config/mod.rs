//! The plugin configuration: JSON in, a checked [`Config`] out, or every mistake in it.

mod compile;
mod custom;
mod env;
mod mistakes;
mod model;
mod parse;
mod protobuf;
mod read;

pub use compile::{Capacity, OWN_LABELS, compile};
pub use env::VARIABLES;
pub use mistakes::{Mistake, Mistakes};
pub use model::*;
pub use parse::{join, parse};

use crate::plan::Plan;

/// The plan of a plugin configuration as the host hands it over, with the environment's overrides.
///
/// # Errors
/// All mistakes of structure, or, where there is none, all mistakes of meaning.
pub fn load(
    bytes: &[u8],
    variable: impl Fn(&str) -> Option<String>,
    capacity: Capacity,
) -> Result<Plan, Mistakes> {
    let mut config = parse(bytes)?;
    let mut mistakes = Mistakes::default();
    env::apply(&mut config, variable, &mut mistakes);
    match compile(&config, capacity) {
        Ok(plan) if mistakes.is_empty() => Ok(plan),
        Ok(_) => Err(mistakes),
        Err(more) => {
            mistakes.extend(more);
            Err(mistakes)
        }
    }
}
