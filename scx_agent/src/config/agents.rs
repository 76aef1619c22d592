// SPDX-License-Identifier: GPL-2.0-only
//! `[agents.NAME]`: kinds of agents that a user adds.

use super::file::{article, Parser, Place};
use super::keys::nearest;
use crate::cli;
use crate::containers::{parse_name, Label};
use crate::globs::Glob;
use toml::de::DeValue;
use toml::Spanned;

/// The table that holds them.
pub const TABLE: &str = "agents";
const KEYS: [&str; 5] = ["comms", "args", "cgroups", "containers", "labels"];

/// One kind of agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    pub name: String,
    /// Comms of its framework.
    pub comms: Vec<String>,
    /// Words in the path of its script, where that runs in an interpreter.
    pub args: Vec<String>,
    /// Globs of its cgroups.
    pub cgroups: Vec<String>,
    /// Names of its containers.
    pub containers: Vec<String>,
    /// Labels of its containers.
    pub labels: Vec<String>,
    pub place: Place,
}

/// Reads the table; what is wrong with it goes to `parser`.
pub fn parse(parser: &mut Parser<'_>, table: &Spanned<DeValue<'_>>) -> Vec<Agent> {
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
        let place = parser.place(at);
        let mut agent = Agent {
            name: name.get_ref().to_string(),
            comms: Vec::new(),
            args: Vec::new(),
            cgroups: Vec::new(),
            containers: Vec::new(),
            labels: Vec::new(),
            place,
        };
        let mut well = true;
        for (key, value) in fields {
            let at = key.span().start;
            let list = match &**key.get_ref() {
                "comms" => texts(parser, value, "comms", |s| cli::parse_comm(s).map(drop)),
                "args" => texts(parser, value, "args", |s| cli::parse_word(s).map(drop)),
                "cgroups" => texts(parser, value, "cgroups", |s| s.parse::<Glob>().map(drop)),
                "containers" => texts(parser, value, "containers", |s| parse_name(s).map(drop)),
                "labels" => texts(parser, value, "labels", |s| s.parse::<Label>().map(drop)),
                other => {
                    let near = nearest(other, KEYS.into_iter()).map(|n| format!(": did you mean `{n}`?"));
                    let hint =
                        near.unwrap_or(", but `comms`, `args`, `cgroups`, `containers` and `labels`".into());
                    parser.problem(at, format_args!("an agent has no key {other:?}{hint}"));
                    None
                }
            };
            match (&**key.get_ref(), list) {
                ("comms", Some(list)) => agent.comms = list,
                ("args", Some(list)) => agent.args = list,
                ("containers", Some(list)) => agent.containers = list,
                ("labels", Some(list)) => agent.labels = list,
                (_, Some(list)) => agent.cgroups = list,
                (_, None) => well = false,
            }
        }
        let lists = [&agent.comms, &agent.args, &agent.cgroups, &agent.containers, &agent.labels];
        if well && lists.iter().all(|l| l.is_empty()) {
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
