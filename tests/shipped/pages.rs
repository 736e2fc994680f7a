//! What the pages of the repository show is true: links lead somewhere, snippets parse, configurations
//! are accepted, commands, options and targets exist, pictures have a target that makes them, and the
//! change in `docs/envoy.md` is what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use route_metrics::command::envoy_config;
use route_metrics::plan::{self, Capacity};

use crate::markdown::{blocks, files, pages, parts, read, root, targets, typed, written};

/// The anchor that a heading of Markdown gets.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = |c: &char| c.is_alphanumeric() || *c == '-' || *c == '_' || *c == ' ';
    words.chars().filter(kept).collect::<String>().replace(' ', "-")
}

/// The targets of a page's links, `[text](target)` and `[text]: target`.
fn links(text: &str) -> Vec<String> {
    let prose = parts(text).prose;
    // What is quoted is no link.
    let prose: String = prose
        .split("\n\n")
        .map(|part| part.split('`').step_by(2).collect::<Vec<_>>().join("` `") + "\n\n")
        .collect();
    let inline = prose.match_indices("](").map(|(at, _)| {
        let target = prose[at + 2..].split(')').next().unwrap();
        target.split_whitespace().next().unwrap_or_default()
    });
    let reference = prose.lines().filter_map(|line| {
        let (name, target) = line.strip_prefix('[')?.split_once("]: ")?;
        (!name.contains(']')).then_some(target)
    });
    inline.chain(reference).map(str::to_owned).collect()
}

/// A path without `.` and `..`, as far as it has folders to leave.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if plain.pop() => {}
            other => plain.push(other),
        }
    }
    plain
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for (page, text) in pages() {
        let folder = Path::new(&page).parent().unwrap();
        for target in links(&text) {
            if target.starts_with("https://") {
                continue;
            }
            seen += 1;
            let (file, fragment) = target.split_once('#').unwrap_or((&target, ""));
            let path = match file {
                "" => PathBuf::from(&page),
                file => plain(&folder.join(file)),
            };
            assert!(!path.starts_with(".."), "{page}: {target} leaves the repository");
            assert!(root().join(&path).exists(), "{page}: {target}");
            if !fragment.is_empty() && path.extension().is_some_and(|end| end == "md") {
                let text = read(path.to_str().unwrap());
                let prose = parts(&text).prose;
                let mut headings = prose.lines().filter(|line| line.starts_with('#'));
                assert!(headings.any(|line| anchor(line) == fragment), "{page}: {target}");
            }
        }
    }
    assert!(seen > 40, "{seen}");
}

/// Each picture of a page is named in the sources of a make target.
#[test]
fn pictures_are_made_by_a_target() {
    let ends = [".mk", ".sh", ".py", ".rs"];
    let sources = ends.iter().flat_map(|end| files(end)).filter(|path| path.contains("tools/"));
    let sources: String = sources.map(|path| read(&path)).collect();
    let mut seen = 0;
    for (page, text) in pages() {
        for target in links(&text) {
            let path = Path::new(&target);
            let is_picture =
                path.extension().is_some_and(|end| ["png", "svg"].iter().any(|p| end == *p));
            if is_picture {
                let name = path.file_name().unwrap().to_str().unwrap();
                assert!(
                    sources.contains(&format!("docs/{name}"))
                        || sources.contains(&format!("\"{name}\"")),
                    "{page}: nothing makes {target}"
                );
                seen += 1;
            }
        }
    }
    assert!(seen >= 3, "{seen}");
}

/// Each block says what it is, and each language has a test: those of this file, that of the module
/// `readme` (`prometheus`), and for `text`, which is what a program prints or a drawing, none.
#[test]
fn each_snippet_has_a_language() {
    let known = ["diff", "javascript", "json", "prometheus", "python", "sh", "text", "yaml"];
    let commands =
        ["make ", "route-metrics ", "dist/route-metrics ", "cargo ", "curl ", "$ ", "{\""];
    for (page, text) in pages() {
        let parts = parts(&text);
        assert!(parts.indented.is_empty(), "{page}: no fence around {:?}", parts.indented);
        for (language, block) in parts.blocks {
            assert!(known.contains(&&*language), "{page}: {language:?}\n{block}");
            assert!(!block.trim().is_empty(), "{page}: an empty block");
            let hidden = commands.iter().any(|start| block.starts_with(start));
            assert!(language != "text" || !hidden, "{page}: this is not text\n{block}");
            let elsewhere = match &*language {
                "prometheus" => page == "README.md",
                "diff" => page == "docs/envoy.md",
                _ => true,
            };
            assert!(elsewhere, "{page}: no test reads {language}\n{block}");
        }
    }
}

/// Runs a program that checks the syntax of a file, for each snippet of a language.
fn syntax(language: &str, name: &str, check: &[&str]) -> usize {
    let mut seen = 0;
    for (page, text) in pages() {
        for block in blocks(&text, language) {
            let folder = written(name, &block);
            let output = Command::new(check[0])
                .args(&check[1..])
                .arg(folder.path().join(name))
                .output()
                .unwrap_or_else(|error| panic!("{}: {error}", check[0]));
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{page}: {errors}\n{block}");
            seen += 1;
        }
    }
    seen
}

#[test]
fn scripts_parse() {
    assert!(syntax("sh", "snippet.sh", &["bash", "-n"]) > 15);
    let compile = "import sys; compile(open(sys.argv[1]).read(), sys.argv[1], 'exec')";
    assert!(syntax("python", "snippet.py", &["python3", "-c", compile]) > 5);
    assert!(syntax("javascript", "snippet.mjs", &["node", "--check"]) > 0);
}

#[test]
fn json_parses_and_configurations_are_accepted() {
    let mut accepted = 0;
    for (page, text) in pages() {
        for block in blocks(&text, "json") {
            let value: serde_json::Value = serde_json::from_str(&block)
                .unwrap_or_else(|error| panic!("{page}: {error}\n{block}"));
            // What the filter answers, and what applications post, is no configuration.
            if value.is_array() || value.get("errors").is_some() {
                continue;
            }
            let plan = plan::load(block.as_bytes(), |_| None, Capacity::Checked);
            assert!(plan.is_ok(), "{page}: {block}\n{}", plan.err().unwrap());
            accepted += 1;
        }
    }
    assert!(accepted > 5, "{accepted}");
}

#[test]
fn manifests_parse_and_their_plugins_are_accepted() {
    let mut plugins = 0;
    for (page, text) in pages() {
        for block in blocks(&text, "yaml") {
            let documents = envoy_config::yaml(block.as_bytes())
                .unwrap_or_else(|error| panic!("{page}: {error}\n{block}"));
            assert!(!documents.is_empty(), "{page}: {block}");
            if !block.contains("kind: WasmPlugin") && !block.contains("EnvoyExtensionPolicy") {
                continue;
            }
            for plugin in envoy_config::plugins(block.as_bytes()).unwrap() {
                plan::load(&plugin.configuration, |_| None, Capacity::Checked)
                    .unwrap_or_else(|mistakes| panic!("{page}: {mistakes}"));
                plugins += 1;
            }
        }
    }
    assert!(plugins >= 4, "{plugins}");
}

/// What `route-metrics SUBCOMMAND --help` prints; `None` where there is no such subcommand.
fn help(subcommand: &str) -> Option<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_route-metrics"));
    let output = command.args([subcommand, "--help"]).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// Each `route-metrics SUBCOMMAND --option` of a page is one, in a block or in the text.
#[test]
fn commands_exist() {
    let mut helps = BTreeMap::new();
    let mut seen = 0;
    for (page, text) in pages() {
        for command in typed(&text) {
            let mut words = command.split_whitespace();
            let program = words.next().unwrap().rsplit('/').next().unwrap();
            let Some(subcommand) = words.next() else { continue };
            let is_name = |c: char| c.is_ascii_lowercase() || c == '-';
            if program != "route-metrics" || !subcommand.starts_with(is_name) {
                continue;
            }
            if ["--help", "--version"].contains(&subcommand) {
                continue;
            }
            let help = helps.entry(subcommand.to_owned()).or_insert_with(|| help(subcommand));
            let help = help.as_ref().unwrap_or_else(|| panic!("{page}: {command}"));
            let known: BTreeSet<&str> =
                help.split(|c: char| !is_name(c)).filter(|word| word.starts_with("--")).collect();
            for option in words.filter(|word| word.starts_with("--")) {
                let option = option.split('=').next().unwrap().trim_end_matches(|c| !is_name(c));
                assert!(known.contains(option), "{page}: {command}: {option}");
            }
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen}");
}

/// Each `make TARGET VARIABLE=…` of a page is one, in a block or in the text, and something reads the
/// variable.
#[test]
fn targets_and_their_variables_exist() {
    let targets = targets();
    let ends = ["Makefile", ".mk", ".sh", ".rs"];
    let sources: String = ends.iter().flat_map(|end| files(end)).map(|path| read(&path)).collect();
    let mut seen = 0;
    for (page, text) in pages() {
        for command in typed(&text) {
            // A value in quotes may hold spaces; variables of the environment may stand before make.
            let command: String = command.split('"').step_by(2).collect();
            let words = command.split_whitespace().skip_while(|word| word.contains('='));
            let Some(words) = words
                .map(str::to_owned)
                .collect::<Vec<_>>()
                .split_first()
                .and_then(|(first, rest)| (first == "make").then(|| rest.to_vec()))
            else {
                continue;
            };
            for word in words {
                match word.split_once('=') {
                    Some((variable, _)) => {
                        assert!(sources.contains(variable), "{page}: {command}: {variable}");
                    }
                    None => assert!(targets.contains(&word), "{page}: {command}: no target {word}"),
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 60, "{seen}");
}

/// The two sides of the diff are configurations; the new one has the plugin, and all that the command
/// prints for its labels.
#[test]
fn the_change_of_an_envoy_is_complete() {
    let page = read("docs/envoy.md");
    let diff = blocks(&page, "diff").concat();
    let side = |mark: char| -> String {
        let kept = diff.lines().filter(|line| line.starts_with([' ', mark]));
        kept.map(|line| format!("{}\n", &line[1..])).collect()
    };
    let (before, after) = (side('-'), side('+'));
    assert_eq!(envoy_config::yaml(before.as_bytes()).unwrap().len(), 1);
    assert!(envoy_config::plugins(before.as_bytes()).is_err());
    let plugins = envoy_config::plugins(after.as_bytes()).unwrap();
    assert_eq!(plugins.len(), 1);
    plan::load(&plugins[0].configuration, |_| None, Capacity::Checked).unwrap();
    let document = &envoy_config::yaml(after.as_bytes()).unwrap()[0];
    let tags = document["stats_config"]["stats_tags"].as_array().unwrap();
    let of = |value: &serde_json::Value| {
        (
            value["tag_name"].as_str().unwrap().to_owned(),
            value["regex"].as_str().unwrap().to_owned(),
        )
    };
    let mut shown: Vec<_> = tags.iter().map(of).collect();
    shown.sort();
    let printed = read("envoy/bootstrap.yaml");
    let printed = &envoy_config::yaml(printed.as_bytes()).unwrap()[0];
    let printed = printed["stats_config"]["stats_tags"].as_array().unwrap();
    // The shipped block has the labels of `detailed`, too, which is off.
    let mut expected: Vec<_> = printed
        .iter()
        .map(of)
        .filter(|(name, _)| !["org", "user"].contains(&name.as_str()))
        .collect();
    expected.sort();
    assert_eq!(shown, expected);
}
