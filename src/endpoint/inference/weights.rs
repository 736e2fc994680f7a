//! How much each trait of a segment and of its position says.
//!
//! A score above zero keeps a segment as it is, any other makes it `{id}`. The weights were found
//! by coordinate search over the paths of some twenty-five public APIs, real and made-up values in
//! their templates; what counted was how many requests end up in groups that are exactly one
//! template.

macro_rules! traits {
    ($($name:ident = $weight:literal, $meaning:literal;)*) => {
        /// A trait that adds to the score of a segment.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Trait {
            $(#[doc = $meaning] $name,)*
        }

        /// How many traits there are.
        const TRAITS: usize = [$(Trait::$name),*].len();

        /// The weight of each trait, in the order of [`Trait`].
        const WEIGHTS: [i16; TRAITS] = [$($weight),*];

        /// The names of the traits, and what they mean.
        pub(super) const NAMES: [(&str, &str); TRAITS] = [$((stringify!($name), $meaning)),*];
    };
}

/// The weight of a trait.
#[cfg(not(route_metrics_train))]
#[inline]
pub(super) fn of(which: Trait) -> i32 {
    WEIGHTS.get(which as usize).copied().map_or(0, i32::from)
}

/// The weight of a trait, as it is tried now.
#[cfg(route_metrics_train)]
pub(super) fn of(which: Trait) -> i32 {
    tried::WEIGHTS.with(|all| all.borrow().get(which as usize).copied().unwrap_or(0))
}

/// Weights that the training program tries.
#[cfg(route_metrics_train)]
pub mod tried {
    use std::cell::RefCell;

    std::thread_local! {
        pub(super) static WEIGHTS: RefCell<Vec<i32>> =
            RefCell::new(super::WEIGHTS.iter().map(|&it| i32::from(it)).collect());
    }

    /// The names of the traits and their weights.
    pub fn get() -> Vec<(&'static str, i32)> {
        WEIGHTS.with(|all| {
            super::NAMES.iter().map(|it| it.0).zip(all.borrow().iter().copied()).collect()
        })
    }

    /// Changes a weight.
    pub fn set(which: usize, weight: i32) {
        WEIGHTS.with(|all| {
            if let Some(own) = all.borrow_mut().get_mut(which) {
                *own = weight;
            }
        });
    }
}

traits! {
    // The segment.
    KnownOne = 26, "one word that APIs use";
    KnownMany = 30, "several words that APIs use";
    PerLevel = 3, "how common the word is";
    Partly = 2, "some of the words are known";
    PartlyLast = 18, "the last word is known";
    Unknown = -22, "an unknown word";
    UnknownMany = -44, "several unknown words";
    Compound = 26, "known words written together";
    Camel = -6, "words joined by capitals";
    Capital = 7, "begins with a capital";
    Upper = -72, "capitals only";
    Digits = -84, "has digits";
    Snake = 25, "words joined by `_`";
    Kebab = -6, "words joined by `-`";
    Dotted = -70, "has dots";
    FourWords = -17, "four words and more";
    Sigil = 37, "begins with a sign, as `_search`";
    PluralUnknown = 56, "an unknown plural";
    Vowelless = -11, "hardly a vowel";
    LongUnknown = -4, "an unknown word of ten letters and more";
    Title = -112, "words joined by signs, with capitals";
    File = -25, "a file's name";
    UnusualJoin = -24, "other names are joined differently";
    Method = 30, "known words joined by dots";
    VersionTail = 90, "a version at its end";
    // Where it stands.
    RootFile = 90, "a file at the root";
    First = 64, "the first segment";
    Second = -14, "the second segment";
    AfterPlaceholder = 16, "after an identifier";
    AfterTwoPlaceholders = -12, "after two identifiers";
    AfterPlural = -14, "after a plural";
    AfterSingular = 14, "after a singular";
    AfterUnknown = 16, "after an unknown word";
    AfterVersion = 32, "after a version";
    AfterBy = -15, "after a word such as `by`";
    KnownManyAfterPlural = 9, "several known words after a plural";
    // What follows.
    Last = 0, "the last segment";
    BeforeIdentifier = 28, "an identifier follows";
    BeforeKnown = -19, "a known word follows";
    BeforeUnknown = -13, "an unknown word follows";
    PluralBeforeIdentifier = 12, "a plural, and an identifier follows";
    BeforeVersion = 7, "a version follows";
    // What was seen in the same place.
    SeenKnown1 = 1, "one known word was seen once here";
    SeenKnown2 = 0, "known words were seen once here";
    SeenKnown4 = 3, "some known words were seen once here";
    SeenKnown8 = 3, "many known words were seen once here";
    SeenKnown12 = 5, "very many known words were seen once here";
    SeenKnownRepeated1 = 17, "a known word comes again here";
    SeenKnownRepeated2 = 22, "known words come again here";
    SeenKnownRepeated4 = 38, "some known words come again here";
    SeenKnownRepeated8 = 36, "many known words come again here";
    SeenUnknown1 = 0, "one unknown word was seen once here";
    SeenUnknown2 = -4, "unknown words were seen once here";
    SeenUnknown4 = -20, "some unknown words were seen once here";
    SeenUnknown8 = -24, "many unknown words were seen once here";
    SeenUnknown12 = -24, "very many unknown words were seen once here";
    SeenRepeated1 = 8, "unknown words come again here";
    SeenRepeated3 = 2, "some unknown words come again here";
    SeenRepeated6 = 2, "many unknown words come again here";
    SeenRepeated12 = 2, "very many unknown words come again here";
    MostlyKnown = -6, "most words here come again";
    MostlyUnknown = 4, "most words here come once";
    KnownAmongIdentifiers = 40, "a known word where identifiers alone were seen";
    SeenIdentifier = 1, "identifiers were seen here";
    SameShape = -12, "values of this shape were seen here";
    NoWordShape = 25, "values here do not look like words";
    OtherWordShape = 2, "values here look different";
    // What was seen elsewhere.
    ValueElsewhere1 = -18, "it is a value elsewhere";
    ValueElsewhere2 = -26, "it is a value at some places";
    ValueElsewhere4 = -52, "it is a value at many places";
    LiteralElsewhere1 = 40, "it is kept elsewhere";
    LiteralElsewhere2 = 54, "it is kept at some places";
    // Whether it looks like one of the values there.
    LikeTheOthers = -24, "what follows also follows the values here";
    LikeRepeated = -37, "what follows often follows the values here";
    UnlikeTheOthers = -6, "what follows does not follow the values here";
    Repeated = 4, "it comes again and again";
    RepeatedLikeAll = 11, "it comes again and again, as all words here";
    CollapsedKnown = -42, "this place holds values, the word is known";
    CollapsedUnknown = -21, "this place holds values, the word is unknown";
    // When a place holds values.
    CollapseAt = -49, "the sum below which it does";
    CollapsePerKnown = 16, "for each known word seen once";
    CollapsePerUnknown = -6, "for each unknown word seen once";
    CollapsePerKnownRepeated = 20, "for each known word that comes again";
    CollapsePerRepeated = -6, "for each unknown word that comes again";
}
