// SPDX-License-Identifier: GPL-2.0-only
//! Which cgroups are agents: globs over cgroup paths, matched in the kernel when a cgroup is made.

use crate::bpf_intf;
use agentpolicy::component_matches;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Shapes of container cgroups. A container of these becomes an agent when a known framework
/// shows up in it.
pub const CONTAINER_GLOBS: &[&str] = &[
    // Docker with the systemd and the cgroupfs driver.
    "system.slice/docker-*.scope",
    "docker/*",
    // Podman, rootful with the systemd and the cgroupfs driver, and rootless.
    "libpod_parent/libpod-*",
    "machine.slice/libpod-*.scope",
    "user.slice/user-*.slice/user@*.service/user.slice/libpod-*.scope",
    // Kubernetes: pods with and without a QoS level, systemd and cgroupfs drivers.
    "kubepods.slice/kubepods-*.slice/*.scope",
    "kubepods.slice/kubepods-*.slice/kubepods-*.slice/*.scope",
    "kubepods/pod*/*",
    "kubepods/*/pod*/*",
    // LXC, systemd-nspawn, systemd-run.
    "lxc.payload.*",
    "machine.slice/machine-*.scope",
    "system.slice/run-*.scope",
];

/// Components of the paths of containers that have a manager, which has their cgroups to itself: of all
/// [`CONTAINER_GLOBS`] but that of systemd-run.
const MANAGED: &[&str] = &[
    "docker",
    "docker-*",
    "libpod-*",
    "kubepods*",
    "cri-containerd-*",
    "crio-*",
    "lxc.payload.*",
    "machine-*.scope",
];

/// True if the cgroup `path` is that of a container with a manager, or below one.
pub fn is_managed(path: &str) -> bool {
    path.split('/').any(|c| MANAGED.iter().any(|m| component_matches(m.as_bytes(), c.as_bytes())))
}

/// What `scx_agent ci` runs is always an agent.
pub const CI_GLOB: &str = "scx_agent.ci/*";

/// Comms of agent frameworks that nothing else has. Others (`node`, `python`, `MainThread`) are
/// anybody's: there the arguments decide.
pub const FRAMEWORK_COMMS: &[&str] =
    &["claude", "codex", "opencode", "goose", "gemini", "aider", "swerex-remote", "openhands"];

/// Words that agent frameworks have in the path of their script, or in the name of their module,
/// where they run in an interpreter: Claude Code, Codex CLI, Gemini CLI, opencode, aider, OpenHands,
/// SWE-ReX, SWE-agent.
pub const FRAMEWORK_WORDS: &[&str] =
    &["claude-code", "codex", "gemini-cli", "opencode-ai", "aider", "openhands", "swerex", "sweagent"];

/// Comms a framework may relaunch itself under, known only inside an agent named by a glob.
pub const GENERIC_COMMS: &[&str] = &["node", "MainThread", "node-MainThread"];

/// A glob over cgroup paths, relative to the cgroup v2 root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    parts: Vec<String>,
}

impl Glob {
    /// Path components, each with `*` and `?`.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// True if it matches the cgroup `path`.
    pub fn matches(&self, path: &str) -> bool {
        let mut parts = path.split('/');
        self.parts.iter().all(|p| parts.next().is_some_and(|c| component_matches(p.as_bytes(), c.as_bytes())))
            && parts.next().is_none()
    }

    /// Cgroups below `root` (a cgroup v2 mount) that match now, by the kernel half's own code, sorted.
    pub fn matches_below(&self, root: &Path) -> Vec<PathBuf> {
        let mut level = vec![root.to_path_buf()];
        for part in &self.parts {
            let mut next = Vec::new();
            for dir in &level {
                // A cgroup may go away while we look: then it does not match.
                let Ok(entries) = std::fs::read_dir(dir) else { continue };
                next.extend(
                    entries
                        .flatten()
                        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
                        .filter(|e| component_matches(part.as_bytes(), e.file_name().as_bytes()))
                        .map(|e| e.path()),
                );
            }
            level = next;
        }
        level.sort();
        level
    }
}

impl FromStr for Glob {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let path = s.strip_prefix("/sys/fs/cgroup").unwrap_or(s).trim_matches('/');
        let parts: Vec<String> = path.split('/').map(String::from).collect();
        if path.is_empty() {
            return Err("the root cgroup cannot be an agent; name cgroups below it, such as agents/*".into());
        }
        let depth = bpf_intf::agent_consts_AGENT_GLOB_DEPTH as usize;
        if parts.len() > depth {
            return Err(format!("{} path components, at most {depth} are supported", parts.len()));
        }
        let max = bpf_intf::agent_consts_AGENT_GLOB_LEN as usize - 1;
        for p in &parts {
            if p.is_empty() || p == "." || p == ".." {
                return Err(format!("path component {p:?} cannot be a cgroup's name"));
            }
            if p.len() > max {
                return Err(format!(
                    "path component {p:?} has {} bytes, at most {max} are supported",
                    p.len()
                ));
            }
            if p.contains(['[', ']', '{', '}']) || p.contains("**") {
                return Err(format!("path component {p:?}: only * and ? are special"));
            }
        }
        Ok(Glob { parts })
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_relative_and_absolute() {
        let g: Glob = "/sys/fs/cgroup/agents/*".parse().unwrap();
        assert_eq!(g.parts(), ["agents", "*"]);
        assert_eq!(g.to_string(), "agents/*");
    }

    #[test]
    fn refuses_what_the_kernel_half_cannot_match() {
        for bad in ["", "/", "a//b", "a/../b", "a/**", "a/[ab]", "1/2/3/4/5/6/7/8/9", &"x".repeat(64)] {
            assert!(bad.parse::<Glob>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_container_shape_parses() {
        let n = CONTAINER_GLOBS.iter().filter(|g| g.parse::<Glob>().is_ok()).count();
        assert_eq!(n, CONTAINER_GLOBS.len());
        assert_eq!(CI_GLOB, format!("{}/*", crate::ci::FOLDER));
        assert!(n < bpf_intf::agent_consts_AGENT_MAX_GLOBS as usize);
        let comms = FRAMEWORK_COMMS.len() + GENERIC_COMMS.len();
        assert!(comms < bpf_intf::agent_consts_AGENT_MAX_COMMS as usize);
        assert!(FRAMEWORK_WORDS.len() < bpf_intf::agent_consts_AGENT_MAX_WORDS as usize);
    }

    #[test]
    fn containers_with_a_manager_are_told() {
        for glob in CONTAINER_GLOBS {
            let path = glob.replace('*', "x");
            assert_eq!(is_managed(&path), !glob.contains("run-"), "{path}");
            assert_eq!(is_managed(&format!("{path}/below")), !glob.contains("run-"), "{path}");
        }
        assert!(!is_managed("agents/a") && !is_managed("system.slice/agent@1.service"));
    }

    #[test]
    fn matches_whole_paths() {
        let g: Glob = "agents/a-*".parse().unwrap();
        assert!(g.matches("agents/a-1"));
        assert!(!g.matches("agents/a-1/b") && !g.matches("agents") && !g.matches("agents/b"));
    }

    #[test]
    fn finds_what_matches_now() {
        let dir = std::env::temp_dir().join(format!("scx_agent-globs-{}", std::process::id()));
        for d in ["agents/a1/sub", "agents/a2", "other/a3"] {
            std::fs::create_dir_all(dir.join(d)).unwrap();
        }
        let found = "agents/a?".parse::<Glob>().unwrap().matches_below(&dir);
        assert_eq!(found, [dir.join("agents/a1"), dir.join("agents/a2")]);
        assert!("none/*".parse::<Glob>().unwrap().matches_below(&dir).is_empty());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
