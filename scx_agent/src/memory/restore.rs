// SPDX-License-Identifier: GPL-2.0-only
//! Puts every knob of a journal back, whoever does it: the daemon at its end, its guard, the next
//! daemon, or `scx_agent restore`.

use super::journal::{Change, Entry, Journal, OomEntry, Place};
use super::knobs::{is_gone, Cgroup};
use super::{oom, subtree};
use log::{debug, info, warn};
use std::io;
use std::path::Path;

/// What became of a journal's entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The original is back in its place.
    pub back: u64,
    /// Somebody else had written it meanwhile: left alone.
    pub foreign: u64,
    /// The cgroup does not exist any more.
    pub gone: u64,
    /// Could not be written: still in the journal.
    pub failed: u64,
    /// Processes whose oom_score_adj is back.
    pub processes: u64,
    /// Cgroups that go on.
    pub thawed: u64,
    /// Cgroups that were divided and are not any more.
    pub joined: u64,
}

impl Restored {
    /// What was done, for people.
    pub fn sentence(&self) -> String {
        let mut text = format!("put memory.high of {} cgroups back", self.back);
        for (n, what) in [
            (self.foreign, "was written by others and is left alone"),
            (self.failed, "could not be written and stays in the journal"),
        ] {
            if n > 0 {
                text += &format!("; that of {n} {what}");
            }
        }
        if self.processes > 0 {
            text += &format!("; put oom_score_adj of {} processes back", self.processes);
        }
        if self.thawed > 0 {
            text += &format!("; let {} paused agents go on", self.thawed);
        }
        if self.joined > 0 {
            text += &format!("; brought the cgroups of {} agents together", self.joined);
        }
        text
    }
}

enum Done {
    Back,
    Foreign,
    Gone,
}

/// Puts back what `journal` has, and takes it out of the journal.
pub fn restore(journal: &mut Journal, cgroup_root: &Path) -> Restored {
    let mut sum = Restored::default();
    for entry in journal.entries().cloned().collect::<Vec<_>>() {
        match put_back(&entry, cgroup_root) {
            Ok(Done::Back) => sum.back += 1,
            Ok(Done::Foreign) => sum.foreign += 1,
            Ok(Done::Gone) => sum.gone += 1,
            Err(e) => {
                warn!("memory: cannot put memory.high of {:?} back to {}: {e}", entry.cgroup, entry.original);
                sum.failed += 1;
                continue;
            }
        }
        if let Err(e) = journal.forget(entry.id) {
            warn!("memory: {e:#}");
        }
    }
    for entry in journal.oom().cloned().collect::<Vec<_>>() {
        match put_oom_back(&entry, cgroup_root) {
            Ok(count) => sum.processes += count,
            Err(e) => {
                warn!("memory: cannot put oom_score_adj of the processes of {:?} back: {e}", entry.cgroup);
                sum.failed += 1;
                continue;
            }
        }
        if let Err(e) = journal.forget_oom(entry.id) {
            warn!("memory: {e:#}");
        }
    }
    for (change, what) in [
        (Change::Frozen, "let the paused agent go on"),
        (Change::Divided, "bring the cgroups of tool calls together"),
    ] {
        for place in journal.places(change).cloned().collect::<Vec<_>>() {
            let done = match change {
                Change::Frozen => {
                    undo(&place, cgroup_root, thaw).map(|thawed| sum.thawed += u64::from(thawed))
                }
                Change::Divided => {
                    undo(&place, cgroup_root, join).map(|joined| sum.joined += u64::from(joined))
                }
            };
            if let Err(e) = done {
                warn!("memory: cannot {what}, {:?}: {e}", place.cgroup);
                sum.failed += 1;
            } else if let Err(e) = journal.forget_place(change, place.id) {
                warn!("memory: {e:#}");
            }
        }
    }
    sum
}

/// Undoes what was done to a cgroup; false if it is gone, or there is nothing to undo.
fn undo(place: &Place, root: &Path, how: fn(&Cgroup) -> io::Result<bool>) -> io::Result<bool> {
    match Cgroup::by_id(root, place.id).and_then(|cgroup| how(&cgroup)) {
        Err(e) if is_gone(&e) => Ok(false),
        done => done,
    }
}

/// Lets a cgroup go on that we have frozen, unless it does already.
fn thaw(cgroup: &Cgroup) -> io::Result<bool> {
    let frozen = cgroup.frozen()?;
    if frozen {
        cgroup.set_frozen(false)?;
    }
    Ok(frozen)
}

fn join(cgroup: &Cgroup) -> io::Result<bool> {
    let joined = subtree::undo(cgroup)?;
    if !joined {
        warn!("memory: {:?}: {}", cgroup.path, subtree::LEFT);
    }
    Ok(joined)
}

/// Puts the processes of an agent back; those that have left its cgroup stay as they are.
fn put_oom_back(entry: &OomEntry, root: &Path) -> io::Result<u64> {
    match Cgroup::by_id(root, entry.id) {
        Ok(cgroup) => oom::put_back(&cgroup, &entry.given),
        Err(e) if is_gone(&e) => Ok(0),
        Err(e) => Err(e),
    }
}

fn put_back(entry: &Entry, root: &Path) -> io::Result<Done> {
    let attempt = || -> io::Result<Done> {
        let cgroup = Cgroup::by_id(root, entry.id)?;
        let now = cgroup.high()?;
        if now == entry.original {
            return Ok(Done::Back);
        }
        if !entry.ours.contains(&now) {
            warn!("memory: memory.high of {:?} is {now}, which is not ours: left alone", entry.cgroup);
            return Ok(Done::Foreign);
        }
        cgroup.set_high(entry.original)?;
        info!(
            SCX_AGENT_AGENT = entry.cgroup.as_str(), SCX_AGENT_RULE = "restore", SCX_AGENT_KNOB = "memory.high",
            SCX_AGENT_OLD:% = now, SCX_AGENT_NEW:% = entry.original;
            "memory: agent {:?}: rule \"restore\": memory.high {now} -> {}", entry.cgroup, entry.original
        );
        Ok(Done::Back)
    };
    match attempt() {
        Err(e) if is_gone(&e) => {
            debug!("memory: {:?} is gone, nothing to put back", entry.cgroup);
            Ok(Done::Gone)
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::super::knobs::tests::fake;
    use super::super::limit::Limit;
    use super::*;
    use std::fs;

    fn with(high: &str) -> (Restored, String, usize) {
        let (root, id) = fake(&format!("restore-{high}"), 0);
        fs::write(root.join("agents/a/memory.high"), high).unwrap();
        let mut journal = Journal::load(&root.join("memory.journal")).unwrap();
        let ours = vec![Limit::Bytes(4096), Limit::Bytes(8192)];
        let entry = Entry { cgroup: "agents/a".into(), id, original: Limit::Max, ours };
        journal.note(entry.clone()).unwrap();
        journal.note(Entry { id: u64::MAX, ..entry }).unwrap();
        let sum = restore(&mut journal, &root);
        let left = fs::read_to_string(root.join("agents/a/memory.high")).unwrap();
        let entries = journal.entries().count();
        fs::remove_dir_all(root).unwrap();
        (sum, left, entries)
    }

    #[test]
    fn ours_is_put_back_and_others_left_alone() {
        let gone = Restored { gone: 1, ..Restored::default() };
        assert_eq!(with("4096"), (Restored { back: 1, ..gone }, "max".into(), 0));
        assert_eq!(with("8192"), (Restored { back: 1, ..gone }, "max".into(), 0));
        assert_eq!(with("max\n"), (Restored { back: 1, ..gone }, "max\n".into(), 0));
        assert_eq!(with("12345"), (Restored { foreign: 1, ..gone }, "12345".into(), 0));
        assert_eq!(with("junk"), (Restored { failed: 1, ..gone }, "junk".into(), 1));
    }
}
