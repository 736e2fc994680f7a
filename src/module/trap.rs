//! A way to kill the VM, or to panic in a hook, on purpose, for the tests of what happens then.
//!
//! It is only there in a module that was built with `--cfg route_metrics_trap` (`make trap`), which
//! nothing ships: a request with the header `x-route-metrics-trap` ends the VM in the callback that
//! the header names, or panics there in the dynamic module.

use crate::host::{HeaderMap, Host};

/// Ends the VM, or panics, if the request asks for it in this callback.
pub fn here(host: &impl Host, callback: &str) {
    let mut wanted = Vec::new();
    if host.header(HeaderMap::Request, "x-route-metrics-trap", &mut wanted)
        && wanted == callback.as_bytes()
    {
        #[cfg(feature = "native")]
        #[allow(clippy::panic, reason = "it is what is tested")]
        {
            panic!("on purpose, in {callback}");
        }
        #[cfg(not(feature = "native"))]
        std::process::abort();
    }
}
