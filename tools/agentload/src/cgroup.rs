// SPDX-License-Identifier: GPL-2.0-only
//! The cgroups of a run: made at the start, killed and removed at the end.

use crate::record::MemoryRecord;
use anyhow::{bail, Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A parent cgroup with one child per agent; removed with everything in it when dropped.
pub struct Tree {
    /// Directories made by us, parents first.
    made: Vec<PathBuf>,
    /// Controllers that we enabled, to be disabled again.
    enabled: Vec<(PathBuf, &'static str)>,
    parent: PathBuf,
    /// Written to every agent's cgroup that is made from now on.
    pub knobs: Vec<Knob>,
}

/// A file of an agent's cgroup and what to write to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Knob {
    /// None: every agent's.
    pub agent: Option<String>,
    pub file: String,
    pub value: String,
}

impl FromStr for Knob {
    type Err = String;

    /// `[AGENT/]FILE=VALUE`.
    fn from_str(text: &str) -> Result<Knob, String> {
        let usage = || format!("expected [AGENT/]FILE=VALUE such as memory.max=1G, found {text:?}");
        let (name, value) = text.split_once('=').ok_or_else(usage)?;
        let (agent, file) = match name.split_once('/') {
            Some((agent, file)) => (Some(agent.to_string()), file),
            None => (None, name),
        };
        if file.is_empty() || file.contains('/') || value.is_empty() {
            return Err(usage());
        }
        Ok(Knob { agent, file: file.into(), value: value.into() })
    }
}

impl Tree {
    /// Makes (or takes) `<cgroup2 mount>/<name>` and enables cpu and memory below it where the
    /// kernel allows. Fails when no cgroup v2 is mounted or the directory cannot be made.
    pub fn new(name: &str) -> Result<Tree> {
        let root = mount_point()?;
        let mut tree =
            Tree { made: Vec::new(), enabled: Vec::new(), parent: root.clone(), knobs: Vec::new() };
        let name = name.trim_matches('/');
        if name.is_empty() || name.split('/').any(|p| p.is_empty() || p == "." || p == "..") {
            bail!("--cgroup {name:?}: expected a path below the cgroup root, such as `agents`");
        }
        tree.enable_controllers();
        for part in name.split('/') {
            tree.parent.push(part);
            if !tree.parent.is_dir() {
                fs::create_dir(&tree.parent)
                    .with_context(|| format!("cannot make cgroup {} (run as root)", tree.parent.display()))?;
                tree.made.push(tree.parent.clone());
            }
            tree.enable_controllers();
        }
        Ok(tree)
    }

    /// Enables cpu and memory for the children of `parent`: each by itself, so that a missing
    /// one does not cost the other.
    fn enable_controllers(&mut self) {
        let file = self.parent.join("cgroup.subtree_control");
        let before = fs::read_to_string(&file).unwrap_or_default();
        for name in ["cpu", "memory"] {
            if before.split_whitespace().any(|c| c == name) {
                continue;
            }
            match fs::write(&file, format!("+{name}")) {
                Ok(()) => self.enabled.push((file.clone(), name)),
                Err(_) => eprintln!("agentload: no {name} controller below {}", self.parent.display()),
            }
        }
    }

    /// Makes the cgroup of one agent. Fails if it exists: it may be someone else's.
    pub fn add(&mut self, agent: &str) -> Result<PathBuf> {
        let dir = self.parent.join(agent);
        fs::create_dir(&dir).with_context(|| {
            format!(
                "cannot make cgroup {}; if an earlier run left it, remove it or choose another --cgroup",
                dir.display()
            )
        })?;
        self.made.push(dir.clone());
        for knob in self.knobs.iter().filter(|k| k.agent.as_deref().is_none_or(|a| a == agent)) {
            let file = dir.join(&knob.file);
            fs::write(&file, &knob.value)
                .with_context(|| format!("cannot write {:?} to {}", knob.value, file.display()))?;
        }
        Ok(dir)
    }

    /// Kills all that is left of an agent.
    pub fn kill(&self, agent: &str) {
        let _ = fs::write(self.parent.join(agent).join("cgroup.kill"), "1");
    }

    /// What an agent's memory came to; zeros where there is no memory controller.
    pub fn memory(&self, agent: &str) -> MemoryRecord {
        let read = |file| fs::read_to_string(self.parent.join(agent).join(file)).unwrap_or_default();
        let events = read("memory.events");
        let event = |name: &str| {
            events.lines().find_map(|l| l.strip_prefix(name)?.trim().parse().ok()).unwrap_or_default()
        };
        MemoryRecord {
            peak_mb: read("memory.peak").trim().parse().unwrap_or(0.0) / 1e6,
            oom_kills: event("oom_kill "),
            throttled: event("high "),
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // Agents' cgroups first; children of ours that died have to be reaped by the caller.
        for dir in self.made.iter().rev() {
            let _ = fs::write(dir.join("cgroup.kill"), "1");
        }
        for dir in self.made.iter().rev() {
            for _ in 0..500 {
                while crate::sys::reap(false).is_some() {}
                match fs::remove_dir(dir) {
                    Err(e) if e.raw_os_error() == Some(libc::EBUSY) => crate::sys::sleep_for(10_000_000),
                    _ => break,
                }
            }
        }
        // Those in removed directories are gone already.
        for (file, name) in self.enabled.iter().rev() {
            let _ = fs::write(file, format!("-{name}"));
        }
    }
}

/// Moves the calling process into the cgroup at `dir`.
pub fn enter(dir: &Path) -> std::io::Result<()> {
    fs::write(dir.join("cgroup.procs"), std::process::id().to_string())
}

fn mount_point() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
    find_mount(&mounts).context("no cgroup v2 file system is mounted (expected one at /sys/fs/cgroup)")
}

fn find_mount(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|l| {
        let mut f = l.split(' ');
        let (_, at, kind) = (f.next()?, f.next()?, f.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knobs_are_for_one_agent_or_all() {
        let knob = |agent: Option<&str>, file: &str, value: &str| Knob {
            agent: agent.map(String::from),
            file: file.into(),
            value: value.into(),
        };
        assert_eq!("memory.max=1G".parse(), Ok(knob(None, "memory.max", "1G")));
        assert_eq!("a/io.max=8:0 rbps=1".parse(), Ok(knob(Some("a"), "io.max", "8:0 rbps=1")));
        for wrong in ["", "memory.max", "memory.max=", "=1", "a/b/c=1", "a/=1"] {
            assert!(wrong.parse::<Knob>().unwrap_err().contains("memory.max=1G"), "{wrong}");
        }
    }

    #[test]
    fn the_mount_is_found() {
        let m = "proc /proc proc rw 0 0\nc /sys/fs/cgroup cgroup2 rw 0 0\n";
        assert_eq!(find_mount(m), Some(PathBuf::from("/sys/fs/cgroup")));
        assert_eq!(find_mount("c /sys/fs/cgroup cgroup rw 0 0\n"), None);
    }
}
