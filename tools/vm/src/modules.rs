// SPDX-License-Identifier: GPL-2.0-only
//! Kernel modules for the guest (zram, say): from the kernel's own package, with what they depend
//! on, in the order of loading.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context, Result};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection};

use crate::apt::Apt;
use crate::cache::Cache;
use crate::choice::KernelChoice;
use crate::prepare::Prepared;

/// A module as the guest loads it.
pub(crate) struct Module {
    pub name: String,
    pub elf: Vec<u8>,
}

/// The modules `wanted` and those they depend on, each after what it needs. Downloads the kernel's
/// modules if the cache does not have them.
pub(crate) fn modules(
    kernel: &KernelChoice,
    prepared: &Prepared,
    wanted: &[String],
    progress: impl FnMut(&str),
) -> Result<Vec<Module>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let dir = bring(kernel, &prepared.release, progress)?;
    let mut files = BTreeMap::new();
    find(&dir, &mut files)?;
    let mut loaded = Vec::new();
    for name in wanted {
        load(&name.replace('-', "_"), &files, &prepared.busybox, &mut loaded)
            .with_context(|| format!("module {name} of {}", prepared.release))?;
    }
    Ok(loaded)
}

/// The folder of a release's modules in the cache.
fn bring(kernel: &KernelChoice, release: &str, mut progress: impl FnMut(&str)) -> Result<PathBuf> {
    let cache = Cache::open()?;
    let place = Path::new("modules").join(release);
    if cache.path(&place).exists() {
        return Ok(cache.path(place));
    }
    let lock = cache.lock(|| progress("waiting for another agentvm that uses the cache"))?;
    if cache.path(&place).exists() {
        return Ok(cache.path(place));
    }
    let suites = kernel.suites();
    let apt = Apt::new(cache.path("apt").join(suites.join("+")), &suites)?;
    progress(&format!("fetching the package index of {}", suites.join(" and ")));
    apt.update()?;
    // Since 6.19 modules have a package of their own.
    let candidates = ["linux-modules-", "linux-image-"].map(|prefix| format!("{prefix}{release}"));
    let names = apt.names("linux-")?;
    let Some(package) = candidates.into_iter().find(|c| names.contains(c)) else {
        bail!("the mirror has no modules of {release} any more: try `agentvm prepare --update`");
    };
    progress(&format!("downloading {package}"));
    cache.fill_dir(place, &lock, |dir| apt.unpack(&[package], dir))
}

/// All module files below `dir`, by module name.
fn find(dir: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            find(&path, files)?;
        } else if let Some((name, _)) = entry.file_name().to_string_lossy().split_once(".ko") {
            files.insert(name.replace('-', "_"), path);
        }
    }
    Ok(())
}

/// Appends a module to `loaded`, after those it depends on.
fn load(
    name: &str,
    files: &BTreeMap<String, PathBuf>,
    busybox: &Path,
    loaded: &mut Vec<Module>,
) -> Result<()> {
    if loaded.iter().any(|m| m.name == name) {
        return Ok(());
    }
    let path = files.get(name).with_context(|| format!("there is no module {name} in its package"))?;
    let elf = match path.extension().and_then(|e| e.to_str()) {
        Some("xz") => unpack_xz(path, busybox)?,
        _ => fs::read(path).with_context(|| format!("cannot read {}", path.display()))?,
    };
    for needed in depends(&elf).with_context(|| format!("cannot read {}", path.display()))? {
        load(&needed, files, busybox, loaded)?;
    }
    loaded.push(Module { name: name.to_owned(), elf });
    Ok(())
}

fn unpack_xz(path: &Path, busybox: &Path) -> Result<Vec<u8>> {
    let output = Command::new(busybox)
        .arg("xzcat")
        .arg(path)
        .output()
        .with_context(|| format!("cannot run {}", busybox.display()))?;
    if !output.status.success() {
        bail!("cannot decompress {}: {}", path.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

/// What a module says it depends on.
fn depends(elf: &[u8]) -> Result<Vec<String>> {
    let file: ElfFile64 = ElfFile64::parse(elf)?;
    let info = file.section_by_name(".modinfo").context("not a kernel module")?.data()?;
    Ok(parse_depends(info))
}

/// The names in the `depends=a,b` string of a .modinfo section.
fn parse_depends(info: &[u8]) -> Vec<String> {
    info.split(|b| *b == 0)
        .filter_map(|s| s.strip_prefix(b"depends="))
        .flat_map(|list| list.split(|b| *b == b','))
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).replace('-', "_"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modinfo() {
        assert_eq!(parse_depends(b"name=zram\0depends=lz4-hc,842\0x=y\0"), ["lz4_hc", "842"]);
        assert_eq!(parse_depends(b"depends=\0name=a\0"), [""; 0]);
    }
}
