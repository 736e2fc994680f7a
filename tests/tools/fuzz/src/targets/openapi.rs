//! OpenAPI and Swagger specifications, as JSON and YAML.

use std::path::Path;

use route_metrics::command::openapi::Import;
use route_metrics::endpoint::CanonicalPath;
use route_metrics::plan;
use route_metrics::plan::Capacity;

/// A folder that is not there, so that relative references lead nowhere.
const NAME: &str = "/no-such-folder/specification.yaml";

fn contains(input: &[u8], word: &[u8]) -> bool {
    input.windows(word.len()).any(|window| window == word)
}

/// Methods of which a template may be.
const METHODS: [&str; 9] =
    ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE", "QUERY"];

/// A specification: what is imported passes `check`, and the same file gives the same templates.
pub fn specification(input: &[u8]) {
    // References to files are followed; what would wait for a terminal is left out.
    if contains(input, b"$ref") && (contains(input, b"/dev") || contains(input, b"/proc")) {
        return;
    }
    let mut import = Import::default();
    if let Err(error) = import.add(Path::new(NAME), input) {
        assert!(!format!("{error:#}").is_empty(), "refused without a reason");
        assert!(import.templates().is_empty(), "a part of what was refused");
        return;
    }
    let templates = import.templates();
    let text = import.configuration().0.to_string();
    let plan = match plan::load(text.as_bytes(), |_| None, Capacity::Checked) {
        Ok(plan) => plan,
        Err(mistakes) => panic!("{text}: {mistakes:?}"),
    };
    for label in plan.endpoints.labels() {
        let path = CanonicalPath::new(label.as_bytes());
        let found = METHODS.iter().any(|m| plan.endpoints.explain(m.as_bytes(), &path).is_some());
        // What is percent-encoded in a template is literal.
        assert!(found || label.contains('%'), "{label:?} does not match itself in {text}");
    }
    let mut again = Import::default();
    again.add(Path::new(NAME), input).expect("it was imported just now");
    assert_eq!(again.templates(), templates);
    again.add(Path::new(NAME), input).expect("it was imported just now");
    assert_eq!(again.templates(), templates, "a specification merged with itself");
}
