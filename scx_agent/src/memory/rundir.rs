// SPDX-License-Identifier: GPL-2.0-only
//! /run/scx_agent: the journal, and a lock so that one daemon at a time changes knobs.

use anyhow::{bail, Context, Result};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the daemon keeps its state.
pub const RUN_DIR: &str = "/run/scx_agent";
/// How long to wait for the guard of a daemon that was killed: it has the lock while it restores.
const PATIENCE: Duration = Duration::from_secs(3);

/// The folder, locked until this is dropped.
#[derive(Debug)]
pub struct RunDir {
    dir: PathBuf,
    _lock: File,
}

impl RunDir {
    /// Makes and locks `dir`.
    ///
    /// # Errors
    /// Another daemon has it, or it cannot be made.
    pub fn lock(dir: &Path) -> Result<RunDir> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(own) = RunDir::try_lock(dir)? {
                return Ok(own);
            }
            if Instant::now() >= deadline {
                bail!("another scx_agent is running (it has {} locked); stop it first", dir.display());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// As [`RunDir::lock`], without waiting; None if another process has it.
    ///
    /// # Errors
    /// It cannot be made or locked.
    pub fn try_lock(dir: &Path) -> Result<Option<RunDir>> {
        make(dir)?;
        let path = dir.join("lock");
        let told = || format!("cannot lock {}", path.display());
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(told)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(RunDir { dir: dir.into(), _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(e).with_context(told),
        }
    }

    /// The journal's path.
    pub fn journal(&self) -> PathBuf {
        journal(&self.dir)
    }
}

/// Makes `dir` if it is not there. Everybody may go through it, to the tag socket, and nobody but
/// root may see or lock what else is there.
///
/// # Errors
/// It cannot be made.
pub fn make(dir: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o711).create(dir) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => {
            Err(e).with_context(|| format!("cannot make {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// The journal's path in `dir`.
pub fn journal(dir: &Path) -> PathBuf {
    dir.join("memory.journal")
}

/// True if `dir` holds a journal.
pub fn has_journal(dir: &Path) -> bool {
    fs::exists(journal(dir)).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let dir = std::env::temp_dir().join(format!("scx_agent-run-{}", std::process::id()));
        let first = RunDir::lock(&dir).unwrap();
        assert!(RunDir::try_lock(&dir).unwrap().is_none());
        let e = RunDir::lock(&dir).unwrap_err().to_string();
        assert!(e.contains("another scx_agent is running"), "{e}");
        drop(first);
        assert!(!has_journal(&dir));
        RunDir::lock(&dir).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        fs::write(&dir, "").unwrap();
        assert!(RunDir::lock(&dir).unwrap_err().to_string().contains("cannot lock"));
        fs::remove_file(&dir).unwrap();
    }
}
