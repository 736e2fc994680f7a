//! What the README shows is true: configurations are accepted, commands run, and samples have the form
//! of a scrape. What holds for every page is in `pages`.

use std::collections::BTreeSet;
use std::process::Command;

use route_metrics::config::VARIABLES;
use route_metrics::filter::HASH_KEY;
use route_metrics::plan;
use route_metrics::plan::Capacity;

use crate::markdown::{self, quoted, read, root, typed};

/// The fenced blocks of the README in a language; there is at least one.
fn blocks(language: &str) -> Vec<String> {
    let blocks = markdown::blocks(&read("README.md"), language);
    assert!(!blocks.is_empty(), "no block in {language}");
    blocks
}

#[test]
fn configurations_are_accepted() {
    for block in blocks("json") {
        let plan = plan::load(block.as_bytes(), |_| None, Capacity::Checked);
        assert!(plan.is_ok(), "{block}\n{}", plan.err().unwrap());
    }
}

#[test]
fn yaml_parses() {
    for block in blocks("yaml") {
        route_metrics::command::envoy_config::yaml(block.as_bytes()).unwrap();
    }
    // The failure policy is the one that is shipped.
    let shipped = read("envoy/envoy.yaml");
    for line in blocks("yaml").concat().lines() {
        assert!(shipped.contains(line), "{line}");
    }
}

#[test]
fn commands_are_understood() {
    let mut seen = 0;
    for line in typed(&read("README.md")) {
        let Some(rest) = line.strip_prefix("dist/route-metrics ") else { continue };
        let mut arguments = rest.split_whitespace();
        let mut command = Command::new(env!("CARGO_BIN_EXE_route-metrics"));
        if rest.contains("FILE") {
            // A placeholder: only the name of the subcommand can be tried.
            command.args([arguments.next().unwrap(), "--help"]);
        } else {
            command.args(arguments);
        }
        let output = command.current_dir(root()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {errors}");
        seen += 1;
    }
    assert!(seen >= 6, "{seen}");
}

#[test]
fn words_of_the_text_are_known() {
    let known =
        VARIABLES.iter().chain([&HASH_KEY, &"UPSTREAM", &"ENVOY", &"ROUTE_METRICS_CORPORA"]);
    let known: BTreeSet<&str> = known.copied().collect();
    for word in quoted(&read("README.md")) {
        let is_variable =
            word.contains('_') && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        let own = ["FAIL_", "_OTHER", "_UNMATCHED"].iter().any(|start| word.starts_with(start));
        assert!(!is_variable || own || known.contains(word.as_str()), "{word}");
    }
}

/// A family of the README's tables and its labels, as `name` and `label, label`.
fn families() -> Vec<(String, BTreeSet<String>)> {
    let readme = read("README.md");
    let ticked = |cell: &str| -> Vec<String> {
        cell.split('`').enumerate().filter(|(i, _)| i % 2 == 1).map(|(_, w)| w.to_owned()).collect()
    };
    let mut families = Vec::new();
    for line in
        readme.lines().filter(|line| line.starts_with("| `http_") || line.starts_with("| `route_"))
    {
        let cells: Vec<&str> = line.split('|').collect();
        families.push((ticked(cells[1])[0].clone(), ticked(cells[3]).into_iter().collect()));
    }
    families
}

#[test]
fn families_and_labels_are_those_of_the_defaults() {
    let switched_on =
        r#"{"metrics": {"request_size": {"enabled": true}}, "detailed": {"enabled": true}}"#;
    let plan = plan::load(switched_on.as_bytes(), |_| None, Capacity::Checked).unwrap();
    let families = families();
    for metric in &plan.metrics {
        let labels: BTreeSet<String> =
            metric.labels.iter().map(|&place| plan.labels[place].name.clone()).collect();
        assert!(families.contains(&(metric.name.clone(), labels)), "{}", metric.name);
    }
    assert!(
        families.iter().any(|(name, labels)| name == "http_requests_active" && labels.is_empty())
    );
}

#[test]
fn the_sample_has_the_form_of_a_scrape() {
    let families = families();
    for block in blocks("prometheus") {
        for line in block.lines() {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let (name, labels) = series.strip_suffix('}').and_then(|s| s.split_once('{')).unwrap();
            let family =
                ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end));
            let family = family.unwrap_or(name);
            let expected = &families.iter().find(|(name, _)| name == family).unwrap().1;
            // Values of the sample hold no comma and no quote.
            let found: BTreeSet<String> = labels
                .split(',')
                .filter(|label| !label.is_empty())
                .map(|label| label.split_once("=\"").unwrap().0.to_owned())
                .filter(|name| name != "le")
                .collect();
            assert_eq!(&found, expected, "{line}");
        }
    }
}

#[test]
fn messages_are_those_that_are_printed() {
    let mistakes =
        plan::load(br#"{"sampling": {"rate": 2}}"#, |_| None, Capacity::Checked).unwrap_err();
    assert!(read("README.md").contains(&format!("`{mistakes}`")), "{mistakes}");
}

/// The last cells of the rows of those tables of a page whose last column is `test`.
fn test_cells(page: &str) -> Vec<String> {
    let cell = |row: &str| row.trim_end_matches('|').rsplit('|').next().unwrap().trim().to_owned();
    let mut cells = Vec::new();
    let mut of_tests = false;
    for line in read(page).lines() {
        if !line.starts_with('|') {
            of_tests = false;
        } else if cell(line) == "test" {
            of_tests = true;
        } else if of_tests && !line.starts_with("|--") {
            cells.push(cell(line));
        }
    }
    cells
}

/// Each line of the tables of protocols and faults names a test, and it is there.
#[test]
fn tests_of_the_behaviour_exist() {
    for page in ["docs/behaviour.md"] {
        let cells = test_cells(page);
        assert!(cells.len() >= 30, "{page}: {}", cells.len());
        for cell in cells {
            let tests: Vec<&str> = cell.split('`').filter(|word| word.contains("::")).collect();
            assert!(!tests.is_empty(), "{page}: no test: {cell}");
            for test in tests {
                let parts: Vec<&str> = test.split("::").collect();
                let [suite, module, function] = parts[..] else { panic!("{page}: {test}") };
                let source = read(&format!("tests/e2e/tests/{suite}/{module}.rs"));
                let attribute = format!("#[test]\nfn {function}()");
                assert!(source.contains(&attribute), "{page}: {test}");
            }
        }
    }
}
