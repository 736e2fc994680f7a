//! What is specific to gRPC calls.

/// The names of the status codes (gRPC, "Status codes and their use in gRPC").
const NAMES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// The name of a status code; what the specification does not know is `InvalidCode`, as in Envoy.
pub fn status_name(code: u64) -> &'static str {
    usize::try_from(code).ok().and_then(|code| NAMES.get(code)).copied().unwrap_or("InvalidCode")
}

/// Whether a request's content type makes it a gRPC call: `application/grpc`, alone or followed
/// by `+` or `;` (gRPC over HTTP/2). gRPC-Web is not meant.
pub fn is_content_type(value: &[u8]) -> bool {
    value
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Service and method of a gRPC path, `/package.Service/Method`.
pub fn service_and_method(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let path = path.strip_prefix(b"/")?;
    let slash = path.iter().position(|&b| b == b'/')?;
    let (service, method) = path.split_at(slash);
    let method = method.get(1..)?;
    (!service.is_empty() && !method.is_empty() && !method.contains(&b'/'))
        .then_some((service, method))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    #[test]
    fn content_types_and_paths_are_recognised() {
        for (value, expected) in [
            (&b"application/grpc"[..], true),
            (b"application/grpc+proto", true),
            (b"application/grpc;x=y", true),
            (b"application/grpc-web", false),
            (b"application/json", false),
        ] {
            assert_eq!(is_content_type(value), expected);
        }
        assert_eq!(service_and_method(b"/a.B/C"), Some((&b"a.B"[..], &b"C"[..])));
        for path in [&b"/a.B"[..], b"a/b", b"//C", b"/a/", b"/a/b/c", b""] {
            assert_eq!(service_and_method(path), None);
        }
        assert_eq!((status_name(14), status_name(99)), ("Unavailable", "InvalidCode"));
    }
}
