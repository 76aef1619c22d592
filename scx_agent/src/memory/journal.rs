// SPDX-License-Identifier: GPL-2.0-only
//! What the knobs were before us, in a file that outlives us: written and synced before a knob is
//! changed, so that whatever ends the daemon, somebody can put them back.

use super::limit::Limit;
use super::oom::Raised;
use anyhow::{bail, Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Format of the file; another number is refused.
const VERSION: u32 = 1;

/// One memory.high that we change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Path below the cgroup root, for messages.
    pub cgroup: String,
    pub id: u64,
    pub original: Limit,
    /// What we may have left in it: the last value, and that which was to follow. Any other but
    /// the original is somebody else's.
    pub ours: Vec<Limit>,
}

/// The oom_score_adj of an agent's tool calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OomEntry {
    /// As [`Entry::cgroup`].
    pub cgroup: String,
    pub id: u64,
    /// Each pair of values once.
    pub given: Vec<Raised>,
}

/// A cgroup that we have changed as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// As [`Entry::cgroup`].
    pub cgroup: String,
    pub id: u64,
}

/// What is done to a [`Place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It is frozen.
    Frozen,
    /// Its processes are in cgroups of ours below it.
    Divided,
}

#[derive(Serialize, Deserialize)]
struct OnDisk {
    version: u32,
    /// Process that wrote it.
    pid: u32,
    memory_high: Vec<Entry>,
    #[serde(default)]
    oom_score_adj: Vec<OomEntry>,
    #[serde(default)]
    frozen: Vec<Place>,
    #[serde(default)]
    divided: Vec<Place>,
}

/// The journal of this daemon. The file is there only while there is something to put back.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// Process that wrote the file that was loaded.
    pub writer: Option<u32>,
    entries: BTreeMap<u64, Entry>,
    oom: BTreeMap<u64, OomEntry>,
    places: BTreeMap<(Change, u64), Place>,
}

impl Journal {
    /// Reads the journal at `path`; one that is not there is empty.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn load(path: &Path) -> Result<Journal> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return Ok(Journal {
                    path: path.into(),
                    writer: None,
                    entries: BTreeMap::new(),
                    oom: BTreeMap::new(),
                    places: BTreeMap::new(),
                })
            }
            Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
        };
        let file: OnDisk = serde_json::from_str(&text).with_context(|| {
            format!("{} is no journal of scx_agent; look at it, then remove it", path.display())
        })?;
        if file.version != VERSION {
            bail!("{} has version {}, this scx_agent knows {VERSION}", path.display(), file.version);
        }
        let entries = file.memory_high.into_iter().map(|e| (e.id, e)).collect();
        let oom = file.oom_score_adj.into_iter().map(|e| (e.id, e)).collect();
        let frozen = file.frozen.into_iter().map(|p| ((Change::Frozen, p.id), p));
        let divided = file.divided.into_iter().map(|p| ((Change::Divided, p.id), p));
        let places = frozen.chain(divided).collect();
        Ok(Journal { path: path.into(), writer: Some(file.pid), entries, oom, places })
    }

    /// True if there is nothing to put back.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.oom.is_empty() && self.places.is_empty()
    }

    /// Every memory.high that is to be put back.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Notes an entry, in place of an earlier one of the same cgroup, on disk when it returns.
    ///
    /// # Errors
    /// It cannot be written; then it is as before, and the knob must not be changed.
    pub fn note(&mut self, entry: Entry) -> Result<()> {
        if self.entries.get(&entry.id) == Some(&entry) {
            return Ok(());
        }
        let id = entry.id;
        let before = self.entries.insert(id, entry);
        self.save().inspect_err(|_| {
            match before {
                Some(e) => self.entries.insert(id, e),
                None => self.entries.remove(&id),
            };
        })
    }

    /// Every oom_score_adj that is to be put back.
    pub fn oom(&self) -> impl Iterator<Item = &OomEntry> {
        self.oom.values()
    }

    /// Notes that processes of a cgroup are given a value, on disk when it returns.
    ///
    /// # Errors
    /// It cannot be written; then it is as before, and no process must be changed.
    pub fn note_oom(&mut self, id: u64, cgroup: &str, raised: Raised) -> Result<()> {
        let fresh = || OomEntry { cgroup: cgroup.into(), id, given: Vec::new() };
        let entry = self.oom.entry(id).or_insert_with(fresh);
        if entry.given.contains(&raised) {
            return Ok(());
        }
        entry.given.push(raised);
        self.save().inspect_err(|_| {
            if let Some(entry) = self.oom.get_mut(&id) {
                entry.given.pop();
            }
            self.oom.retain(|_, e| !e.given.is_empty());
        })
    }

    /// Takes what was noted of a cgroup's oom_score_adj out.
    ///
    /// # Errors
    /// The file cannot be written; it still has the entry.
    pub fn forget_oom(&mut self, id: u64) -> Result<()> {
        match self.oom.remove(&id) {
            Some(_) => self.save(),
            None => Ok(()),
        }
    }

    /// Every cgroup that was changed so.
    pub fn places(&self, change: Change) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(move |((c, _), _)| *c == change).map(|(_, place)| place)
    }

    /// Notes that a cgroup is changed, on disk when it returns.
    ///
    /// # Errors
    /// It cannot be written; then it is as before, and nothing must be changed.
    pub fn note_place(&mut self, change: Change, place: Place) -> Result<()> {
        let key = (change, place.id);
        self.places.insert(key, place);
        self.save().inspect_err(|_| _ = self.places.remove(&key))
    }

    /// Takes a cgroup that is not changed any more out.
    ///
    /// # Errors
    /// The file cannot be written; it still has the entry.
    pub fn forget_place(&mut self, change: Change, id: u64) -> Result<()> {
        match self.places.remove(&(change, id)) {
            Some(_) => self.save(),
            None => Ok(()),
        }
    }

    /// Takes a cgroup's memory.high out.
    ///
    /// # Errors
    /// The file cannot be written; it still has the entry.
    pub fn forget(&mut self, id: u64) -> Result<()> {
        match self.entries.remove(&id) {
            Some(_) => self.save(),
            None => Ok(()),
        }
    }

    fn save(&self) -> Result<()> {
        let told = || format!("cannot write {}", self.path.display());
        if self.is_empty() {
            return match fs::remove_file(&self.path) {
                Err(e) if e.kind() != ErrorKind::NotFound => Err(e).with_context(told),
                _ => Ok(()),
            };
        }
        let memory_high = self.entries.values().cloned().collect();
        let oom_score_adj = self.oom.values().cloned().collect();
        let places = |change| self.places(change).cloned().collect();
        let (frozen, divided) = (places(Change::Frozen), places(Change::Divided));
        let pid = std::process::id();
        let file = OnDisk { version: VERSION, pid, memory_high, oom_score_adj, frozen, divided };
        let new = self.path.with_extension("new");
        let write = || -> std::io::Result<()> {
            let mut out =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            out.write_all(&serde_json::to_vec(&file)?)?;
            out.sync_all()?;
            fs::rename(&new, &self.path)
        };
        write()
            // What there is of it would take the room that the next try needs.
            .inspect_err(|_| _ = fs::remove_file(&new))
            .with_context(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u64) -> Entry {
        Entry {
            cgroup: "agents/a\u{fffd}\n\"".into(),
            id,
            original: Limit::Max,
            ours: vec![Limit::Bytes(4096), Limit::Bytes(8192)],
        }
    }

    fn place(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("scx_agent-journal-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir.join("memory.journal")
    }

    #[test]
    fn survives_the_process() {
        let path = place("survives");
        let mut j = Journal::load(&path).unwrap();
        assert_eq!(j.entries().count(), 0);
        j.note(entry(1)).unwrap();
        j.note(entry(2)).unwrap();
        let read = Journal::load(&path).unwrap();
        assert_eq!(read.entries().cloned().collect::<Vec<_>>(), [entry(1), entry(2)]);
        let raised = Raised { from: 0, to: 500 };
        j.note_oom(1, "agents/a", raised).unwrap();
        j.note_oom(1, "agents/a", raised).unwrap();
        assert_eq!(Journal::load(&path).unwrap().oom().next().unwrap().given, [raised]);
        let place = Place { cgroup: "agents/a".into(), id: 1 };
        for change in [Change::Frozen, Change::Divided] {
            j.note_place(change, place.clone()).unwrap();
        }
        let read = Journal::load(&path).unwrap();
        assert_eq!(read.places(Change::Frozen).collect::<Vec<_>>(), [&place]);
        assert_eq!(read.places(Change::Divided).collect::<Vec<_>>(), [&place]);
        j.forget(1).unwrap();
        j.forget(2).unwrap();
        j.forget_place(Change::Frozen, 1).unwrap();
        j.forget_place(Change::Divided, 1).unwrap();
        assert!(path.exists());
        j.forget_oom(1).unwrap();
        assert!(!path.exists(), "nothing to put back, no file");
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_failed_write_changes_nothing() {
        let path = place("fails");
        let mut j = Journal::load(&path).unwrap();
        j.note(entry(1)).unwrap();
        fs::create_dir(path.with_extension("new")).unwrap(); // the new file cannot be made
        let e = j.note(entry(2)).unwrap_err();
        assert!(e.to_string().contains("memory.journal"), "{e:#}");
        assert_eq!(j.entries().count(), 1);
        j.note_oom(1, "agents/a", Raised { from: 0, to: 500 }).unwrap_err();
        assert_eq!(j.oom().count(), 0);
        j.note_place(Change::Frozen, Place { cgroup: "agents/a".into(), id: 1 }).unwrap_err();
        assert_eq!(j.places(Change::Frozen).count(), 0);
        assert_eq!(Journal::load(&path).unwrap().entries().count(), 1);
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn what_is_no_journal_is_refused_by_name() {
        let path = place("junk");
        for junk in ["", "{", "{\"version\":1}", "{\"version\":2,\"pid\":1,\"memory_high\":[]}", "\u{0}\u{1}"]
        {
            fs::write(&path, junk).unwrap();
            let e = Journal::load(&path).unwrap_err();
            assert!(e.to_string().contains("memory.journal"), "{junk:?}: {e:#}");
        }
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
