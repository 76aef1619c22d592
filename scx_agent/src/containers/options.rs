// SPDX-License-Identifier: GPL-2.0-only
//! Which containers are agents, and where to ask for them.

use agentpolicy::component_matches;
use clap::Args;
use std::path::PathBuf;
use std::str::FromStr;

/// Where Docker and Podman listen if they are there; root's only.
pub const SOCKETS: &[&str] = &["/run/docker.sock", "/run/podman/podman.sock"];

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Containers")]
#[group(skip)]
pub struct Options {
    /// A Docker or Podman container with this name is an agent, whatever runs in it; `*` and `?` stand
    /// for characters. Repeatable.
    #[arg(long = "agent-container", value_name = "NAME", value_parser = parse_name)]
    pub agent_containers: Vec<String>,

    /// A Docker or Podman container with this label is an agent, whatever runs in it; without a value,
    /// with any. Repeatable.
    #[arg(long = "agent-label", value_name = "KEY[=VALUE]")]
    pub agent_labels: Vec<Label>,

    /// Socket of the Docker or Podman API that is asked for names and labels. Whoever answers there is
    /// believed. Repeatable [default: /run/docker.sock and /run/podman/podman.sock].
    #[arg(long = "container-socket", value_name = "PATH")]
    pub container_sockets: Vec<PathBuf>,
}

/// A label, with its value if that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub key: String,
    pub value: Option<String>,
}

impl FromStr for Label {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let (key, value) = match s.split_once('=') {
            Some((key, value)) => (key, Some(value.to_string())),
            None => (s, None),
        };
        match key.is_empty() {
            true => Err(format!("{s:?}: a label has a key, as in KEY or KEY=VALUE")),
            false => Ok(Label { key: key.into(), value }),
        }
    }
}

/// A glob over names of containers.
///
/// # Errors
/// It is empty, too long, or matches all of them.
fn parse_name(s: &str) -> Result<String, String> {
    match s {
        "" => Err("a container's name is not empty".into()),
        s if s.len() >= 64 => Err(format!("a glob of at most 63 bytes is supported, this has {}", s.len())),
        s if s.chars().all(|c| c == '*') => {
            Err(format!("{s:?} would make every container an agent; give agents a name or a label in common"))
        }
        s => Ok(s.into()),
    }
}

impl Label {
    /// True if a container with labels as `label` finds them has this one.
    pub fn is<'a>(&self, label: &impl Fn(&str) -> Option<&'a str>) -> bool {
        match (label(&self.key), &self.value) {
            (Some(has), Some(wanted)) => has == wanted,
            (has, None) => has.is_some(),
            (None, Some(_)) => false,
        }
    }
}

impl Options {
    /// True if containers are to be asked for.
    pub fn wanted(&self) -> bool {
        !self.agent_containers.is_empty() || !self.agent_labels.is_empty()
    }

    /// The sockets to ask.
    pub fn sockets(&self) -> Vec<PathBuf> {
        match self.container_sockets.is_empty() {
            true => SOCKETS.iter().map(PathBuf::from).collect(),
            false => self.container_sockets.clone(),
        }
    }

    /// True if a container called `name`, with labels as `label` finds them, is an agent.
    pub fn names<'a>(&self, name: &str, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        let by_name = |glob: &String| component_matches(glob.as_bytes(), name.as_bytes());
        self.agent_containers.iter().any(by_name) || self.agent_labels.iter().any(|l| l.is(&label))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_decide() {
        let options = Options {
            agent_containers: vec!["agent-?".into(), "coder*".into()],
            agent_labels: vec!["role=agent".parse().unwrap(), "scx.agent".parse().unwrap()],
            container_sockets: Vec::new(),
        };
        let is = |name: &str, labels: &[(&str, &'static str)]| {
            options.names(name, |key| labels.iter().find(|(k, _)| *k == key).map(|(_, v)| *v))
        };
        assert!(is("agent-1", &[]));
        assert!(!is("agent-10", &[]));
        assert!(is("coder", &[]));
        assert!(is("db", &[("role", "agent")]));
        assert!(!is("db", &[("role", "db")]));
        assert!(is("db", &[("scx.agent", "")]));
        assert!(!is("db", &[]));
    }

    #[test]
    fn what_names_nothing_or_everything_is_refused() {
        for bad in ["", "*", "**", &"x".repeat(64)] {
            assert!(parse_name(bad).is_err(), "{bad:?}");
        }
        assert!("=x".parse::<Label>().is_err());
        assert!("".parse::<Label>().is_err());
        assert_eq!("a=b=c".parse::<Label>().unwrap().value.as_deref(), Some("b=c"));
    }
}
