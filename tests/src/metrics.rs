// SPDX-License-Identifier: GPL-2.0-only
//! A page of metrics, read as Prometheus would.

use std::collections::{BTreeMap, BTreeSet};

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// A page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub samples: Vec<Sample>,
    /// Type of each family.
    pub types: BTreeMap<String, String>,
}

impl Page {
    /// # Panics
    /// If it is no OpenMetrics text: a line that is none of its kinds, a family told twice, a series told twice,
    /// a sample of no family, a counter without `_total`, or no end.
    pub fn parse(text: &str) -> Page {
        let mut page = Page::default();
        let mut series = BTreeSet::new();
        let body = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no end:\n{text}"));
        for line in body.lines() {
            if let Some(meta) = line.strip_prefix("# ") {
                let mut words = meta.splitn(3, ' ');
                let (kind, name, rest) =
                    (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
                match kind {
                    "HELP" => assert!(!rest.is_empty(), "{line}"),
                    "UNIT" => assert!(name.ends_with(rest), "{line}"),
                    "TYPE" => {
                        assert!(page.types.insert(name.into(), rest.into()).is_none(), "told twice: {line}")
                    }
                    _ => panic!("{line:?}"),
                }
                continue;
            }
            let sample = sample(line).unwrap_or_else(|| panic!("no sample: {line:?}"));
            let family = page.types.iter().find_map(|(family, kind)| {
                let suffix = sample.name.strip_prefix(family.as_str())?;
                let wanted: &[&str] = match kind.as_str() {
                    "counter" => &["_total"],
                    "histogram" => &["_bucket", "_sum", "_count"],
                    _ => &[""],
                };
                wanted.contains(&suffix).then_some(family)
            });
            assert!(family.is_some(), "of no family: {line}");
            let key = (sample.name.clone(), sample.labels.clone());
            assert!(series.insert(key), "told twice: {line}");
            page.samples.push(sample);
        }
        page
    }

    /// The value of a series, None if there is none.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |s: &&Sample| {
            s.name == name
                && labels.iter().all(|(k, v)| s.labels.get(*k).is_some_and(|found| found == v))
                && s.labels.len() == labels.len()
        };
        self.samples.iter().find(has).map(|s| s.value)
    }

    /// The different values of a label.
    pub fn labels(&self, name: &str) -> BTreeSet<&str> {
        self.samples.iter().filter_map(|s| s.labels.get(name)).map(String::as_str).collect()
    }

    /// True if there is a sample of this name.
    pub fn has(&self, name: &str) -> bool {
        self.samples.iter().any(|s| s.name == name)
    }
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"")?;
            let mut value = String::new();
            let mut chars = after.char_indices();
            let close = loop {
                match chars.next()? {
                    (_, '\\') => match chars.next()?.1 {
                        'n' => value.push('\n'),
                        c @ ('"' | '\\') => value.push(c),
                        _ => return None,
                    },
                    (at, '"') => break at,
                    (_, c) => value.push(c),
                }
            };
            labels.insert(label.to_string(), value).is_none().then_some(())?;
            rest = &after[close + 1..];
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.strip_prefix(' ')?.parse().ok()?;
    Some(Sample { name: name.into(), labels, value })
}
