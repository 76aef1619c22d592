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

/// What all agents of a kind may have: of those that it names, each is said to have it.
const RULES: [(&str, &str); 3] =
    [("qos", "agent_qos"), ("weight", "agent_weights"), ("cpu_budget_s", "agent_budgets")];
/// Those of them that are numbers.
const NUMBERS: [&str; 2] = ["weight", "cpu_budget_s"];
/// How those that a list names are called in such a rule.
const NAMED: [(&str, &str); 3] =
    [("agent_cgroups", ""), ("agent_containers", "container:"), ("agent_labels", "label:")];

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
        let mut rules = Vec::new();
        let known = || LISTS.into_iter().chain(RULES);
        for (field, value) in fields {
            let Some((name, key)) = known().find(|(name, _)| name == field.get_ref()) else {
                let other = field.get_ref();
                let near = nearest(other, known().map(|l| l.0)).map(|n| format!(": did you mean `{n}`?"));
                let hint = near.unwrap_or_else(|| {
                    format!(", but {}", known().map(|(n, _)| format!("`{n}`")).collect::<Vec<_>>().join(", "))
                });
                parser.problem(field.span().start, format_args!("an agent has no key {other:?}{hint}"));
                well = false;
                continue;
            };
            let Some(as_option) = keys.iter().find(|k| k.name == key) else { continue };
            let is_rule = RULES.iter().any(|(rule, _)| *rule == name);
            let check = |s: &str| match is_rule {
                // Of anybody: those that are named are put before it below.
                true => as_option.try_value(&format!("any={s}")),
                false => as_option.try_value(s),
            };
            match texts(parser, value, name, check) {
                Some(texts) if is_rule => rules.push((value.span().start, name, key, texts)),
                Some(texts) => agent.lists.push((key, texts)),
                None => well = false,
            }
        }
        for (at, name, key, texts) in rules {
            let named: Vec<String> = NAMED
                .iter()
                .flat_map(|(list, prefix)| {
                    let all = agent.lists.iter().filter(move |(k, _)| k == list).flat_map(|(_, all)| all);
                    all.map(move |one| format!("{prefix}{one}"))
                })
                .collect();
            let [what] = &texts[..] else {
                parser.problem(at, format_args!("{name}: expected one value"));
                well = false;
                continue;
            };
            if named.is_empty() && well {
                parser.problem(
                    at,
                    format_args!(
                        "{name}: name the `cgroups`, `containers` or `labels` of those that have it"
                    ),
                );
                well = false;
            }
            agent.lists.push((key, named.iter().map(|who| format!("{who}={what}")).collect()));
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
        let text = match item.get_ref() {
            DeValue::String(s) => Some(s.to_string()),
            DeValue::Integer(n) if NUMBERS.contains(&key) => Some(n.to_string()),
            _ => None,
        };
        match (text, item.get_ref()) {
            (Some(s), _) => match check(&s) {
                Ok(()) => all.push(s),
                Err(what) => {
                    parser.problem(at, format_args!("{key}: {what}"));
                    return None;
                }
            },
            (None, other) => {
                let what = article(other);
                parser.problem(at, format_args!("{key}: this is {what}, expected a text in quotes"));
                return None;
            }
        }
    }
    Some(all)
}
