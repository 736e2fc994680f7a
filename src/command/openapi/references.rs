//! `$ref`: where it leads, inside the document and to files beside it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::Value;

use super::read::values;

/// The most bytes of a specification.
pub(super) const MAX_BYTES: u64 = 256 << 20;
/// References that follow each other.
const MAX_REFERENCES: usize = 16;

/// The bytes of a specification's file.
///
/// # Errors
/// Not readable, or larger than 256 MiB.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    read_at_most(path, MAX_BYTES).with_context(|| path.display().to_string())
}

/// Reads a file, also one that does not say how large it is: a pipe, or a device without an end.
fn read_at_most(path: &Path, max: u64) -> anyhow::Result<Vec<u8>> {
    let file = File::open(path)?;
    check_size(file.metadata()?.len(), max)?;
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes)?;
    check_size(bytes.len() as u64, max)?;
    Ok(bytes)
}

pub(super) fn check_size(bytes: u64, max: u64) -> anyhow::Result<()> {
    if bytes > max {
        bail!("is larger than {} MiB, which is the most that is read", max >> 20);
    }
    Ok(())
}

/// A document, and the files that its references have named, each read once.
#[derive(Debug)]
pub(super) struct References<'d> {
    document: &'d Value,
    name: &'d Path,
    files: BTreeMap<PathBuf, Result<Value, String>>,
}

impl<'d> References<'d> {
    /// The references of a document, of which `name` is the file.
    pub fn new(document: &'d Value, name: &'d Path) -> Self {
        Self { document, name, files: BTreeMap::new() }
    }

    /// What a value is, where its references lead, and the file in which that stands; `None` is the
    /// document. `file` is where the value stands.
    ///
    /// # Errors
    /// It refers to what is not there, is not read, or to itself.
    pub fn resolve(
        &mut self,
        value: &Value,
        file: Option<&Path>,
    ) -> anyhow::Result<(Value, Option<PathBuf>)> {
        let mut current = value.clone();
        let mut at = file.map(Path::to_owned);
        for _ in 0..MAX_REFERENCES {
            let Some(reference) = current.get("$ref").and_then(Value::as_str) else {
                return Ok((current, at));
            };
            let (named, pointer) = reference.split_once('#').unwrap_or((reference, ""));
            if named.contains("://") {
                bail!(
                    "refers to {reference:?}, which is not fetched; bundle the specification into \
                     one file first"
                );
            }
            if !named.is_empty() {
                let from = at.as_deref().unwrap_or(self.name);
                at = Some(from.parent().unwrap_or(Path::new("")).join(percent_decoded(named)));
            }
            let root = match &at {
                None => self.document,
                Some(path) => self
                    .load(path)
                    .map_err(|why| anyhow::anyhow!("refers to {reference:?}, which {why}"))?,
            };
            let found = root.pointer(&percent_decoded(pointer));
            let found =
                found.with_context(|| format!("refers to {reference:?}, which is not there"));
            current = found?.clone();
        }
        bail!("refers to itself, or through more than {MAX_REFERENCES} references")
    }

    fn load(&mut self, path: &Path) -> Result<&Value, String> {
        let load = || {
            let bytes = match read_at_most(path, MAX_BYTES) {
                Ok(bytes) => bytes,
                Err(error) => return Err(format!("cannot be read: {error:#}")),
            };
            let documents = values(&bytes).map_err(|error| format!("{error:#}"))?;
            documents.into_iter().next().ok_or_else(|| "is empty".to_owned())
        };
        let loaded = self.files.entry(path.to_owned()).or_insert_with(load);
        loaded.as_ref().map_err(Clone::clone)
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digit = |at: usize| tail.get(at).and_then(|&b| char::from(b).to_digit(16));
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_file_without_an_end_is_refused() {
        assert!(read_at_most(Path::new("/dev/zero"), 1000).is_err());
        assert_eq!(read_at_most(Path::new("/dev/null"), 1000).ok(), Some(Vec::new()));
    }
}
