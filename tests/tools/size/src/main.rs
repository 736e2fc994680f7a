//! What each crate costs in a module with names: the bytes of its functions, and of everything that
//! is not a function. The lines add up to the size of the file.
//!
//! A function counts for the crate that defines it, also where another one made it necessary; what
//! was inlined counts for where it went.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use anyhow::{Context, bail};
use rustc_demangle::demangle;
use wasmparser::{KnownCustom, Name, Parser, Payload, TypeRef};

fn main() -> anyhow::Result<()> {
    let Some(file) = std::env::args_os().nth(1).map(PathBuf::from) else {
        bail!("usage: route-metrics-size MODULE");
    };
    let module = std::fs::read(&file).with_context(|| file.display().to_string())?;
    let sizes = sizes(&module)?;
    let mut rows: Vec<(&String, &usize)> = sizes.iter().collect();
    rows.sort_by_key(|(name, size)| (std::cmp::Reverse(**size), name.as_str()));
    let total = module.len();
    for (name, size) in rows {
        println!("{size:>9}  {:5.1} %  {name}", 100.0 * *size as f64 / total as f64);
    }
    println!("{total:>9}  100.0 %  total, with names");
    Ok(())
}

/// Bytes by crate, and by kind of section in parentheses.
fn sizes(module: &[u8]) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut names: HashMap<u32, String> = HashMap::new();
    let mut functions: Vec<usize> = Vec::new();
    let mut imported = 0;
    let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        match &payload {
            Payload::ImportSection(reader) => {
                for import in reader.clone().into_imports() {
                    imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::CodeSectionEntry(body) => functions.push(length(&body.range())),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(reader) = section.as_known() {
                    for name in reader {
                        if let Name::Function(map) = name? {
                            for naming in map {
                                let naming = naming?;
                                names.insert(naming.index, format!("{:#}", demangle(naming.name)));
                            }
                        }
                    }
                }
            }
            _ => {}
        }
        let kind = match &payload {
            Payload::DataSection(_) => "(data: texts, tables, constants)",
            Payload::CustomSection(section) if section.name() == "name" => {
                "(names; not in dist/route_metrics.wasm)"
            }
            _ => continue,
        };
        if let Some((_, range)) = payload.as_section() {
            *sizes.entry(kind.to_owned()).or_default() += length(&range);
        }
    }
    if names.is_empty() {
        bail!("the module has no names; `make size` builds one that has");
    }
    for (index, size) in (imported..).zip(functions) {
        let name = names.get(&index).map_or("", String::as_str);
        *sizes.entry(crate_of(name)).or_default() += size;
    }
    let rest = module.len() - sizes.values().sum::<usize>();
    sizes.insert("(other sections and headers)".to_owned(), rest);
    Ok(sizes)
}

/// Offsets are 64 bits wide, those of a file in memory are not.
fn length(range: &std::ops::Range<u64>) -> usize {
    usize::try_from(range.end - range.start).unwrap_or(usize::MAX)
}

/// The crate of a function: of the type for what a type does, as in `<a::B as c::D>::e`.
fn crate_of(name: &str) -> String {
    let start = name.trim_start_matches(|c: char| "<&*[(".contains(c));
    let start = start.strip_prefix("mut ").or(start.strip_prefix("dyn ")).unwrap_or(start);
    let word: String = start.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let is_path = start.get(word.len()..).is_some_and(|rest| rest.starts_with("::"));
    // Of a primitive type, the trait says where it comes from.
    match start.split_once(" as ") {
        Some((_, implemented)) if !is_path => return crate_of(implemented),
        _ => {}
    }
    match word.as_str() {
        _ if !is_path => "(C library and exports)".to_owned(),
        "core" | "alloc" | "std" => format!("{word} (Rust's own library)"),
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::crate_of;

    #[test]
    fn functions_belong_to_the_crate_of_their_path_or_type() {
        for (name, expected) in [
            ("route_metrics::filter::Filter<H>::end", "route_metrics"),
            ("<serde_json::value::Value as core::fmt::Display>::fmt", "serde_json"),
            ("<&mut serde_json::de::Deserializer<R> as serde::de::Deserializer>::x", "serde_json"),
            ("<u32 as core::fmt::Display>::fmt", "core (Rust's own library)"),
            ("alloc::vec::Vec<T>::push", "alloc (Rust's own library)"),
            ("dlmalloc", "(C library and exports)"),
            ("", "(C library and exports)"),
        ] {
            assert_eq!(crate_of(name), expected, "{name}");
        }
    }
}
