//! The life of a request, from its headers to its record.
//!
//! [`Filter`] is one VM's filter: it is told of configurations, of request headers and of the end
//! of streams, in this order, and it is told about once a second to flush. At the headers it
//! decides whether the request is in the sample, and keeps what the client sent. Everything else
//! happens at the end: which endpoint it was, whether it counts, and what is recorded. A stream
//! that never had headers (a malformed request) is only seen at its end, and counts all the same.

mod by_id;
mod posts;

use std::hash::Hasher;
use std::rc::Rc;

use by_id::ById;
use siphasher::sip::SipHasher24;

use crate::config::DurationUnit;
use crate::custom::events;
use crate::custom::rules::{self, Measured, Rule};
use crate::endpoint::{CanonicalPath, Decided, Knowledge, Learners, decide};
use crate::host::{CREATE_ONLY, Host, LogLevel, MetricKind, Property};
use crate::labels::UNMATCHED;
use crate::labels::value::{self, Facts};
use crate::plan;
use crate::plan::Capacity;
use crate::plan::{Measure, MetricPlan, Plan};
use crate::request::{Kept, Outcome, Pool};
use crate::sampling::Random;
use crate::series::open_requests::Active;
use crate::series::registry::{Amount, Definition, Handle, Registry, ValueId};
use crate::series::{Append, SharedList};

/// A flush is not worth its while sooner after the last one, in nanoseconds.
const FLUSH_NS: u64 = 900_000_000;
/// A configuration that was not told to flush for so many flushes of others is gone: the host
/// tells live ones once a second. The time is there for streams that outlive their configuration.
const GONE_FLUSHES: u64 = 120;

/// The environment variable with the secret from which the key of hashed values is made.
pub const HASH_KEY: &str = "METRICS_HASH_KEY";

/// One VM's filter.
pub struct Filter<H> {
    host: H,
    registry: Registry,
    active: Active,
    random: Random,
    learners: Learners,
    learned: SharedList,
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

/// One configuration: a root context of the host.
struct Root {
    plan: Rc<Plan>,
    /// The lists of values of the plan's labels.
    values: Vec<usize>,
    /// The families of the plan's metrics.
    families: Vec<usize>,
    /// For each label, the ids of the configured endpoints where they stand in it as they are.
    endpoint_ids: Vec<Vec<ValueId>>,
    /// What was defined for the plan's rules.
    rules: Vec<rules::Family>,
    events: events::Families,
    /// Whether Envoy has shown the body of a post of itself.
    shows_bodies: bool,
    gauge: Option<usize>,
    hash_key: [u8; 16],
    /// Whether reading all headers of the response in one call is worth its while.
    reads_headers: bool,
    last_flush: u64,
}

/// What became of a request.
#[derive(Clone, Copy)]
enum Decision {
    Recorded,
    SampledOut,
    Excluded,
}

/// `route_metrics_requests_total`, by [`Decision`]. The host is told with the flush: this is not
/// worth a call for each request.
#[derive(Default)]
struct Decisions([(Handle, u64); 3]);

impl Decisions {
    fn define(&mut self, host: &impl Host, registry: &mut Registry) {
        let names = ["recorded", "sampled_out", "excluded"];
        for ((handle, _), decision) in self.0.iter_mut().zip(names) {
            let labels = [("decision", decision)];
            let name = "route_metrics_requests_total";
            *handle = registry.own(host, MetricKind::Counter, name, &labels);
        }
    }

    fn count(&mut self, decision: Decision) {
        if let Some((_, count)) = self.0.get_mut(decision as usize) {
            *count += 1;
        }
    }

    fn flush(&mut self, host: &impl Host) {
        for (handle, count) in self.0.iter_mut().filter(|(_, count)| *count > 0) {
            handle.add(host, std::mem::take(count));
        }
    }
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
            learned: SharedList::new("route-metrics/learned".to_owned()),
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

    /// How many streams are open, by what this VM was told.
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// A configuration has come for a root context. False where it is refused, with every mistake
    /// in the host's log; nothing is defined then.
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
        let hash_key = self.hash_key(&variable);
        let root_state = self.resolve(Rc::new(plan), hash_key);
        self.reports_in_headers |= root_state.plan.events.response_header.is_some();
        self.roots.insert(root, root_state);
        self.decisions.define(&self.host, &mut self.registry);
        self.exchange();
        true
    }

    /// The key of hashed label values: made of [`HASH_KEY`] where it is set, so that all proxies of
    /// a fleet agree, else a random one that the workers of this process share.
    fn hash_key(&mut self, variable: &impl Fn(&str) -> Option<String>) -> [u8; 16] {
        const SHARED: &str = "route-metrics/hash-key";
        let mut key = [0; 16];
        if let Some(text) = variable(HASH_KEY).filter(|text| !text.is_empty()) {
            for (half, chunk) in key.chunks_exact_mut(8).enumerate() {
                let mut hasher = SipHasher24::new_with_keys(half as u64, 0);
                hasher.write(text.as_bytes());
                chunk.copy_from_slice(&hasher.finish().to_le_bytes());
            }
            return key;
        }
        for chunk in key.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.random.next_u64().to_le_bytes());
        }
        self.host.shared_set(SHARED, &key, CREATE_ONLY);
        let mut shared = Vec::new();
        self.host.shared_get(SHARED, &mut shared);
        shared.try_into().unwrap_or(key)
    }

    /// Defines what a plan needs.
    fn resolve(&mut self, plan: Rc<Plan>, hash_key: [u8; 16]) -> Root {
        let (host, registry) = (&self.host, &mut self.registry);
        let mut values = Vec::new();
        let mut endpoint_ids = Vec::new();
        let (endpoints, max) = (plan.endpoints.labels(), plan.max_value_length);
        for label in &plan.labels {
            let (list, ids) = rules::label_values(host, registry, label, endpoints, max);
            values.push(list);
            endpoint_ids.push(ids);
        }
        let mut families = Vec::new();
        for metric in plan.metrics.iter().filter(|_| plan.enabled) {
            let labels = metric.labels.iter().filter_map(|&place| {
                let label = plan.labels.get(place)?;
                Some((label.name.as_str(), *values.get(place)?, label.source.is_closed()))
            });
            let definition = Definition {
                name: &metric.name,
                kind: metric.kind,
                labels: labels.collect(),
                max_series: metric.max_series,
            };
            families.push(registry.family(host, &definition));
        }
        let define = |rule: &Rule| rules::define(host, registry, &rule.metric, endpoints, max);
        let rules = plan.rules.all().iter().map(define).collect();
        let events = events::Families::define(host, registry, &plan.events, max);
        let active = plan.active.as_deref().filter(|_| plan.enabled);
        let gauge = active.map(|name| self.active.gauge(host, registry, name));
        let gauge_of = MetricKind::Gauge;
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.own(host, gauge_of, "route_metrics_build_info", &version).record(host, 1);
        registry
            .own(host, gauge_of, "route_metrics_sample_rate_ppm", &[])
            .record(host, plan.sampling.rate.ppm());
        let reads_headers = headers_pay(&plan);
        let last_flush = self.flushes;
        Root {
            plan,
            values,
            families,
            endpoint_ids,
            rules,
            events,
            shows_bodies: false,
            gauge,
            hash_key,
            reads_headers,
            last_flush,
        }
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

    /// Sets the endpoint, as far as it is known before the response, as filter state.
    fn export(&mut self, stream: u32) {
        let Self { host, roots, streams, pool, scratch, learners, .. } = self;
        let Some(state) = streams.get(&stream) else { return };
        let Some(root) = roots.get(&state.root) else { return };
        // Access logs and traces have a sampling of their own, so this one does not count here.
        let mut unsampled = None;
        let kept = match &state.phase {
            Phase::Kept { kept, .. } => kept,
            _ => {
                let kept = unsampled.insert(pool.take());
                kept.fill(host, &[]);
                kept
            }
        };
        let path = CanonicalPath::new(kept.path());
        let known = decide(
            &root.plan,
            kept.method(),
            &path,
            Knowledge::Unfinished,
            learners,
            |out| host.property(Property::RouteName, out),
            &mut scratch.endpoint,
        );
        if let Some(text) = known.text(&root.plan, &scratch.endpoint) {
            let text = scratch.value.encode(text, root.plan.max_value_length);
            host.set_filter_state("endpoint", text.as_bytes());
            // A route is what the configuration says; what was inferred is a template of paths.
            match known {
                Decided::Configured(_) => host.set_filter_state("route", text.as_bytes()),
                _ if text != UNMATCHED => host.set_filter_state("url_template", text.as_bytes()),
                _ => {}
            }
        }
        if let Some(kept) = unsampled {
            pool.give(kept);
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
    /// context: what waits for the next flush may have to go without one.
    pub fn forget(&mut self, context: u32) {
        // Nearly always it has, just before.
        if context == self.ended {
            return;
        }
        if self.roots.contains_key(&context) {
            self.active.tell(&self.host);
            self.decisions.flush(&self.host);
        } else {
            self.end(context);
        }
    }

    fn finish(&mut self, root: u32, plan: &Plan, kept: &Kept, in_sample: bool) -> Decision {
        let Some(root) = self.roots.get(&root) else { return Decision::SampledOut };
        let Self { host, registry, random, outcome, scratch, learners, .. } = self;
        outcome.reset();
        if in_sample && root.reads_headers {
            outcome.read_headers(host, &plan.response_headers);
        }
        let code = outcome.code(host);
        let path = CanonicalPath::new(kept.path());
        // Another filter may have answered before this one has seen the headers.
        if plan.events.path.as_ref().is_some_and(|events| posts::is_path(&path, events)) {
            return Decision::Excluded;
        }
        let endpoint = decide(
            plan,
            kept.method(),
            &path,
            Knowledge::Answered(code),
            learners,
            |out| host.property(Property::RouteName, out),
            &mut scratch.endpoint,
        );
        scratch.decided = Some(endpoint);
        let Some(endpoint_text) = endpoint.text(plan, &scratch.endpoint) else {
            return Decision::Excluded;
        };
        let sampling = &plan.sampling;
        let always = sampling.has_always()
            && (sampling.statuses.contains(code)
                || sampling.slower_than_ns.is_some_and(|bound| outcome.duration_ns(host) > bound)
                || sampling.endpoints.iter().any(|e| e.as_bytes() == endpoint_text));
        if !always && !in_sample {
            return Decision::SampledOut;
        }
        let weight = if always { 1 } else { sampling.rate.weight(random) };
        let mut facts = Facts {
            plan,
            hash_key: &root.hash_key,
            kept,
            path: &path,
            endpoint: endpoint_text,
            outcome,
        };
        scratch.ids.clear();
        scratch.ids.resize(plan.labels.len(), None);
        for (metric, &family) in plan.metrics.iter().zip(&root.families) {
            let amount = match metric.measure {
                Measure::Requests => Amount::Add(weight),
                Measure::Exceptions => {
                    if !facts.is_exception(host, &mut scratch.value) {
                        continue;
                    }
                    Amount::Add(weight)
                }
                _ if !in_sample => continue,
                Measure::Duration(unit) => {
                    let duration_ns = facts.outcome.duration_ns(host);
                    Amount::Record(match unit {
                        DurationUnit::Microseconds => duration_ns / 1_000,
                        DurationUnit::Milliseconds => duration_ns / 1_000_000,
                    })
                }
                Measure::RequestSize => Amount::Record(facts.outcome.request_size(host)),
                Measure::ResponseSize => Amount::Record(facts.response_size(host)),
            };
            let mut ids = [ValueId { id: 0, folded: false }; crate::series::MAX_LABELS];
            for (to, &place) in ids.iter_mut().zip(&metric.labels) {
                let Some(slot) = scratch.ids.get_mut(place) else { continue };
                *to = match *slot {
                    Some(id) => id,
                    None => {
                        let configured = match endpoint {
                            Decided::Configured(index) => {
                                root.endpoint_ids.get(place).and_then(|ids| ids.get(index))
                            }
                            _ => None,
                        };
                        let id = configured.copied().unwrap_or_else(|| {
                            let list = root.values.get(place).copied().unwrap_or(usize::MAX);
                            match plan.labels.get(place) {
                                Some(label) => {
                                    let text = facts.value(host, label, &mut scratch.value);
                                    registry.value(host, list, text)
                                }
                                None => ValueId { id: 0, folded: true },
                            }
                        });
                        *slot = Some(id);
                        id
                    }
                };
            }
            let ids = ids.get(..metric.labels.len()).unwrap_or_default();
            registry.record(host, family, ids, amount);
        }
        if !root.rules.is_empty() {
            let endpoint = match endpoint {
                Decided::Configured(place) => Some(place),
                _ => None,
            };
            let measured = Measured { endpoint, weight, in_sample };
            let Scratch { rules, value, .. } = scratch;
            rules::record(host, registry, &root.rules, &mut facts, measured, rules, value);
        }
        Decision::Recorded
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
        self.roots.retain(|_, root| root.last_flush >= gone);
        self.active.flush(&self.host, &mut self.registry);
        self.decisions.flush(&self.host);
        self.exchange();
    }

    /// Tells the other workers what this one has learned, and takes in what they have.
    fn exchange(&mut self) {
        let Self { host, learners, learned, .. } = self;
        let adaptive = std::cell::RefCell::new(&mut learners.adaptive);
        let merge = |entry: &[u8]| {
            adaptive.borrow_mut().merge(entry);
        };
        learned.sync(host, merge);
        loop {
            let news = adaptive.borrow_mut().take_news();
            let Some(news) = news else { return };
            while learned.append(host, &news, merge) == Append::Moved {}
            learned.sync(host, merge);
        }
    }
}

/// Whether a plan needs more of the response's headers than the code, which is needed always, to
/// tell endpoints from what was ignored: by measurement, all of them cost as much as two properties.
fn headers_pay(plan: &Plan) -> bool {
    let size = |metric: &MetricPlan| metric.measure == Measure::ResponseSize;
    !plan.response_headers.is_empty() || plan.metrics.iter().any(size)
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
