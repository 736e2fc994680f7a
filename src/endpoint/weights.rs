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
    KnownMany = 22,
    PerLevel = 3,
    Partly = 2,
    PartlyLast = 8,
    Unknown = -22,
    UnknownMany = -32,
    Compound = 24,
    Camel = 10,
    Capital = 2,
    Upper = -48,
    Digits = -50,
    Snake = 18,
    Kebab = 0,
    Dotted = -36,
    FourWords = -30,
    Sigil = 33,
    PluralUnknown = 44,
    Vowelless = -5,
    LongUnknown = 0,
    // Where it stands.
    First = 56,
    Second = -14,
    AfterPlaceholder = 16,
    AfterTwoPlaceholders = 6,
    AfterPlural = -12,
    AfterSingular = 14,
    AfterUnknown = 8,
    AfterVersion = 32,
    AfterBy = -15,
    // What follows.
    Last = 0,
    BeforeIdentifier = 36,
    BeforeKnown = -12,
    BeforeUnknown = -15,
    PluralBeforeIdentifier = 16,
    BeforeVersion = -1,
    KnownManyAfterPlural = 0,
    Title = -74,
    File = -25,
    UnusualJoin = -14,
    // What was seen in the same place.
    SeenKnown1 = 0,
    SeenKnown2 = 0,
    SeenKnown4 = 8,
    SeenKnown8 = -2,
    SeenKnown12 = 4,
    SeenKnownRepeated1 = 12,
    SeenKnownRepeated2 = 18,
    SeenKnownRepeated4 = 12,
    SeenKnownRepeated8 = 18,
    SeenUnknown1 = 0,
    SeenUnknown2 = -4,
    SeenUnknown4 = -12,
    SeenUnknown8 = -10,
    SeenUnknown12 = -26,
    SeenRepeated1 = 8,
    SeenRepeated3 = 18,
    SeenRepeated6 = 6,
    SeenRepeated12 = -2,
    MostlyKnown = 0,
    MostlyUnknown = 4,
    SeenIdentifier = 0,
    SameShape = -12,
    NoWordShape = 18,
    OtherWordShape = 4,
    ValueElsewhere1 = -22,
    ValueElsewhere2 = -24,
    ValueElsewhere4 = -16,
    // Whether it looks like one of the values there.
    LikeTheOthers = -16,
    LikeRepeated = -52,
    UnlikeTheOthers = 2,
    LiteralElsewhere1 = 30,
    LiteralElsewhere2 = 38,
    CollapsedUnknown = -24,
    Repeated = 12,
    CollapsedKnown = -16,
    // When a level collapses.
    CollapseAt = -84,
    CollapsePerKnown = 8,
    CollapsePerUnknown = -15,
    CollapsePerRepeated = -5,
    CollapsePerKnownRepeated = 21,
}
