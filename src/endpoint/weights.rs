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
#[inline]
pub(super) fn of(which: Trait) -> i32 {
    WEIGHTS.get(which as usize).copied().map_or(0, i32::from)
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
    Capital = 8, "begins with a capital";
    Upper = -72, "capitals only";
    Digits = -84, "has digits";
    Snake = 26, "words joined by `_`";
    Kebab = -8, "words joined by `-`";
    Dotted = -56, "has dots";
    FourWords = -16, "four words and more";
    Sigil = 37, "begins with a sign, as `_search`";
    PluralUnknown = 48, "an unknown plural";
    Vowelless = -5, "hardly a vowel";
    LongUnknown = 0, "an unknown word of ten letters and more";
    Title = -112, "words joined by signs, with capitals";
    File = -25, "a file's name";
    UnusualJoin = -22, "other names are joined differently";
    // Where it stands.
    First = 56, "the first segment";
    Second = -14, "the second segment";
    AfterPlaceholder = 16, "after an identifier";
    AfterTwoPlaceholders = -8, "after two identifiers";
    AfterPlural = -14, "after a plural";
    AfterSingular = 10, "after a singular";
    AfterUnknown = 8, "after an unknown word";
    AfterVersion = 32, "after a version";
    AfterBy = -15, "after a word such as `by`";
    KnownManyAfterPlural = 8, "several known words after a plural";
    // What follows.
    Last = 0, "the last segment";
    BeforeIdentifier = 28, "an identifier follows";
    BeforeKnown = -20, "a known word follows";
    BeforeUnknown = -13, "an unknown word follows";
    PluralBeforeIdentifier = 22, "a plural, and an identifier follows";
    BeforeVersion = -1, "a version follows";
    // What was seen in the same place.
    SeenKnown1 = 0, "one known word was seen once here";
    SeenKnown2 = 0, "known words were seen once here";
    SeenKnown4 = 4, "some known words were seen once here";
    SeenKnown8 = 10, "many known words were seen once here";
    SeenKnown12 = 6, "very many known words were seen once here";
    SeenKnownRepeated1 = 13, "a known word comes again here";
    SeenKnownRepeated2 = 18, "known words come again here";
    SeenKnownRepeated4 = 32, "some known words come again here";
    SeenKnownRepeated8 = 36, "many known words come again here";
    SeenUnknown1 = 0, "one unknown word was seen once here";
    SeenUnknown2 = -4, "unknown words were seen once here";
    SeenUnknown4 = -20, "some unknown words were seen once here";
    SeenUnknown8 = -26, "many unknown words were seen once here";
    SeenUnknown12 = -24, "very many unknown words were seen once here";
    SeenRepeated1 = 8, "unknown words come again here";
    SeenRepeated3 = 2, "some unknown words come again here";
    SeenRepeated6 = 3, "many unknown words come again here";
    SeenRepeated12 = 2, "very many unknown words come again here";
    MostlyKnown = -10, "most words here come again";
    MostlyUnknown = 5, "most words here come once";
    SeenIdentifier = -2, "identifiers were seen here";
    SameShape = -12, "values of this shape were seen here";
    NoWordShape = 20, "values here do not look like words";
    OtherWordShape = 2, "values here look different";
    // What was seen elsewhere.
    ValueElsewhere1 = -14, "it is a value elsewhere";
    ValueElsewhere2 = -26, "it is a value at some places";
    ValueElsewhere4 = -44, "it is a value at many places";
    LiteralElsewhere1 = 44, "it is kept elsewhere";
    LiteralElsewhere2 = 54, "it is kept at some places";
    // Whether it looks like one of the values there.
    LikeTheOthers = -24, "what follows also follows the values here";
    LikeRepeated = -36, "what follows often follows the values here";
    UnlikeTheOthers = -6, "what follows does not follow the values here";
    Repeated = 12, "it comes again and again";
    RepeatedLikeAll = 11, "it comes again and again, as all words here";
    CollapsedKnown = -40, "this place holds values, the word is known";
    CollapsedUnknown = -35, "this place holds values, the word is unknown";
    // When a place holds values.
    CollapseAt = -60, "the sum below which it does";
    CollapsePerKnown = 20, "for each known word seen once";
    CollapsePerUnknown = -7, "for each unknown word seen once";
    CollapsePerKnownRepeated = 15, "for each known word that comes again";
    CollapsePerRepeated = -3, "for each unknown word that comes again";
}
