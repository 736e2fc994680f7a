//! Mutations of inputs, always the same for the same seed.
//!
//! Why not a library: bolero (0.13) runs on stable Rust, too, but without its program `cargo-bolero`
//! and a fuzzer it tries the corpus as it is and then random values, from another seed each time. Of
//! 20,000 random inputs none is an object in JSON, and of as many mutations of the corpus of `config`, with words
//! of the dictionary that libFuzzer reads as well, 1,481 are JSON, and the others are nearly so. `make fuzz`
//! is libFuzzer itself, as bolero would start it, built by cargo alone.

use route_metrics::sampling::Random;

/// What the readers look for, one to a line; a `\xNN` is a byte. libFuzzer reads the same file.
const DICTIONARY: &str = include_str!("../dictionary.txt");

/// The longest input that is made, in bytes.
const MAX_BYTES: usize = 4096;

/// Makes inputs out of inputs.
pub struct Mutator {
    random: Random,
    words: Vec<Vec<u8>>,
}

impl Mutator {
    /// A mutator whose inputs follow from the seed.
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), words: words(DICTIONARY) }
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.random.next_u64() % bound.max(1) as u64) as usize
    }

    /// One of `inputs`, with one to five changes.
    pub fn mutated(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.one_of(inputs);
        for _ in 0..=self.below(5) {
            self.change(&mut input, inputs);
        }
        input.truncate(MAX_BYTES);
        input
    }

    fn one_of(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let index = self.below(inputs.len());
        inputs.get(index).cloned().unwrap_or_default()
    }

    /// A range of at most 16 bytes, or now and then of any length.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = if self.below(4) == 0 { length } else { 16 };
        let size = self.below(most.min(length - start) + 1);
        start..start + size
    }

    fn change(&mut self, input: &mut Vec<u8>, inputs: &[Vec<u8>]) {
        let place = self.below(input.len() + 1);
        match self.below(8) {
            0 => {
                if let Some(byte) = input.get_mut(place) {
                    *byte ^= 1 << self.below(8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(place) {
                    *byte = self.random.next_u64() as u8;
                }
            }
            2 => input.insert(place, self.random.next_u64() as u8),
            3 => {
                let range = self.range(input.len());
                input.drain(range);
            }
            4 => {
                let range = self.range(input.len());
                let copy = input[range].to_vec();
                input.splice(place..place, copy);
            }
            5 => {
                let other = self.one_of(inputs);
                let piece = self.range(other.len());
                let gone = self.range(input.len());
                input.splice(gone, other[piece].to_vec());
            }
            _ => {
                let word = self.below(self.words.len());
                let word = self.words.get(word).cloned().unwrap_or_default();
                let gone = if self.below(2) == 0 { place..place } else { self.range(input.len()) };
                input.splice(gone, word);
            }
        }
    }
}

/// The words of a dictionary in libFuzzer's form: `"word"`, with `\"`, `\\` and `\xNN`.
fn words(dictionary: &str) -> Vec<Vec<u8>> {
    let lines = dictionary.lines().filter(|line| !line.starts_with('#'));
    let quoted = lines.filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    quoted.map(unescaped).collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let escaped = if byte == b'\\' { rest.next() } else { None };
        match escaped {
            Some(b'x') => {
                let digits = [rest.next(), rest.next()].map(|digit| digit.unwrap_or(b'0'));
                let digits = String::from_utf8_lossy(&digits).into_owned();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(0));
            }
            Some(escaped) => bytes.push(escaped),
            None => bytes.push(byte),
        }
    }
    bytes
}
