//! Inference of endpoints from paths, with or without learning.
//!
//! What was learned is a trie of labels whose nodes are named by hashes, known by [`Facts`]. A
//! label depends on nothing but the path and the facts, so workers that have exchanged their facts
//! give the same label to the same path. Memory is bounded because the facts are.

use std::collections::BTreeMap;

use super::facts::{Fact, Facts, JOINS, MAX_CHILDREN, Node, Told};
use super::lexicon::Lexicon;
use super::memory::Memory;
use super::recent::{Key, Recent};
use super::score::{self, Place};
use super::token::{Kind, Token};
use super::weights::{self, NAMES, Trait};
use crate::config::InferenceMode;
use crate::endpoint::Reason;
use crate::endpoint::hash;
use crate::endpoint::path::{CanonicalPath, Form, MAX_SEGMENTS};
use crate::secret::Secret;

/// Requests before a node can collapse.
const MIN_REQUESTS: u8 = 12;

/// Unknown children before a node can collapse.
const MIN_UNKNOWN: u8 = 6;

/// Sightings after the first that make a child repeated.
const REPEATED: u8 = 2;

/// Labels that are counted for [`Inference::templates`].
const MAX_LABELS: usize = 10_000;

/// Traits that are named in an explanation.
const MAX_REASONS: usize = 4;

/// Infers endpoints, for one worker.
pub struct Inference {
    lexicon: Lexicon,
    memory: Memory,
    recent: Recent,
    /// That of the path seen last.
    key: Key,
    /// What was learned; `None` for one that does not learn.
    facts: Option<Facts>,
    /// Labels given, where they are counted.
    labels: Option<BTreeMap<Vec<u8>, u64>>,
    off: bool,
}

impl Inference {
    /// Inference that has learned nothing yet. With `Off` every path is without a label.
    #[must_use]
    pub fn new(mode: InferenceMode) -> Self {
        Self {
            lexicon: Lexicon::new(Secret::default()),
            memory: Memory::new(),
            recent: Recent::new(),
            key: Key::new(),
            facts: (mode == InferenceMode::Adaptive).then(Facts::default),
            labels: None,
            off: mode == InferenceMode::Off,
        }
    }

    /// Hashes what clients send with this key from now on. What was learned with another one is
    /// forgotten. Workers that exchange what they learn must have the same.
    pub fn set_secret(&mut self, secret: Secret) {
        if self.lexicon.secret == secret {
            return;
        }
        self.lexicon.secret = secret;
        self.memory = Memory::new();
        self.recent = Recent::new();
        self.facts = self.facts.is_some().then(Facts::default);
    }

    /// Counts labels from now on, for [`Inference::templates`].
    pub fn count_labels(&mut self) {
        self.labels.get_or_insert_default();
    }

    /// Appends the label of a path as far as is known now; teaches nothing. For a request that has
    /// not ended. Nothing is appended for what is no path.
    pub fn label(&self, path: &CanonicalPath<'_>, out: &mut Vec<u8>) {
        if self.off {
            return;
        }
        let mut key = Key::new();
        if key.read(path, &self.memory, &self.lexicon).is_some()
            && let Some(label) = self.recent.find(&key, self.version())
        {
            return out.extend_from_slice(label);
        }
        let mut tokens = [Token::default(); MAX_SEGMENTS];
        let tokens = self.look(path, &mut tokens);
        let mut place = Place::START;
        for token in tokens {
            let literal = self.is_literal(place, tokens);
            write(token, literal, out);
            place = place.after(token, literal);
        }
        finish(path, out);
    }

    /// Learns from a path, and appends its label. For a request that has ended, and was not refused
    /// as a scanner's is. Nothing is appended for what is no path.
    pub fn observe(&mut self, path: &CanonicalPath<'_>, out: &mut Vec<u8>) {
        if self.off {
            return;
        }
        let start = out.len();
        let version = self.version();
        let has_key = self.key.read(path, &self.memory, &self.lexicon).is_some();
        if has_key && let Some(label) = self.recent.find(&self.key, version) {
            out.extend_from_slice(label);
        } else {
            self.walk(path, out);
            if has_key && self.version() == version {
                self.recent.keep(&self.key, version, out.get(start..).unwrap_or_default());
            }
        }
        self.count(out.get(start..).unwrap_or_default());
    }

    /// Which state of what was learned this is: never 0.
    fn version(&self) -> u32 {
        self.facts.as_ref().map_or(1, Facts::version)
    }

    /// Learns from a path, and appends its label.
    fn walk(&mut self, path: &CanonicalPath<'_>, out: &mut Vec<u8>) {
        let mut tokens = [Token::default(); MAX_SEGMENTS];
        let segments = path.segments();
        for (index, (token, segment)) in tokens.iter_mut().zip(segments).enumerate() {
            *token = self.memory.remember(segment, index, &self.lexicon);
        }
        let tokens = tokens.get(..segments.len()).unwrap_or_default();
        let mut place = Place::START;
        for token in tokens {
            let literal = self.is_literal(place, tokens);
            self.learn(place.node, token, literal);
            write(token, literal, out);
            place = place.after(token, literal);
        }
        finish(path, out);
        if let Some(facts) = &mut self.facts
            && !tokens.is_empty()
            && !facts.arrive(place.node)
        {
            facts.tell(Fact::End, place.node, 0);
        }
    }

    /// Looks at the segments of a path.
    fn look<'t, 'a>(
        &self,
        path: &CanonicalPath<'a>,
        tokens: &'t mut [Token<'a>; MAX_SEGMENTS],
    ) -> &'t [Token<'a>] {
        let segments = path.segments();
        for (index, (token, segment)) in tokens.iter_mut().zip(segments).enumerate() {
            *token = self.memory.look(segment, index, &self.lexicon);
        }
        tokens.get(..segments.len()).unwrap_or_default()
    }

    fn is_literal(&self, place: Place, tokens: &[Token<'_>]) -> bool {
        match tokens.get(place.index).map(|token| token.kind) {
            None | Some(Kind::Identifier(_)) => false,
            Some(Kind::Version | Kind::Language) => true,
            Some(Kind::Word) => {
                let mut sum = tokens.get(place.index).map_or(0, |token| i32::from(token.score));
                score::at_place(place, tokens, self.facts.as_ref(), |which| {
                    sum += weights::of(which);
                });
                sum > 0
            }
        }
    }

    /// Takes in what a segment teaches about the node that it is below of.
    fn learn(&mut self, at: u64, token: &Token<'_>, literal: bool) {
        let Some(facts) = &mut self.facts else { return };
        let hits = facts.hit(at, MIN_REQUESTS);
        if token.kind == Kind::Word {
            learn_word(facts, at, token, literal);
        }
        if !literal {
            if !facts.node(hash::below(at, token.placeholder)).is(Node::SEEN) {
                facts.tell(Fact::Value, at, token.placeholder);
            }
            if facts.node(at).shapes & (1 << token.shape()) == 0 {
                facts.tell(Fact::Shape, at, token.shape());
            }
        }
        let node = facts.node(at);
        if hits < MIN_REQUESTS || node.unknown < MIN_UNKNOWN || node.is(Node::COLLAPSED) {
            return;
        }
        let sum = i32::from(node.known_once()) * weights::of(Trait::CollapsePerKnown)
            + i32::from(node.unknown_once()) * weights::of(Trait::CollapsePerUnknown)
            + i32::from(node.known_repeated) * weights::of(Trait::CollapsePerKnownRepeated)
            + i32::from(node.unknown_repeated) * weights::of(Trait::CollapsePerRepeated);
        if sum <= weights::of(Trait::CollapseAt) {
            facts.tell(Fact::Collapsed, at, 0);
        }
    }

    /// What this worker has learned and not told yet, as bytes for [`Inference::merge`] on the
    /// others; `None` where there is nothing left. It is at most
    /// [`MAX_NEWS_BYTES`](super::MAX_NEWS_BYTES) at a time, and ends at
    /// [`MAX_LOG_BYTES`](super::MAX_LOG_BYTES) of all workers until [`Inference::begin_anew`].
    pub fn take_news(&mut self) -> Option<Vec<u8>> {
        self.facts.as_mut()?.take_news()
    }

    /// Takes in what another worker has learned. In which order, and how often, does not matter.
    /// False, and nothing taken in, if the bytes are malformed.
    pub fn merge(&mut self, facts: &[u8]) -> bool {
        self.facts.as_mut().is_none_or(|own| own.merge(facts))
    }

    /// Whether so much was told by all workers that what is not used should be forgotten.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.facts.as_ref().is_some_and(Facts::is_full)
    }

    /// Forgets what was learned, but for news that nobody has taken yet.
    pub fn begin_anew(&mut self) {
        if let Some(facts) = &mut self.facts {
            facts.begin_anew();
        }
    }

    /// What is still used of all news, which `told` hands out each time it is called: at most three
    /// eighths of [`MAX_LOG_BYTES`](super::MAX_LOG_BYTES), in the form of news.
    #[must_use]
    pub fn still_used(&self, told: &Told<'_>) -> Vec<u8> {
        self.facts.as_ref().map_or_else(Vec::new, |facts| facts.still_used(told))
    }

    /// Bytes on the heap, without the counts of labels.
    #[cfg(test)]
    fn heap_bytes(&self) -> usize {
        let facts = self.facts.as_ref().map_or(0, Facts::heap_bytes);
        self.lexicon.words.heap_bytes()
            + self.memory.heap_bytes()
            + self.recent.heap_bytes()
            + facts
    }

    fn count(&mut self, label: &[u8]) {
        let Some(labels) = &mut self.labels else { return };
        if let Some(count) = labels.get_mut(label) {
            *count += 1;
        } else if labels.len() < MAX_LABELS {
            labels.insert(label.to_vec(), 1);
        }
    }

    /// What was learned, as templates for the configuration, most used first. Empty unless
    /// [`Inference::count_labels`] was called. Labels that were given before more was known count
    /// for what they would be now.
    #[must_use]
    pub fn templates(&self) -> Vec<String> {
        let mut templates = BTreeMap::<String, u64>::new();
        for (label, count) in self.labels.iter().flatten() {
            let mut now = Vec::new();
            self.label(&CanonicalPath::new(label), &mut now);
            if let Ok(template) = String::from_utf8(now) {
                *templates.entry(template).or_default() += count;
            }
        }
        let mut templates: Vec<(String, u64)> = templates.into_iter().collect();
        templates.sort_by_key(|(_, count)| core::cmp::Reverse(*count));
        templates.into_iter().map(|(template, _)| template).collect()
    }

    /// For each segment of a path what it is in the label, and why.
    #[must_use]
    pub fn explain(&self, path: &CanonicalPath<'_>) -> Vec<Reason> {
        let mut tokens = [Token::default(); MAX_SEGMENTS];
        let tokens = self.look(path, &mut tokens);
        let mut place = Place::START;
        let mut all = Vec::new();
        for token in tokens {
            let literal = self.is_literal(place, tokens);
            let mut label = Vec::new();
            token.write(literal, &mut label);
            all.push(Reason {
                segment: String::from_utf8_lossy(token.raw).into_owned(),
                label: String::from_utf8_lossy(&label).into_owned(),
                why: match token.kind {
                    Kind::Identifier(form) => form.to_string(),
                    Kind::Version => "a version of the API".to_owned(),
                    Kind::Language => "a language that the path begins with".to_owned(),
                    Kind::Word => self.reasons(place, tokens),
                },
            });
            place = place.after(token, literal);
        }
        all
    }

    /// For each segment that is no identifier by its form the numbers of its traits, each with how
    /// often it counts.
    #[cfg(route_metrics_train)]
    pub fn traits(&self, path: &CanonicalPath<'_>) -> Vec<Option<Vec<(usize, i32)>>> {
        let mut tokens = [Token::default(); MAX_SEGMENTS];
        let tokens = self.look(path, &mut tokens);
        let mut place = Place::START;
        let mut all = Vec::new();
        for token in tokens {
            let literal = self.is_literal(place, tokens);
            all.push((token.kind == Kind::Word).then(|| {
                let mut traits = Vec::new();
                score::of_word(token, |which, times| traits.push((which as usize, times)));
                score::at_place(place, tokens, self.facts.as_ref(), |which| {
                    traits.push((which as usize, 1));
                });
                traits
            }));
            place = place.after(token, literal);
        }
        all
    }

    /// The traits that weigh most, as text: `score 34: one word that APIs use +26, …`.
    fn reasons(&self, place: Place, tokens: &[Token<'_>]) -> String {
        let mut parts = Vec::new();
        let mut sum = 0;
        let mut add = |which, times| {
            let points = weights::of(which) * times;
            sum += points;
            let meaning = NAMES.get(which as usize).map_or("", |(_, meaning)| *meaning);
            parts.push((points, meaning));
        };
        if let Some(token) = tokens.get(place.index) {
            score::of_word(token, &mut add);
        }
        score::at_place(place, tokens, self.facts.as_ref(), |which| add(which, 1));
        parts.retain(|(points, _)| *points != 0);
        parts.sort_by_key(|(points, _)| core::cmp::Reverse(points.abs()));
        let parts: Vec<String> = parts
            .iter()
            .take(MAX_REASONS)
            .map(|(points, meaning)| format!("{meaning} {points:+}"))
            .collect();
        format!("score {sum}: {}", parts.join(", "))
    }
}

/// What a word teaches about the node that it is below of.
fn learn_word(facts: &mut Facts, at: u64, token: &Token<'_>, literal: bool) {
    let key = hash::below(at, token.hash);
    let child = facts.node(key);
    let known = token.is_known();
    if !child.is(Node::SEEN) {
        let node = facts.node(at);
        let (seen, once) = match known {
            true => (node.known, node.known_once()),
            false => (node.unknown, node.unknown_once()),
        };
        if seen < MAX_CHILDREN && once < facts.max_once() {
            facts.tell(if known { Fact::Known } else { Fact::Unknown }, at, token.hash);
            if !literal {
                facts.tell(Fact::ValueWord, at, token.hash);
            }
        }
        return;
    }
    if child.is(Node::REPEATED) {
        return;
    }
    if facts.sight(key, REPEATED) < REPEATED {
        return;
    }
    facts.tell(if known { Fact::KnownRepeated } else { Fact::UnknownRepeated }, at, token.hash);
    if literal {
        facts.tell(Fact::Literal, at, token.hash);
        if known && let Some(join) = token.join() {
            facts.tell(Fact::Joined, JOINS + join as u64, token.hash);
        }
    }
}

fn write(token: &Token<'_>, literal: bool, out: &mut Vec<u8>) {
    out.push(b'/');
    token.write(literal, out);
}

/// What a label ends in beside its segments.
fn finish(path: &CanonicalPath<'_>, out: &mut Vec<u8>) {
    match path.form() {
        Form::Path if path.segments().is_empty() => out.push(b'/'),
        Form::Asterisk => out.push(b'*'),
        _ if path.truncated() => out.extend_from_slice(b"/{*}"),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
