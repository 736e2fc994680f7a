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

/// Hands out the name and the value of each header, in order. Whatever the bytes are, nothing
/// beyond them is read.
#[inline]
pub fn each<'a>(bytes: &'a [u8], mut header: impl FnMut(&'a [u8], &'a [u8])) {
    let size = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes) as usize;
    let Some((count, rest)) = bytes.split_first_chunk() else { return };
    let Some((lengths, mut texts)) = rest.split_at_checked(size(count).saturating_mul(8)) else {
        return;
    };
    for [a, b, c, d, e, f, g, h] in lengths.as_chunks().0 {
        let (name, value) = (size(&[*a, *b, *c, *d]), size(&[*e, *f, *g, *h]));
        let Some((name, after)) = texts.split_at_checked(name) else { return };
        let after = after.get(1..).unwrap_or_default();
        let Some((value, after)) = after.split_at_checked(value) else { return };
        texts = after.get(1..).unwrap_or_default();
        header(name, value);
    }
}

/// Hands out the values of a header, in order.
pub fn values<'a>(bytes: &'a [u8], name: &[u8], mut value: impl FnMut(&'a [u8])) {
    each(bytes, |found, text| {
        if found == name {
            value(text);
        }
    });
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
