//! Specifications as people and tools write them: the labels that requests get after
//! `import-openapi`, what is told of them, and what is said of files that are none.

use std::io::Write;

use serde_json::Value;

use super::run;

/// A case of `tests/data/spec_cases.jsonl`: a specification, and the labels of requests; `{}` is any
/// placeholder, null `_UNMATCHED`.
struct Case {
    name: String,
    suffix: String,
    text: Vec<u8>,
    want: Vec<(String, String, Option<String>)>,
    /// Parts of the notes; where there are none, nothing is asked of them.
    notes: Vec<String>,
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("{key} of {value}")).to_owned()
}

fn cases(lines: &str) -> Vec<Case> {
    let case = |line: &str| {
        let case: Value = serde_json::from_str(line).unwrap();
        let mut bytes = text(&case, "text").into_bytes();
        if case["encoding"] == "utf-16" {
            let units = text(&case, "text");
            bytes = [0xfeff]
                .into_iter()
                .chain(units.encode_utf16())
                .flat_map(u16::to_le_bytes)
                .collect();
        }
        let want = |want: &Value| {
            (text(want, "method"), text(want, "path"), want["label"].as_str().map(str::to_owned))
        };
        let notes = case["notes"].as_array().cloned().unwrap_or_default();
        Case {
            name: text(&case, "name"),
            suffix: text(&case, "suffix"),
            text: bytes,
            want: case["want"].as_array().unwrap().iter().map(want).collect(),
            notes: notes.iter().map(|note| note.as_str().unwrap().to_owned()).collect(),
        }
    };
    lines.lines().filter(|line| !line.is_empty()).map(case).collect()
}

/// A label with `{}` for each placeholder, or `None` for `_UNMATCHED`.
fn plain(label: &str) -> Option<String> {
    if label == "_UNMATCHED" {
        return None;
    }
    let mut plain = String::new();
    let mut rest = label;
    while let Some((before, after)) = rest.split_once('{') {
        plain.extend([before, "{}"]);
        rest = after.split_once('}').unwrap().1;
    }
    Some(plain + rest)
}

/// What is wrong with a case.
fn failure(case: &Case, folder: &std::path::Path) -> Option<String> {
    let specification = folder.join(format!("specification.{}", case.suffix));
    std::fs::write(&specification, &case.text).unwrap();
    let imported = run(&["import-openapi", specification.to_str().unwrap()], b"");
    let notes = String::from_utf8(imported.stderr).unwrap();
    if !imported.status.success() {
        return Some(format!("{}: {notes}", case.name));
    }
    if let Some(part) = case.notes.iter().find(|part| !notes.contains(*part)) {
        return Some(format!("{}: no note {part:?} in:\n{notes}", case.name));
    }
    let mut plugin: Value = serde_json::from_slice(&imported.stdout).unwrap();
    plugin["endpoint"]["inference"] = "off".into();
    let file = folder.join("plugin.json");
    std::fs::File::create(&file).unwrap().write_all(plugin.to_string().as_bytes()).unwrap();
    let requests: String =
        case.want.iter().map(|(method, path, _)| format!("{method}\t{path}\t200\n")).collect();
    let labels = run(&["label", file.to_str().unwrap()], requests.as_bytes());
    let labels = String::from_utf8(labels.stdout).unwrap();
    let labels: Vec<Option<String>> = labels.lines().map(plain).collect();
    let wanted: Vec<Option<String>> = case.want.iter().map(|(_, _, label)| label.clone()).collect();
    (labels != wanted).then(|| {
        let templates = &plugin["endpoint"];
        format!("{}: {labels:?} instead of {wanted:?}\n{templates}\n{notes}", case.name)
    })
}

fn hold(lines: &str) {
    let folder = tempfile::tempdir().unwrap();
    let cases = cases(lines);
    let failures: Vec<String> =
        cases.iter().filter_map(|case| failure(case, folder.path())).collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn requests_get_the_templates_of_their_specification() {
    hold(include_str!("../data/spec_cases.jsonl"));
}

/// Cases from elsewhere: `ROUTE_METRICS_SPEC_CASES=FILE`.
#[test]
#[ignore = "needs a file of cases"]
fn cases_of_another_file_hold() {
    let file = std::env::var_os("ROUTE_METRICS_SPEC_CASES");
    let file = file.expect("ROUTE_METRICS_SPEC_CASES names a file of cases");
    hold(&std::fs::read_to_string(file).unwrap());
}
