//! Finds the most specific of many templates for a path.
//!
//! The templates are a trie of segments, laid out in a few flat vectors. Text is found by hash, so
//! that a node with thousands of children costs the same as one with three; a search allocates
//! nothing and is no deeper than [`MAX_SEGMENTS`].
//!
//! Segments are tried from left to right, the most specific child first: text, text around
//! parameters, a parameter, the rest. The first way that leads to a template is therefore the most
//! specific one. A way that fails is not walked again: a node whose templates all have other lengths
//! is skipped, and so is one below which the same stands as below the one that failed last at that
//! depth.
//!
//! Hashes are not keyed: nothing that a client sends is ever stored, and a path that collides with
//! a template's text costs one comparison.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::path::MAX_SEGMENTS;
use super::template::{Segment, Shape, Template, fit, texts};

/// No child, no end: the root, which is nobody's child, and the empty end of all vectors.
const NONE: u32 = 0;

/// The bit of [`Node::lengths`] that says that templates below end in `{*name}`.
const REST: u32 = 1 << 31;

/// A set of templates, compiled.
#[derive(Clone, Debug, Default)]
pub(super) struct Matcher {
    /// The first one is the root.
    nodes: Vec<Node>,
    /// For each node what stands below it, as a hash: equal where the same paths match.
    classes: Vec<u64>,
    /// Hash tables of children by text, one for each node that has any.
    edges: Vec<Edge>,
    /// What few nodes have.
    extras: Vec<Extra>,
    patterns: Vec<Pattern>,
    /// Templates that end at a node.
    ends: Vec<End>,
    /// The methods that templates name; `End::method` counts from 1.
    methods: Vec<String>,
    /// The text of all segments, each once.
    text: Vec<u8>,
    /// The longest text of a segment.
    longest: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// The first slot in `edges`.
    edges: u32,
    /// Slots: a power of two, or 0.
    slots: u32,
    /// The child for any segment.
    param: u32,
    /// In `ends`.
    ends: Span,
    /// In `extras`; 0 is an empty one.
    extra: u32,
    /// Bit n: a template ends n segments further down.
    lengths: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    first: u32,
    count: u32,
}

impl Span {
    fn of<T>(self, all: &[T]) -> &[T] {
        let first = self.first as usize;
        all.get(first..first + self.count as usize).unwrap_or_default()
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
    /// In `patterns`: one after the other in the order of [`Segment`], so those of one shape stand
    /// together, sorted by their texts.
    patterns: Span,
    /// The templates that end in the rest of the path, in `ends`.
    rest: Span,
}

#[derive(Clone, Copy, Debug)]
struct Pattern {
    shape: Shape,
    /// The texts, joined by zero bytes, which no text has.
    text: Text,
    child: u32,
}

#[derive(Clone, Copy, Debug)]
struct End {
    /// 0 for any method. Ends for one method stand before that for any.
    method: u32,
    template: u32,
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
        let mut entries: Vec<Entry<'_>> =
            templates.into_iter().map(|(index, template)| Entry { index, template }).collect();
        entries.sort_by(|one, two| one.compare_requests(two).then(one.index.cmp(&two.index)));
        let mut conflicts = Vec::new();
        entries.dedup_by(|later, earlier| {
            let same = later.compare_requests(earlier).is_eq();
            if same {
                conflicts.push(Conflict { later: later.index, earlier: earlier.index });
            }
            same
        });
        conflicts.sort();
        let mut builder = Builder { matcher: Self::default(), texts: BTreeMap::new() };
        builder.matcher.extras.push(Extra::default());
        builder.node(&entries, 0);
        let mut matcher = builder.matcher;
        matcher.nodes.shrink_to_fit();
        matcher.classes.shrink_to_fit();
        matcher.edges.shrink_to_fit();
        matcher.patterns.shrink_to_fit();
        matcher.ends.shrink_to_fit();
        matcher.text.shrink_to_fit();
        (matcher, conflicts)
    }

    /// Whether it has no templates.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The most specific template for a path, by its place in the list that was compiled. Segments
    /// in excess make a path that only `{*name}` matches.
    pub fn find(&self, method: &[u8], segments: &[&[u8]], truncated: bool) -> Option<u32> {
        let mut search = Search {
            matcher: self,
            segments,
            truncated,
            method: self.method(method),
            failed: [0; MAX_SEGMENTS + 1],
            failures: 0,
            #[cfg(test)]
            steps: 0,
        };
        search.descend(0, 0)
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        size_of_val(self.nodes.as_slice())
            + size_of_val(self.classes.as_slice())
            + size_of_val(self.edges.as_slice())
            + size_of_val(self.extras.as_slice())
            + size_of_val(self.patterns.as_slice())
            + size_of_val(self.ends.as_slice())
            + self.text.len()
    }

    /// The number of a method; one that no template names has a number that no end has.
    fn method(&self, method: &[u8]) -> u32 {
        let known = self.methods.iter().position(|known| known.as_bytes() == method);
        known.map_or(u32::MAX, |index| number(index + 1))
    }

    fn text(&self, text: Text) -> &[u8] {
        let start = text.start as usize;
        self.text.get(start..start + usize::from(text.length)).unwrap_or_default()
    }

    /// The child of a node for a text.
    fn child(&self, node: &Node, text: &[u8]) -> Option<u32> {
        if node.slots == 0 || text.len() > self.longest {
            return None;
        }
        let hash = short(hash(text));
        let mask = node.slots - 1;
        for offset in 0..node.slots {
            let slot = node.edges + (hash.wrapping_add(offset) & mask);
            let edge = self.edges.get(slot as usize)?;
            if edge.child == NONE {
                return None;
            }
            if edge.hash == hash && self.text(edge.text) == text {
                return Some(edge.child);
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
    /// The class of the node that failed last, by depth.
    failed: [u64; MAX_SEGMENTS + 1],
    /// Bit n: one has failed at depth n.
    failures: u32,
    /// Nodes looked at.
    #[cfg(test)]
    steps: usize,
}

impl Search<'_, '_> {
    /// The template for the segments from `depth` on, below a node.
    fn descend(&mut self, at: u32, depth: usize) -> Option<u32> {
        #[cfg(test)]
        {
            self.steps += 1;
        }
        let matcher = self.matcher;
        let node = matcher.nodes.get(at as usize)?;
        let Some((&segment, rest)) = self.segments.get(depth..).and_then(<[_]>::split_first) else {
            return if self.truncated { None } else { self.end(node.ends) };
        };
        let length = if self.truncated { 0 } else { 2 << rest.len() };
        if node.lengths & (length | REST) == 0 {
            return None;
        }
        if self.failures & 1 << depth != 0
            && matcher.classes.get(at as usize) == self.failed.get(depth)
        {
            return None;
        }
        if let Some(child) = matcher.child(node, segment)
            && let Some(found) = self.descend(child, depth + 1)
        {
            return Some(found);
        }
        let extra = if node.extra == NONE { None } else { matcher.extras.get(node.extra as usize) };
        if let Some(extra) = extra
            && let Some(found) = self.patterns(extra.patterns, segment, depth)
        {
            return Some(found);
        }
        if node.param != NONE
            && let Some(found) = self.descend(node.param, depth + 1)
        {
            return Some(found);
        }
        if let Some(extra) = extra
            && let Some(found) = self.end(extra.rest)
        {
            return Some(found);
        }
        if let (Some(failed), Some(&class)) =
            (self.failed.get_mut(depth), matcher.classes.get(at as usize))
        {
            *failed = class;
            self.failures |= 1 << depth;
        }
        None
    }

    /// The first template below the patterns that fit a segment.
    fn patterns(&mut self, patterns: Span, segment: &[u8], depth: usize) -> Option<u32> {
        let matcher = self.matcher;
        let mut left = patterns.of(&matcher.patterns);
        while let Some(shape) = left.first().map(|pattern| pattern.shape) {
            let count = left.partition_point(|pattern| pattern.shape == shape);
            let (group, others) = left.split_at_checked(count)?;
            left = others;
            let (prefix, suffix) = (usize::from(shape.prefix), usize::from(shape.suffix));
            if segment.len() <= usize::from(shape.text) {
                continue;
            }
            let head = segment.get(..prefix)?;
            let tail = segment.get(segment.len().checked_sub(suffix)?..)?;
            let around = |pattern: &Pattern| {
                let text = matcher.text(pattern.text);
                let order = text.get(..prefix).unwrap_or_default().cmp(head);
                // Between prefix and suffix stands what the order of the texts knows first.
                if usize::from(shape.text) > prefix + suffix {
                    return order;
                }
                order.then_with(|| text.get(prefix + 1..).unwrap_or_default().cmp(tail))
            };
            let start = group.partition_point(|pattern| around(pattern).is_lt());
            for pattern in group.iter().skip(start).take_while(|pattern| around(pattern).is_eq()) {
                let texts = matcher.text(pattern.text).split(|&byte| byte == 0);
                if fit(texts, segment, |_, _| {})
                    && let Some(found) = self.descend(pattern.child, depth + 1)
                {
                    return Some(found);
                }
            }
        }
        None
    }

    /// The template of a node's ends for the method.
    fn end(&self, ends: Span) -> Option<u32> {
        let of = |end: &&End| end.method == 0 || end.method == self.method;
        ends.of(&self.matcher.ends).iter().find(of).map(|end| end.template)
    }
}

/// One template of those to be compiled.
struct Entry<'t> {
    index: u32,
    template: &'t Template,
}

impl<'t> Entry<'t> {
    /// Orders by path, then by method, any method last. Equal means the same requests.
    fn compare_requests(&self, other: &Self) -> Ordering {
        let method = |template: &'t Template| (template.method.is_none(), &template.method);
        self.template
            .compare_paths(other.template)
            .then_with(|| method(self.template).cmp(&method(other.template)))
    }

    fn segment(&self, depth: usize) -> Option<Segment<'t>> {
        self.template.segments().nth(depth)
    }
}

struct Builder<'t> {
    matcher: Matcher,
    /// Where a text of a segment is in `Matcher::text`.
    texts: BTreeMap<&'t str, Text>,
}

impl<'t> Builder<'t> {
    /// Adds a node for sorted templates that agree up to `depth`; its number.
    fn node(&mut self, entries: &[Entry<'t>], depth: usize) -> u32 {
        let at = self.matcher.nodes.len();
        self.matcher.nodes.push(Node::default());
        self.matcher.classes.push(0);
        let mut node = Node::default();
        let mut extra = Extra::default();
        let mut class = 0;
        let mut children = Vec::new();
        let mut patterns = Vec::new();
        for group in entries.chunk_by(|one, two| one.segment(depth) == two.segment(depth)) {
            let Some(segment) = group.first().map(|entry| entry.segment(depth)) else { continue };
            match segment {
                None => {
                    node.ends = self.ends(group, &mut class);
                    node.lengths |= 1;
                }
                Some(Segment::Rest) => {
                    class = mix(class, 1);
                    extra.rest = self.ends(group, &mut class);
                    node.lengths |= REST;
                }
                Some(Segment::Static(text)) => {
                    let child = self.child(group, depth, &mut node, &mut class);
                    class = mix(class, hash(text.as_bytes()));
                    children.push((text, child));
                }
                Some(Segment::Pattern(pattern)) => {
                    let child = self.child(group, depth, &mut node, &mut class);
                    let joined = texts(pattern).collect::<Vec<_>>().join("\0");
                    class = mix(class, hash(joined.as_bytes()));
                    let text = self.append(joined.as_bytes());
                    patterns.push(Pattern { shape: Shape::of(pattern), text, child });
                }
                Some(Segment::Param) => {
                    node.param = self.child(group, depth, &mut node, &mut class);
                    class = mix(class, 2);
                }
            }
        }
        extra.patterns =
            Span { first: number(self.matcher.patterns.len()), count: number(patterns.len()) };
        self.matcher.patterns.append(&mut patterns);
        if extra.patterns.count + extra.rest.count > 0 {
            node.extra = number(self.matcher.extras.len());
            self.matcher.extras.push(extra);
        }
        self.table(&mut node, &children);
        if let (Some(place), Some(class_place)) =
            (self.matcher.nodes.get_mut(at), self.matcher.classes.get_mut(at))
        {
            (*place, *class_place) = (node, class);
        }
        number(at)
    }

    /// Adds a child; what it is goes into its parent's class and lengths.
    fn child(
        &mut self,
        entries: &[Entry<'t>],
        depth: usize,
        parent: &mut Node,
        class: &mut u64,
    ) -> u32 {
        let child = self.node(entries, depth + 1);
        if let Some(node) = self.matcher.nodes.get(child as usize) {
            parent.lengths |= (node.lengths & !REST) << 1 | node.lengths & REST;
        }
        let below = self.matcher.classes.get(child as usize).copied().unwrap_or_default();
        *class = mix(*class, below);
        child
    }

    /// Adds the ends of templates that match the same paths.
    fn ends(&mut self, entries: &[Entry<'t>], class: &mut u64) -> Span {
        let first = number(self.matcher.ends.len());
        for Entry { index, template } in entries {
            let method = match &template.method {
                None => 0,
                Some(method) => {
                    if self.matcher.method(method.as_bytes()) == u32::MAX {
                        self.matcher.methods.push(method.clone());
                    }
                    self.matcher.method(method.as_bytes())
                }
            };
            *class = mix(*class, u64::from(method) + 3);
            self.matcher.ends.push(End { method, template: *index });
        }
        Span { first, count: number(entries.len()) }
    }

    /// Lays out a node's children by text, so that a third of the slots is free where there are
    /// more than two.
    fn table(&mut self, node: &mut Node, children: &[(&'t str, u32)]) {
        let slots = match children.len() {
            count @ ..3 => count,
            count => (count + count / 2).next_power_of_two(),
        };
        node.edges = number(self.matcher.edges.len());
        node.slots = number(slots);
        let mut table = vec![Edge::default(); slots];
        for &(text, child) in children {
            let hash = short(hash(text.as_bytes()));
            let edge = Edge { hash, text: self.intern(text), child };
            let order = (0..slots).map(|offset| (hash as usize).wrapping_add(offset) & (slots - 1));
            for slot in order {
                if let Some(place) = table.get_mut(slot).filter(|place| place.child == NONE) {
                    *place = edge;
                    break;
                }
            }
        }
        self.matcher.edges.append(&mut table);
        self.matcher.longest =
            children.iter().map(|(text, _)| text.len()).fold(self.matcher.longest, usize::max);
    }

    /// Where a text is; it is there once.
    fn intern(&mut self, text: &'t str) -> Text {
        if let Some(known) = self.texts.get(text) {
            return *known;
        }
        let place = self.append(text.as_bytes());
        self.texts.insert(text, place);
        place
    }

    fn append(&mut self, text: &[u8]) -> Text {
        let start = number(self.matcher.text.len());
        self.matcher.text.extend_from_slice(text);
        // A template has at most 1,024 bytes.
        Text { start, length: u16::try_from(text.len()).unwrap_or(u16::MAX) }
    }
}

/// A place as it is kept; a configuration of 4 GiB does not reach the module.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// Adds to a hash.
fn mix(hash: u64, value: u64) -> u64 {
    let product = (hash.rotate_left(26) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ product >> 29
}

/// The hash of a text: eight bytes at a time.
pub(super) fn hash(text: &[u8]) -> u64 {
    let (words, rest) = text.as_chunks::<8>();
    let hash =
        words.iter().fold(text.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let last = rest.iter().fold(0, |last, &byte| last << 8 | u64::from(byte));
    mix(hash, last)
}

/// The half of a hash that is kept.
fn short(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(templates: &[String]) -> Matcher {
        let templates: Vec<Template> =
            templates.iter().map(|text| Template::parse(text).expect(text)).collect();
        let (matcher, conflicts) = Matcher::compile((0..).zip(&templates));
        assert_eq!(conflicts, []);
        matcher
    }

    /// The template found, and how many nodes were looked at.
    fn search(matcher: &Matcher, path: &str) -> (Option<u32>, usize) {
        let segments: Vec<&[u8]> = path.split('/').skip(1).map(str::as_bytes).collect();
        let mut search = Search {
            matcher,
            segments: &segments,
            truncated: false,
            method: u32::MAX,
            failed: [0; MAX_SEGMENTS + 1],
            failures: 0,
            steps: 0,
        };
        (search.descend(0, 0), search.steps)
    }

    /// All templates of `length` segments, each of which is one of `kinds`, and then `end`.
    fn grid(kinds: &[&str], length: u32, end: &str) -> Vec<String> {
        let count = kinds.len().pow(length);
        let template = |number: usize| {
            let digits = (0..length).map(|place| number / kinds.len().pow(place) % kinds.len());
            let path: String = digits.flat_map(|kind| ["/", kinds[kind]]).collect();
            format!("{path}/{end}")
        };
        (0..count).map(template).collect()
    }

    #[test]
    fn hostile_templates_and_paths_cost_little_per_segment() {
        // 4,096 ways lead to the last segment of these paths, and all fail there.
        let matcher = compile(&grid(&["a", "{x}"], 12, "end"));
        let (found, steps) = search(&matcher, "/a/a/a/a/a/a/a/a/a/a/a/a/other");
        assert_eq!(found, None);
        assert!(steps <= 2 * 13 + 1, "{steps} nodes");
        let matcher = compile(&grid(&["a", "a{x}", "{x}a", "{x}"], 6, "end"));
        let (found, steps) = search(&matcher, "/aaa/aaa/aaa/aaa/aaa/aaa/other");
        assert_eq!(found, None);
        assert!(steps <= 4 * 7 + 1, "{steps} nodes");
        // Other lengths are not walked at all.
        assert_eq!(search(&matcher, "/aaa/aaa/aaa"), (None, 1));
    }

    #[test]
    fn no_node_is_looked_at_twice() {
        // Every way differs from every other, so nothing is skipped: the trie is the bound.
        let mut templates = grid(&["a", "{x}"], 10, "end");
        for (index, template) in templates.iter_mut().enumerate() {
            template.push_str(&index.to_string());
        }
        let matcher = compile(&templates);
        let (found, steps) = search(&matcher, "/a/a/a/a/a/a/a/a/a/a/other");
        assert_eq!(found, None);
        assert!(steps <= matcher.nodes.len(), "{steps} of {} nodes", matcher.nodes.len());
    }

    #[test]
    fn many_patterns_in_one_place_are_told_apart() {
        let mut templates: Vec<String> = (0..500).map(|n| format!("/{{x}}:verb{n}")).collect();
        templates.extend((0..500).map(|n| format!("/file{n}-{{x}}.txt")));
        templates.extend((0..50).map(|n| format!("/{{x}}-{n}-{{y}}")));
        let matcher = compile(&templates);
        for (index, template) in (0..).zip(&templates) {
            let path = template.replace("{x}", "q").replace("{y}", "r");
            assert_eq!(search(&matcher, &path).0, Some(index), "{path}");
        }
        assert_eq!(search(&matcher, "/q:verb500").0, None);
    }

    #[test]
    fn many_texts_in_one_place_are_told_apart() {
        let templates: Vec<String> = (0..5000).map(|n| format!("/word{n}")).collect();
        let matcher = compile(&templates);
        for (index, template) in (0..).zip(&templates) {
            assert_eq!(search(&matcher, template), (Some(index), 2), "{template}");
        }
        assert_eq!(search(&matcher, "/word"), (None, 1));
    }
}
