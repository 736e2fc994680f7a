//! What stands for the tick of Wasm's host: a thread that sleeps, and once a second asks Envoy to call back
//! on its main thread for each configuration. It does nothing else, and ends with the last configuration.

use std::sync::{Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::abi::{self, NEWER, Pointer};
use super::config::Config;
use super::shared::lock;

/// How often configurations are called back for.
const TICK: Duration = Duration::from_secs(1);

/// What calls back for a configuration.
struct Scheduler {
    root: u32,
    raw: Pointer,
}

// SAFETY: Envoy's schedulers may be used by any thread, as long as one does so at a time.
unsafe impl Send for Scheduler {}

struct State {
    schedulers: Vec<Scheduler>,
    thread: Option<JoinHandle<()>>,
}

static STATE: Mutex<State> = Mutex::new(State { schedulers: Vec::new(), thread: None });
static CHANGED: Condvar = Condvar::new();

/// From now on, a configuration is called back for, where metrics can be changed then.
pub fn add(config: &Config) {
    if NEWER.outside.is_none() {
        return;
    }
    // SAFETY: Envoy is making the configuration.
    let raw = unsafe { abi::scheduler_new(config.raw) };
    let mut state = lock(&STATE);
    state.schedulers.push(Scheduler { root: config.root, raw });
    if state.thread.is_none() {
        let builder = thread::Builder::new().name("route_metrics".to_owned());
        match builder.spawn(run) {
            Ok(thread) => state.thread = Some(thread),
            Err(error) => log::error!("no thread for flushing: {error}"),
        }
    }
}

/// A configuration goes; nothing is asked of its scheduler any more.
pub fn remove(config: &Config) {
    let mut state = lock(&STATE);
    state.schedulers.retain(|scheduler| {
        let stays = scheduler.root != config.root;
        if !stays {
            // SAFETY: it is there until now, and nobody has it any more.
            unsafe { abi::scheduler_delete(scheduler.raw) };
        }
        stays
    });
    // Envoy may unload the module after the last configuration, so the thread must be gone.
    let thread = state.schedulers.is_empty().then(|| state.thread.take()).flatten();
    drop(state);
    if let Some(thread) = thread {
        CHANGED.notify_all();
        let _ = thread.join();
    }
}

fn run() {
    let mut state = lock(&STATE);
    while state.thread.is_some() {
        for scheduler in &state.schedulers {
            // SAFETY: a scheduler is in the list as long as it is there.
            unsafe { abi::scheduler_commit(scheduler.raw, 0) };
        }
        state = match CHANGED.wait_timeout(state, TICK) {
            Ok((state, _)) => state,
            Err(poisoned) => poisoned.into_inner().0,
        };
    }
}
