//! End-to-end tests of what stands around the filter: who may scrape, tracing, and the programs
//! that `make observability-start` starts.

mod access;
mod exits;
mod forms;
mod products;
mod running;
mod support;
mod targets;
mod tracing;
