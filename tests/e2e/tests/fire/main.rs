//! The filter under fire, in real Envoys: every protocol, what other filters answer, what goes wrong
//! around it, and everything that starts, updates and stops it. `docs/behaviour.md` names each test.

mod bodies;
mod dying;
mod http3;
mod lifecycle;
mod local_replies;
mod long_lived;
mod privileges;
mod protocols;
mod repeated;
#[allow(dead_code, reason = "shared with the tests of the filter, which use all of it")]
#[path = "../filter/support.rs"]
mod support;
mod updates;
mod upstreams;
