//! Learns which positions of which paths hold values.
//!
//! The memory is a trie whose nodes are named by hashes of the labels that lead there. What is
//! learned are *facts*: each says that something was seen, or was decided, at a node. Facts are
//! only ever added, adding one twice changes nothing and their order does not matter, and a label
//! depends on nothing but the path and the facts. So workers that have exchanged their facts agree.

use super::hash::{self, KeyMap};
use super::infer::{Affix, Kind, Memory, PLACEHOLDER, Token};
use super::path::{CanonicalPath, Form, MAX_SEGMENTS};
use super::vocabulary::Vocabulary;
use super::weights::{Trait, WEIGHTS};
use crate::config::InferenceMode;

/// Bytes of facts after which a worker adds no more. The log of all workers stays below this and
/// [`MAX_NEWS`] for each worker.
pub const MAX_FACTS: usize = 160 * 1024;

/// Bytes of facts that a worker keeps until they are fetched; it learns nothing more before that.
pub const MAX_NEWS: usize = 16 * 1024;

/// Children of each class that are remembered per node.
const MAX_KNOWN: u8 = 128;
const MAX_UNKNOWN: u8 = 16;

/// Requests before a node can collapse.
const MIN_REQUESTS: u16 = 12;
/// Unknown children before a node can collapse.
const MIN_UNKNOWN: u8 = 6;
/// Sightings that make a child repeated.
const REPEATED: u8 = 3;

const ROOT: u64 = 1;
/// Three places that are no nodes: compounds joined by `-`, `_` and capitals.
const JOINS: u64 = 2;

/// What is said of a node. The first byte of a serialised fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fact {
    /// A child of known words was seen.
    Known = 1,
    /// A child of unknown words was seen.
    Unknown = 2,
    /// A value was seen there.
    Value = 3,
    /// A path ended there.
    End = 4,
    /// A child of unknown words was seen again and again.
    UnknownRepeated = 5,
    /// The node holds values.
    Collapsed = 6,
    /// An unknown word was a literal again and again.
    Literal = 7,
    /// A compound of known words was a literal again and again; the node is the way of joining.
    Joined = 8,
    /// A child of known words was seen again and again.
    KnownRepeated = 9,
}

impl Fact {
    fn from_byte(byte: u8) -> Option<Self> {
        const ALL: [Fact; 9] = [
            Fact::Known,
            Fact::Unknown,
            Fact::Value,
            Fact::End,
            Fact::UnknownRepeated,
            Fact::Collapsed,
            Fact::Literal,
            Fact::Joined,
            Fact::KnownRepeated,
        ];
        ALL.into_iter().find(|fact| *fact as u8 == byte)
    }
}

/// Bytes of a serialised fact: what, the node, the child.
const FACT_BYTES: usize = 1 + 6 + 4;

#[derive(Clone, Copy, Default)]
struct Node {
    /// Children seen, by class; they stop at their maximum.
    known: u8,
    unknown: u8,
    repeated: u8,
    known_repeated: u8,
    flags: u8,
    /// Requests through this node, on this worker.
    hits: u16,
}

impl Node {
    const SEEN: u8 = 1;
    const HAS_VALUE: u8 = 2;
    const END: u8 = 4;
    const REPEATED: u8 = 8;
    const COLLAPSED: u8 = 16;
    const LITERAL: u8 = 32;

    fn is(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Where the walk stands.
#[derive(Clone, Copy)]
struct Place {
    node: u64,
    index: usize,
    /// Placeholders directly before.
    placeholders: usize,
}

/// Inference for one worker.
pub struct Inference {
    mode: InferenceMode,
    words: Vocabulary,
    memory: Memory,
    nodes: KeyMap<Node>,
    /// Of unknown words, at how many nodes they are literals.
    literals: KeyMap<u8>,
    /// Compounds that are joined by `-`, `_` and capitals.
    joins: [u8; 3],
    news: Vec<u8>,
    /// Bytes of all facts, told and heard.
    facts: usize,
    weights: [i16; WEIGHTS.len()],
}

struct Score<'a> {
    weights: &'a [i16; WEIGHTS.len()],
    sum: i32,
}

impl Score<'_> {
    fn of(&self, which: Trait) -> i32 {
        self.weights.get(which as usize).copied().map_or(0, i32::from)
    }
    fn add(&mut self, which: Trait) {
        self.sum += self.of(which);
    }
    fn when(&mut self, condition: bool, which: Trait) {
        if condition {
            self.add(which);
        }
    }
}

impl Inference {
    /// Inference that has learned nothing.
    #[must_use]
    pub fn new(mode: InferenceMode) -> Self {
        Self {
            mode,
            words: Vocabulary::new(),
            memory: Memory::new(),
            nodes: KeyMap::default(),
            literals: KeyMap::default(),
            joins: [0; 3],
            news: Vec::new(),
            facts: 0,
            weights: WEIGHTS,
        }
    }

    /// With other weights.
    #[doc(hidden)]
    pub fn with_weights(mode: InferenceMode, weights: [i16; WEIGHTS.len()]) -> Self {
        Self { weights, ..Self::new(mode) }
    }

    /// Appends the label of a path as known now. Teaches nothing.
    pub fn label(&self, path: &CanonicalPath<'_>, out: &mut Vec<u8>) {
        let mut tokens = [Token::default(); MAX_SEGMENTS];
        let segments = path.segments();
        for (index, (token, segment)) in tokens.iter_mut().zip(segments).enumerate() {
            *token = self.memory.look(segment, index, &self.words);
        }
        let tokens = tokens.get(..segments.len()).unwrap_or_default();
        let mut place = Place { node: ROOT, index: 0, placeholders: 0 };
        for (index, token) in tokens.iter().enumerate() {
            place.index = index;
            let literal = self.decide(place, tokens);
            self.write(token, literal, out);
            place = Self::next(place, token, literal);
        }
        finish(path, out);
    }

    /// Learns from a path, and appends its label.
    pub fn observe(&mut self, path: &CanonicalPath<'_>, out: &mut Vec<u8>) {
        let mut tokens = [Token::default(); MAX_SEGMENTS];
        let segments = path.segments();
        for (index, (token, segment)) in tokens.iter_mut().zip(segments).enumerate() {
            *token = self.memory.remember(segment, index, &self.words);
        }
        let tokens = tokens.get(..segments.len()).unwrap_or_default();
        let mut place = Place { node: ROOT, index: 0, placeholders: 0 };
        for (index, token) in tokens.iter().enumerate() {
            place.index = index;
            let literal = self.decide(place, tokens);
            if self.mode == InferenceMode::Adaptive {
                self.learn(place.node, token, literal);
            }
            self.write(token, literal, out);
            place = Self::next(place, token, literal);
        }
        if self.mode == InferenceMode::Adaptive && !tokens.is_empty() {
            let node = self.nodes.get(&place.node).copied().unwrap_or_default();
            if !node.is(Node::END) {
                self.tell(Fact::End, place.node, 0);
            }
        }
        finish(path, out);
    }

    fn write(&self, token: &Token<'_>, literal: bool, out: &mut Vec<u8>) {
        out.push(b'/');
        token.write(literal, out);
    }

    fn next(place: Place, token: &Token<'_>, literal: bool) -> Place {
        Place {
            node: hash::below(place.node, if literal { token.hash } else { token.placeholder() }),
            index: place.index + 1,
            placeholders: if literal { 0 } else { place.placeholders + 1 },
        }
    }

    fn node(&self, key: u64) -> Node {
        self.nodes.get(&key).copied().unwrap_or_default()
    }

    fn decide(&self, place: Place, tokens: &[Token<'_>]) -> bool {
        let Some(token) = tokens.get(place.index) else { return false };
        match token.kind {
            Kind::Identifier(_) => return false,
            Kind::Version => return true,
            Kind::Word => {}
        }
        let sketch = &token.sketch;
        let mut score = Score { weights: &self.weights, sum: 0 };
        let known = is_known(token);
        // The segment.
        if sketch.known + sketch.compounds == sketch.words {
            score.add(if sketch.words > 1 { Trait::KnownMany } else { Trait::KnownOne });
            if sketch.known > 0 {
                score.sum += score.of(Trait::PerLevel) * i32::from(sketch.level.min(7));
            }
            score.when(sketch.compounds > 0, Trait::Compound);
        } else if sketch.known + sketch.compounds > 0 {
            score.add(Trait::Partly);
            score.when(sketch.last_known, Trait::PartlyLast);
        } else {
            score.add(if sketch.words > 1 { Trait::UnknownMany } else { Trait::Unknown });
            score.when(sketch.plural, Trait::PluralUnknown);
        }
        score.when(sketch.camel, Trait::Camel);
        score.when(sketch.capital && !sketch.upper, Trait::Capital);
        score.when(sketch.upper, Trait::Upper);
        score.when(sketch.digits > 0, Trait::Digits);
        score.when(sketch.snake, Trait::Snake);
        score.when(sketch.kebab, Trait::Kebab);
        score.when(sketch.dotted, Trait::Dotted);
        score.when(sketch.words > 3, Trait::FourWords);
        score.when(sketch.sigil, Trait::Sigil);
        score.when(sketch.vowelless, Trait::Vowelless);
        score.when(sketch.longest > 9, Trait::LongUnknown);
        score.when(sketch.capital && (sketch.snake || sketch.kebab), Trait::Title);
        score.when(sketch.file, Trait::File);
        if let Some(join) = join_of(token) {
            let all: u32 = self.joins.iter().map(|&count| u32::from(count)).sum();
            let own = self.joins.get(join).map_or(0, |&count| u32::from(count));
            score.when(all >= 4 && own * 8 <= all, Trait::UnusualJoin);
        }
        // Where it stands.
        score.when(place.index == 0, Trait::First);
        score.when(place.index == 1, Trait::Second);
        if place.placeholders > 0 {
            score.add(Trait::AfterPlaceholder);
            score.when(place.placeholders > 1, Trait::AfterTwoPlaceholders);
        } else if let Some(previous) = place.index.checked_sub(1).and_then(|at| tokens.get(at)) {
            if previous.kind == Kind::Version {
                score.add(Trait::AfterVersion);
            } else if is_by(previous) {
                score.add(Trait::AfterBy);
            } else if previous.sketch.plural {
                score.add(Trait::AfterPlural);
                score.when(known && sketch.words > 1, Trait::KnownManyAfterPlural);
            } else if previous.sketch.last_known {
                score.add(Trait::AfterSingular);
            } else {
                score.add(Trait::AfterUnknown);
            }
        }
        // What follows.
        let following = tokens.get(place.index + 1);
        match following {
            None => score.add(Trait::Last),
            Some(next) if matches!(next.kind, Kind::Identifier(_)) => {
                score.add(Trait::BeforeIdentifier);
                score.when(sketch.plural, Trait::PluralBeforeIdentifier);
            }
            Some(next) if next.kind == Kind::Version => score.add(Trait::BeforeVersion),
            Some(next) if is_known(next) => score.add(Trait::BeforeKnown),
            Some(_) => score.add(Trait::BeforeUnknown),
        }
        // What was seen here.
        if self.mode == InferenceMode::Adaptive {
            let node = self.node(place.node);
            let child = self.node(hash::below(place.node, token.hash));
            match node.known {
                0 => {}
                1 => score.add(Trait::SeenKnown1),
                2..4 => score.add(Trait::SeenKnown2),
                4..8 => score.add(Trait::SeenKnown4),
                8..16 => score.add(Trait::SeenKnown8),
                _ => score.add(Trait::SeenKnown16),
            }
            match node.known_repeated {
                0 => {}
                1 => score.add(Trait::SeenKnownRepeated1),
                2..4 => score.add(Trait::SeenKnownRepeated2),
                4..8 => score.add(Trait::SeenKnownRepeated4),
                _ => score.add(Trait::SeenKnownRepeated8),
            }
            let (known_here, unknown_here) = (node.known_repeated, node.unknown);
            score.when(known_here >= 2 && known_here / 3 >= unknown_here, Trait::MostlyKnown);
            score.when(unknown_here >= 3 && unknown_here / 2 >= known_here, Trait::MostlyUnknown);
            match self.literals.get(&u64::from(token.hash)) {
                None => {}
                Some(1) => score.add(Trait::LiteralElsewhere1),
                Some(_) => score.add(Trait::LiteralElsewhere2),
            }
            match node.unknown {
                0 => {}
                1 => score.add(Trait::SeenUnknown1),
                2..4 => score.add(Trait::SeenUnknown2),
                4..8 => score.add(Trait::SeenUnknown4),
                8..16 => score.add(Trait::SeenUnknown8),
                _ => score.add(Trait::SeenUnknown16),
            }
            match node.repeated {
                0 => {}
                1..3 => score.add(Trait::SeenRepeated1),
                3..6 => score.add(Trait::SeenRepeated3),
                _ => score.add(Trait::SeenRepeated6),
            }
            if node.is(Node::HAS_VALUE) {
                score.add(Trait::SeenIdentifier);
                let values = hash::below(place.node, token.placeholder());
                let alike = match following {
                    None => self.node(values).is(Node::END),
                    Some(next) if matches!(next.kind, Kind::Identifier(_)) => {
                        self.node(values).is(Node::HAS_VALUE)
                    }
                    Some(next) => {
                        let below = self.node(hash::below(values, next.hash));
                        score.when(below.is(Node::REPEATED), Trait::LikeRepeated);
                        below.is(Node::SEEN)
                    }
                };
                score.add(if alike { Trait::LikeTheOthers } else { Trait::UnlikeTheOthers });
            }
            score.when(child.is(Node::REPEATED), Trait::Repeated);
            if node.is(Node::COLLAPSED) {
                score.add(if known { Trait::CollapsedKnown } else { Trait::CollapsedUnknown });
            }
        }
        score.sum > 0
    }

    fn learn(&mut self, at: u64, token: &Token<'_>, literal: bool) {
        let is_word = token.kind == Kind::Word;
        let node = {
            let Some(node) = self.touch(at) else { return };
            node.hits = node.hits.saturating_add(1);
            *node
        };
        if is_word {
            let key = hash::below(at, token.hash);
            let child = self.node(key);
            if !child.is(Node::SEEN) {
                let known = is_known(token);
                if known && node.known < MAX_KNOWN {
                    self.tell(Fact::Known, at, token.hash);
                } else if !known && node.unknown < MAX_UNKNOWN {
                    self.tell(Fact::Unknown, at, token.hash);
                }
            } else if !child.is(Node::REPEATED) {
                // Those that pass through are counted where they arrive, values here.
                let seen = if let Some(child) = self.nodes.get_mut(&key) {
                    if !literal {
                        child.hits = child.hits.saturating_add(1);
                    }
                    child.hits
                } else {
                    0
                };
                if seen >= u16::from(REPEATED) - 1 {
                    let known = is_known(token);
                    let fact = if known { Fact::KnownRepeated } else { Fact::UnknownRepeated };
                    self.tell(fact, at, token.hash);
                    if literal && !known {
                        self.tell(Fact::Literal, at, token.hash);
                    } else if literal && let Some(join) = join_of(token) {
                        self.tell(Fact::Joined, JOINS + join as u64, token.hash);
                    }
                }
            }
        }
        if !literal && !self.node(hash::below(at, token.placeholder())).is(Node::SEEN) {
            self.tell(Fact::Value, at, token.placeholder());
        }
        if node.hits >= MIN_REQUESTS && node.unknown >= MIN_UNKNOWN && !node.is(Node::COLLAPSED) {
            let score = Score { weights: &self.weights, sum: 0 };
            let sum = i32::from(node.known) * score.of(Trait::CollapsePerKnown)
                + i32::from(node.unknown) * score.of(Trait::CollapsePerUnknown)
                + i32::from(node.known_repeated) * score.of(Trait::CollapsePerKnownRepeated)
                + i32::from(node.repeated) * score.of(Trait::CollapsePerRepeated);
            if sum <= score.of(Trait::CollapseAt) {
                self.tell(Fact::Collapsed, at, 0);
            }
        }
    }

    /// A node that facts are known of.
    fn touch(&mut self, key: u64) -> Option<&mut Node> {
        if key == ROOT {
            return Some(self.nodes.entry(ROOT).or_default());
        }
        self.nodes.get_mut(&key)
    }

    /// Takes in a fact of this worker's own.
    fn tell(&mut self, fact: Fact, node: u64, child: u32) {
        if self.facts + FACT_BYTES > MAX_FACTS || self.news.len() + FACT_BYTES > MAX_NEWS {
            return;
        }
        self.facts += FACT_BYTES;
        self.news.push(fact as u8);
        self.news.extend_from_slice(node.to_le_bytes().get(..6).unwrap_or_default());
        self.news.extend_from_slice(&child.to_le_bytes());
        self.apply(fact, node, child);
    }

    fn apply(&mut self, fact: Fact, at: u64, child: u32) {
        let (key, flag) = match fact {
            Fact::End => (at, Node::END),
            Fact::Collapsed => (at, Node::COLLAPSED),
            Fact::Known | Fact::Unknown | Fact::Value => (hash::below(at, child), Node::SEEN),
            Fact::KnownRepeated | Fact::UnknownRepeated => (hash::below(at, child), Node::REPEATED),
            Fact::Literal | Fact::Joined => (hash::below(at, child), Node::LITERAL),
        };
        let node = self.nodes.entry(key).or_default();
        if node.is(flag) {
            return;
        }
        node.flags |= flag;
        let (count, most) = match fact {
            Fact::End | Fact::Collapsed => return,
            Fact::Value => return self.nodes.entry(at).or_default().flags |= Node::HAS_VALUE,
            Fact::Literal => (self.literals.entry(u64::from(child)).or_default(), u8::MAX),
            Fact::Joined => match self.joins.get_mut(at.wrapping_sub(JOINS) as usize) {
                Some(count) => (count, 64),
                None => return,
            },
            Fact::Known => (&mut self.nodes.entry(at).or_default().known, MAX_KNOWN),
            Fact::Unknown => (&mut self.nodes.entry(at).or_default().unknown, MAX_UNKNOWN),
            Fact::KnownRepeated => {
                (&mut self.nodes.entry(at).or_default().known_repeated, MAX_KNOWN)
            }
            Fact::UnknownRepeated => (&mut self.nodes.entry(at).or_default().repeated, MAX_UNKNOWN),
        };
        *count = count.saturating_add(1).min(most);
    }

    /// What this worker has learned since it was last asked, to be told to the others.
    pub fn take_news(&mut self) -> Option<Vec<u8>> {
        (!self.news.is_empty()).then(|| core::mem::take(&mut self.news))
    }

    /// Takes in what was learned elsewhere. False, and nothing taken in, if it is malformed.
    pub fn merge(&mut self, facts: &[u8]) -> bool {
        let (facts, []) = facts.as_chunks::<FACT_BYTES>() else { return false };
        if !facts.iter().all(|[kind, ..]| Fact::from_byte(*kind).is_some()) {
            return false;
        }
        for &[kind, n0, n1, n2, n3, n4, n5, c0, c1, c2, c3] in facts {
            let node = u64::from_le_bytes([n0, n1, n2, n3, n4, n5, 0, 0]);
            if let Some(fact) = Fact::from_byte(kind) {
                self.apply(fact, node, u32::from_le_bytes([c0, c1, c2, c3]));
                self.facts += FACT_BYTES;
            }
        }
        true
    }

    /// Entries in memory.
    #[doc(hidden)]
    pub fn size(&self) -> (usize, usize) {
        (self.nodes.len(), self.facts)
    }
}

/// Whether a segment is made of words that APIs use.
fn is_known(token: &Token<'_>) -> bool {
    let sketch = &token.sketch;
    token.kind == Kind::Word
        && ((sketch.words > 0 && sketch.known + sketch.compounds >= sketch.words)
            || sketch.sigil
            || (sketch.camel && !sketch.capital))
}

/// How the words of a known compound are joined.
fn join_of(token: &Token<'_>) -> Option<usize> {
    let sketch = &token.sketch;
    if token.kind != Kind::Word || sketch.words < 2 || sketch.capital {
        return None;
    }
    match (sketch.kebab, sketch.snake, sketch.camel) {
        (true, false, false) => Some(0),
        (false, true, false) => Some(1),
        (false, false, true) => Some(2),
        _ => None,
    }
}

/// Whether a segment says what the next one is.
fn is_by(token: &Token<'_>) -> bool {
    let raw = token.raw;
    [&b"by"[..], b"in", b"for", b"of", b"from", b"with", b"name", b"id", b"uid"].contains(&raw)
        || raw.windows(3).any(|window| matches!(window, b"-by" | b"_by"))
        || raw.starts_with(b"by")
}

fn finish(path: &CanonicalPath<'_>, out: &mut Vec<u8>) {
    match path.form() {
        Form::Path if path.segments().is_empty() => out.push(b'/'),
        Form::Asterisk => out.push(b'*'),
        _ if path.truncated() => out.extend_from_slice(b"/{*}"),
        _ => {}
    }
}

#[allow(dead_code)]
const _: (Affix, u32) = (Affix::None, PLACEHOLDER);
