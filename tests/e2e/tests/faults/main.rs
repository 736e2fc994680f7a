//! What goes wrong around the filter, in real Envoys: upstreams and clients that fail, VMs that die,
//! capabilities that are missing, and everything that starts, updates and stops an Envoy.
//! `docs/behaviour.md` names each test.

mod configurations;
mod dying;
mod failing;
mod lifecycle;
mod privileges;
mod updates;
mod upstreams;
