//! Placeholders of tools in the URL of a server, which OpenAPI knows nothing of.

/// What opens and closes a placeholder.
const FORMS: [(&str, &str); 9] = [
    ("{{{", "}}}"),
    ("{{", "}}"),
    ("${{", "}}"),
    ("${", "}"),
    ("$(", ")"),
    ("#{", "}"),
    ("<%=", "%>"),
    ("%(", ")s"),
    ("<", ">"),
];

/// A URL whose placeholders are all written `{name}`: those of Postman (`{{baseUrl}}`), shells and
/// build tools (`${API_URL}`, `$API_URL`, `$(host)`, `%HOST%`, `@HOST@`, `__HOST__`), templates
/// (`<%= host %>`, `#{host}`, `%(host)s`) and people (`<host>`, `[host]`, `:tenant`).
pub(super) fn normalise(url: &str) -> String {
    let mut normal = String::with_capacity(url.len());
    let mut rest = url;
    'next: while let Some(first) = rest.chars().next() {
        for (open, close) in FORMS {
            if let Some((inner, tail)) = rest.strip_prefix(open).and_then(|r| r.split_once(close))
                && let Some(name) = name(inner)
            {
                normal.extend(["{", &name, "}"]);
                rest = tail;
                continue 'next;
            }
        }
        if let Some((name, tail)) = word(rest, &normal) {
            normal.extend(["{", name, "}"]);
            rest = tail;
            continue;
        }
        // What OpenAPI knows stays as it is.
        let end = match first {
            '{' => rest.find('}').map_or(first.len_utf8(), |end| end + 1),
            first => first.len_utf8(),
        };
        let (text, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        normal.push_str(text);
        rest = tail;
    }
    normal
}

/// A name as a variable may have it, without defaults of a shell.
fn name(inner: &str) -> Option<String> {
    let inner = inner.trim().split([':', '|']).next().unwrap_or_default().trim();
    let valid = |c: char| c.is_alphanumeric() || "_-. ".contains(c);
    let inner = inner.trim_matches(['.', '-', '$', '_', '@']);
    (!inner.is_empty() && inner.chars().all(valid)).then(|| inner.replace(' ', "_"))
}

/// A placeholder that is a word with a sign: `$NAME`, `%NAME%`, `@NAME@`, `__NAME__`, `[name]`,
/// `:name` behind a slash. With what follows it.
fn word<'u>(rest: &'u str, before: &str) -> Option<(&'u str, &'u str)> {
    let upper = |text: &str| {
        text.len() > 2
            && text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    for sign in ["__", "@@", "@", "%"] {
        if let Some((name, tail)) = rest.strip_prefix(sign).and_then(|r| r.split_once(sign))
            && upper(name)
        {
            return Some((name, tail));
        }
    }
    let identifier = |rest: &'u str| {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let (name, tail) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        name.starts_with(|c: char| c.is_ascii_alphabetic()).then_some((name, tail))
    };
    if let Some(rest) = rest.strip_prefix('$') {
        return identifier(rest);
    }
    if let Some(rest) = rest.strip_prefix(':').filter(|_| before.ends_with('/')) {
        return identifier(rest).filter(|_| !before.ends_with("//"));
    }
    // An address of IPv6 has digits or colons.
    let (name, tail) = rest.strip_prefix('[')?.split_once(']')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphabetic() || b"_-".contains(&b));
    is_name.then_some((name, tail))
}

#[cfg(test)]
mod tests {
    use super::normalise;

    #[test]
    fn placeholders_have_one_form() {
        for (url, expected) in [
            ("https://api.example.com/v1", "https://api.example.com/v1"),
            ("https://{host}:{port}/v{version}", "https://{host}:{port}/v{version}"),
            ("{{baseUrl}}", "{baseUrl}"),
            ("{{ base url }}/v1", "{base_url}/v1"),
            ("{{{host}}}/v1", "{host}/v1"),
            ("${API_URL}/v1", "{API_URL}/v1"),
            ("${API_URL:-http://localhost}/v1", "{API_URL}/v1"),
            ("${{ vars.HOST }}/v1", "{vars.HOST}/v1"),
            ("$API_URL/v1", "{API_URL}/v1"),
            ("$(host)/v1", "{host}/v1"),
            ("https://#{host}/v1", "https://{host}/v1"),
            ("<%= host %>/v1", "{host}/v1"),
            ("%(host)s/v1", "{host}/v1"),
            ("https://<your-host>/v1", "https://{your-host}/v1"),
            ("%HOST%/v1", "{HOST}/v1"),
            ("/a%20b%20c", "/a%20b%20c"),
            ("@HOST@/v1", "{HOST}/v1"),
            ("__HOST__/v1", "{HOST}/v1"),
            ("https://[your-host]/v1", "https://{your-host}/v1"),
            ("https://[::1]:8080/v1", "https://[::1]:8080/v1"),
            ("https://h/:tenant/v1", "https://h/{tenant}/v1"),
            ("https://user@h:8080/v1", "https://user@h:8080/v1"),
            ("/$metadata", "/{metadata}"),
            ("{{", "{{"),
            ("<>", "<>"),
            ("", ""),
        ] {
            assert_eq!(normalise(url), expected, "{url}");
        }
    }
}
