//! Whether a segment stays as it is: the sum of what its traits weigh.

use super::facts::{Facts, Node};
use super::token::{Kind, Token};
use super::weights::Trait;
use crate::endpoint::hash;

/// The node of the root.
pub(super) const ROOT: u64 = 1;

/// Where a walk along a path stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub node: u64,
    /// The index of the segment that comes next.
    pub index: usize,
    /// Placeholders directly before it.
    placeholders: usize,
}

impl Place {
    pub const START: Self = Self { node: ROOT, index: 0, placeholders: 0 };

    /// The place after a segment.
    pub fn after(self, token: &Token<'_>, literal: bool) -> Self {
        Self {
            node: hash::below(self.node, if literal { token.hash } else { token.placeholder }),
            index: self.index + 1,
            placeholders: if literal { 0 } else { self.placeholders + 1 },
        }
    }
}

/// Names the traits of a word that are the same wherever it stands, each with how often it counts.
pub(super) fn of_word(token: &Token<'_>, mut add: impl FnMut(Trait, i32)) {
    shape(token, &mut |condition, which| {
        if condition {
            add(which, 1);
        }
    });
    let sketch = &token.sketch;
    if sketch.known > 0 && token.all_known() {
        add(Trait::PerLevel, i32::from(sketch.level.min(7)));
    }
}

/// Names the traits that a word has at a place beside those of [`of_word`].
pub(super) fn at_place(
    place: Place,
    tokens: &[Token<'_>],
    facts: Option<&Facts>,
    mut add: impl FnMut(Trait),
) {
    let Some(token) = tokens.get(place.index) else { return };
    let previous = place.index.checked_sub(1).and_then(|at| tokens.get(at));
    let next = tokens.get(place.index + 1);
    let mut when = |condition: bool, which: Trait| {
        if condition {
            add(which);
        }
    };
    position(place, token, previous, &mut when);
    following(token, next, &mut when);
    if let Some(facts) = facts {
        seen(place, token, next, facts, &mut when);
    }
}

fn shape(token: &Token<'_>, when: &mut impl FnMut(bool, Trait)) {
    let sketch = &token.sketch;
    let many = sketch.words > 1;
    if token.all_known() {
        when(true, if many { Trait::KnownMany } else { Trait::KnownOne });
        when(sketch.compounds > 0, Trait::Compound);
    } else if sketch.known + sketch.compounds > 0 {
        when(true, Trait::Partly);
        when(sketch.last_known, Trait::PartlyLast);
    } else {
        when(true, if many { Trait::UnknownMany } else { Trait::Unknown });
        when(sketch.plural, Trait::PluralUnknown);
    }
    when(sketch.camel, Trait::Camel);
    when(sketch.capital && !sketch.upper, Trait::Capital);
    when(sketch.upper, Trait::Upper);
    // A known word with one digit behind it is a version of what it names: `oauth2`.
    when(sketch.digits > 1 || (sketch.digits > 0 && !token.all_known()), Trait::Digits);
    when(sketch.snake, Trait::Snake);
    when(sketch.kebab, Trait::Kebab);
    let method = sketch.dotted && !sketch.file && token.all_known();
    when(sketch.dotted && !method, Trait::Dotted);
    when(method, Trait::Method);
    when(sketch.version, Trait::VersionTail);
    when(sketch.words > 3, Trait::FourWords);
    when(sketch.sigil, Trait::Sigil);
    when(sketch.vowelless, Trait::Vowelless);
    when(sketch.longest > 9, Trait::LongUnknown);
    when(sketch.capital && (sketch.snake || sketch.kebab), Trait::Title);
    when(sketch.file, Trait::File);
}

fn position(
    place: Place,
    token: &Token<'_>,
    previous: Option<&Token<'_>>,
    when: &mut impl FnMut(bool, Trait),
) {
    when(place.index == 0, Trait::First);
    when(place.index == 0 && token.sketch.file, Trait::RootFile);
    when(place.index == 1, Trait::Second);
    if place.placeholders > 0 {
        when(true, Trait::AfterPlaceholder);
        when(place.placeholders > 1, Trait::AfterTwoPlaceholders);
        return;
    }
    let Some(previous) = previous else { return };
    if matches!(previous.kind, Kind::Version | Kind::Language) {
        when(true, Trait::AfterVersion);
    } else if previous.names_the_next() {
        when(true, Trait::AfterBy);
    } else if previous.sketch.plural {
        when(true, Trait::AfterPlural);
        when(token.is_known() && token.sketch.words > 1, Trait::KnownManyAfterPlural);
    } else if previous.sketch.last_known {
        when(true, Trait::AfterSingular);
    } else {
        when(true, Trait::AfterUnknown);
    }
}

fn following(token: &Token<'_>, next: Option<&Token<'_>>, when: &mut impl FnMut(bool, Trait)) {
    match next {
        None => when(true, Trait::Last),
        Some(next) => match next.kind {
            Kind::Identifier(_) => {
                when(true, Trait::BeforeIdentifier);
                when(token.sketch.plural, Trait::PluralBeforeIdentifier);
            }
            Kind::Version | Kind::Language => when(true, Trait::BeforeVersion),
            Kind::Word if next.is_known() => when(true, Trait::BeforeKnown),
            Kind::Word => when(true, Trait::BeforeUnknown),
        },
    }
}

/// What the facts say of this place, and of this segment elsewhere.
fn seen(
    place: Place,
    token: &Token<'_>,
    next: Option<&Token<'_>>,
    facts: &Facts,
    when: &mut impl FnMut(bool, Trait),
) {
    if let Some(join) = token.join() {
        let joins = facts.joins();
        let all: u32 = joins.into_iter().map(u32::from).sum();
        let own = joins.get(join).copied().map_or(0, u32::from);
        when(all >= 4 && own * 8 <= all, Trait::UnusualJoin);
    }
    let node = facts.node(place.node);
    let of = |count: u8, steps: &[(u8, Trait)]| {
        steps.iter().rev().find(|(least, _)| count >= *least).map(|(_, which)| *which)
    };
    let counts = [
        of(node.known_once(), &KNOWN_ONCE),
        of(node.known_repeated, &KNOWN_REPEATED),
        of(node.unknown_once(), &UNKNOWN_ONCE),
        of(node.unknown_repeated, &UNKNOWN_REPEATED),
    ];
    for which in counts.into_iter().flatten() {
        when(true, which);
    }
    let again = node.known_repeated.saturating_add(node.unknown_repeated);
    let once = node.unknown_once().saturating_add(node.known_once());
    let repeats = again >= 2 && again / 3 >= once && once < 10;
    when(repeats, Trait::MostlyKnown);
    when(once >= 3 && once / 2 >= again, Trait::MostlyUnknown);

    let word = facts.word(token.hash);
    match word.literal {
        0 => {}
        1 => when(true, Trait::LiteralElsewhere1),
        _ => when(true, Trait::LiteralElsewhere2),
    }
    match word.value {
        0 => {}
        1 => when(true, Trait::ValueElsewhere1),
        2..4 => when(true, Trait::ValueElsewhere2),
        _ => when(true, Trait::ValueElsewhere4),
    }

    if node.is(Node::HAS_VALUE) {
        let own = 1 << token.shape();
        let which = match node.shapes {
            shapes if shapes & own != 0 => Trait::SameShape,
            shapes if shapes & Token::WORD_SHAPES == 0 => Trait::NoWordShape,
            _ => Trait::OtherWordShape,
        };
        when(true, which);
        let stands_out = which == Trait::NoWordShape && token.is_known();
        when(stands_out, Trait::KnownAmongIdentifiers);
        when(node.shapes & !Token::WORD_SHAPES != 0, Trait::SeenIdentifier);
        let values = hash::below(place.node, token.placeholder);
        let alike = match next {
            None => facts.node(values).is(Node::END),
            Some(next) if matches!(next.kind, Kind::Identifier(_)) => {
                facts.node(values).is(Node::HAS_VALUE)
            }
            Some(next) => {
                let below = facts.node(hash::below(values, next.hash));
                when(below.is(Node::REPEATED), Trait::LikeRepeated);
                below.is(Node::SEEN)
            }
        };
        when(true, if alike { Trait::LikeTheOthers } else { Trait::UnlikeTheOthers });
    }
    let repeated = facts.node(hash::below(place.node, token.hash)).is(Node::REPEATED);
    when(repeated, Trait::Repeated);
    when(repeated && repeats, Trait::RepeatedLikeAll);
    if node.is(Node::COLLAPSED) {
        when(
            true,
            match token.is_known() {
                true => Trait::CollapsedKnown,
                false => Trait::CollapsedUnknown,
            },
        );
    }
}

/// From how many children on which trait holds.
const KNOWN_ONCE: [(u8, Trait); 5] = [
    (1, Trait::SeenKnown1),
    (2, Trait::SeenKnown2),
    (4, Trait::SeenKnown4),
    (8, Trait::SeenKnown8),
    (12, Trait::SeenKnown12),
];
const KNOWN_REPEATED: [(u8, Trait); 4] = [
    (1, Trait::SeenKnownRepeated1),
    (2, Trait::SeenKnownRepeated2),
    (4, Trait::SeenKnownRepeated4),
    (8, Trait::SeenKnownRepeated8),
];
const UNKNOWN_ONCE: [(u8, Trait); 5] = [
    (1, Trait::SeenUnknown1),
    (2, Trait::SeenUnknown2),
    (4, Trait::SeenUnknown4),
    (8, Trait::SeenUnknown8),
    (12, Trait::SeenUnknown12),
];
const UNKNOWN_REPEATED: [(u8, Trait); 4] = [
    (1, Trait::SeenRepeated1),
    (3, Trait::SeenRepeated3),
    (6, Trait::SeenRepeated6),
    (12, Trait::SeenRepeated12),
];
