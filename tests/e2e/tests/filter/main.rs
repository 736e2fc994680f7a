//! End-to-end tests: the filter in real Envoys, seen from outside (requests in, scrapes out).

mod configuring;
mod counting;
mod failing;
mod harness;
mod hostile;
mod labelling;
mod learning;
mod limits;
mod sampling;
mod support;
mod updates;
