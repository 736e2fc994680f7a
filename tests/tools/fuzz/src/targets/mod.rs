//! The targets, by what they read.

pub mod config;
pub mod events;
pub mod filter;
pub mod log;
pub mod openapi;
pub mod path;
