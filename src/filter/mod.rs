//! The life of a request, from its headers to its record.
//!
//! [`Filter`] is one VM's filter: it is told of configurations, of request headers and of the end
//! of streams, in this order, and it is told about once a second to flush. At the headers it
//! decides whether the request is in the sample, and keeps what the client sent. Everything else
//! happens at the end: which endpoint it was, whether it counts, and what is recorded. A stream
//! that never had headers (a malformed request) is only seen at its end, and counts all the same.

mod by_id;
mod configured;
mod decisions;
mod exchange;
mod export;
mod posts;
mod record;

use std::rc::Rc;

use crate::custom::rules;
use crate::endpoint::{Decided, Learners};
use crate::host::{Host, LogLevel};
use crate::labels::value;
use crate::plan::{self, Capacity, Plan};
use crate::request::{Kept, Outcome, Pool};
use crate::sampling::Random;
use crate::series::Generations;
use crate::series::open_requests::Active;
use crate::series::registry::{Registry, ValueId};
use by_id::ById;
use configured::Root;
use decisions::{Decision, Decisions};

pub use exchange::HASH_KEY;

/// A flush is not worth its while sooner after the last one, in nanoseconds.
const FLUSH_NS: u64 = 900_000_000;
/// A configuration that was not told to flush for so many flushes of others is gone: the host
/// tells live ones once a second. It is what becomes of those that had open streams when the host
/// forgot them.
const GONE_FLUSHES: u64 = 120;

/// One VM's filter.
pub struct Filter<H> {
    host: H,
    registry: Registry,
    active: Active,
    random: Random,
    learners: Learners,
    learned: Generations,
    roots: ById<Root>,
    streams: ById<Stream>,
    pool: Pool,
    outcome: Outcome,
    scratch: Scratch,
    decisions: Decisions,
    flushes: u64,
    flushed_ns: u64,
    /// Streams that wait for the body of a post, and some that no longer do.
    waiting: Vec<u32>,
    /// The stream that ended last.
    ended: u32,
    /// Whether any configuration so far takes events from response headers.
    reports_in_headers: bool,
}

/// Buffers that live longer than one request.
#[derive(Default)]
struct Scratch {
    decided: Option<Decided>,
    endpoint: Vec<u8>,
    ids: Vec<Option<ValueId>>,
    value: value::Buffers,
    rules: rules::Scratch,
    /// A header or body with events.
    report: Vec<u8>,
}

/// A request between its headers and its end.
struct Stream {
    root: u32,
    phase: Phase,
    gauge: Option<usize>,
}

enum Phase {
    /// No headers yet.
    New,
    /// Not in the sample, and nothing can bring it back.
    SampledOut,
    /// Events are posted; the filter waits for the body, and has done so for this many ticks.
    Posting { ticks: u32 },
    /// Events were posted, and the filter has answered.
    Answered,
    /// Looked at.
    Kept { kept: Kept, in_sample: bool },
}

/// What is to become of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It goes on.
    Continue,
    /// It is buffered, until the filter answers it.
    Wait,
}

impl<H: Host> Filter<H> {
    /// A filter without configuration. The seed is for sampling; it should differ between VMs.
    pub fn new(host: H, seed: u64) -> Self {
        Self {
            host,
            registry: Registry::default(),
            active: Active::new(seed),
            random: Random::new(seed),
            learners: Learners::default(),
            learned: Generations::default(),
            roots: ById::default(),
            streams: ById::default(),
            pool: Pool::default(),
            outcome: Outcome::default(),
            scratch: Scratch::default(),
            decisions: Decisions::default(),
            flushes: 0,
            flushed_ns: 0,
            waiting: Vec::new(),
            ended: 0,
            reports_in_headers: false,
        }
    }

    /// The host.
    pub fn host(&self) -> &H {
        &self.host
    }

    /// How many configurations there are, with those that are about to be forgotten.
    pub fn configurations(&self) -> usize {
        self.roots.len()
    }

    /// How many streams are open, by what this VM was told.
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// A configuration has come for a root context. False where it is refused, with every mistake
    /// in the host's log; nothing is defined then. Warnings go to the log, too.
    pub fn configure(
        &mut self,
        root: u32,
        bytes: &[u8],
        variable: impl Fn(&str) -> Option<String>,
    ) -> bool {
        let plan = plan::load(bytes, &variable, Capacity::Checked);
        let plan = match plan {
            Ok(plan) => plan,
            Err(mistakes) => {
                for mistake in mistakes.iter() {
                    self.host.log(LogLevel::Error, &format!("configuration: {mistake}"));
                }
                return false;
            }
        };
        for warning in plan.warnings.iter() {
            self.host.log(LogLevel::Warn, &format!("configuration: {warning}"));
        }
        let (hash_key, secret) = (self.hash_key(&variable), self.secret());
        let Self { host, registry, learners, active, flushes, .. } = self;
        registry.configure(root, secret);
        learners.set_secret(secret);
        let root_state = Root::define(host, registry, active, Rc::new(plan), hash_key, *flushes);
        self.reports_in_headers |= root_state.plan.events.response_header.is_some();
        self.roots.insert(root, root_state);
        self.decisions.define(&self.host, &mut self.registry);
        self.exchange();
        true
    }

    /// A stream was created for a root context.
    pub fn create(&mut self, stream: u32, root: u32) {
        self.streams.insert(stream, Stream { root, phase: Phase::New, gauge: None });
    }

    /// The request's headers are there; `complete` where nothing follows them.
    pub fn request_headers(&mut self, stream: u32, complete: bool) -> Action {
        let Some(state) = self.streams.get_mut(&stream) else { return Action::Continue };
        let Some(root) = self.roots.get(&state.root) else { return Action::Continue };
        let plan = &*root.plan;
        if !matches!(state.phase, Phase::New) {
            return Action::Continue;
        }
        if let Some(path) = &plan.events.path
            && posts::is_post(&self.host, path, &mut self.scratch.report)
        {
            return self.post_headers(stream, complete);
        }
        if !plan.enabled {
            return Action::Continue;
        }
        if let Some(gauge) = root.gauge {
            self.active.raise(gauge);
            state.gauge = Some(gauge);
        }
        state.phase = begin(&self.host, plan, &mut self.random, &mut self.pool);
        if plan.export {
            self.export(stream);
        }
        Action::Continue
    }

    /// The response's headers are there: events are taken out of them.
    #[inline]
    pub fn response_headers(&mut self, stream: u32) {
        if self.reports_in_headers {
            self.header_events(stream);
        }
    }

    /// The endpoint of the stream that ended last: what was decided, and, where that is
    /// [`Decided::Written`], the text before encoding. `None` where the stream was not looked at.
    pub fn last_endpoint(&self) -> Option<(Decided, &[u8])> {
        Some((self.scratch.decided?, &self.scratch.endpoint))
    }

    /// What infers endpoints, with what it has learned so far.
    pub fn learners(&self) -> &Learners {
        &self.learners
    }

    /// The stream has ended. What it was is recorded.
    pub fn end(&mut self, stream: u32) {
        self.ended = stream;
        self.scratch.decided = None;
        let Some(state) = self.streams.remove(&stream) else { return };
        if let Some(gauge) = state.gauge {
            self.active.lower(gauge);
        }
        let Some(root) = self.roots.get(&state.root) else { return };
        if !root.plan.enabled {
            return;
        }
        let plan = Rc::clone(&root.plan);
        let phase = match state.phase {
            // There were no request headers, or other filters have answered before this one.
            Phase::New => begin(&self.host, &plan, &mut self.random, &mut self.pool),
            phase => phase,
        };
        let decision = match phase {
            Phase::Kept { kept, in_sample } => {
                let decision = self.finish(state.root, &plan, &kept, in_sample);
                self.pool.give(kept);
                decision
            }
            // They are no traffic of the application's.
            Phase::Posting { .. } | Phase::Answered => Decision::Excluded,
            Phase::New | Phase::SampledOut => Decision::SampledOut,
        };
        self.decisions.count(decision);
    }

    /// The host forgets a stream, which ends now if it has not ended before. Or it forgets a root
    /// context: what waits for the next flush may have to go without one, and the configuration
    /// goes, unless a stream of it is still open.
    pub fn forget(&mut self, context: u32) {
        // Nearly always it has, just before.
        if context == self.ended {
            return;
        }
        if self.roots.contains_key(&context) {
            self.settle();
            self.registry.release(&self.host, context);
            if !self.streams.values().any(|stream| stream.root == context) {
                self.roots.remove(&context);
            }
        } else {
            self.end(context);
        }
    }

    /// Nothing more can be said of a stream, because the host caught a panic at its end: it leaves the
    /// gauge and is not counted.
    pub fn abandon(&mut self, stream: u32) {
        if let Some(gauge) = self.streams.remove(&stream).and_then(|state| state.gauge) {
            self.active.lower(gauge);
        }
    }

    /// Tells the host what waits for the next flush, for a host that may not be able to flush for long.
    pub fn settle(&mut self) {
        self.active.tell(&self.host);
        self.decisions.flush(&self.host);
    }

    /// About a second has passed: gauges are told, what was learned is exchanged, and
    /// configurations that are gone are forgotten.
    pub fn tick(&mut self, root: u32) {
        self.release_posts(root);
        if let Some(root) = self.roots.get_mut(&root) {
            root.last_flush = self.flushes;
        }
        let now = self.host.now_ns();
        if self.flushed_ns != 0 && now.saturating_sub(self.flushed_ns) < FLUSH_NS {
            return;
        }
        self.flushed_ns = now;
        self.flushes += 1;
        let gone = self.flushes.saturating_sub(GONE_FLUSHES);
        let Self { host, registry, roots, .. } = self;
        roots.retain(|&id, root| {
            let stays = root.last_flush >= gone;
            if !stays {
                registry.release(host, id);
            }
            stays
        });
        self.active.flush(&self.host, &mut self.registry);
        self.decisions.flush(&self.host);
        self.exchange();
    }
}

/// The sampling decision, and what is kept of a request that may be recorded.
fn begin(host: &impl Host, plan: &Plan, random: &mut Random, pool: &mut Pool) -> Phase {
    let sampling = &plan.sampling;
    if sampling.rate.is_none() {
        return Phase::SampledOut;
    }
    let in_sample = sampling.rate.draw(random);
    if !in_sample && !sampling.has_always() {
        return Phase::SampledOut;
    }
    let mut kept = pool.take();
    kept.fill(host, &plan.request_headers);
    Phase::Kept { kept, in_sample }
}
