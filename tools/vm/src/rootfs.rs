// SPDX-License-Identifier: GPL-2.0-only
//! A small Debian system with systemd, as debootstrap would make it, without needing root: apt says
//! which packages, `dpkg -x` unpacks them here, and dpkg installs them in a guest, once per cache.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};

use crate::apt::Apt;
use crate::cache::Cache;
use crate::guest::Guest;
use crate::prepare::{Prepared, TOOLS_SUITE};

/// What the system consists of, beside Debian's essential packages and all that these need.
const PACKAGES: [&str; 5] = ["?essential", "systemd-sysv", "procps", "libelf1t64", "zlib1g"];
/// Taken out of the guest's way: no use there, and half of the size.
const UNUSED: [&str; 5] = ["doc", "man", "locale", "info", "i18n"];
const DEBS: &str = "var/cache/apt/archives";

/// Installs what is unpacked in /target.
const SECOND_STAGE: &str = "t=/target
mount -t proc proc $t/proc && mount --bind /dev $t/dev || exit
chroot $t /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive \
	sh -c 'dpkg --force-depends --install /var/cache/apt/archives/*.deb' >/out/log 2>&1
status=$?
[ $status = 0 ] || tail -n 20 /out/log
umount $t/dev $t/proc
rm -f $t/var/cache/apt/archives/*.deb $t/var/log/*.log
cp -a $t /out/root
exit $status
";

/// A folder of the cache in which `packages` of the guests' Debian system are unpacked, with all that they need and it
/// does not have; they are not installed. Downloaded if it is not there.
///
/// # Errors
/// Without a cache folder or a Debian mirror, or if that has no such packages.
pub fn packages(packages: &[&str], mut progress: impl FnMut(&str)) -> Result<PathBuf> {
    let cache = Cache::open()?;
    let place = Path::new("packages").join(TOOLS_SUITE).join(packages.join("+"));
    if cache.path(&place).exists() {
        return Ok(cache.path(place));
    }
    let lock = cache.lock(|| progress("waiting for another agentvm that uses the cache"))?;
    progress(&format!("downloading {}", packages.join(" ")));
    let apt = Apt::new(cache.path("apt").join(TOOLS_SUITE), &[TOOLS_SUITE])?;
    apt.update()?;
    let own = apt.closure(&PACKAGES)?;
    cache.fill_dir(place, &lock, |dir| {
        apt.unpack_closure(packages, dir, None, |p| !own.iter().any(|o| o == p))?;
        remove_unused(dir)
    })
}

/// The system's folder in the cache; made if it is not there, which takes some minutes.
pub(crate) fn bring(prepared: &Prepared, mut progress: impl FnMut(&str)) -> Result<PathBuf> {
    let cache = Cache::open()?;
    let place = Path::new("roots").join(TOOLS_SUITE);
    if cache.path(&place).exists() {
        return Ok(cache.path(place));
    }
    let lock = cache.lock(|| progress("waiting for another agentvm that uses the cache"))?;
    if cache.path(&place).exists() {
        return Ok(cache.path(place));
    }
    let work = tempfile::tempdir().context("cannot create a folder for the Debian system")?;
    let target = work.path().join("target");
    progress(&format!("downloading a small Debian {TOOLS_SUITE} (40 MB)"));
    let apt = Apt::new(cache.path("apt").join(TOOLS_SUITE), &[TOOLS_SUITE])?;
    apt.update()?;
    apt.unpack_closure(&PACKAGES, &target, Some(Path::new(DEBS)), |_| true)?;
    first_stage(&target)?;
    progress("installing it in a guest (some minutes)");
    let guest = Guest {
        mem: "3G".into(),
        files: vec![(target, "/target".into())],
        command: SECOND_STAGE.into(),
        ..Guest::default()
    };
    let out = work.path().join("out");
    let mut console = String::new();
    let outcome = guest.run_prepared(prepared, &out, |line| console = format!("{console}{line}\n"))?;
    ensure!(outcome.status == 0, "dpkg could not install a Debian system in a guest:\n{console}");
    cache.fill_dir(place, &lock, |dir| copy(&out.join("root"), dir))
}

/// What dpkg wants to find, and less of what nobody reads.
fn first_stage(target: &Path) -> Result<()> {
    let told = || format!("{}", target.display());
    remove_unused(target)?;
    for dir in ["info", "updates"] {
        fs::create_dir_all(target.join("var/lib/dpkg").join(dir)).with_context(told)?;
    }
    let excluded: String = UNUSED.iter().map(|u| format!("path-exclude=/usr/share/{u}/*\n")).collect();
    for (path, text) in [
        ("var/lib/dpkg/status", String::new()),
        ("var/lib/dpkg/available", String::new()),
        ("etc/dpkg/dpkg.cfg.d/agentvm", format!("force-unsafe-io\n{excluded}")),
    ] {
        fs::write(target.join(path), text).with_context(told)?;
    }
    Ok(())
}

fn remove_unused(target: &Path) -> Result<()> {
    for unused in UNUSED {
        let dir = target.join("usr/share").join(unused);
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("{}", dir.display()))?;
        }
    }
    Ok(())
}

/// Copies a folder, links as links, modes as they are.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("{}", from.display()))? {
        let entry = entry?;
        let (source, place, kind) = (entry.path(), to.join(entry.file_name()), entry.file_type()?);
        let told = || format!("{}", place.display());
        if kind.is_dir() {
            fs::create_dir(&place).with_context(told)?;
            copy(&source, &place)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, &place).with_context(told)?;
        } else if kind.is_file() {
            fs::copy(&source, &place).with_context(told)?;
        }
    }
    Ok(())
}
