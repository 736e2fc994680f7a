//! Lines of the formats that are known, and what `preview --json` shows of them. A case has a
//! `line` or `lines`, and where the user has to say something `arguments`.

use serde_json::Value;

use crate::run;

const CASES: &str = include_str!("../data/log_cases.jsonl");

/// What of a case is not as it should be.
fn wrong(case: &Value) -> Vec<String> {
    let lines: Vec<&str> = match case["lines"].as_array() {
        Some(lines) => lines.iter().filter_map(Value::as_str).collect(),
        None => vec![case["line"].as_str().unwrap()],
    };
    let plugin = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/defaults.json");
    let mut arguments = vec!["preview", "--json", plugin, "-"];
    let own = case["arguments"].as_array().into_iter().flatten();
    arguments.extend(own.filter_map(Value::as_str));
    let output = run(&arguments, lines.join("\n").as_bytes());
    let report: Value = match serde_json::from_slice(&output.stdout) {
        Ok(report) => report,
        Err(error) => {
            return vec![format!("{error}: {}", String::from_utf8_lossy(&output.stderr))];
        }
    };
    let row = &report["endpoints"][0];
    let only = |map: &Value| map.as_object().and_then(|map| map.keys().next().cloned());
    let mut wrong = Vec::new();
    for (what, expected) in case["want"].as_object().unwrap() {
        let found = match what.as_str() {
            "requests" => report["requests"].clone(),
            "endpoint" => row["endpoint"].clone(),
            "method" => only(&row["methods"]).into(),
            "status" => only(&row["statuses"]).into(),
            "exception" => only(&row["exceptions"]).into(),
            "bytes" => row["response_bytes"].clone(),
            "ms" => row["duration_ms"]["mean"].clone(),
            other => panic!("{other} is nothing that a case can want"),
        };
        let is_near = |one: f64, other: f64| (one - other).abs() <= other * 0.001;
        let same = match (found.as_f64(), expected.as_f64()) {
            (Some(found), Some(expected)) => is_near(found, expected),
            _ => found == *expected,
        };
        if !same {
            let examples = &report["inputs"][0]["broken_examples"];
            wrong.push(format!("{what} is {found}, not {expected} ({examples})"));
        }
    }
    wrong
}

#[test]
fn every_case_is_read_as_it_was_meant() {
    let mut failed = Vec::new();
    for line in CASES.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        for wrong in wrong(&case) {
            failed.push(format!("{}: {wrong}", case["name"].as_str().unwrap()));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn names_of_cases_are_told_apart() {
    let names: Vec<String> = CASES
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["name"].to_string())
        .collect();
    let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
}
