//! How much each trait of a segment and of its position says.
//!
//! A score above zero keeps a segment as it is, any other makes it `{id}`.

macro_rules! traits {
    ($($(#[$doc:meta])* $name:ident = $weight:literal,)*) => {
        /// A trait that adds to the score of a segment.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Trait { $($(#[$doc])* $name,)* }
        /// The weight of each trait.
        pub const WEIGHTS: [i16; [$(Trait::$name),*].len()] = [$($weight),*];
        /// Their names.
        pub const NAMES: [&str; WEIGHTS.len()] = [$(stringify!($name)),*];
    };
}

traits! {
    // The segment.
    KnownOne = 26,
    KnownMany = 20,
    PerLevel = 3,
    Partly = 0,
    PartlyLast = 4,
    Unknown = -22,
    UnknownMany = -36,
    Compound = 16,
    Camel = 10,
    Capital = 2,
    Upper = -28,
    Digits = -12,
    Snake = 22,
    Kebab = 0,
    Dotted = -36,
    FourWords = -26,
    Sigil = 25,
    PluralUnknown = 36,
    Vowelless = -5,
    LongUnknown = 8,
    // Where it stands.
    First = 56,
    Second = 0,
    AfterPlaceholder = 8,
    AfterTwoPlaceholders = 6,
    AfterPlural = -12,
    AfterSingular = 6,
    AfterUnknown = 8,
    AfterVersion = 28,
    AfterBy = -15,
    // What follows.
    Last = 0,
    BeforeIdentifier = 36,
    BeforeKnown = -4,
    BeforeUnknown = -15,
    PluralBeforeIdentifier = 8,
    BeforeVersion = -1,
    KnownManyAfterPlural = 8,
    Title = -74,
    File = -25,
    UnusualJoin = 6,
    // What was seen in the same place.
    SeenKnown1 = 2,
    SeenKnown2 = 4,
    SeenKnown4 = 0,
    SeenKnown8 = 2,
    SeenKnown16 = 4,
    SeenKnownRepeated1 = 8,
    SeenKnownRepeated2 = 8,
    SeenKnownRepeated4 = 14,
    SeenKnownRepeated8 = 26,
    SeenUnknown1 = 2,
    SeenUnknown2 = -4,
    SeenUnknown4 = -4,
    SeenUnknown8 = -10,
    SeenUnknown16 = -26,
    SeenRepeated1 = 4,
    SeenRepeated3 = 10,
    SeenRepeated6 = -2,
    MostlyKnown = 0,
    MostlyUnknown = -4,
    SeenIdentifier = -8,
    // Whether it looks like one of the values there.
    LikeTheOthers = -8,
    LikeRepeated = -38,
    UnlikeTheOthers = 6,
    LiteralElsewhere1 = 22,
    LiteralElsewhere2 = 30,
    CollapsedUnknown = -44,
    Repeated = 12,
    CollapsedKnown = -16,
    // When a level collapses.
    CollapseAt = -88,
    CollapsePerKnown = 28,
    CollapsePerUnknown = -15,
    CollapsePerRepeated = 1,
    CollapsePerKnownRepeated = 21,
}
