// SPDX-License-Identifier: GPL-2.0-only
//! Which cgroups are agents. Components are matched by the kernel half's own code.

use agentpolicy::component_matches;
use std::str::FromStr;

/// A glob over cgroup paths, relative to the cgroup v2 root; `*` and `?` stand for characters of
/// one path component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    parts: Vec<String>,
}

impl Glob {
    /// The agent that a cgroup is or is part of: as much of `path` (as in /proc/PID/cgroup, from the
    /// root on) as the glob has components, if those match.
    pub fn agent_of<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        let path = path.strip_prefix(b"/").unwrap_or(path);
        let mut end = 0;
        for (i, glob) in self.parts.iter().enumerate() {
            let begin = if i == 0 { 0 } else { end + 1 };
            let rest = path.get(begin..).filter(|r| !r.is_empty())?;
            let name = rest.split(|&c| c == b'/').next()?;
            if !component_matches(glob.as_bytes(), name) {
                return None;
            }
            end = begin + name.len();
        }
        Some(&path[..end])
    }
}

impl FromStr for Glob {
    type Err = String;

    /// Takes what `scx_agent --agent-cgroup` takes, for as long as the kernel half could match it.
    fn from_str(s: &str) -> Result<Self, String> {
        let path = s.strip_prefix("/sys/fs/cgroup").unwrap_or(s).trim_matches('/');
        let longest = agentpolicy::glob_lengths().0;
        for part in path.split('/') {
            if part.is_empty() || part == "." || part == ".." {
                return Err("expected names of cgroups below the root, such as agents/*".into());
            }
            if part.len() > longest || part.contains("**") || part.contains(['[', ']', '{', '}']) {
                return Err(format!("{part:?}: at most {longest} bytes, and only * and ? are special"));
            }
        }
        Ok(Glob { parts: path.split('/').map(String::from).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_a_cgroup_with_all_below_it() {
        let glob: Glob = "/sys/fs/cgroup/agents/a*".parse().unwrap();
        let agent =
            |path: &str| glob.agent_of(path.as_bytes()).map(|a| String::from_utf8(a.to_vec()).unwrap());
        assert_eq!(agent("/agents/a1").as_deref(), Some("agents/a1"));
        assert_eq!(agent("/agents/a1/b/c").as_deref(), Some("agents/a1"));
        for other in ["/", "", "/agents", "/agents/", "/agents/b1", "/other/a1", "/x/agents/a1"] {
            assert_eq!(agent(other), None, "{other}");
        }
    }

    #[test]
    fn takes_any_name() {
        let glob: Glob = "agents/*".parse().unwrap();
        assert_eq!(glob.agent_of(b"/agents/\xff\xfe:\n"), Some(&b"agents/\xff\xfe:\n"[..]));
        let long = ["/agents/", &"x".repeat(255)].concat();
        assert_eq!(glob.agent_of(long.as_bytes()).map(<[u8]>::len), Some(long.len() - 1));
    }

    #[test]
    fn refuses_what_cannot_match() {
        for bad in ["", "/", "a//b", "a/../b", "a/**", "a/[ab]", &"x".repeat(64)] {
            assert!(bad.parse::<Glob>().is_err(), "{bad:?}");
        }
    }
}
