// SPDX-License-Identifier: GPL-2.0-only
//! Where prepared kernels and the emulator are kept, and how they get there whole: everything is
//! made beside its place and renamed into it, under one lock per cache.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};

/// What the names of unfinished folders begin with.
pub(crate) const PARTIAL: &str = ".partial-";

/// The cache's folder for virtual machines.
pub(crate) struct Cache {
    root: PathBuf,
}

/// Holds the cache for one writer; the lock goes with it.
pub(crate) struct Lock {
    _file: File,
}

impl Cache {
    /// The cache the environment names: `$SCX_AGENT_CACHE`, `$XDG_CACHE_HOME/scx_agent`, or
    /// `~/.cache/scx_agent`.
    pub fn open() -> Result<Self> {
        let Some(base) = base(|name| std::env::var_os(name)) else {
            bail!("no cache folder: set SCX_AGENT_CACHE, XDG_CACHE_HOME or HOME");
        };
        let root = std::path::absolute(&base)
            .with_context(|| format!("cache folder {}", base.display()))?
            .join("vm");
        fs::create_dir_all(&root).with_context(|| {
            format!("cannot create the cache {} (SCX_AGENT_CACHE names another)", root.display())
        })?;
        Ok(Self { root })
    }

    /// A path inside the cache.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// Waits until no other process prepares this cache. `waiting` is called once if that takes time.
    pub fn lock(&self, waiting: impl FnOnce()) -> Result<Lock> {
        let path = self.path("lock");
        let file = File::create(&path).with_context(|| format!("{}", path.display()))?;
        if file.try_lock().is_err() {
            waiting();
            file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Ok(Lock { _file: file })
    }

    /// Fills `relative` (a folder) with what `fill` puts into the folder it is given; all or nothing.
    /// A former folder of that name is replaced.
    pub fn fill_dir(
        &self,
        relative: impl AsRef<Path>,
        _lock: &Lock,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let place = self.path(relative);
        let parent = place.parent().unwrap_or(&self.root).to_path_buf();
        fs::create_dir_all(&parent).with_context(|| format!("{}", parent.display()))?;
        let temp = tempfile::Builder::new()
            .prefix(PARTIAL)
            .tempdir_in(&parent)
            .with_context(|| format!("cannot write in {}", parent.display()))?;
        fill(temp.path())?;
        if place.exists() {
            fs::remove_dir_all(&place).with_context(|| format!("{}", place.display()))?;
        }
        fs::rename(temp.path(), &place).with_context(|| format!("{}", place.display()))?;
        let _ = temp.keep(); // it is `place` now
        Ok(place)
    }

    /// Writes a small text file, all or nothing.
    pub fn write(&self, relative: impl AsRef<Path>, _lock: &Lock, text: &str) -> Result<()> {
        let place = self.path(relative);
        let parent = place.parent().unwrap_or(&self.root);
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(parent)?;
            let temp = tempfile::NamedTempFile::new_in(parent)?;
            fs::write(temp.path(), text)?;
            temp.persist(&place)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write {}", place.display()))
    }

    /// Removes what interrupted runs left beside finished folders.
    pub fn remove_leftovers(&self, _lock: &Lock) {
        let indexes = fs::read_dir(self.path("apt")).into_iter().flatten().flatten();
        let folders = [self.root.clone(), self.path("kernels")];
        for folder in folders.into_iter().chain(indexes.map(|e| e.path())) {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
                    let _ = fs::remove_dir_all(entry.path());
                }
            }
        }
    }
}

/// The project's cache folder under the given environment.
fn base(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let named = |name: &str| var(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    named("SCX_AGENT_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(|p| p.join("scx_agent")))
        .or_else(|| named("HOME").map(|p| p.join(".cache/scx_agent")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_folder_follows_the_environment() {
        let with = |set: &[(&str, &str)]| {
            let set: Vec<_> = set.iter().map(|(k, v)| (k.to_string(), OsString::from(v))).collect();
            base(move |name| set.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone()))
        };
        assert_eq!(with(&[("HOME", "/h")]), Some("/h/.cache/scx_agent".into()));
        assert_eq!(with(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), Some("/x/scx_agent".into()));
        assert_eq!(with(&[("SCX_AGENT_CACHE", "/c"), ("HOME", "/h")]), Some("/c".into()));
        assert_eq!(with(&[("HOME", "")]), None);
    }
}
