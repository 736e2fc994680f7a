//! What a file is that is no OpenAPI specification, and what to do with it.

use serde_json::Value;

/// Text that begins a format which is neither JSON nor YAML.
const STARTS: [(&str, &str); 11] = [
    ("#%RAML", "is RAML; convert it to OpenAPI first"),
    ("FORMAT: 1A", "is API Blueprint; convert it to OpenAPI first"),
    ("<!DOCTYPE html", "is an HTML page; download the specification itself, often openapi.json"),
    ("<html", "is an HTML page; download the specification itself, often openapi.json"),
    ("<", "is XML, such as WADL or WSDL; an OpenAPI specification is needed"),
    (
        "syntax = ",
        "is a protobuf file; gRPC needs no templates, and for its HTTP form protoc-gen-openapiv2 writes a specification",
    ),
    (
        "syntax=",
        "is a protobuf file; gRPC needs no templates, and for its HTTP form protoc-gen-openapiv2 writes a specification",
    ),
    ("type Query", GRAPHQL),
    ("schema {", GRAPHQL),
    ("PK\u{3}\u{4}", "is a zip archive; unpack it first"),
    ("%PDF", "is a PDF; the specification itself is needed"),
];

const GRAPHQL: &str = "is a GraphQL schema; all its requests have one path, such as /graphql, which \
                       you write into `endpoint.templates`";

/// Members that only one format has.
const MEMBERS: [(&str, &str); 21] = [
    (
        "/asyncapi",
        "is AsyncAPI, which describes messages and not HTTP requests; an OpenAPI specification is needed",
    ),
    (
        "/arazzo",
        "is Arazzo, which describes workflows; give the OpenAPI files that it names in `sourceDescriptions`",
    ),
    ("/overlay", "is an OpenAPI overlay; apply it, and give the specification that comes of it"),
    (
        "/openrpc",
        "is OpenRPC; all its requests have one path, which you write into `endpoint.templates`",
    ),
    ("/smithy", "is a Smithy model; its OpenAPI projection is needed"),
    ("/discoveryVersion", "is a Google API discovery document; convert it to OpenAPI first"),
    ("/info/_postman_id", POSTMAN),
    ("/_postman_variable_scope", "is a Postman environment; an OpenAPI specification is needed"),
    ("/collection/info", POSTMAN),
    ("/_type", "is an export of Insomnia; export the design document as OpenAPI instead"),
    (
        "/log/entries",
        "is an HTTP archive (HAR), which has requests and no templates; an OpenAPI specification is needed",
    ),
    ("/__schema", GRAPHQL),
    ("/data/__schema", GRAPHQL),
    (
        "/static_resources",
        "is a configuration of Envoy; `check` and `preview` take it, an OpenAPI specification is needed here",
    ),
    ("/endpoint/templates", "is a plugin configuration of route-metrics already"),
    ("/raml", "is RAML; convert it to OpenAPI first"),
    (
        "/swaggerVersion",
        "is Swagger 1, which no tool reads any more; convert it to Swagger 2.0 or OpenAPI 3 first",
    ),
    ("/apis/0/operations", "is Swagger 1; convert it to Swagger 2.0 or OpenAPI 3 first"),
    ("/jsonapi", "is a JSON:API answer; an OpenAPI specification is needed"),
    ("/$schema", "is a JSON Schema; an OpenAPI specification is needed"),
    ("/detail", "is an error that a server answered, not a specification"),
];

const POSTMAN: &str = "is a Postman collection; export its API definition as OpenAPI, or convert it \
                       first";

/// What a text is, by how it begins.
pub(super) fn of_text(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Some("is packed with gzip; unpack it first");
    }
    let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(4096)).unwrap_or_default());
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let starts = |start: &str| {
        text.get(..start.len()).is_some_and(|front| front.eq_ignore_ascii_case(start))
    };
    let line = |start: &str| text.lines().take(60).any(|line| line.starts_with(start));
    STARTS
        .iter()
        .find(|(start, _)| starts(start))
        .map(|(_, what)| *what)
        .or_else(|| line("type Query").then_some(GRAPHQL))
        .or_else(|| line("syntax = \"proto").then(|| STARTS[5].1))
}

/// What a document is, by its members.
pub(super) fn of_document(document: &Value) -> Option<&'static str> {
    let schema = document.pointer("/info/schema").and_then(Value::as_str);
    if schema.is_some_and(|schema| schema.contains("postman.com")) {
        return Some(POSTMAN);
    }
    let found = MEMBERS.iter().find(|(at, _)| document.pointer(at).is_some());
    found.map(|(_, what)| *what)
}
