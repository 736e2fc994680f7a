//! Every protocol, every kind of body, and what other filters and Envoy itself answer, in real Envoys.
//! `docs/behaviour.md` names each test.

mod bodies;
mod http3;
mod local_replies;
mod long_lived;
mod repeated;
mod versions;
