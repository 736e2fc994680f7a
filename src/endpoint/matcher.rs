//! Finds the most specific of many templates for a path.
//!
//! The templates are a trie of segments, laid out in a few flat vectors. Text is found by hash, so
//! that a node with thousands of children costs the same as one with three; a search allocates
//! nothing and is no deeper than [`MAX_SEGMENTS`].
//!
//! Segments are tried from left to right, the most specific child first: text, text around
//! parameters, a parameter, several segments. The first way that leads to a template is therefore the
//! most specific one. Where a parameter stands for several segments in the middle, the number of
//! those behind it is fixed, so there is one place to go on for each such number. A way that fails is
//! not walked again: a node whose templates all have other lengths
//! is skipped, and so is one below which the same stands as below the one that failed last at that
//! depth.
//!
//! Hashes are not keyed: nothing that a client sends is ever stored, and a path that collides with
//! a template's text costs one comparison.

mod build;

use build::Entry;

use super::hash;
use super::path::MAX_SEGMENTS;
use super::template::{self, Segment, Shape, Template, fit, texts};

/// No child, no ends, no extra: the root is nobody's child, and the first of all others is empty.
const NONE: u32 = 0;

/// Marks a child that is no node, but where in `ends` the templates are that end there.
const LEAF: u32 = 1 << 31;

/// Marks an [`Extra::rest`] that is a place in `spans`, not in `ends`.
const SPANS: u32 = 1 << 31;

/// A set of templates, compiled.
#[derive(Clone, Debug, Default)]
pub(super) struct Matcher {
    /// The first one is the root.
    nodes: Vec<Node>,
    /// For each node what stands below it, as a hash: equal where the same paths match.
    classes: Vec<u64>,
    /// Hash tables of children by text, one for each node that has any.
    edges: Vec<Edge>,
    /// What not all nodes have.
    extras: Vec<Extra>,
    groups: Vec<Group>,
    patterns: Vec<Pattern>,
    ends: Vec<End>,
    /// Parameters for several segments in the middle of a template.
    spans: Vec<Span>,
    /// The methods that templates name; `End::method` counts from 1.
    methods: Vec<String>,
    /// The text of all segments, each once.
    text: Vec<u8>,
    /// The longest text of a segment.
    longest: usize,
}

/// Sixteen bytes, so that four share a cache line and none lies across two: what a search costs is
/// the cache lines that it touches.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// The first slot of the table in `edges`.
    edges: u32,
    /// The child for any segment.
    param: u32,
    /// Where the node's extra is.
    extra: u32,
    below: Below,
}

/// What is below a node.
///
/// Bit n up to [`MAX_SEGMENTS`]: a template ends n segments further down. Bit 31: one ends in
/// `{*name}`. Between them the size of the table of texts: 0 for none, else the power of two plus 1.
#[derive(Clone, Copy, Debug, Default)]
struct Below(u32);

impl Below {
    const LENGTHS: u32 = (1 << (MAX_SEGMENTS + 1)) - 1;
    const REST: u32 = 1 << 31;
    const TABLE: u32 = MAX_SEGMENTS as u32 + 1;

    /// The mask of places in the table of texts.
    fn mask(self) -> Option<u32> {
        match (self.0 & !Self::REST) >> Self::TABLE {
            0 => None,
            size => Some((1 << (size - 1)) - 1),
        }
    }

    fn set_slots(&mut self, slots: usize) {
        if slots > 0 {
            self.0 |= (slots.trailing_zeros() + 1) << Self::TABLE;
        }
    }

    /// Adds what is below a parameter for several segments that so many follow.
    fn add_longer(&mut self, after: usize) {
        self.0 |= Self::LENGTHS.checked_shl(number(after) + 1).unwrap_or(0) & Self::LENGTHS;
    }

    /// Adds what is below a child.
    fn add(&mut self, child: Self) {
        self.0 |= (child.0 << 1) & Self::LENGTHS | child.0 & Self::REST;
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Edge {
    hash: u32,
    text: Text,
    /// `NONE` in an empty slot.
    child: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Text {
    start: u32,
    length: u16,
}

#[derive(Clone, Copy, Debug, Default)]
struct Extra {
    /// The templates that end here, in `ends`.
    ends: u32,
    /// The templates that end in the rest of the path, in `ends`; with [`SPANS`] the parameters for
    /// several segments, in `spans`.
    rest: u32,
    /// The patterns in the order of [`Segment`], in `groups`.
    first_group: u32,
    group_count: u32,
}

/// Patterns of one shape at one node.
#[derive(Clone, Copy, Debug)]
struct Group {
    shape: Shape,
    /// In `patterns`, sorted by their texts.
    first: u32,
    count: u32,
    /// Bit n: in one of them the text beside the parameter has a byte of n, modulo 64, there. Most
    /// segments fit no pattern and are told by this.
    beside: u64,
}

#[derive(Clone, Copy, Debug)]
struct Pattern {
    /// The texts, joined by zero bytes, which no text has.
    text: Text,
    child: u32,
}

/// One of the templates that match the same paths. They stand together, that for any method last.
#[derive(Clone, Copy, Debug)]
struct End {
    /// 0 for any method.
    method: u32,
    template: u32,
    /// Whether no more follow.
    last: bool,
}

/// A parameter for several segments. Those of a node stand together, the more segments follow it the
/// earlier.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// How many segments follow it.
    after: u32,
    /// The child for the first of them; where none follow, the templates in `ends`.
    child: u32,
    /// Whether no more such parameters follow at this node.
    last: bool,
}

/// Two templates that match the same requests, by their places in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Conflict {
    pub later: u32,
    pub earlier: u32,
}

impl Matcher {
    /// Compiles templates. A template is known by its place in the list. Of those that match the
    /// same paths with the same method, only the first is taken, and the others are told.
    pub fn compile<'t>(
        templates: impl IntoIterator<Item = (u32, &'t Template)>,
    ) -> (Self, Vec<Conflict>) {
        let sorted = template::sorted(templates, Template::compare_requests);
        let mut entries: Vec<Entry<'_>> =
            sorted.into_iter().map(|(index, template)| Entry { index, template }).collect();
        let mut conflicts = Vec::new();
        entries.dedup_by(|later, earlier| {
            let same = later.template.compare_requests(earlier.template).is_eq();
            if same {
                let conflict = Conflict { later: later.index, earlier: earlier.index };
                // There are few. Sorting them at the end would take a program of its own.
                let place = conflicts.partition_point(|known| *known < conflict);
                conflicts.insert(place, conflict);
            }
            same
        });
        let mut matcher = build::matcher(&entries);
        matcher.nodes.shrink_to_fit();
        matcher.classes.shrink_to_fit();
        matcher.edges.shrink_to_fit();
        matcher.extras.shrink_to_fit();
        matcher.groups.shrink_to_fit();
        matcher.patterns.shrink_to_fit();
        matcher.ends.shrink_to_fit();
        matcher.spans.shrink_to_fit();
        matcher.text.shrink_to_fit();
        (matcher, conflicts)
    }

    /// Whether it has no templates.
    pub fn is_empty(&self) -> bool {
        self.ends.len() < 2
    }

    /// The most specific template for a path, by its place in the list that was compiled. Of a
    /// truncated path more segments follow, so only `{*name}` at a template's end can match its end.
    pub fn find(&self, method: &[u8], segments: &[&[u8]], truncated: bool) -> Option<u32> {
        Search::new(self, method, segments, truncated).descend(0, 0)
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        size_of_val(self.nodes.as_slice())
            + size_of_val(self.classes.as_slice())
            + size_of_val(self.edges.as_slice())
            + size_of_val(self.extras.as_slice())
            + size_of_val(self.groups.as_slice())
            + size_of_val(self.patterns.as_slice())
            + size_of_val(self.ends.as_slice())
            + size_of_val(self.spans.as_slice())
            + self.text.len()
    }

    /// The number of a method; one that no template names has a number that no end has.
    fn method(&self, method: &[u8]) -> u32 {
        let known = self.methods.iter().position(|known| known.as_bytes() == method);
        known.map_or(u32::MAX, |index| number(index + 1))
    }

    #[inline(always)]
    fn text(&self, text: Text) -> &[u8] {
        let start = text.start as usize;
        self.text.get(start..start + usize::from(text.length)).unwrap_or_default()
    }

    /// The child of a node for a text.
    fn child(&self, node: &Node, text: &[u8]) -> Option<u32> {
        let mask = node.below.mask()?;
        if text.len() > self.longest {
            return None;
        }
        let hash = hash::segment(text);
        for offset in 0..=mask {
            let slot = node.edges + (hash.wrapping_add(offset) & mask);
            let edge = self.edges.get(slot as usize)?;
            if edge.hash == hash && edge.child != NONE && self.text(edge.text) == text {
                return Some(edge.child);
            }
            if edge.child == NONE {
                return None;
            }
        }
        None
    }
}

/// One search for a path.
struct Search<'m, 's> {
    matcher: &'m Matcher,
    segments: &'s [&'s [u8]],
    truncated: bool,
    method: u32,
    /// The method whose templates count where none names the request's own: GET for HEAD, which is
    /// answered alike but for the body (RFC 9110, 9.3.2).
    stands_for: u32,
    /// The class of the node that failed last, by depth.
    failed: [u64; MAX_SEGMENTS + 1],
    /// Bit n: one has failed at depth n.
    failures: u32,
    /// Nodes looked at.
    #[cfg(test)]
    steps: usize,
}

impl<'m, 's> Search<'m, 's> {
    fn new(matcher: &'m Matcher, method: &[u8], segments: &'s [&'s [u8]], truncated: bool) -> Self {
        Self {
            matcher,
            segments,
            truncated,
            method: matcher.method(method),
            stands_for: if method == b"HEAD" { matcher.method(b"GET") } else { u32::MAX },
            failed: [0; MAX_SEGMENTS + 1],
            failures: 0,
            #[cfg(test)]
            steps: 0,
        }
    }

    /// The template for the segments from `depth` on, below a child. Comes back to a node only
    /// where it has another way to go.
    fn descend(&mut self, mut at: u32, mut depth: usize) -> Option<u32> {
        let matcher = self.matcher;
        loop {
            #[cfg(test)]
            {
                self.steps += 1;
            }
            let left = self.segments.get(depth..).unwrap_or_default();
            if at & LEAF != 0 {
                return if left.is_empty() { self.end(at & !LEAF) } else { None };
            }
            let node = matcher.nodes.get(at as usize)?;
            let length = if self.truncated { 0 } else { 1 << left.len() };
            if node.below.0 & (length | Below::REST) == 0 || self.has_failed(at, depth) {
                return None;
            }
            let extra =
                if node.extra == NONE { None } else { matcher.extras.get(node.extra as usize) };
            let Some(&segment) = left.first() else {
                return if self.truncated { None } else { self.end(extra?.ends) };
            };
            if let Some(child) = matcher.child(node, segment) {
                if node.param == NONE && extra.is_none() {
                    (at, depth) = (child, depth + 1);
                    continue;
                }
                if let Some(found) = self.try_child(child, depth + 1) {
                    return Some(found);
                }
            }
            let Some(extra) = extra else {
                if node.param == NONE {
                    return None;
                }
                (at, depth) = (node.param, depth + 1);
                continue;
            };
            if extra.group_count != 0
                && let Some(found) = self.patterns(extra, segment, depth)
            {
                return Some(found);
            }
            if node.param != NONE
                && let Some(found) = self.try_child(node.param, depth + 1)
            {
                return Some(found);
            }
            if extra.rest & SPANS != 0 {
                return self.spans(extra.rest & !SPANS, depth);
            }
            return self.end(extra.rest);
        }
    }

    /// The template below the parameters for several segments, of which `depth` is the first.
    #[inline(never)]
    fn spans(&mut self, first: u32, depth: usize) -> Option<u32> {
        for span in self.matcher.spans.get(first as usize..)? {
            if span.after == 0 {
                return self.end(span.child);
            }
            let next = self.segments.len().checked_sub(span.after as usize);
            if let Some(next) = next.filter(|&next| next > depth && !self.truncated)
                && let Some(found) = self.try_child(span.child, next)
            {
                return Some(found);
            }
            if span.last {
                break;
            }
        }
        None
    }

    /// As [`Self::descend`], and remembers a failure.
    #[inline(always)]
    fn try_child(&mut self, child: u32, depth: usize) -> Option<u32> {
        let found = self.descend(child, depth);
        if found.is_none()
            && let Some(&class) = self.matcher.classes.get(child as usize)
            && let Some(failed) = self.failed.get_mut(depth)
        {
            *failed = class;
            self.failures |= 1 << depth;
        }
        found
    }

    /// Whether all that is below a node has failed at this depth already, below another one.
    #[inline(always)]
    fn has_failed(&self, at: u32, depth: usize) -> bool {
        self.failures & 1 << depth != 0
            && self.matcher.classes.get(at as usize) == self.failed.get(depth)
    }

    /// The first template below the patterns that fit a segment.
    fn patterns(&mut self, extra: &Extra, segment: &[u8], depth: usize) -> Option<u32> {
        let matcher = self.matcher;
        for group in slice(&matcher.groups, extra.first_group, extra.group_count) {
            let shape = group.shape;
            let (prefix, suffix) = (usize::from(shape.prefix), usize::from(shape.suffix));
            if segment.len() <= usize::from(shape.text) {
                continue;
            }
            let head = segment.get(..prefix)?;
            let tail = segment.get(segment.len() - suffix..)?;
            if group.beside & beside(head, tail) == 0 {
                continue;
            }
            let around = |pattern: &Pattern| {
                let text = matcher.text(pattern.text);
                let order = text.get(..prefix).unwrap_or_default().cmp(head);
                // Between prefix and suffix stands what the order of the texts knows first.
                if usize::from(shape.text) > prefix + suffix {
                    return order;
                }
                order.then_with(|| text.get(prefix + 1..).unwrap_or_default().cmp(tail))
            };
            let patterns = slice(&matcher.patterns, group.first, group.count);
            let start = patterns.partition_point(|pattern| around(pattern).is_lt());
            let fitting = patterns.iter().skip(start);
            for pattern in fitting.take_while(|pattern| around(pattern).is_eq()) {
                let texts = matcher.text(pattern.text).split(|&byte| byte == 0);
                if fit(texts, segment, |_, _| {})
                    && let Some(found) = self.try_child(pattern.child, depth + 1)
                {
                    return Some(found);
                }
            }
        }
        None
    }

    /// The template for the method, of those at a place in `ends`.
    fn end(&self, first: u32) -> Option<u32> {
        if first == NONE {
            return None;
        }
        let mut found = None;
        for end in self.matcher.ends.get(first as usize..)? {
            if end.method == self.method {
                return Some(end.template);
            }
            if end.method == self.stands_for || (end.method == 0 && found.is_none()) {
                found = Some(end.template);
            }
            if end.last {
                break;
            }
        }
        found
    }
}

/// What stands in a vector from a place on.
#[inline(always)]
fn slice<T>(all: &[T], first: u32, count: u32) -> &[T] {
    let first = first as usize;
    all.get(first..first + count as usize).unwrap_or_default()
}

/// The bit of the byte beside the parameters, of what stands before and after them.
fn beside(prefix: &[u8], suffix: &[u8]) -> u64 {
    suffix.first().or(prefix.last()).map_or(1, |byte| 1 << (byte & 63))
}

/// A place as it is kept; a configuration of 4 GiB does not reach the module.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
