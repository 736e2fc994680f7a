//! From templates to nodes.

use std::collections::BTreeMap;

use super::*;

/// One template of those to be compiled.
pub(super) struct Entry<'t> {
    pub(super) index: u32,
    pub(super) template: &'t Template,
}

impl<'t> Entry<'t> {
    fn segment(&self, depth: usize) -> Option<Segment<'t>> {
        self.template.segments().nth(depth)
    }
}

/// The matcher of templates that are sorted, and of which no two match the same requests.
pub(super) fn matcher(entries: &[Entry<'_>]) -> Matcher {
    let mut builder = Builder { matcher: Matcher::default(), texts: BTreeMap::new() };
    builder.matcher.extras.push(Extra::default());
    builder.matcher.ends.push(End { method: 0, template: 0, last: true });
    builder.node(entries, 0);
    builder.matcher
}

struct Builder<'t> {
    matcher: Matcher,
    /// Where a text of a segment is in `Matcher::text`.
    texts: BTreeMap<&'t str, Text>,
}

/// What has been built below a node.
struct Built {
    child: u32,
    class: u64,
    below: Below,
}

impl<'t> Builder<'t> {
    /// Adds a node, or a leaf, for sorted templates that agree up to `depth`.
    fn child(&mut self, entries: &[Entry<'t>], depth: usize) -> Built {
        if entries.iter().all(|entry| entry.segment(depth).is_none()) {
            let mut class = 0;
            let child = LEAF | self.ends(entries, &mut class);
            return Built { child, class, below: Below(1) };
        }
        self.node(entries, depth)
    }

    /// Adds a node for sorted templates that agree up to `depth`.
    fn node(&mut self, entries: &[Entry<'t>], depth: usize) -> Built {
        let at = self.matcher.nodes.len();
        self.matcher.nodes.push(Node::default());
        self.matcher.classes.push(0);
        let mut node = Node::default();
        let mut extra = Extra::default();
        let mut class = 0;
        let mut children = Vec::new();
        let mut patterns = Vec::new();
        let mut spans: Vec<Span> = Vec::new();
        for group in entries.chunk_by(|one, two| one.segment(depth) == two.segment(depth)) {
            let segment = match group.first().map(|entry| entry.segment(depth)) {
                Some(Some(Segment::Rest(0))) => {
                    class = hash::mix(class, 1);
                    extra.rest = self.ends(group, &mut class);
                    node.below.0 |= Below::REST;
                    continue;
                }
                Some(Some(segment)) => segment,
                _ => {
                    extra.ends = self.ends(group, &mut class);
                    node.below.0 |= 1;
                    continue;
                }
            };
            let built = self.child(group, depth + 1);
            match segment {
                Segment::Rest(after) => node.below.add_longer(after),
                _ => node.below.add(built.below),
            }
            class = hash::mix(class, built.class);
            match segment {
                Segment::Static(text) => {
                    class = hash::mix(class, hash::of_bytes(text.as_bytes()));
                    children.push((text, built.child));
                }
                Segment::Pattern(pattern) => {
                    let joined = texts(pattern).collect::<Vec<_>>().join("\0");
                    class = hash::mix(class, hash::of_bytes(joined.as_bytes()));
                    let text = self.append(joined.as_bytes());
                    patterns.push((pattern, Pattern { text, child: built.child }));
                }
                Segment::Param => {
                    class = hash::mix(class, 2);
                    node.param = built.child;
                }
                Segment::Rest(after) => {
                    class = hash::mix(class, after as u64 + 3);
                    spans.push(Span { after: number(after), child: built.child, last: false });
                }
            }
        }
        if !spans.is_empty() {
            if extra.rest != NONE {
                spans.push(Span { after: 0, child: extra.rest, last: false });
            }
            if let Some(last) = spans.last_mut() {
                last.last = true;
            }
            extra.rest = SPANS | number(self.matcher.spans.len());
            self.matcher.spans.append(&mut spans);
        }
        extra.first_group = number(self.matcher.groups.len());
        for group in patterns.chunk_by(|(one, _), (two, _)| Shape::of(one) == Shape::of(two)) {
            self.group(group);
            extra.group_count += 1;
        }
        if extra.group_count | extra.ends | extra.rest != 0 {
            node.extra = number(self.matcher.extras.len());
            self.matcher.extras.push(extra);
        }
        self.table(&mut node, &children);
        if let (Some(place), Some(class_place)) =
            (self.matcher.nodes.get_mut(at), self.matcher.classes.get_mut(at))
        {
            (*place, *class_place) = (node, class);
        }
        Built { child: number(at), class, below: node.below }
    }

    /// Adds the ends of templates that match the same paths; where they are.
    fn ends(&mut self, entries: &[Entry<'t>], class: &mut u64) -> u32 {
        let first = number(self.matcher.ends.len());
        for (index, entry) in entries.iter().enumerate() {
            let method = match &entry.template.method {
                None => 0,
                Some(method) => {
                    if self.matcher.method(method.as_bytes()) == u32::MAX {
                        self.matcher.methods.push(method.clone());
                    }
                    self.matcher.method(method.as_bytes())
                }
            };
            *class = hash::mix(*class, u64::from(method) + 3);
            let last = index + 1 == entries.len();
            self.matcher.ends.push(End { method, template: entry.index, last });
        }
        first
    }

    /// Adds patterns of one shape.
    fn group(&mut self, patterns: &[(&'t str, Pattern)]) {
        let Some(shape) = patterns.first().map(|(pattern, _)| Shape::of(pattern)) else { return };
        let around = |pattern: &'t str| {
            let mut texts = texts(pattern).map(str::as_bytes);
            let prefix = texts.next().unwrap_or_default();
            beside(prefix, texts.last().unwrap_or_default())
        };
        self.matcher.groups.push(Group {
            shape,
            first: number(self.matcher.patterns.len()),
            count: number(patterns.len()),
            beside: patterns.iter().fold(0, |all, (pattern, _)| all | around(pattern)),
        });
        self.matcher.patterns.extend(patterns.iter().map(|(_, pattern)| *pattern));
    }

    /// Lays out a node's children by text. A third of the slots or more is free where there are
    /// more than two.
    fn table(&mut self, node: &mut Node, children: &[(&'t str, u32)]) {
        let slots = match children.len() {
            count @ ..3 => count,
            count => (count + count / 2).next_power_of_two(),
        };
        node.edges = number(self.matcher.edges.len());
        node.below.set_slots(slots);
        let mut table = vec![Edge::default(); slots];
        for &(text, child) in children {
            let hash = hash::segment(text.as_bytes());
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
