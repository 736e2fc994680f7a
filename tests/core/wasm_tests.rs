//! The tests of the core run as Wasm, too. `#[test]` is the built-in attribute there unless a module
//! says otherwise, and a test that is not found is not missed.

use std::path::{Path, PathBuf};

/// Files that are part of the command alone, by the modules that the crate's root declares so, or of
/// the dynamic module, which is machine code.
fn is_native(file: &Path, root: &str) -> bool {
    let mut native = vec!["bin".to_owned(), "native".to_owned()];
    let mut lines = root.lines();
    while let Some(line) = lines.next() {
        if line == r#"#[cfg(not(target_arch = "wasm32"))]"# {
            let module = lines.next().unwrap_or_default().trim_end_matches(';');
            native.push(module.rsplit(' ').next().unwrap_or_default().to_owned());
        }
    }
    assert!(native.iter().any(|module| module == "command"), "{native:?}");
    file.components().any(|part| {
        let name = Path::new(part.as_os_str()).with_extension("");
        native.iter().any(|module| name == Path::new(module))
    })
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

#[test]
fn every_test_module_of_the_core_runs_as_wasm() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let root = std::fs::read_to_string(source.join("lib.rs")).unwrap();
    let mut files = Vec::new();
    sources(&source, &mut files);
    let mut seen = 0;
    let mut left_out = Vec::new();
    for file in files {
        let place = file.strip_prefix(&source).unwrap();
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        if !text.contains("#[test]") || is_native(place, &root) {
            continue;
        }
        seen += 1;
        if !text.contains("use crate::test;") {
            left_out.push(place.to_owned());
        }
    }
    assert!(seen > 10, "{seen}");
    assert!(left_out.is_empty(), "write `use crate::test;` in the test modules of {left_out:?}");
}
