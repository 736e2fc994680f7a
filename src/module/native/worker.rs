//! The filter of each thread of Envoy.
//!
//! A thread works on its own filter. About once a second the main thread takes each in turn, for what
//! Wasm's host has a tick for, so a filter is behind a lock, which nearly always is free.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::abi::{NEWER, Pointer};
use super::config::Config;
use super::host::Envoy;
use super::shared::lock;
use super::stream::{Answer, Seen};
use super::variable;
use crate::filter::Filter;

/// So many numbers of streams that are gone are not used again, so that none is used twice in a row.
const RESTING: usize = 16;

/// Hooks that have panicked, until they are counted.
pub static PANICS: AtomicU64 = AtomicU64::new(0);

/// The filter of one thread, and what it is told of.
pub struct Work {
    /// The filter.
    pub filter: Filter<Envoy>,
    configured: HashSet<u32>,
    /// Of how many series the streams of a configuration have told, where Envoy changes no metrics outside
    /// streams. Those of one that drains may still make others.
    kept: HashMap<u32, usize>,
    streams: u32,
    resting: VecDeque<u32>,
}

// SAFETY: whatever is counted by reference in a filter stays in it, and whoever holds the lock is the only
// one who gets at it.
unsafe impl Send for Work {}

static WORKERS: Mutex<Vec<&'static Mutex<Work>>> = Mutex::new(Vec::new());

/// A configuration that is there.
#[derive(Clone, Copy)]
struct Live(*const Config);

// SAFETY: what a configuration says is only read, and it is in the list as long as it is there.
unsafe impl Send for Live {}

static LIVE: Mutex<Vec<Live>> = Mutex::new(Vec::new());

thread_local! {
    static WORKER: Cell<Option<&'static Mutex<Work>>> = const { Cell::new(None) };
}

impl Work {
    fn new() -> Self {
        // The fuzzer wants the same to happen again.
        let seed = if cfg!(fuzzing) { 1 } else { RandomState::new().hash_one(0u8) };
        Self {
            filter: Filter::new(Envoy::new(), seed),
            configured: HashSet::new(),
            kept: HashMap::new(),
            streams: 0,
            resting: VecDeque::new(),
        }
    }

    /// Tells the filter of a configuration that it does not know; false where it is refused.
    pub fn configure(&mut self, config: &Config) -> bool {
        self.configured.contains(&config.root)
            || self.filter.configure(config.root, &config.bytes, variable)
                && self.configured.insert(config.root)
    }

    /// Tells the filter of a new stream of the configuration that was entered; gives its number.
    pub fn create(&mut self, config: &Config) -> u32 {
        if NEWER.outside.is_none() {
            let kept = self.kept.entry(config.root).or_default();
            *kept = self.filter.host().keep(*kept);
        }
        let number = self.number();
        self.filter.create(number, config.root);
        number
    }

    fn number(&mut self) -> u32 {
        match self.resting.len() > RESTING {
            true => self.resting.pop_front().unwrap_or_default(),
            false => {
                self.streams += 1;
                self.streams
            }
        }
    }

    /// A stream is gone.
    pub fn forget(&mut self, stream: u32) {
        self.filter.forget(stream);
        self.resting.push_back(stream);
    }

    /// About a second has passed for a configuration. Changes of metrics go to what was entered.
    fn tick(&mut self, root: u32) {
        let panics = PANICS.swap(0, Ordering::Relaxed);
        if panics > 0 {
            self.filter.host().count_panics(panics);
        }
        self.filter.tick(root);
    }

    /// Where Envoy changes no metrics outside streams, a stream that ends does what would be done once a
    /// second: at least once a second, and when no other stream of the thread is open.
    pub fn tick_with_stream(&mut self) {
        if NEWER.outside.is_none() {
            self.tick_all();
        }
    }

    #[cold]
    fn tick_all(&mut self) {
        let roots: Vec<u32> = self.configured.iter().copied().collect();
        roots.into_iter().for_each(|root| self.tick(root));
        if self.filter.open_streams() == 0 {
            self.filter.settle();
        }
    }
}

/// Runs `work` on this thread's filter, for a configuration and, where it is not null, a stream of it; then
/// gives what it gave, and sends what the filter answers.
pub fn with<T>(
    config: &Config,
    stream: Pointer,
    seen: Option<Seen>,
    work: impl FnOnce(&mut Work) -> T,
) -> T {
    let (result, answer) = run(own(), config, stream, seen, work);
    if let Some(answer) = answer {
        answer.send(stream);
    }
    result
}

fn run<T>(
    worker: &Mutex<Work>,
    config: &Config,
    stream: Pointer,
    seen: Option<Seen>,
    work: impl FnOnce(&mut Work) -> T,
) -> (T, Option<Answer>) {
    let mut own = lock(worker);
    own.filter.host().enter(config, stream, seen);
    let result = work(&mut own);
    let answer = own.filter.host().leave();
    (result, answer)
}

/// This thread's filter, made when it is first asked for. Threads of Envoy live as long as it does.
#[inline]
fn own() -> &'static Mutex<Work> {
    WORKER.get().unwrap_or_else(|| {
        let new: *mut Mutex<Work> = Box::into_raw(Box::new(Mutex::new(Work::new())));
        // SAFETY: it is never freed.
        let new: &'static Mutex<Work> = unsafe { &*new };
        lock(&WORKERS).push(new);
        WORKER.set(Some(new));
        for live in &*lock(&LIVE) {
            configure(new, live);
        }
        new
    })
}

/// Tells a thread's filter of a configuration, as the host of Wasm tells each worker: limits of one hold for what
/// another counts, whether or not a request of it has come to the thread.
fn configure(worker: &Mutex<Work>, live: &Live) {
    // SAFETY: it is in the list, whose lock the caller has.
    let config = unsafe { &*live.0 };
    run(worker, config, ptr::null_mut(), None, |own| own.configure(config));
}

/// Tells all threads of a configuration, which must stay where it is until it is [forgotten](forget); false where
/// it is refused.
pub fn add(config: &Config) -> bool {
    if !with(config, ptr::null_mut(), None, |own| own.configure(config)) {
        return false;
    }
    let mut live = lock(&LIVE);
    let new = Live(config);
    live.push(new);
    all().into_iter().for_each(|worker| configure(worker, &new));
    true
}

/// All filters there are.
fn all() -> Vec<&'static Mutex<Work>> {
    lock(&WORKERS).clone()
}

/// About a second has passed for a configuration, on all threads.
pub fn tick(config: &Config) {
    for worker in all() {
        run(worker, config, ptr::null_mut(), None, |own| own.tick(config.root));
    }
}

/// A configuration is gone, on all threads. Those that stay keep its series.
pub fn forget(config: &Config) {
    let mut live = lock(&LIVE);
    live.retain(|live| !ptr::eq(live.0, config));
    for live in &*live {
        // SAFETY: it is in the list, whose lock is held.
        let other = unsafe { &*live.0 };
        for worker in all() {
            run(worker, other, ptr::null_mut(), None, |own| own.filter.host().keep(0));
        }
    }
    drop(live);
    for worker in all() {
        run(worker, config, ptr::null_mut(), None, |own| {
            own.kept.remove(&config.root);
            if own.configured.remove(&config.root) {
                own.filter.forget(config.root);
            }
        });
    }
}

/// The filters of a process, and this thread's.
#[cfg(any(test, fuzzing))]
#[derive(Default)]
pub struct Threads {
    all: Vec<&'static Mutex<Work>>,
    own: Option<&'static Mutex<Work>>,
}

/// Exchanges the filters that there are.
#[cfg(any(test, fuzzing))]
pub fn swap(other: &mut Threads) {
    std::mem::swap(&mut *lock(&WORKERS), &mut other.all);
    other.own = WORKER.replace(other.own);
}

/// Frees filters.
///
/// # Safety
/// No thread may have them any more.
#[cfg(any(test, fuzzing))]
pub unsafe fn free(threads: &mut Threads) {
    for worker in threads.all.drain(..) {
        // SAFETY: the caller's; they were made by `Box::into_raw`.
        drop(unsafe { Box::from_raw(ptr::from_ref(worker).cast_mut()) });
    }
}

/// From now on, this thread is that of the filter in this place; those up to it are made where they are not there.
#[cfg(any(test, fuzzing))]
pub fn sit(place: usize) {
    while lock(&WORKERS).len() <= place {
        WORKER.set(None);
        own();
    }
    WORKER.set(lock(&WORKERS).get(place).copied());
}

/// The streams that the filters have not forgotten.
#[cfg(any(test, fuzzing))]
pub fn open_streams() -> usize {
    all().into_iter().map(|worker| lock(worker).filter.open_streams()).sum()
}
