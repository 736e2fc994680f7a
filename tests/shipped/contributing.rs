//! What CONTRIBUTING.md and SECURITY.md name is there: paths, suites and tests.

use std::collections::BTreeSet;
use std::fs;

use crate::markdown::{self, blocks, read, root};

/// The words in single backticks, and the lines of shell blocks.
fn quoted(page: &str) -> Vec<String> {
    let text = read(page);
    let code = blocks(&text, "sh").join("\n");
    let words = markdown::quoted(&text);
    code.lines().map(str::to_owned).chain(words).collect()
}

/// The names of the suites that cargo knows, and the folders of their sources.
fn suites() -> Vec<(String, String)> {
    let mut suites = Vec::new();
    for folder in ["tests", "tests/e2e/tests"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if path.join("main.rs").exists() || path.extension().is_some_and(|end| end == "rs") {
                suites.push((name.clone(), format!("{folder}/{name}")));
            }
        }
    }
    suites
}

#[test]
fn paths_exist() {
    let mut seen = 0;
    for page in ["CONTRIBUTING.md", "SECURITY.md"] {
        for word in quoted(page) {
            if ["tests/", "src/", "docs/", "envoy/", ".ci/"].iter().any(|f| word.starts_with(f)) {
                assert!(root().join(&word).exists(), "{page}: {word}");
                seen += 1;
            }
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn suites_and_tests_exist() {
    let suites = suites();
    let mut seen = 0;
    for word in quoted("CONTRIBUTING.md") {
        let Some((_, rest)) = word.split_once("--test ") else { continue };
        let mut words = rest.split_whitespace();
        let name = words.next().unwrap();
        let suite = suites.iter().find(|(suite, _)| suite == name);
        let (_, folder) = suite.unwrap_or_else(|| panic!("no suite {name}"));
        if let Some((module, test)) = words.next().and_then(|filter| filter.split_once("::")) {
            let source = read(&format!("{folder}/{module}.rs"));
            assert!(source.contains(&format!("fn {test}")), "{name} {module}::{test}");
        }
        seen += 1;
    }
    assert!(seen >= 6, "{seen}");
    let listed: BTreeSet<String> = quoted("CONTRIBUTING.md").into_iter().collect();
    for (suite, folder) in suites.iter().filter(|(_, folder)| folder.contains("e2e")) {
        assert!(listed.contains(suite), "{folder} is not named");
    }
}
