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
    KnownOne = 20,
    KnownMany = 30,
    PerLevel = 3,
    Partly = 8,
    PartlyLast = 6,
    Unknown = -22,
    UnknownMany = -30,
    Compound = 18,
    Camel = 10,
    Capital = -6,
    Upper = -20,
    Digits = -8,
    Snake = 6,
    Kebab = 0,
    Dotted = -8,
    FourWords = -10,
    Sigil = 25,
    PluralUnknown = 8,
    Vowelless = -15,
    LongUnknown = 0,
    // Where it stands.
    First = 10,
    Second = 0,
    AfterPlaceholder = 12,
    AfterTwoPlaceholders = 6,
    AfterPlural = -12,
    AfterSingular = 2,
    AfterUnknown = 0,
    AfterVersion = 12,
    AfterBy = -15,
    // What follows.
    Last = 0,
    BeforeIdentifier = 8,
    BeforeKnown = -2,
    BeforeUnknown = 3,
    PluralBeforeIdentifier = 8,
    // What was seen in the same place.
    SeenKnown1 = 4,
    SeenKnown2 = 8,
    SeenKnown4 = 12,
    SeenKnown8 = 16,
    SeenKnown16 = 18,
    SeenUnknown1 = 0,
    SeenUnknown2 = -4,
    SeenUnknown4 = -8,
    SeenUnknown8 = -14,
    SeenUnknown16 = -20,
    SeenRepeated1 = 2,
    SeenRepeated3 = 6,
    SeenRepeated6 = 10,
    SeenIdentifier = -8,
    // Whether it looks like one of the values there.
    LikeTheOthers = -10,
    UnlikeTheOthers = 4,
    Repeated = 12,
    CollapsedKnown = -8,
    // When a level collapses.
    CollapseAt = -80,
    CollapsePerKnown = 20,
    CollapsePerUnknown = -15,
    CollapsePerRepeated = 5,
}
