//! What a segment looks like by itself: an identifier, or a word that a score says more about.
//!
//! Nothing here remembers anything. The rules for identifiers are about form alone; words get a
//! [`Sketch`], from which the learner takes its prior.

use super::form::{Runs, identifier, mixed, version};
use super::lexicon::Lexicon;
use super::vocabulary::{self, Level, Vocabulary};
use super::{score, weights};
use crate::endpoint::hash;

/// Formats that an API offers the same resource in. Other extensions belong to a file's name.
const FORMATS: [&[u8]; 8] = [b"json", b"xml", b"csv", b"html", b"pdf", b"rss", b"atom", b"ics"];

/// Extensions of files that are stored, not offered.
const FILES: [&[u8]; 32] = [
    b"js", b"css", b"txt", b"md", b"yml", b"yaml", b"toml", b"ts", b"py", b"go", b"java", b"rs",
    b"rb", b"c", b"h", b"cpp", b"sh", b"png", b"jpg", b"jpeg", b"gif", b"svg", b"ico", b"webp",
    b"zip", b"gz", b"tgz", b"tar", b"mp3", b"mp4", b"doc", b"log",
];

/// What a segment is, as far as it can be told from the segment alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An identifier by its form.
    Identifier(Form),
    /// A version near the front of the path, as `v1` or `2.0`.
    Version,
    /// A language with a region that the path begins with, as `en-gb`.
    Language,
    /// Anything else: decided by what is known about its position.
    Word,
}

/// The form by which an identifier was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Digits, with or without signs and separators: numbers, dates, IPv4 addresses.
    Number,
    /// A UUID, anywhere in the segment.
    Uuid,
    /// Sixteen and more hexadecimal digits.
    Hex,
    /// Letters and digits mixed as no word does.
    Mixed,
    /// A version of a thing, as `v1.30.2`.
    Version,
    /// Signs that names of resources do not have: `@`, `,`, `=`, spaces.
    Signs,
    /// Percent-encoded, or not ASCII.
    Encoded,
    /// Longer than any word.
    Long,
}

impl std::fmt::Display for Form {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Number => "a number",
            Self::Uuid => "a UUID",
            Self::Hex => "hexadecimal digits",
            Self::Mixed => "letters and digits mixed as in no word",
            Self::Version => "a version of a thing",
            Self::Signs => "signs that no word has",
            Self::Encoded => "percent-encoded, or not ASCII",
            Self::Long => "longer than any word",
        })
    }
}

/// How the words of a segment are joined, and what else tells resources from values.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sketch {
    /// Words in the segment, known words among them.
    pub words: u8,
    pub known: u8,
    /// The least common of the known words.
    pub level: Level,
    /// Whether the last word is known, and whether it is a plural.
    pub last_known: bool,
    pub plural: bool,
    /// Unknown words that are known words without a mark between them.
    pub compounds: u8,
    pub digits: u8,
    pub snake: bool,
    pub kebab: bool,
    pub dotted: bool,
    pub camel: bool,
    pub capital: bool,
    pub upper: bool,
    /// Begins with `_`, `.` or `$`.
    pub sigil: bool,
    /// An unknown word of five and more letters with hardly a vowel.
    pub vowelless: bool,
    /// The longest unknown word.
    pub longest: u8,
    /// Ends in a version: `rest_v1`.
    pub version: bool,
    /// Ends in the extension of a file that is no format of a resource.
    pub file: bool,
}

/// What stays of a segment whose stem is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affix {
    /// Nothing.
    None,
    /// A format or a custom verb: `.json`, `:cancel`.
    Suffix,
    /// Arguments, as in OData: `items(5)`. Not the stem but they are replaced.
    Call,
}

/// A segment, looked at.
#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    /// The segment as it was sent.
    pub raw: &'a [u8],
    /// What it looks like.
    pub kind: Kind,
    /// The words and digits that it is made of.
    pub sketch: Sketch,
    /// What stays where the rest is replaced.
    pub affix: Affix,
    /// Where the affix begins.
    pub stem: usize,
    /// The hash of the segment as it stands in a label if it is taken literally.
    pub hash: u32,
    /// The name of the edge for the placeholder, with the affix that stays.
    pub placeholder: u32,
    /// Of a word: what its traits weigh that are the same wherever it stands.
    pub score: i16,
}

impl Default for Token<'_> {
    fn default() -> Self {
        Self {
            raw: &[],
            kind: Kind::Word,
            sketch: Sketch::default(),
            affix: Affix::None,
            stem: 0,
            hash: 0,
            placeholder: PLACEHOLDER,
            score: 0,
        }
    }
}

impl<'a> Token<'a> {
    /// Looks at the segment at an index of a path.
    #[cfg(test)]
    pub(super) fn new(raw: &'a [u8], index: usize, lexicon: &Lexicon) -> Self {
        Self::with_hash(raw, lexicon.secret.hash(raw), index, lexicon)
    }

    /// Looks at the segment at an index of a path, which has this hash.
    pub(super) fn with_hash(raw: &'a [u8], hash: u64, index: usize, lexicon: &Lexicon) -> Self {
        let Lexicon { words, secret } = lexicon;
        let mut token = Self { raw, stem: raw.len(), ..Self::default() };
        token.cut_affix(words);
        let stem = raw.get(..token.stem).unwrap_or(raw);
        token.kind = match identifier(stem, index) {
            Some(kind) => kind,
            None => {
                let runs = Runs::new(stem);
                // Words need not be looked up for what is none in any case.
                if runs.of_digits < 3 {
                    token.sketch = Sketch::new(stem, words);
                }
                match runs.of_digits >= 3 || mixed(stem, &token.sketch, runs) {
                    true => Kind::Identifier(Form::Mixed),
                    false => Kind::Word,
                }
            }
        };
        token.hash = match token.affix {
            Affix::Call => hash::name(*secret, stem) ^ CALL,
            _ => hash::short(hash),
        };
        if token.affix == Affix::Suffix {
            let suffix = raw.get(token.stem..).unwrap_or_default();
            token.placeholder = hash::name(*secret, suffix) ^ PLACEHOLDER;
        }
        if token.kind == Kind::Word {
            let mut sum = 0;
            score::of_word(&token, |which, times| sum += weights::of(which) * times);
            token.score = i16::try_from(sum).unwrap_or(i16::MIN);
        }
        token
    }

    /// Whether all of its words are known.
    pub fn all_known(&self) -> bool {
        self.sketch.known + self.sketch.compounds >= self.sketch.words
    }

    /// Whether it is a word as APIs use: all known, or written as no value is.
    pub fn is_known(&self) -> bool {
        let sketch = &self.sketch;
        self.kind == Kind::Word
            && ((sketch.words > 0 && self.all_known())
                || sketch.sigil
                || (sketch.camel && !sketch.capital))
    }

    /// Whether it says by what the next segment names a thing: `by-name`, `for`, `uid`.
    pub fn names_the_next(&self) -> bool {
        const NAMING: [&[u8]; 9] =
            [b"by", b"in", b"for", b"of", b"from", b"with", b"name", b"id", b"uid"];
        NAMING.contains(&self.raw)
            || self.raw.starts_with(b"by")
            || self.raw.windows(3).any(|part| part == b"-by" || part == b"_by")
    }

    /// How the words of a compound are joined: 0 by `-`, 1 by `_`, 2 by capitals; `None` where it
    /// is no compound of small letters, or joined in several ways.
    pub fn join(&self) -> Option<usize> {
        let sketch = &self.sketch;
        if self.kind != Kind::Word || sketch.words < 2 || sketch.capital {
            return None;
        }
        match (sketch.kebab, sketch.snake, sketch.camel) {
            (true, false, false) => Some(0),
            (false, true, false) => Some(1),
            (false, false, true) => Some(2),
            _ => None,
        }
    }

    /// The shapes of words, as bits.
    pub const WORD_SHAPES: u16 = 0xff;

    /// The number of its shape, below 16. Values of one parameter are mostly of one shape.
    pub fn shape(&self) -> u32 {
        let sketch = &self.sketch;
        match self.kind {
            Kind::Identifier(form) => 8 + form as u32,
            _ if sketch.upper => 0,
            _ if sketch.capital => 1,
            _ if sketch.dotted => 2,
            _ if sketch.kebab => 3,
            _ if sketch.snake => 4,
            _ if sketch.camel => 5,
            _ if self.is_known() => 6,
            _ => 7,
        }
    }

    /// The same without its text, and back.
    pub(super) fn with<'b>(self, raw: &'b [u8]) -> Token<'b> {
        Token {
            raw,
            kind: self.kind,
            sketch: self.sketch,
            affix: self.affix,
            stem: self.stem,
            hash: self.hash,
            placeholder: self.placeholder,
            score: self.score,
        }
    }

    /// Appends the segment as it stands in a label.
    pub fn write(&self, literal: bool, out: &mut Vec<u8>) {
        let (stem, affix) = self.raw.split_at_checked(self.stem).unwrap_or((self.raw, &[]));
        out.extend_from_slice(if literal { stem } else { b"{id}" });
        match self.affix {
            Affix::Call if literal => out.extend_from_slice(b"({id})"),
            Affix::Suffix => out.extend_from_slice(affix),
            _ => {}
        }
    }

    fn cut_affix(&mut self, words: &Vocabulary) {
        let raw = self.raw;
        if let [stem @ .., b')'] = raw
            && let Some(open) = raw.iter().position(|&byte| byte == b'(')
            && open > 0
            && open + 1 < stem.len()
        {
            self.affix = Affix::Call;
            self.stem = open;
            return;
        }
        let Some(mark) = raw.iter().rposition(|&byte| matches!(byte, b'.' | b':')) else { return };
        let (stem, suffix) = raw.split_at_checked(mark).unwrap_or((raw, &[]));
        let Some((&sign, suffix)) = suffix.split_first() else { return };
        if stem.is_empty() {
            return;
        }
        let keeps = if sign == b'.' { FORMATS.contains(&suffix) } else { is_verb(suffix, words) };
        if keeps {
            self.affix = Affix::Suffix;
            self.stem = mark;
        }
    }
}

/// Edges of the trie that are no segments.
pub const PLACEHOLDER: u32 = 0x7b69_647d;
const CALL: u32 = 0x2829_2829;

/// A custom verb: it begins with a known word and has no digits (`cancel`, `batchGet`).
fn is_verb(suffix: &[u8], words: &Vocabulary) -> bool {
    if !suffix.first().is_some_and(u8::is_ascii_lowercase)
        || !suffix.iter().all(u8::is_ascii_alphabetic)
    {
        return false;
    }
    let sketch = Sketch::new(suffix, words);
    sketch.known > 0
}

impl Sketch {
    fn new(stem: &[u8], words: &Vocabulary) -> Self {
        let mut sketch = Self { level: Level::MAX, ..Self::default() };
        sketch.sigil = matches!(stem.first(), Some(b'_' | b'.' | b'$'));
        let mut capitals = 0;
        let mut letters = 0;
        let mut start = 0;
        let mut previous = 0_u8;
        for (at, &byte) in stem.iter().enumerate() {
            match byte {
                b'0'..=b'9' => sketch.digits = sketch.digits.saturating_add(1),
                b'A'..=b'Z' => {
                    letters += 1;
                    capitals += 1;
                    sketch.capital |= at == 0;
                    let hump = previous.is_ascii_lowercase()
                        || (previous.is_ascii_uppercase()
                            && stem.get(at + 1).is_some_and(u8::is_ascii_lowercase)
                            && at - start > 1);
                    if hump {
                        sketch.camel = true;
                        sketch.word(stem.get(start..at), words);
                        start = at;
                    }
                }
                b'a'..=b'z' => letters += 1,
                _ => {
                    sketch.word(stem.get(start..at), words);
                    start = at + 1;
                    if at > 0 {
                        match byte {
                            b'_' => sketch.snake = true,
                            b'-' => sketch.kebab = true,
                            b'.' => sketch.dotted = true,
                            _ => {}
                        }
                    }
                }
            }
            previous = byte;
        }
        sketch.word(stem.get(start..), words);
        sketch.file = sketch.dotted
            && stem.rsplit(|&byte| byte == b'.').next().is_some_and(|end| FILES.contains(&end));
        sketch.version = stem
            .iter()
            .rposition(|byte| matches!(byte, b'-' | b'_'))
            .and_then(|at| stem.get(at + 1..))
            .is_some_and(|end| version(end).is_some());
        sketch.upper = capitals > 1 && capitals == letters;
        if sketch.upper {
            sketch.camel = false;
        }
        sketch
    }

    /// Takes in one word.
    fn word(&mut self, word: Option<&[u8]>, words: &Vocabulary) {
        let Some(word) = word.filter(|word| !word.is_empty()) else { return };
        self.words = self.words.saturating_add(1);
        let mut buffer = [0; 40];
        let Some(lower) = buffer.get_mut(..word.len()) else {
            self.longest = u8::MAX;
            self.last_known = false;
            return;
        };
        lower.copy_from_slice(word);
        lower.make_ascii_lowercase();
        let digits = lower.iter().rev().take_while(|byte| byte.is_ascii_digit()).count().min(2);
        let plain = lower.get(..lower.len() - digits).unwrap_or(lower);
        if plain.is_empty() {
            self.words -= 1;
            return;
        }
        self.plural = vocabulary::is_plural(plain);
        let level = words.level(lower).or_else(|| words.level(plain));
        self.last_known = level.is_some();
        if let Some(level) = level {
            self.known = self.known.saturating_add(1);
            self.level = self.level.min(level);
        } else if words.is_compound(plain) {
            self.compounds = self.compounds.saturating_add(1);
        } else {
            self.longest = self.longest.max(u8::try_from(plain.len()).unwrap_or(u8::MAX));
            let vowels = plain.iter().filter(|byte| b"aeiouy".contains(byte)).count();
            self.vowelless |= plain.len() >= 5 && vowels * 6 < plain.len();
        }
    }
}
