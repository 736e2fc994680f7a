//! The pages of the repository, and what stands in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

/// The top of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the repository.
#[track_caller]
pub fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// What is built or installed, and no part of the repository.
const OUTSIDE: [&str; 7] = [".git", ".run", ".tools", "dist", "node_modules", "target", "results"];

/// The files of the repository whose names end so, as paths from its top.
pub fn files(end: &str) -> Vec<String> {
    fn walk(folder: &str, end: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if entry.file_type().unwrap().is_dir() {
                if !OUTSIDE.contains(&&*name) {
                    walk(&path, end, found);
                }
            } else if name.ends_with(end) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk("", end, &mut found);
    found.sort();
    found
}

/// All pages, wherever they are, as path and text.
pub fn pages() -> Vec<(String, String)> {
    let pages: Vec<_> = files(".md").into_iter().map(|page| (page.clone(), read(&page))).collect();
    for page in ["README.md", "docs/envoy.md", "tests/tools/bench/README.md"] {
        assert!(pages.iter().any(|(path, _)| path == page), "{page} was not found");
    }
    pages
}

/// A page taken apart.
pub struct Parts {
    /// The language and the text of each fenced block, without the indentation of lists.
    pub blocks: Vec<(String, String)>,
    /// Blocks that are only indented, by their first lines: nothing says what they are.
    pub indented: Vec<String>,
    /// Everything else.
    pub prose: String,
}

/// Takes a page apart. Panics where a fence is not closed.
#[track_caller]
pub fn parts(text: &str) -> Parts {
    let mut parts = Parts { blocks: Vec::new(), indented: Vec::new(), prose: String::new() };
    let mut lines = text.lines();
    let mut before = "";
    while let Some(line) = lines.next() {
        let fence = line.split_once("```").filter(|(indent, _)| indent.trim().is_empty());
        if let Some((indent, language)) = fence {
            let mut block = Vec::new();
            loop {
                let line = lines.next().unwrap_or_else(|| panic!("not closed: {line}"));
                if line.trim() == "```" {
                    break;
                }
                block.push(line.strip_prefix(indent).unwrap_or(line));
            }
            parts.blocks.push((language.to_owned(), block.join("\n")));
        } else {
            if line.starts_with("    ") && before.trim().is_empty() {
                parts.indented.push(line.to_owned());
            }
            parts.prose.push_str(line);
            parts.prose.push('\n');
        }
        before = line;
    }
    parts
}

/// The blocks of a page in a language.
#[track_caller]
pub fn blocks(text: &str, language: &str) -> Vec<String> {
    let blocks = parts(text).blocks.into_iter();
    blocks.filter(|(found, _)| found == language).map(|(_, block)| block).collect()
}

/// What stands in single backticks outside of blocks, each in one line.
pub fn quoted(text: &str) -> Vec<String> {
    let prose = parts(text).prose;
    // A code span does not reach beyond its paragraph.
    let paragraphs = prose.split("\n\n").flat_map(|part| part.split('`').skip(1).step_by(2));
    paragraphs.map(|word| word.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Commands that a reader would type: the lines of shell blocks, joined where they go on and taken
/// apart where there is more than one command in a line, and what is quoted.
pub fn typed(text: &str) -> Vec<String> {
    let blocks = blocks(text, "sh").join("\n").replace("\\\n", " ");
    let lines = blocks.lines().map(str::to_owned).chain(quoted(text));
    let commands = lines.flat_map(|line| {
        let line = line.split(" #").next().unwrap_or_default().to_owned();
        line.split(['|', ';', '&']).map(|part| part.trim().to_owned()).collect::<Vec<_>>()
    });
    commands.filter(|command| !command.is_empty()).collect()
}

/// The makefiles, one after the other.
pub fn makefiles() -> String {
    let main = read("Makefile");
    let included = main.lines().filter_map(|line| line.strip_prefix("include "));
    included.map(read).collect::<String>() + &main
}

/// The targets of make.
pub fn targets() -> BTreeSet<String> {
    let makefiles = makefiles();
    let lines = makefiles.lines().filter_map(|line| line.split_once(':'));
    let names = lines.map(|(name, _)| name);
    let is_target = |name: &&str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || b"-0123456789".contains(&byte))
    };
    names.filter(is_target).map(str::to_owned).collect()
}

/// A folder with one file in it, for a program that reads it.
pub fn written(name: &str, text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), text).unwrap();
    folder
}
