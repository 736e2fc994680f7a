//! Polling with a deadline, in place of fixed sleeps.

use std::fmt::Display;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long what a test waits for may take: long enough for anything that a healthy Envoy does on a machine with
/// a single busy core. Only a test that fails waits so long. `E2E_DEADLINE` in the environment is another
/// number of seconds, for tests that are expected to fail.
pub fn deadline() -> Duration {
    static SECONDS: LazyLock<u64> = LazyLock::new(|| {
        let told = std::env::var("E2E_DEADLINE").ok();
        told.map_or(180, |text| text.parse().expect("E2E_DEADLINE is a number of seconds"))
    });
    Duration::from_secs(*SECONDS)
}

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
/// [`deadline`] is over.
#[track_caller]
pub fn eventually<T, E: Display>(what: &str, probe: impl FnMut() -> Result<T, E>) -> T {
    match poll(deadline(), probe) {
        Ok(value) => value,
        Err(last) => panic!("{what}: not within {:?}; last: {last}", deadline()),
    }
}

/// As [`eventually`], for what runs beside the connections of a client of HTTP/2: they go on between two
/// tries. `holds` may ask Envoy, which takes a moment.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let end = Instant::now() + deadline();
    async move {
        while !holds() {
            assert!(Instant::now() < end, "{what}: not within {:?}", deadline());
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
