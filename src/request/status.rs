//! Sets of response codes.

/// Response codes, singly or by class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statuses {
    bits: Vec<u64>,
}

impl Statuses {
    /// Codes are 0 to 999.
    const CODES: usize = 1000;

    /// Adds a code.
    pub fn insert(&mut self, code: u16) {
        let code = usize::from(code);
        if code < Self::CODES {
            self.bits.resize(Self::CODES.div_ceil(64), 0);
            if let Some(word) = self.bits.get_mut(code / 64) {
                *word |= 1 << (code % 64);
            }
        }
    }

    /// Adds `"503"` or `"5xx"`; false where the text is neither.
    pub fn insert_text(&mut self, text: &str) -> bool {
        if text.len() != 3 {
            return text == "0" && {
                self.insert(0);
                true
            };
        }
        if let Some(class) = text.strip_suffix("xx") {
            let Ok(class @ 1..=5) = class.parse::<u16>() else { return false };
            (class * 100..class * 100 + 100).for_each(|code| self.insert(code));
            return true;
        }
        let Ok(code @ 100..=999) = text.parse::<u16>() else { return false };
        self.insert(code);
        true
    }

    /// Whether the code is one of them.
    #[inline]
    pub fn contains(&self, code: u16) -> bool {
        let code = usize::from(code);
        self.bits.get(code / 64).is_some_and(|word| word >> (code % 64) & 1 == 1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bits.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    #[test]
    fn statuses_are_codes_or_classes() {
        let mut statuses = Statuses::default();
        for text in ["5xx", "404", "0"] {
            assert!(statuses.insert_text(text), "{text}");
        }
        for text in ["", "xx", "6xx", "0xx", "40", "4040", "5XX", "abc", "+50", "099"] {
            assert!(!statuses.insert_text(text), "{text}");
        }
        let codes: Vec<u16> = (0..1100).filter(|&code| statuses.contains(code)).collect();
        let expected: Vec<u16> = [0, 404].into_iter().chain(500..600).collect();
        assert_eq!(codes, expected);
    }
}
