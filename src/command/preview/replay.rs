//! Sends log entries through the filter, and keeps what a report needs.

use std::collections::BTreeMap;
use std::time::Instant;

use hashbrown::HashMap;

use super::host::ReplayHost;
use super::log::formats::FORMATS;
use super::log::{Broken, Hints, Parser, Spread};
use super::report::Directions;
use crate::command::envoy_config::StatsConfig;
use crate::config::{Config, InferenceMode, Mistakes};
use crate::endpoint::{CanonicalPath, Decided, Inference, Reason, infer, reasons};
use crate::filter::Filter;
use crate::labels::UNMATCHED;
use crate::plan;
use crate::plan::Capacity;
use crate::plan::Plan;

/// Endpoints that are counted one by one. A configuration that lets more through has lost its
/// limits anyway.
const MAX_ENDPOINTS: usize = 20_000;
/// Broken lines that are shown of each input.
const MAX_EXAMPLES: usize = 5;
/// Bytes of a line or path that are shown.
const MAX_SHOWN: usize = 200;
/// Points of the curve of what was found over time.
const MAX_POINTS: usize = 256;
/// Of so many requests one is timed.
const TIMED: u64 = 64;
/// After so many requests the filter is told that a second has passed.
const TICK: u64 = 10_000;

const ROOT: u32 = 1;
const STREAM: u32 = 2;

/// A replay of one or more logs.
pub struct Replay {
    filter: Filter<ReplayHost>,
    pub(super) config: Config,
    pub(super) plan: Plan,
    heuristic: Inference,
    pub(super) parser: Parser,
    pub(super) inputs: Vec<InputCounts>,
    pub(super) endpoints: Vec<Seen>,
    /// By the place of a configured endpoint.
    configured: Vec<Option<usize>>,
    written: HashMap<Box<[u8]>, usize>,
    excluded: HashMap<usize, usize>,
    /// Requests of endpoints beyond [`MAX_ENDPOINTS`].
    pub(super) untracked: u64,
    pub(super) requests: u64,
    pub(super) curve: Curve,
    /// Nanoseconds of the requests that were timed.
    timed: Spread,
    pub(super) with_duration: u64,
    pub(super) with_size: u64,
    direction: Direction,
    pub(super) directions: Directions,
    /// Requests without an endpoint, by their status; 0 for none.
    pub(super) unmatched: BTreeMap<u16, u64>,
    scratch: Vec<u8>,
}

/// What was read of one input.
#[derive(Debug, Default)]
pub(super) struct InputCounts {
    pub name: String,
    pub lines: u64,
    pub bytes: u64,
    /// By their places in [`FORMATS`].
    pub formats: Vec<u64>,
    pub broken: u64,
    /// Of them, those that are likely to be requests.
    pub missed: u64,
    /// By what they are.
    pub reasons: BTreeMap<Broken, u64>,
    /// Line number, why, and the line.
    pub examples: Vec<(u64, Broken, String)>,
}

/// Which requests of a sidecar are replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// All.
    #[default]
    All,
    /// Those to the workload, and those that tell no direction.
    Inbound,
    /// Those from the workload, and those that tell no direction.
    Outbound,
}

impl Direction {
    /// The direction of a request by Istio's name of its cluster; `None` where it tells none.
    fn of(cluster: &[u8]) -> Option<Self> {
        if cluster.starts_with(b"inbound|") || cluster.starts_with(b"InboundPassthrough") {
            return Some(Self::Inbound);
        }
        let outbound: [&[u8]; 3] = [b"outbound|", b"PassthroughCluster", b"BlackHoleCluster"];
        outbound.iter().any(|name| cluster.starts_with(name)).then_some(Self::Outbound)
    }
}

/// What is kept of an endpoint.
#[derive(Debug)]
pub(super) struct Seen {
    pub decided: Decided,
    /// Before encoding; empty where it is configured.
    pub text: Box<[u8]>,
    pub requests: u64,
    /// By hundreds: no response, 1xx … 5xx.
    pub classes: [u64; 6],
    pub methods: Vec<(&'static str, u64)>,
    /// In nanoseconds, where the log has the unit.
    pub durations: Spread,
    /// Numbers without one, by their place in [`Parser::sources`].
    pub numbers: Vec<(u16, Spread)>,
    pub bytes: u64,
    /// A request of it.
    pub example: (Box<[u8]>, Box<[u8]>),
    /// Whether learning has changed the label of a request.
    pub learned: bool,
    /// Whether it is Envoy's route name.
    pub route: bool,
}

/// How many endpoints and series there were after how many requests. The step doubles when the
/// list is full.
#[derive(Debug)]
pub(super) struct Curve {
    points: Vec<(u64, usize, usize)>,
    step: u64,
}

impl Curve {
    /// All points, with the last request.
    pub fn with_end(&self, end: (u64, usize, usize)) -> Vec<(u64, usize, usize)> {
        let mut points = self.points.clone();
        points.retain(|point| point.0 < end.0);
        points.push(end);
        points
    }

    fn add(&mut self, requests: u64, endpoints: usize, series: usize) {
        if self.points.len() >= MAX_POINTS {
            let mut keep = false;
            self.points.retain(|_| {
                keep = !keep;
                !keep
            });
            self.step *= 2;
        }
        if requests.is_multiple_of(self.step) {
            self.points.push((requests, endpoints, series));
        }
    }
}

impl Replay {
    /// A replay with a plugin configuration. Sampling is left out: what is shown is what all of the
    /// traffic makes.
    ///
    /// # Errors
    /// The mistakes of the configuration.
    pub fn new(configuration: &[u8]) -> Result<Self, Mistakes> {
        Self::with_hints(configuration, Hints::default())
    }

    /// As [`Self::new`], with what the user says of the logs.
    ///
    /// # Errors
    /// The mistakes of the configuration.
    pub fn with_hints(configuration: &[u8], hints: Hints) -> Result<Self, Mistakes> {
        let (mut config, _) = plan::read(configuration, Capacity::Checked)?;
        let rate = config.sampling.rate;
        config.sampling.rate = 1.0;
        let plan = plan::compile(&config, Capacity::Checked)?;
        config.sampling.rate = rate;
        let needs = StatsConfig::new(&config)?;
        let buckets = needs.histograms().map(|(name, buckets)| (name, buckets.bounds.as_slice()));
        let mut filter = Filter::new(ReplayHost::new(buckets), 1);
        let all = |name: &str| (name == "METRICS_SAMPLE_RATE").then(|| "1".to_owned());
        filter.configure(ROOT, configuration, all);
        Ok(Self {
            filter,
            configured: vec![None; plan.endpoints.labels().len()],
            config,
            plan,
            heuristic: Inference::new(InferenceMode::Heuristic),
            parser: Parser::new(hints),
            inputs: Vec::new(),
            endpoints: Vec::new(),
            written: HashMap::new(),
            excluded: HashMap::new(),
            untracked: 0,
            requests: 0,
            curve: Curve { points: Vec::new(), step: 1 },
            timed: Spread::default(),
            with_duration: 0,
            with_size: 0,
            direction: Direction::All,
            directions: Directions::default(),
            unmatched: BTreeMap::new(),
            scratch: Vec::new(),
        })
    }

    /// Leaves out requests of the other direction.
    pub fn only(&mut self, direction: Direction) {
        self.direction = direction;
    }

    /// What the filter recorded.
    pub fn host(&self) -> &ReplayHost {
        self.filter.host()
    }

    /// How many requests were replayed.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Nanoseconds of one request in the filter, the median: other load on the machine does not
    /// count. Zero where none was timed.
    pub(super) fn ns_per_request(&self) -> f64 {
        self.timed.quantile(0.5).unwrap_or(0.0)
    }

    /// Nothing follows for now: the filter tells what it would tell with the next flush.
    pub(super) fn finish(&mut self) {
        self.filter.forget(ROOT);
    }

    /// What follows is of this input.
    pub fn start_input(&mut self, name: &str) {
        self.parser.start_input(self.inputs.len());
        let formats = vec![0; FORMATS.len()];
        self.inputs.push(InputCounts { name: name.to_owned(), formats, ..InputCounts::default() });
    }

    /// A line that was too long to be read.
    pub fn too_long(&mut self) {
        if let Some(input) = self.inputs.last_mut() {
            input.lines += 1;
        }
        self.broken(Broken::TooLong, b"");
    }

    /// One line of the input, without its end.
    pub fn line(&mut self, line: &[u8]) {
        if let Some(input) = self.inputs.last_mut() {
            input.lines += 1;
            input.bytes += line.len() as u64 + 1;
        }
        if line.trim_ascii().is_empty() {
            return;
        }
        let parsed = self.parser.parse(line, &mut self.filter.host().entry_mut());
        match parsed {
            Ok(format) => {
                if let Some(input) = self.inputs.last_mut()
                    && let Some(count) = input.formats.get_mut(format.place())
                {
                    *count += 1;
                }
                if self.is_left_out() {
                    self.directions.left_out += 1;
                    return;
                }
                self.request();
            }
            Err(why) => self.broken(why, line),
        }
    }

    /// Counts the direction of the entry; whether it is the other one.
    fn is_left_out(&mut self) -> bool {
        let direction = Direction::of(&self.filter.host().entry().cluster);
        match direction {
            Some(Direction::Inbound) => self.directions.inbound += 1,
            Some(Direction::Outbound) => self.directions.outbound += 1,
            _ => return false,
        }
        self.direction != Direction::All && direction != Some(self.direction)
    }

    #[cold]
    fn broken(&mut self, why: Broken, line: &[u8]) {
        if let Some(input) = self.inputs.last_mut() {
            input.broken += 1;
            input.missed += u64::from(why.is_missed(line));
            let seen = input.reasons.entry(why).or_default();
            *seen += 1;
            if input.examples.len() < MAX_EXAMPLES || *seen == 1 {
                input.examples.push((input.lines, why, shown(line)));
            }
        }
    }

    /// The entry that the host shows, as a request from its headers to its end.
    fn request(&mut self) {
        self.requests += 1;
        if self.requests.is_multiple_of(TICK) {
            self.filter.host().advance(1_000_000_000);
            self.filter.tick(ROOT);
        }
        let duration_ns = self.filter.host().entry().duration_ns.unwrap_or(0);
        if self.requests.is_multiple_of(TIMED) {
            let start = Instant::now();
            self.filtered(duration_ns);
            let ns = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.timed.add(ns as f64);
        } else {
            self.filtered(duration_ns);
        }
        self.count();
        if self.requests.is_multiple_of(self.curve.step) {
            let series = self.filter.host().stats().len();
            self.curve.add(self.requests, self.endpoints.len(), series);
        }
    }

    fn filtered(&mut self, duration_ns: u64) {
        self.filter.create(STREAM, ROOT);
        self.filter.request_headers(STREAM, true);
        self.filter.host().advance(duration_ns);
        self.filter.end(STREAM);
    }

    /// Counts the request for its endpoint.
    fn count(&mut self) {
        let Some((decided, text)) = self.filter.last_endpoint() else { return };
        let entry = self.filter.host().entry();
        let known = match decided {
            Decided::Configured(index) => self.configured.get(index).copied().flatten(),
            Decided::Written => self.written.get(text).copied(),
            Decided::Excluded => {
                let path = CanonicalPath::new(&entry.path);
                let found = self.plan.endpoints.explain(&entry.method, &path);
                let index = match found.map(|found| found.origin) {
                    Some(crate::endpoint::Origin::Exclude(index)) => index as usize,
                    _ => 0,
                };
                match self.excluded.get(&index) {
                    Some(&place) => Some(place),
                    None => {
                        self.excluded.insert(index, self.endpoints.len());
                        None
                    }
                }
            }
        };
        let place = match known {
            Some(place) => place,
            None if self.endpoints.len() >= MAX_ENDPOINTS => {
                self.untracked += 1;
                return;
            }
            None => {
                let place = self.endpoints.len();
                let mut own: Box<[u8]> = Box::default();
                match decided {
                    Decided::Configured(index) => {
                        if let Some(known) = self.configured.get_mut(index) {
                            *known = Some(place);
                        }
                    }
                    Decided::Written => {
                        own = text.into();
                        self.written.insert(own.clone(), place);
                    }
                    Decided::Excluded => {}
                }
                let cut = |text: &[u8]| text.get(..text.len().min(4096)).unwrap_or_default().into();
                self.endpoints.push(Seen {
                    decided,
                    text: own,
                    requests: 0,
                    classes: [0; 6],
                    methods: Vec::new(),
                    durations: Spread::default(),
                    numbers: Vec::new(),
                    bytes: 0,
                    example: (cut(&entry.method), cut(&entry.path)),
                    learned: false,
                    route: self.plan.route_name && text == entry.route,
                });
                place
            }
        };
        let Some(seen) = self.endpoints.get_mut(place) else { return };
        seen.requests += 1;
        if let Some(class) = seen.classes.get_mut(usize::from(entry.status / 100).min(5)) {
            *class += 1;
        }
        let method = crate::request::method::label(&entry.method);
        match seen.methods.iter_mut().find(|(known, _)| *known == method) {
            Some((_, count)) => *count += 1,
            None => seen.methods.push((method, 1)),
        }
        if let Some((source, number)) = entry.number {
            match seen.numbers.iter_mut().find(|(known, _)| *known == source) {
                Some((_, spread)) => spread.add(number),
                None => {
                    let mut spread = Spread::default();
                    spread.add(number);
                    seen.numbers.push((source, spread));
                }
            }
            self.with_duration += 1;
        } else if let Some(ns) = entry.duration_ns {
            seen.durations.add(ns as f64);
            self.with_duration += 1;
        }
        if let Some(bytes) = entry.response_bytes {
            seen.bytes = seen.bytes.saturating_add(bytes);
            self.with_size += 1;
        }
        if decided == Decided::Written && &*seen.text == UNMATCHED.as_bytes() {
            *self.unmatched.entry(entry.status.min(999)).or_default() += 1;
        }
        // Whether it was learned is asked ever less often.
        if decided == Decided::Written
            && !seen.learned
            && !seen.route
            && seen.requests.is_power_of_two()
            && &*seen.text != UNMATCHED.as_bytes()
        {
            self.scratch.clear();
            let path = CanonicalPath::new(&entry.path);
            infer(&self.heuristic, &entry.method, &path, &mut self.scratch);
            seen.learned =
                *seen.text != *self.scratch && path.form() == crate::endpoint::Form::Path;
        }
    }

    /// The endpoint that a path would be inferred to now; `None` where none is inferred.
    pub(super) fn inferred_now(&self, method: &[u8], path: &CanonicalPath<'_>) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        infer(self.learner()?, method, path, &mut text);
        (!text.is_empty()).then_some(text)
    }

    /// Why it is that, for each segment.
    pub(super) fn reasons_now(&self, method: &[u8], path: &CanonicalPath<'_>) -> Vec<Reason> {
        self.learner().map_or_else(Vec::new, |learner| reasons(learner, method, path))
    }

    fn learner(&self) -> Option<&Inference> {
        self.filter.learners().of(self.plan.inference)
    }
}

/// Bytes of a log as text to show: cut, and nothing in it that a terminal would act upon.
pub(super) fn shown(bytes: &[u8]) -> String {
    let cut = bytes.get(..bytes.len().min(MAX_SHOWN)).unwrap_or_default();
    let mut text: String = String::from_utf8_lossy(cut)
        .chars()
        .map(|c| if c.is_control() || is_invisible(c) { '\u{fffd}' } else { c })
        .collect();
    if cut.len() < bytes.len() {
        text.push('…');
    }
    text
}

/// Characters that change the direction or look of others.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
