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

/// Whether a text is what [`status_name`] may give.
pub fn is_status_name(text: &str) -> bool {
    NAMES.contains(&text) || text == "InvalidCode"
}

/// Whether a request's content type makes it a gRPC call: `application/grpc`, alone or followed
/// by `+` or `;` (gRPC over HTTP/2). gRPC-Web is not meant.
pub fn is_content_type(value: &[u8]) -> bool {
    value
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Whether a content type makes a request, or its answer, one of gRPC, gRPC-Web or Connect that
/// says so: `application/grpc…` or `application/connect+…`. The last two segments of the path of
/// such a call are service and method.
pub fn is_call(content_type: &[u8]) -> bool {
    content_type.starts_with(b"application/grpc")
        || content_type.starts_with(b"application/connect+")
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

/// Whether the segments of a path are service and method by the names that protobuf's style guide
/// asks for: `package.Service` with a package, and `Method`.
pub fn is_method_path(segments: &[&[u8]]) -> bool {
    let [service, method] = segments else { return false };
    let name = |part: &[u8], first: fn(&u8) -> bool| {
        part.first().is_some_and(first)
            && part.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    };
    let mut parts = service.rsplit(|&byte| byte == b'.');
    let capital = u8::is_ascii_uppercase;
    let named = parts.next().is_some_and(|service| name(service, capital)) && name(method, capital);
    let mut packages = parts.peekable();
    named && packages.peek().is_some() && packages.all(|part| name(part, u8::is_ascii_lowercase))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    #[test]
    fn paths_of_methods_are_told_by_their_names() {
        for (path, expected) in [
            ("helloworld.Greeter/SayHello", true),
            ("grpc.health.v1.Health/Check", true),
            ("Greeter/SayHello", false),
            ("a.b/C", false),
            ("a.B/c", false),
            ("a..B/C", false),
            (".B/C", false),
            ("a.B-c/D", false),
            ("a.B/C/d", false),
            ("a.B", false),
            ("Users.Anna/Smith", false),
        ] {
            let segments: Vec<&[u8]> = path.split('/').map(str::as_bytes).collect();
            assert_eq!(is_method_path(&segments), expected, "{path}");
        }
    }

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
