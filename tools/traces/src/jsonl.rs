// SPDX-License-Identifier: GPL-2.0-only
//! JSON lines in and out, with errors that name the file, the line and the field.

use anyhow::{anyhow, Context, Result};
use serde::{de::DeserializeOwned, Serialize};
use serde_json::Value;
use std::io::Write;
use std::path::Path;

/// A complaint about one place of a file: `file:line: message`.
pub fn at(file: &str, line: usize, message: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("{file}:{line}: {message}")
}

/// What a JSON value is, in words for an error.
pub fn kind(v: &Value) -> &'static str {
    match v {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Reads every non-empty line of a file as a `T`. `-` is standard input.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    Ok(read_numbered(path)?.into_iter().map(|(_, item)| item).collect())
}

/// As [`read`], each with the number of its line, from 1.
pub fn read_numbered<T: DeserializeOwned>(path: &Path) -> Result<Vec<(usize, T)>> {
    let (name, text) = read_text(path)?;
    let mut all = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let item = serde_json::from_str(line).map_err(|e| {
            let said = e.to_string();
            let said = said.split(" at line ").next().unwrap_or("");
            at(&name, i + 1, format!("column {}: {said}", e.column()))
        })?;
        all.push((i + 1, item));
    }
    Ok(all)
}

/// The file's name for messages, and its text.
pub fn read_text(path: &Path) -> Result<(String, String)> {
    let name = path.display().to_string();
    let text = if name == "-" {
        std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?
    } else {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?
    };
    Ok((name, text))
}

/// Writes one line per item.
pub fn write<T: Serialize>(mut to: impl Write, items: &[T]) -> Result<()> {
    let mut text = Vec::new();
    for item in items {
        serde_json::to_writer(&mut text, item)?;
        text.push(b'\n');
    }
    to.write_all(&text)?;
    to.flush()?;
    Ok(())
}

/// Writes one line per item to a file, or to standard output for `-`.
pub fn write_file<T: Serialize>(path: &Path, items: &[T]) -> Result<()> {
    if path.as_os_str() == "-" {
        return write(std::io::stdout().lock(), items);
    }
    let file = std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    write(file, items).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_items_are_read_as_they_were_written(items in vec(vec("(?s).{0,20}", 0..3), 0..5)) {
            let file = tempfile::NamedTempFile::new().unwrap();
            write_file(file.path(), &items).unwrap();
            prop_assert_eq!(read::<Vec<String>>(file.path()).unwrap(), items);
        }

        #[test]
        fn any_bytes_are_items_or_an_error_with_its_place(bytes in vec(any::<u8>(), 0..200)) {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            if let Err(e) = read_numbered::<Vec<String>>(file.path()) {
                let (told, name) = (e.to_string(), file.path().display().to_string());
                let of_the_file = told == format!("cannot read {name}");
                let of_a_line = told.starts_with(&format!("{name}:")) && told.contains("column ");
                prop_assert!(of_the_file || of_a_line, "{told}");
            }
        }
    }
}
