//! What was learned, as facts that workers can exchange.
//!
//! A fact says that something was seen, or was decided, at a node of the trie of labels. Facts are
//! only ever added, adding one twice changes nothing, and their order does not matter. So workers
//! that know the same facts know the same, and what is decided by facts alone is the same on all.
//! Nodes and segments are named by hashes; there is no text in a fact.

use crate::endpoint::hash::{self, KeyMap};

/// Hands out all news there are, each time it is called.
pub type Told<'a> = dyn Fn(&mut dyn FnMut(&[u8])) + 'a;

/// Bytes of facts told and heard after which a worker tells no more, until what is not used is
/// forgotten. The log of all workers stays below this and what each worker can have untold.
pub const MAX_LOG_BYTES: usize = 192 * 1024;

/// Bytes that wait to be told; while there are as many, nothing is learned. This holds from when
/// facts are first exchanged: one that is alone has nobody to wait for.
const MAX_UNTOLD_BYTES: usize = 8 * 1024;

/// The most that is told at once.
pub const MAX_NEWS_BYTES: usize = 180 * FACT_BYTES;

/// Bytes of facts from which on what is not used is forgotten.
const FULL_BYTES: usize = MAX_LOG_BYTES / 16 * 15;

/// Nodes after which no more is told, and from which on what is not used is forgotten: a fact can
/// name two that nothing else does. What several workers tell at once stays below 28,672, above
/// which the table of nodes would double.
const MAX_NODES: usize = 22_000;
const FULL_NODES: usize = 20_000;

/// Bytes of facts that stay then, at most.
const KEPT_BYTES: usize = MAX_LOG_BYTES / 8 * 3;

/// Bytes of a serialised fact: what, the node, the child.
const FACT_BYTES: usize = 1 + 6 + 4;

/// Children of each class that were seen once or twice and are remembered per node. A node needs
/// half as many to collapse.
const MAX_ONCE: u8 = 14;

/// Counters of children stop here.
pub(super) const MAX_CHILDREN: u8 = 200;

/// Three places that are no nodes: compounds joined by `-`, by `_` and by capitals.
pub(super) const JOINS: u64 = 2;

/// What is said. The first byte of a serialised fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// A child of known words was seen.
    Known = 1,
    /// A child of unknown words was seen.
    Unknown = 2,
    /// A value was seen; the child is the placeholder.
    Value = 3,
    /// A path ended there.
    End = 4,
    /// A child of known words was seen again and again.
    KnownRepeated = 5,
    /// A child of unknown words was seen again and again.
    UnknownRepeated = 6,
    /// The node holds values.
    Collapsed = 7,
    /// The child stayed as it is again and again.
    Literal = 8,
    /// The child was a value when it was first seen.
    ValueWord = 9,
    /// A compound of known words stayed as it is; the node is one of [`JOINS`].
    Joined = 10,
    /// A value of a shape was seen; the child is the number of the shape.
    Shape = 11,
}

impl Fact {
    const ALL: [Self; 11] = [
        Self::Known,
        Self::Unknown,
        Self::Value,
        Self::End,
        Self::KnownRepeated,
        Self::UnknownRepeated,
        Self::Collapsed,
        Self::Literal,
        Self::ValueWord,
        Self::Joined,
        Self::Shape,
    ];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|fact| *fact as u8 == byte)
    }
}

/// Levels of use, from never again to 128 times and more.
const LEVELS: usize = 9;

/// A serialised fact: what, the node, the child.
fn parse(bytes: &[u8; FACT_BYTES]) -> Option<(Fact, u64, u32)> {
    let &[kind, n0, n1, n2, n3, n4, n5, c0, c1, c2, c3] = bytes;
    let node = u64::from_le_bytes([n0, n1, n2, n3, n4, n5, 0, 0]);
    Some((Fact::from_byte(kind)?, node, u32::from_le_bytes([c0, c1, c2, c3])))
}

/// What is known of a node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Node {
    /// Children of known words, and of unknown ones.
    pub known: u8,
    pub unknown: u8,
    /// Those of them that were seen again and again.
    pub known_repeated: u8,
    pub unknown_repeated: u8,
    /// Shapes of the values seen below, as bits.
    pub shapes: u16,
    /// Requests through the node on this worker, and sightings as a child until there are enough:
    /// no facts, and never part of a decision on a label.
    hits: u8,
    sightings: u8,
    /// How often a path went through the node on this worker, beyond the first, while its label was
    /// not a known one; no part of a decision on a label either.
    uses: u8,
    flags: u8,
}

impl Node {
    pub const SEEN: u8 = 1;
    pub const HAS_VALUE: u8 = 2;
    pub const END: u8 = 4;
    pub const REPEATED: u8 = 8;
    pub const COLLAPSED: u8 = 16;
    pub const LITERAL: u8 = 32;
    pub const VALUE: u8 = 64;

    #[inline(always)]
    pub fn is(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub fn known_once(self) -> u8 {
        self.known.saturating_sub(self.known_repeated)
    }

    pub fn unknown_once(self) -> u8 {
        self.unknown.saturating_sub(self.unknown_repeated)
    }
}

/// At how many nodes a word was kept, and at how many it was a value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Word {
    pub literal: u8,
    pub value: u8,
}

/// All facts of a worker.
#[derive(Default)]
pub(super) struct Facts {
    nodes: KeyMap<Node>,
    words: KeyMap<Word>,
    joins: [u8; 3],
    untold: Vec<u8>,
    /// Bytes told and heard.
    logged: usize,
    /// Whether facts are exchanged with other workers.
    shared: bool,
    /// How often something has changed.
    changes: u32,
}

impl Facts {
    #[inline(always)]
    pub fn node(&self, key: u64) -> Node {
        self.nodes.get(&key).copied().unwrap_or_default()
    }

    #[inline(always)]
    pub fn word(&self, segment: u32) -> Word {
        self.words.get(&u64::from(segment)).copied().unwrap_or_default()
    }

    /// Compounds that are joined by `-`, by `_` and by capitals.
    pub fn joins(&self) -> [u8; 3] {
        self.joins
    }

    /// Another number whenever a path could have another label than before, or teach something
    /// else. Not 0.
    pub fn version(&self) -> u32 {
        self.changes.wrapping_add(1)
    }

    /// Counts a request at a node of which something is known, and gives back the count, which
    /// stops at `most`.
    pub fn hit(&mut self, key: u64, most: u8) -> u8 {
        let Some(node) = self.nodes.get_mut(&key) else { return 0 };
        node.uses = node.uses.saturating_add(1);
        if node.hits < most {
            node.hits += 1;
            self.changes = self.changes.wrapping_add(1);
        }
        node.hits
    }

    /// Counts a sighting of a child of which something is known, and gives back the count, which
    /// stops at `most`.
    pub fn sight(&mut self, key: u64, most: u8) -> u8 {
        let Some(node) = self.nodes.get_mut(&key) else { return 0 };
        node.uses = node.uses.saturating_add(1);
        if node.sightings < most {
            node.sightings += 1;
            self.changes = self.changes.wrapping_add(1);
        }
        node.sightings
    }

    /// Counts a path that ends at a node, and says whether one is known to.
    pub fn arrive(&mut self, key: u64) -> bool {
        let Some(node) = self.nodes.get_mut(&key) else { return false };
        node.uses = node.uses.saturating_add(1);
        node.is(Node::END)
    }

    /// How many nodes and words something is known of.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.nodes.len() + self.words.len()
    }

    #[cfg(test)]
    pub fn heap_bytes(&self) -> usize {
        self.nodes.allocation_size() + self.words.allocation_size() + self.untold.capacity()
    }

    /// Whether there is room for more. Asked before several facts that belong together.
    pub fn has_room(&self) -> bool {
        let most = if self.shared { MAX_UNTOLD_BYTES } else { MAX_LOG_BYTES };
        self.untold.len() < most
            && self.logged + self.untold.len() < MAX_LOG_BYTES
            && self.nodes.len() < MAX_NODES
    }

    /// How many children that came once a node may have: fewer where room is scarce.
    pub fn max_once(&self) -> u8 {
        match self.logged + self.untold.len() < MAX_LOG_BYTES / 4 * 3 {
            true => MAX_ONCE,
            false => MAX_ONCE / 2,
        }
    }

    /// Takes in a fact of this worker's own, and keeps it to be told.
    pub fn tell(&mut self, fact: Fact, node: u64, child: u32) {
        if !self.shared && (self.untold.len() >= FULL_BYTES || self.nodes.len() >= FULL_NODES) {
            self.forget();
        }
        if self.has_room() && self.apply(fact, node, child) {
            self.untold.push(fact as u8);
            self.untold.extend_from_slice(node.to_le_bytes().get(..6).unwrap_or_default());
            self.untold.extend_from_slice(&child.to_le_bytes());
        }
    }

    /// The next facts to tell, at most [`MAX_NEWS_BYTES`]; `None` where there are none.
    pub fn take_news(&mut self) -> Option<Vec<u8>> {
        self.shared = true;
        if self.untold.is_empty() {
            return None;
        }
        let rest = self.untold.split_off(self.untold.len().min(MAX_NEWS_BYTES));
        let news = core::mem::replace(&mut self.untold, rest);
        self.logged += news.len();
        // There is room again for what could not be told.
        self.changes = self.changes.wrapping_add(1);
        Some(news)
    }

    /// Whether so much was told and heard that what is not used should be forgotten.
    pub fn is_full(&self) -> bool {
        self.logged >= FULL_BYTES || self.nodes.len() >= FULL_NODES
    }

    /// Forgets all but what was never told.
    pub fn begin_anew(&mut self) {
        let changes = self.changes.wrapping_add(1);
        let untold = core::mem::take(&mut self.untold);
        *self = Self { shared: self.shared, changes, ..Self::default() };
        self.take_in_all(&untold);
        self.untold = untold;
    }

    /// Forgets what is not used, where there are no other workers to agree with.
    #[cold]
    fn forget(&mut self) {
        self.untold = self.still_used(&|told| told(&self.untold));
        self.begin_anew();
    }

    /// Of all facts, which `told` hands out each time it is called, those that are used most on
    /// this worker, at most three eighths of what there may be; none that came once and never again.
    pub fn still_used(&self, told: &Told<'_>) -> Vec<u8> {
        let mut bytes = [0; LEVELS];
        self.each_used(told, |level, fact| {
            if let Some(bytes) = bytes.get_mut(level) {
                *bytes += fact.len();
            }
        });
        let mut least = LEVELS;
        let mut sum = 0;
        for (level, bytes) in bytes.iter().enumerate().skip(1).rev() {
            sum += bytes;
            least = level;
            if sum >= KEPT_BYTES {
                break;
            }
        }
        // Of the least level that stays there may be too many.
        let mut room = KEPT_BYTES.saturating_sub(bytes.iter().skip(least + 1).sum());
        // One that is alone goes on with this as its log.
        let room_for = if self.shared { sum.min(KEPT_BYTES) } else { MAX_LOG_BYTES };
        let mut kept = Vec::with_capacity(room_for);
        self.each_used(told, |level, fact| {
            let is_kept = level > least || (level == least && room >= fact.len());
            if is_kept {
                kept.extend_from_slice(fact);
                room = if level == least { room - fact.len() } else { room };
            }
        });
        kept.truncate(KEPT_BYTES / FACT_BYTES * FACT_BYTES);
        kept
    }

    fn each_used(&self, told: &Told<'_>, mut fact: impl FnMut(usize, &[u8])) {
        told(&mut |facts: &[u8]| {
            for bytes in facts.as_chunks::<FACT_BYTES>().0 {
                if let Some((kind, node, child)) = parse(bytes) {
                    fact(self.level(kind, node, child), bytes);
                }
            }
        });
    }

    /// How much a fact is used: the logarithm of how often a path went there; 0 for never again.
    fn level(&self, fact: Fact, at: u64, child: u32) -> usize {
        let level =
            |key| usize::try_from(u8::BITS - self.node(key).uses.leading_zeros()).unwrap_or(0);
        match fact {
            Fact::End | Fact::Shape | Fact::Collapsed => level(at),
            Fact::Joined => 1,
            Fact::Value | Fact::Literal | Fact::KnownRepeated | Fact::UnknownRepeated => {
                level(hash::below(at, child)).max(1).min(level(at).max(1))
            }
            // Many children that come once say that values stand there, if the place is much used.
            // Only some of them stay, by turns, so that there is room for others.
            Fact::Known | Fact::Unknown | Fact::ValueWord => {
                let key = hash::below(at, child);
                let is_sign = !self.node(at).is(Node::COLLAPSED)
                    && child.wrapping_add(self.changes).is_multiple_of(2);
                let as_sign = if is_sign { level(at).saturating_sub(3) } else { 0 };
                level(key).max(as_sign).max(usize::from(self.node(key).is(Node::REPEATED)))
            }
        }
    }

    fn take_in_all(&mut self, facts: &[u8]) {
        for bytes in facts.as_chunks::<FACT_BYTES>().0 {
            if let Some((fact, node, child)) = parse(bytes) {
                self.apply(fact, node, child);
            }
        }
    }

    /// Takes in the facts of another worker. False, and nothing taken in, if they are malformed.
    pub fn merge(&mut self, facts: &[u8]) -> bool {
        let (chunks, []) = facts.as_chunks::<FACT_BYTES>() else { return false };
        if !chunks.iter().all(|bytes| parse(bytes).is_some()) {
            return false;
        }
        self.shared = true;
        self.take_in_all(facts);
        self.logged += facts.len();
        true
    }

    /// Whether the fact was new.
    fn apply(&mut self, fact: Fact, at: u64, child: u32) -> bool {
        let new = self.take_in(fact, at, child);
        if new {
            self.changes = self.changes.wrapping_add(1);
        }
        new
    }

    fn take_in(&mut self, fact: Fact, at: u64, child: u32) -> bool {
        let (key, flag) = match fact {
            Fact::Shape => {
                let shapes = &mut self.nodes.entry(at).or_default().shapes;
                let before = *shapes;
                *shapes |= 1_u16.checked_shl(child).unwrap_or(0);
                return *shapes != before;
            }
            Fact::End => (at, Node::END),
            Fact::Collapsed => (at, Node::COLLAPSED),
            Fact::Known | Fact::Unknown | Fact::Value => (hash::below(at, child), Node::SEEN),
            Fact::KnownRepeated | Fact::UnknownRepeated => (hash::below(at, child), Node::REPEATED),
            Fact::Literal | Fact::Joined => (hash::below(at, child), Node::LITERAL),
            Fact::ValueWord => (hash::below(at, child), Node::VALUE),
        };
        let node = self.nodes.entry(key).or_default();
        if node.is(flag) {
            return false;
        }
        node.flags |= flag;
        let count = match fact {
            Fact::End | Fact::Collapsed | Fact::Shape => return true,
            Fact::Value => {
                self.nodes.entry(at).or_default().flags |= Node::HAS_VALUE;
                return true;
            }
            Fact::Literal => &mut self.words.entry(u64::from(child)).or_default().literal,
            Fact::ValueWord => &mut self.words.entry(u64::from(child)).or_default().value,
            Fact::Joined => match self.joins.get_mut(at.wrapping_sub(JOINS) as usize) {
                Some(count) => count,
                None => return true,
            },
            Fact::Known => &mut self.nodes.entry(at).or_default().known,
            Fact::Unknown => &mut self.nodes.entry(at).or_default().unknown,
            Fact::KnownRepeated => &mut self.nodes.entry(at).or_default().known_repeated,
            Fact::UnknownRepeated => &mut self.nodes.entry(at).or_default().unknown_repeated,
        };
        *count = count.saturating_add(1).min(MAX_CHILDREN);
        true
    }
}
