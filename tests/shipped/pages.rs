//! What the pages of `docs/` show is true: links lead somewhere, configurations are accepted, manifests
//! parse, commands exist, and the change in `docs/envoy.md` is what it says.

use std::path::Path;
use std::process::Command;

use route_metrics::command::envoy_config;
use route_metrics::plan::{self, Capacity};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages, README and its siblings included, as path and text.
fn pages() -> Vec<(String, String)> {
    let mut pages = Vec::new();
    for folder in ["", "docs/"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                let page = format!("{folder}{name}");
                pages.push((page.clone(), std::fs::read_to_string(root().join(page)).unwrap()));
            }
        }
    }
    assert!(pages.len() > 12, "{}", pages.len());
    pages
}

/// The fenced blocks of a page in a language, without the indentation of lists.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some((indent, found)) = line.split_once("```") else { continue };
        if !indent.trim().is_empty() {
            continue;
        }
        let inside = lines.by_ref().take_while(|line| line.trim() != "```");
        let block: Vec<&str> =
            inside.map(|line| line.strip_prefix(indent).unwrap_or(line)).collect();
        if found == language {
            blocks.push(block.join("\n"));
        }
    }
    blocks
}

/// The anchor that a heading of Markdown gets.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = |c: &char| c.is_alphanumeric() || *c == '-' || *c == '_' || *c == ' ';
    words.chars().filter(kept).collect::<String>().replace(' ', "-")
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for (page, text) in pages() {
        let folder = Path::new(&page).parent().unwrap();
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap();
            if target.starts_with("https://") || target.contains([' ', '`', '\n']) {
                continue;
            }
            seen += 1;
            let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => root().join(&page),
                file => root().join(folder).join(file),
            };
            assert!(path.exists(), "{page}: {target}");
            if !fragment.is_empty() && path.extension().is_some_and(|end| end == "md") {
                let text = std::fs::read_to_string(&path).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                assert!(headings.any(|line| anchor(line) == fragment), "{page}: {target}");
            }
        }
    }
    assert!(seen > 40, "{seen}");
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

#[test]
fn commands_exist() {
    let mut seen = 0;
    for (page, text) in pages() {
        let typed = blocks(&text, "sh").join("\n");
        for line in typed.lines().map(|line| line.trim_start_matches("dist/")) {
            let Some(rest) = line.strip_prefix("route-metrics ") else { continue };
            let subcommand = rest.split_whitespace().next().unwrap();
            let output = Command::new(env!("CARGO_BIN_EXE_route-metrics"))
                .args([subcommand, "--help"])
                .output()
                .unwrap();
            assert!(output.status.success(), "{page}: {line}");
            let help = String::from_utf8(output.stdout).unwrap();
            let options = rest.split('#').next().unwrap().split_whitespace();
            for option in options.filter(|word| word.starts_with("--")) {
                let option = option.split('=').next().unwrap();
                assert!(help.contains(option), "{page}: {line}: {option}");
            }
            seen += 1;
        }
    }
    assert!(seen > 8, "{seen}");
}

/// The two sides of the diff are configurations; the new one has the plugin, and all that the command
/// prints for its labels.
#[test]
fn the_change_of_an_envoy_is_complete() {
    let page = std::fs::read_to_string(root().join("docs/envoy.md")).unwrap();
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
    let printed = std::fs::read_to_string(root().join("envoy/bootstrap.yaml")).unwrap();
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
