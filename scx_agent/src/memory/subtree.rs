// SPDX-License-Identifier: GPL-2.0-only
//! An agent's cgroup divided: one below it for the framework, and one for each tool call, so that a call
//! has its own limit, its own peak, and dies alone when memory runs out.
//!
//! A cgroup whose children have the memory controller cannot hold processes itself, so all that is not a
//! call is in [`FRAMEWORK`]. What was divided is in the journal before it is, and [`undo`] brings it
//! together again from whatever state it is in.

use super::knobs::{is_gone, pids_below, Cgroup};
use crate::globs::is_managed;
use rustix::io::Errno;
use std::io;
use std::path::Path;
use std::time::Duration;

/// What [`undo`] leaves where it is not for us to bring it together.
pub const LEFT: &str = "others have made cgroups beside ours: its framework stays in scx_agent.framework";
/// All that is no tool call.
const FRAMEWORK: &str = "scx_agent.framework";
/// How the names of all cgroups that we make begin.
const OURS: &str = "scx_agent.";
/// Rounds of moving what is there, while that may fork.
const ROUNDS: usize = 64;
/// Time between two tries to remove a cgroup whose last process is about to be gone.
const DYING: Duration = Duration::from_millis(5);

fn is(e: &io::Error, errno: Errno) -> bool {
    e.raw_os_error() == Some(errno.raw_os_error())
}

/// Why an agent's cgroup is not divided; None if it can be. `listed`: the operator has named it.
///
/// # Errors
/// It cannot be read; see [`is_gone`].
pub fn objection(cgroup: &Cgroup, listed: bool) -> io::Result<Option<&'static str>> {
    Ok(if is_managed(&cgroup.path) {
        Some("it is in a container, and its cgroups are its manager's")
    } else if !listed && !cgroup.is_delegated() {
        Some("its cgroup is not delegated: name it in delegated_cgroups, or set Delegate=yes in its unit")
    } else if cgroup.read("cgroup.type")?.trim() != "domain" {
        Some("its cgroup is threaded")
    } else if !cgroup.children()?.is_empty() {
        Some("it has cgroups of its own")
    } else if cgroup.read("cgroup.subtree_control")?.split_whitespace().any(|c| c == "memory") {
        Some("somebody else controls the memory of the cgroups in it")
    } else {
        None
    })
}

/// Divides `cgroup`: its processes are in the cgroup that is returned from now on.
///
/// # Errors
/// The kernel refuses it, or the agent forks faster than it can be moved: then [`undo`] is to follow.
pub fn divide(cgroup: &Cgroup) -> io::Result<Cgroup> {
    let framework = make(cgroup, FRAMEWORK)?;
    for _ in 0..ROUNDS {
        for pid in pids(cgroup)? {
            put(pid, &framework)?;
        }
        match cgroup.write("cgroup.subtree_control", "+memory") {
            // Forked meanwhile, or moved here by somebody else.
            Err(e) if is(&e, Errno::BUSY) => (),
            done => return done.map(|()| framework),
        }
    }
    Err(Errno::BUSY.into())
}

/// A new cgroup for the call with this number, which dies as a whole.
///
/// # Errors
/// It cannot be made.
pub fn make_call(agent: &Cgroup, call: u64) -> io::Result<Cgroup> {
    let name = format!("{OURS}call-{call}");
    let cgroup = make(agent, &name)?;
    if let Err(e) = cgroup.write("memory.oom.group", "1") {
        let _ = std::fs::remove_dir(agent.file(&name));
        return Err(e);
    }
    Ok(cgroup)
}

fn make(parent: &Cgroup, name: &str) -> io::Result<Cgroup> {
    std::fs::create_dir(parent.file(name))?;
    parent.child(name)
}

/// Processes right in `cgroup`.
///
/// # Errors
/// It cannot be read; see [`is_gone`].
pub fn pids(cgroup: &Cgroup) -> io::Result<Vec<u32>> {
    Ok(cgroup.read("cgroup.procs")?.lines().filter_map(|l| l.parse().ok()).collect())
}

/// Moves process `pid`, unless it has ended. By its number, which is all that the kernel takes: that a
/// number is used again between the look at it and this would take a whole round of numbers.
///
/// # Errors
/// The kernel refuses it.
pub fn put(pid: u32, to: &Cgroup) -> io::Result<()> {
    match to.write("cgroup.procs", &pid.to_string()) {
        Err(e) if !is(&e, Errno::SRCH) => Err(e),
        _ => Ok(()),
    }
}

/// Removes the cgroup `name` below `parent`, with what has been made in it; processes go to `to`.
///
/// # Errors
/// The kernel refuses it: some are still there.
pub fn remove(parent: &Cgroup, name: &str, to: &Cgroup) -> io::Result<()> {
    let dir = parent.file(name);
    let mut last = Ok(());
    for _ in 0..ROUNDS {
        for pid in pids_below(&dir)? {
            put(pid, to)?;
        }
        last = remove_tree(&dir);
        match &last {
            // They are counted until they are quite gone.
            Err(e) if is(e, Errno::BUSY) => std::thread::sleep(DYING),
            Err(e) if is_gone(e) => return Ok(()),
            _ => break,
        }
    }
    last
}

fn remove_tree(dir: &Path) -> io::Result<()> {
    let mut dirs = vec![dir.to_path_buf()];
    let mut next = 0;
    while let Some(dir) = dirs.get(next) {
        next += 1;
        let below = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let below: Vec<_> =
            below.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect();
        dirs.extend(below);
    }
    dirs.iter().rev().try_for_each(std::fs::remove_dir)
}

/// Brings together what was divided, however far that went. False if somebody else has made cgroups
/// beside ours meanwhile: then the framework stays in its own.
///
/// # Errors
/// The kernel refuses it.
pub fn undo(cgroup: &Cgroup) -> io::Result<bool> {
    match join(cgroup) {
        // Nothing of it is left.
        Err(e) if is_gone(&e) && cgroup.children().is_err() => Ok(true),
        done => done,
    }
}

fn join(cgroup: &Cgroup) -> io::Result<bool> {
    let (ours, others): (Vec<_>, Vec<_>) = cgroup.children()?.into_iter().partition(|n| n.starts_with(OURS));
    if !others.is_empty() {
        let framework = cgroup.child(FRAMEWORK)?;
        for name in ours.iter().filter(|n| *n != FRAMEWORK) {
            remove(cgroup, name, &framework)?;
        }
        return Ok(false);
    }
    if !ours.is_empty() {
        cgroup.write("cgroup.subtree_control", "-memory")?;
    }
    for name in ours {
        remove(cgroup, &name, cgroup)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::super::knobs::tests::fake;
    use super::*;
    use std::fs;

    #[test]
    fn only_what_is_given_to_us_is_divided() {
        let (root, id) = fake("objection", 0);
        let dir = root.join("agents/a");
        let cgroup = Cgroup::by_id(&root, id).unwrap();
        let says = |listed, word: &str| {
            let why = objection(&cgroup, listed).unwrap();
            assert!(why.is_some_and(|w| w.contains(word)), "{word}: {why:?}");
        };
        assert_eq!(objection(&cgroup, true).unwrap(), None);
        says(false, "not delegated");
        fs::create_dir(dir.join("own")).unwrap();
        says(true, "cgroups of its own");
        fs::remove_dir(dir.join("own")).unwrap();
        fs::write(dir.join("cgroup.subtree_control"), "cpu memory\n").unwrap();
        says(true, "somebody else");
        fs::write(dir.join("cgroup.type"), "domain threaded\n").unwrap();
        says(true, "threaded");
        fs::create_dir(root.join("docker")).unwrap();
        fs::rename(&dir, root.join("docker/a")).unwrap();
        let inside = Cgroup::by_id(&root, id).unwrap();
        assert!(objection(&inside, true).unwrap().is_some_and(|w| w.contains("container")));
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn what_is_left_is_brought_together() {
        let (root, id) = fake("undo", 0);
        let cgroup = Cgroup::by_id(&root, id).unwrap();
        assert!(undo(&cgroup).unwrap(), "nothing to do");
        for name in [FRAMEWORK, "scx_agent.call-7/nested/more"] {
            fs::create_dir_all(cgroup.file(name)).unwrap();
        }
        fs::create_dir(cgroup.file("theirs")).unwrap();
        assert!(!undo(&cgroup).unwrap());
        let mut left = cgroup.children().unwrap();
        left.sort();
        assert_eq!(left, [FRAMEWORK, "theirs"]);
        fs::remove_dir(cgroup.file("theirs")).unwrap();
        assert!(undo(&cgroup).unwrap());
        assert!(cgroup.children().unwrap().is_empty());
        assert_eq!(cgroup.read("cgroup.subtree_control").unwrap(), "-memory");
        fs::remove_dir_all(root).unwrap();
    }
}
