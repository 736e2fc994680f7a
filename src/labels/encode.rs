//! Label values and the stat names that carry them.
//!
//! Proxy-wasm has no label argument, so labels travel inside the stat name in the form of Istio's
//! stats filter, `NAME.LABEL=.=VALUE;.;`, and Envoy's `stats_tags` take them out again with one
//! expression per label, `(LABEL=\.=(.*?);\.;)`. [`encode`] makes values that survive this: no
//! value can end a label, begin another, or match one of the unanchored tag expressions that
//! Istio's bootstrap ships.

/// The value that stands for everything a limit, a list or a closed set left out.
pub const OTHER: &str = "_OTHER";
/// The endpoint of a request that belongs to none.
pub const UNMATCHED: &str = "_UNMATCHED";
/// The value of a label whose source is absent.
pub const NONE: &str = "none";

/// Values with a meaning of their own, which nothing from outside may take.
const RESERVED: [&str; 2] = [OTHER, UNMATCHED];

/// A dot after one of these words, or before one of [`BEFORE`], would be read as a tag by the
/// unanchored expressions of Istio's bootstrap (`cache`, `component`, `tag`, `wasm_filter`,
/// `rbac`; istio/istio, `tools/packaging/common/envoy_bootstrap.json`).
const AFTER: [&[u8]; 5] = [b"cache", b"component", b"tag", b"wasm_filter", b"rbac"];
const BEFORE: [&[u8]; 2] = [b"istio_dry_run_", b"shadow_"];

/// Appends a value that came from outside to `out`, as [`encode`] does, and so that it cannot pass
/// for one of the filter's own words.
///
/// What is looked at is the result: a longer value may become such a word where it is cut.
pub fn encode_foreign(value: &[u8], max: usize, out: &mut String) {
    let start = out.len();
    encode(value, max, out);
    let written = out.get(start..).unwrap_or_default();
    if RESERVED.contains(&written) {
        out.truncate(start);
        // The words are longer than this, so there is room for it.
        out.push_str("%5F");
        encode(value.get(1..).unwrap_or_default(), max.saturating_sub(3), out);
    }
}

/// Writes the first character of a text from outside percent-encoded where the text is one of the
/// filter's own words.
pub fn escape_own_word(text: &mut Vec<u8>) {
    if RESERVED.iter().any(|word| word.as_bytes() == text) {
        text.splice(..1, *b"%5F");
    }
}

/// Appends `value` to `out` as a label value: printable ASCII, at most `max` characters.
///
/// Everything else is percent-encoded byte by byte, and so is a dot that Envoy's or Istio's tag
/// expressions could mistake for a separator. A value that does not fit is cut between two
/// characters, never inside a percent-encoded one. Printable values without such dots come back
/// unchanged; encoding is idempotent.
pub fn encode(value: &[u8], max: usize, out: &mut String) {
    // Most values are plain, and copied in one piece.
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'-' | b'/'..=b'~');
    if value.len() <= max
        && value.iter().all(is_plain)
        && let Ok(text) = str::from_utf8(value)
    {
        return out.push_str(text);
    }
    let start = out.len();
    for (index, &byte) in value.iter().enumerate() {
        let (before, rest) = value.split_at(index);
        let plain = match byte {
            b'.' => dot_is_safe(before, rest.get(1..).unwrap_or_default()),
            b' '..=b'~' => true,
            _ => false,
        };
        let width = if plain { 1 } else { 3 };
        if out.len() - start + width > max {
            // What is cut off may have protected the last dot.
            while out.len() > start && out.ends_with('.') {
                out.pop();
            }
            break;
        }
        if plain {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(hex(byte >> 4));
            out.push(hex(byte & 15));
        }
    }
}

fn hex(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).map_or('0', |c| c.to_ascii_uppercase())
}

fn dot_is_safe(before: &[u8], after: &[u8]) -> bool {
    // The separators around a value end in `=` and begin with `;`, so its two ends count as those.
    let previous = before.last().copied().unwrap_or(b'=');
    let next = after.first().copied().unwrap_or(b';');
    !matches!(previous, b'=' | b';')
        && !matches!(next, b'=' | b';')
        && !AFTER.iter().any(|word| before.ends_with(word))
        && !BEFORE.iter().any(|word| after.starts_with(word))
}

/// Writes the stat name of a series into `out`, replacing what was there.
pub fn stat_name<'a>(
    metric: &str,
    labels: impl Iterator<Item = (&'a str, &'a str)>,
    out: &mut String,
) {
    out.clear();
    out.push_str(metric);
    let mut separator = ".";
    for (label, value) in labels {
        out.push_str(separator);
        separator = "";
        out.push_str(label);
        out.push_str("=.=");
        out.push_str(value);
        out.push_str(";.;");
    }
}

/// The `stats_tags` expression that takes a label out of a stat name.
pub fn tag_regex(label: &str) -> String {
    format!(r"({label}=\.=(.*?);\.;)")
}

/// Whether `name` is a metric or label name: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Why a stat with this metric name would not come out of Envoy under its own name, if so.
///
/// The unanchored expressions are those of Envoy's `well_known_names.cc` and of Istio's bootstrap.
pub fn name_trouble(name: &str) -> Option<String> {
    let response_code = name.rsplit_once("_rq_").filter(|(_, code)| {
        code.len() == 3
            && code.as_bytes().first().is_some_and(u8::is_ascii_digit)
            && (code.ends_with("xx") || code.bytes().all(|b| b.is_ascii_digit()))
    });
    if let Some((stem, code)) = response_code {
        return Some(format!(
            "Envoy takes an ending like `_rq_404` or `_rq_4xx` out of the name as a response code; \
             name it `{stem}_requests_{code}`"
        ));
    }
    AFTER.iter().filter_map(|word| std::str::from_utf8(word).ok()).find(|word| name.ends_with(word)).map(
        |word| {
            format!("a name that ends in `{word}` is taken apart by the default tags of Istio; put another word behind it (`{name}_operations`)")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;
    use proptest::prelude::*;
    use regex_lite::Regex;

    fn encoded(value: &[u8]) -> String {
        let mut out = String::new();
        encode(value, 120, &mut out);
        out
    }

    #[test]
    fn values_come_out_as_they_should() {
        for (value, expected) in [
            (&b"/users/{id}"[..], "/users/{id}"),
            (b"/files/report.pdf", "/files/report.pdf"),
            (b"/v1.0/a b", "/v1.0/a b"),
            (b"caf\xc3\xa9\xff\n", "caf%C3%A9%FF%0A"),
            (b"a\"b\\c", "a\"b\\c"),
            (b"x;.;status=.=200", "x;%2E;status=%2E=200"),
            (b".hidden", "%2Ehidden"),
            (b"end.", "end%2E"),
            (b"/x/cache.foo.bar", "/x/cache%2Efoo.bar"),
            (b"a.shadow_denied", "a%2Eshadow_denied"),
        ] {
            assert_eq!(encoded(value), expected, "{value:?}");
        }
    }

    fn foreign(value: &[u8], max: usize) -> String {
        let mut out = String::new();
        encode_foreign(value, max, &mut out);
        out
    }

    #[test]
    fn foreign_values_do_not_pass_for_own_words() {
        for (value, max, expected) in [
            ("_OTHER", 120, "%5FOTHER"),
            ("_UNMATCHED", 120, "%5FUNMATCHED"),
            ("_OTHERS", 120, "_OTHERS"),
            // The dots at the end of what was cut go, too.
            (&format!("_OTHER{}", ".".repeat(114)), 120, "%5FOTHER"),
            (&format!("_OTHER{}", ".".repeat(115)), 120, "%5FOTHER"),
            (&format!("_UNMATCHED{}x", ".".repeat(200)), 120, "%5FUNMATCHED"),
            ("_OTHERWISE", 6, "%5FOTH"),
            ("_OTHER\u{e9}", 8, "%5FOTHER"),
        ] {
            assert_eq!(foreign(value.as_bytes(), max), expected, "{value} in {max}");
        }
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let mut out = String::new();
        encode(b"ab\xffcd", 4, &mut out);
        assert_eq!(out, "ab");
        out.clear();
        encode(b"ab.cd", 3, &mut out);
        assert_eq!(out, "ab");
    }

    #[test]
    fn names_that_envoy_takes_apart_are_known() {
        for name in ["app_rq_404", "app_rq_4xx", "my_cache", "rbac"] {
            assert!(name_trouble(name).is_some(), "{name}");
        }
        for name in ["app_cache_operations_total", "rq_total", "app_rq_40", "app_rq_abc"] {
            assert!(name_trouble(name).is_none(), "{name}");
        }
    }

    /// What Envoy's tag extraction gives for a stat name: each label's expression searched once.
    fn read_back(stat: &str, labels: &[&str]) -> Vec<Option<String>> {
        labels
            .iter()
            .map(|label| {
                let regex = Regex::new(&tag_regex(label)).unwrap();
                regex.captures(stat).map(|c| c[2].to_owned())
            })
            .collect()
    }

    /// Values near those that could go wrong: own words, dots, separators, any bytes.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            "_OTHER|_UNMATCHED|none|%5F|_|%5FOTHER",
            "\\.{1,130}",
            "[=;.%{}/ a-zA-Z_]{0,12}",
            "(cache|tag|component|wasm_filter|rbac|shadow_|istio_dry_run_)",
        ]
        .prop_map(String::into_bytes);
        let bytes = proptest::collection::vec(any::<u8>(), 0..8);
        proptest::collection::vec(prop_oneof![4 => part, 1 => bytes], 0..5)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn no_foreign_value_becomes_an_own_word_however_it_is_cut(value in hostile(), max in 0usize..200) {
            let out = foreign(&value, max);
            prop_assert!(out.len() <= max && !RESERVED.contains(&out.as_str()), "{}", out);
            prop_assert!(out.bytes().all(|b| (b' '..=b'~').contains(&b)));
            prop_assert_eq!(foreign(out.as_bytes(), max), out.as_str());
            // What may come after it in the buffer or before it makes no difference.
            let mut behind = String::from("_OTHER");
            encode_foreign(&value, max, &mut behind);
            prop_assert_eq!(behind, format!("_OTHER{out}"));
        }

        #[test]
        fn a_foreign_value_comes_back_whatever_stands_beside_it(
            a in hostile(), b in hostile(), max in 16usize..200,
        ) {
            let labels = ["endpoint", "tenant"];
            let values = [foreign(&a, max), foreign(&b, max)];
            let mut stat = String::new();
            stat_name("m", labels.into_iter().zip(values.iter().map(String::as_str)), &mut stat);
            prop_assert_eq!(read_back(&stat, &labels), values.map(Some).to_vec());
        }

        #[test]
        fn any_values_come_back_through_the_tag_expressions(
            a in proptest::collection::vec(any::<u8>(), 0..60),
            b in "[=;.a-z_]{0,40}",
            c in "(cache|tag|x|status|=|;|\\.){0,12}",
        ) {
            let labels = ["method", "endpoint", "status"];
            let values = [encoded(&a), encoded(b.as_bytes()), encoded(c.as_bytes())];
            let mut stat = String::new();
            stat_name("m", labels.into_iter().zip(values.iter().map(String::as_str)), &mut stat);
            prop_assert_eq!(read_back(&stat, &labels), values.map(Some).to_vec());
            for foreign in [r"(cache\.(.+?)\.)", r"(component\.(.+?)\.)", r"(tag\.(.+?);\.)",
                            r"(wasm_filter\.(.+?)\.)", r"rbac(\.(allowed|denied))",
                            r"(\.istio_dry_run_(allow|deny)_)", r"(\.shadow_(allowed|denied))",
                            r"_rq(_(\d{3}))$"] {
                prop_assert!(!Regex::new(foreign).unwrap().is_match(&stat), "{} in {}", foreign, stat);
            }
        }

        #[test]
        fn encoding_is_idempotent_bounded_and_printable(value: Vec<u8>, max in 0usize..200) {
            let mut once = String::new();
            encode(&value, max, &mut once);
            prop_assert!(once.len() <= max);
            prop_assert!(once.bytes().all(|b| (b' '..=b'~').contains(&b)));
            let mut twice = String::new();
            encode(once.as_bytes(), max, &mut twice);
            prop_assert_eq!(once, twice);
        }
    }
}
