// SPDX-License-Identifier: GPL-2.0-only
//! `[agents.NAME]`: kinds of agents that a user adds.

use super::file::{article, Parser, Place};
use super::keys::{nearest, Key};
use toml::de::DeValue;
use toml::Spanned;

/// The table that holds them.
pub const TABLE: &str = "agents";
/// What a kind may have: lists, each of which adds to that of a key.
const LISTS: [(&str, &str); 5] = [
    ("comms", "framework_comms"),
    ("args", "framework_args"),
    ("cgroups", "agent_cgroups"),
    ("containers", "agent_containers"),
    ("labels", "agent_labels"),
];

/// One kind of agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    pub name: String,
    /// Keys that it adds to, and what.
    pub lists: Vec<(&'static str, Vec<String>)>,
    pub place: Place,
}

/// Reads the table; what is wrong with it goes to `parser`.
pub fn parse(parser: &mut Parser<'_>, table: &Spanned<DeValue<'_>>, keys: &[Key]) -> Vec<Agent> {
    let at = table.span().start;
    let DeValue::Table(kinds) = table.get_ref() else {
        let what = article(table.get_ref());
        parser.problem(at, format_args!("agents: this is {what}, expected tables [agents.NAME]"));
        return Vec::new();
    };
    let mut all = Vec::new();
    for (name, kind) in kinds {
        let at = name.span().start;
        let DeValue::Table(fields) = kind.get_ref() else {
            let what = article(kind.get_ref());
            parser.problem(at, format_args!("agents.{:?}: this is {what}, expected a table", name.get_ref()));
            continue;
        };
        let mut agent =
            Agent { name: name.get_ref().to_string(), lists: Vec::new(), place: parser.place(at) };
        let mut well = true;
        for (field, value) in fields {
            let Some((list, key)) = LISTS.into_iter().find(|(list, _)| list == field.get_ref()) else {
                let other = field.get_ref();
                let near =
                    nearest(other, LISTS.into_iter().map(|l| l.0)).map(|n| format!(": did you mean `{n}`?"));
                let hint =
                    near.unwrap_or(", but `comms`, `args`, `cgroups`, `containers` and `labels`".into());
                parser.problem(field.span().start, format_args!("an agent has no key {other:?}{hint}"));
                well = false;
                continue;
            };
            let Some(as_option) = keys.iter().find(|k| k.name == key) else { continue };
            match texts(parser, value, list, |s| as_option.try_value(s)) {
                Some(texts) => agent.lists.push((key, texts)),
                None => well = false,
            }
        }
        if well && agent.lists.iter().all(|(_, list)| list.is_empty()) {
            parser.problem(
                at,
                format_args!(
                    "agents.{}: name its framework's `comms` or `args`, or its `cgroups`, `containers` or `labels`",
                    agent.name
                ),
            );
        }
        all.push(agent);
    }
    all
}

fn texts(
    parser: &mut Parser<'_>,
    value: &Spanned<DeValue<'_>>,
    key: &str,
    check: impl Fn(&str) -> Result<(), String>,
) -> Option<Vec<String>> {
    let items: Vec<&Spanned<DeValue<'_>>> = match value.get_ref() {
        DeValue::Array(list) => list.iter().collect(),
        _ => vec![value],
    };
    let mut all = Vec::new();
    for item in items {
        let at = item.span().start;
        match item.get_ref() {
            DeValue::String(s) => match check(s) {
                Ok(()) => all.push(s.to_string()),
                Err(what) => {
                    parser.problem(at, format_args!("{key}: {what}"));
                    return None;
                }
            },
            other => {
                let what = article(other);
                parser.problem(at, format_args!("{key}: this is {what}, expected a text in quotes"));
                return None;
            }
        }
    }
    Some(all)
}
