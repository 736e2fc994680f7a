//! Polling with a deadline, in place of fixed sleeps.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for anything that a healthy Envoy does on a machine with a single busy core. Only a
/// test that fails waits so long.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// The first pause between two tries, and the longest: looking costs the machine something, too.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// Calls `probe` until it gives `Ok`, and returns that, or the last `Err` once `within` is over.
pub fn poll<T, E>(within: Duration, mut probe: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let deadline = Instant::now() + within;
    let (mut pause, longest) = PAUSES;
    loop {
        match probe() {
            Err(_) if Instant::now() < deadline => {
                thread::sleep(pause);
                pause = longest.min(pause * 3 / 2);
            }
            outcome => return outcome,
        }
    }
}

/// Calls `probe` until it gives `Ok`, and returns that; panics with `what` and the last error once
/// [`DEADLINE`] is over.
#[track_caller]
pub fn eventually<T, E: Display>(what: &str, probe: impl FnMut() -> Result<T, E>) -> T {
    match poll(DEADLINE, probe) {
        Ok(value) => value,
        Err(last) => panic!("{what}: not within {DEADLINE:?}; last: {last}"),
    }
}

/// As [`eventually`], for what runs beside the connections of a client of HTTP/2: they go on between two
/// tries. `holds` may ask Envoy, which takes a moment.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let deadline = Instant::now() + DEADLINE;
    async move {
        while !holds() {
            assert!(Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
            tokio::time::sleep(PAUSES.0).await;
        }
    }
}

/// Sets a flag when dropped, so that threads which run until it is set end where the test panics, too.
pub struct SetOnDrop<'a>(pub &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Waits until `actual` gives `expected`; panics with `what` and the last value otherwise.
#[track_caller]
pub fn eventually_equal<T>(what: &str, expected: T, mut actual: impl FnMut() -> T)
where
    T: PartialEq + std::fmt::Debug,
{
    eventually(what, || {
        let found = actual();
        if found == expected {
            Ok(())
        } else {
            Err(format!("found {found:?}, expected {expected:?}"))
        }
    });
}
