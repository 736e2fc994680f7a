//! Headers in the form in which the proxy-wasm ABI passes all of them at once: their number, the
//! lengths of all names and values, and these themselves, each with a NUL behind it
//! (proxy-wasm-cpp-host, `src/pairs_util.cc`).

/// Headers in that form.
#[must_use]
pub fn encode(headers: &[(&str, &str)]) -> Vec<u8> {
    // What does not fit 32 bits does not fit Wasm's memory either.
    let length = |size: usize| u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = length(headers.len()).to_vec();
    for (name, value) in headers {
        bytes.extend(length(name.len()));
        bytes.extend(length(value.len()));
    }
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    bytes
}

/// Hands out the values of a header, in order. Whatever the bytes are, nothing beyond them is read.
pub fn values<'a>(bytes: &'a [u8], name: &[u8], mut value: impl FnMut(&'a [u8])) {
    let number = |at: usize| {
        let bytes = bytes.get(at..)?.first_chunk::<4>()?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    };
    let count = number(0).unwrap_or(0).min(bytes.len() / 8);
    let mut at = 4 + count * 8;
    for index in 0..count {
        let (Some(name_size), Some(size)) = (number(4 + index * 8), number(8 + index * 8)) else {
            return;
        };
        let start = at.saturating_add(name_size).saturating_add(1);
        let end = start.saturating_add(size);
        let found = bytes.get(at..at.saturating_add(name_size));
        if let (true, Some(found)) = (found == Some(name), bytes.get(start..end)) {
            value(found);
        }
        at = end.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;
    use proptest::prelude::*;

    #[test]
    fn a_header_has_as_many_values_as_lines() {
        let bytes = encode(&[("a", "1"), ("b", ""), ("a", "22"), ("aa", "3")]);
        let all = |name: &str| {
            let mut found = Vec::new();
            values(&bytes, name.as_bytes(), |value| found.push(value));
            found
        };
        assert_eq!(all("a"), [&b"1"[..], b"22"]);
        assert_eq!(all("b"), [&b""[..]]);
        assert_eq!(all("aa"), [&b"3"[..]]);
        assert!(all("c").is_empty());
        assert_eq!(bytes.len(), 4 + 4 * 8 + (2 + 2) + (2 + 1) + (2 + 3) + (3 + 2));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_within_their_bounds(bytes: Vec<u8>, size in 0u32..5) {
            let mut bytes = bytes;
            bytes.splice(0..0, size.to_le_bytes());
            let mut total = 0;
            values(&bytes, b"", |value| total += value.len());
            prop_assert!(total <= bytes.len() * 5);
        }
    }
}
