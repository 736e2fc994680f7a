//! End-to-end tests: the filter in real Envoys, seen from outside (requests in, scrapes out).

mod harness;
