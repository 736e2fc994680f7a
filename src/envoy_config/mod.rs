//! Configurations of Envoy, read and written: where the plugin stands in one, and what it needs
//! there. Native only.

mod find;

pub use find::{Plugin, plugins};
