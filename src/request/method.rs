//! The closed set of request methods.

use crate::labels::OTHER;

/// The methods that have a label value of their own.
pub const ALL: [&str; 10] =
    ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"];

/// The label value of a method: one of OpenTelemetry's known methods (semantic conventions for
/// HTTP, `http.request.method`), else [`OTHER`]. Methods are case-sensitive (RFC 9110, 9.1).
pub fn label(method: &[u8]) -> &'static str {
    match method {
        b"CONNECT" => "CONNECT",
        b"DELETE" => "DELETE",
        b"GET" => "GET",
        b"HEAD" => "HEAD",
        b"OPTIONS" => "OPTIONS",
        b"PATCH" => "PATCH",
        b"POST" => "POST",
        b"PUT" => "PUT",
        b"QUERY" => "QUERY",
        b"TRACE" => "TRACE",
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, label};
    use crate::test;

    #[test]
    fn what_is_not_known_is_other() {
        for (method, expected) in [
            (&b"GET"[..], "GET"),
            (b"QUERY", "QUERY"),
            (b"get", OTHER),
            (b"", OTHER),
            (b"\xff", OTHER),
        ] {
            assert_eq!(label(method), expected);
        }
        assert!(ALL.into_iter().all(|method| label(method.as_bytes()) == method));
    }

    use crate::labels::OTHER;
}
