//! The tables of docs/import.md say what comes of each form.

use std::collections::BTreeSet;
use std::path::Path;

use route_metrics::command::openapi::Import;
use serde_json::{Value, json};

/// The texts in backquotes.
fn code(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The templates of a specification.
fn templates(specification: &Value) -> BTreeSet<String> {
    let mut import = Import::default();
    import.add(Path::new("page"), specification.to_string().as_bytes()).unwrap();
    import.templates().into_iter().collect()
}

#[test]
fn each_row_of_the_page_is_so() {
    let page = include_str!("../../docs/import.md");
    let mut of = "";
    let mut rows = [0; 3];
    for line in page.lines() {
        let Some(cells) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else {
            if !line.starts_with("|--") {
                of = "";
            }
            continue;
        };
        let (first, second) = cells.split_once(" | ").unwrap();
        if of.is_empty() {
            of = first;
            continue;
        }
        let (written, wanted) = (code(first), code(second));
        let (index, specification) = match of {
            "Key" => (0, json!({"openapi": "3.1.0", "paths": {&written[0]: {}}})),
            "Pattern" => {
                let parameter = json!({"name": "name", "in": "path", "required": true,
                    "schema": {"pattern": written[0]}});
                let item = json!({"get": {"parameters": [parameter]}});
                (1, json!({"openapi": "3.1.0", "paths": {"/v1/{name}": item}}))
            }
            "Server" => {
                let server = json!({"url": written[0]});
                (2, json!({"openapi": "3.1.0", "servers": [server], "paths": {"/": {}}}))
            }
            _ => continue,
        };
        rows[index] += 1;
        assert_eq!(templates(&specification), wanted.into_iter().collect(), "{line}");
    }
    assert!(rows[0] > 30 && rows[1] > 5 && rows[2] > 5, "{rows:?}");
}
