// SPDX-License-Identifier: GPL-2.0-only
//! Brings a kernel, its lock-step image, QEMU and busybox into the cache. What is there stays as it
//! is: a suite's kernel changes only on [`update`].

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, ensure, Context, Result};

use crate::apt::{self, Apt};
use crate::cache::{Cache, Lock, PARTIAL};
use crate::choice::{release_key, release_matches, release_of_package, KernelChoice};
use crate::image;

/// The suite of QEMU, busybox and the system with systemd: a stable one, so that all machines simulate alike.
pub(crate) const TOOLS_SUITE: &str = "trixie";
/// Older ones hang in lock-step mode.
const QEMU_MIN: u32 = 10;
const QEMU: &str = "qemu-system-x86_64";
/// The package that depends on a suite's newest cloud kernel.
const META_PACKAGE: &str = "linux-image-cloud-amd64";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// A kernel that is ready to boot, and what boots it.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The kernel's release, as `uname -r` says it.
    pub release: String,
    /// The stock image.
    pub vmlinuz: PathBuf,
    /// The lock-step image (ELF).
    pub vmlinux_lockstep: PathBuf,
    /// The kernel's configuration file.
    pub config: PathBuf,
    /// A static busybox for the guest.
    pub busybox: PathBuf,
    /// The words that start QEMU, to be followed by its arguments.
    pub qemu: Vec<OsString>,
}

/// Makes `kernel` ready to boot. Quick if it is in the cache already; else downloads it, and says
/// with `progress` what takes time.
///
/// # Errors
/// Without a cache folder, a Debian mirror or the kernel wanted; the error says what to do.
pub fn prepare(kernel: &KernelChoice, progress: impl FnMut(&str)) -> Result<Prepared> {
    let cache = Cache::open()?;
    if let Some(ready) = ready(&cache, kernel)? {
        return Ok(ready);
    }
    bring(&cache, kernel, false, progress)
}

/// Like [`prepare`], but asks the mirror whether there is a newer kernel.
///
/// # Errors
/// As [`prepare`].
pub fn update(kernel: &KernelChoice, progress: impl FnMut(&str)) -> Result<Prepared> {
    bring(&Cache::open()?, kernel, true, progress)
}

/// Downloads `packages` of a Debian suite, with all that they depend on if `dependencies`, and unpacks
/// them in the folder `to`, which is made if it is not there. Nothing is installed.
///
/// # Errors
/// Without a cache folder or a Debian mirror, or if that has no such packages.
pub fn unpack(suite: &str, packages: &[String], dependencies: bool, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("{}", to.display()))?;
    let to = std::path::absolute(to).with_context(|| format!("{}", to.display()))?;
    let cache = Cache::open()?;
    let _lock = cache.lock(|| eprintln!("waiting for another agentvm that uses the same cache"))?;
    let apt = Apt::new(cache.path("apt").join(suite), &[suite])?;
    apt.update()?;
    if !dependencies {
        return apt.unpack(packages, &to);
    }
    let names: Vec<&str> = packages.iter().map(String::as_str).collect();
    apt.unpack_closure(&names, &to, None, |_| true)
}

/// What the cache holds for `kernel`, if that is everything.
fn ready(cache: &Cache, kernel: &KernelChoice) -> Result<Option<Prepared>> {
    let (release, dir) = match kernel {
        KernelChoice::Folder(dir) => (release_of_folder(dir)?, dir.clone()),
        _ => match fs::read_to_string(cache.path(choice_file(kernel))) {
            Ok(release) => (release.clone(), cache.path("kernels").join(release)),
            Err(_) => return Ok(None),
        },
    };
    let busybox = cache.path("busybox/usr/bin/busybox");
    let Some(qemu) = own_qemu().or_else(|| cached_qemu(cache)) else {
        return Ok(None);
    };
    if !dir.exists() || !busybox.exists() {
        return Ok(None);
    }
    Ok(Some(Prepared {
        release,
        vmlinuz: dir.join("vmlinuz"),
        vmlinux_lockstep: dir.join("vmlinux-lockstep"),
        config: dir.join("config"),
        busybox,
        qemu,
    }))
}

/// The release of a kernel that somebody has built.
fn release_of_folder(dir: &Path) -> Result<String> {
    for name in ["vmlinuz", "config", "release"] {
        let file = dir.join(name);
        ensure!(
            file.is_file(),
            "{} is not there: a folder with a kernel has vmlinuz, config and release",
            file.display()
        );
    }
    let file = dir.join("release");
    let text = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
    Ok(text.trim().to_owned())
}

fn bring(
    cache: &Cache,
    kernel: &KernelChoice,
    update: bool,
    mut progress: impl FnMut(&str),
) -> Result<Prepared> {
    let lock = cache.lock(|| progress("waiting for another agentvm that prepares the same cache"))?;
    if !update {
        if let Some(ready) = ready(cache, kernel)? {
            return Ok(ready); // the other one brought it
        }
    }
    cache.remove_leftovers(&lock);
    bring_tools(cache, &lock, &mut progress)?;
    if !matches!(kernel, KernelChoice::Folder(_)) {
        bring_kernel(cache, &lock, kernel, &mut progress)?;
    }
    ready(cache, kernel)?.with_context(|| format!("the cache {} lost files", cache.path("").display()))
}

fn choice_file(kernel: &KernelChoice) -> PathBuf {
    Path::new("choices").join(kernel.to_string())
}

fn bring_tools(cache: &Cache, lock: &Lock, progress: &mut impl FnMut(&str)) -> Result<()> {
    let busybox = !cache.path("busybox").exists();
    let qemu = own_qemu().is_none() && cached_qemu(cache).is_none();
    if !busybox && !qemu {
        return Ok(());
    }
    progress(&format!("fetching the package index of {TOOLS_SUITE}"));
    let apt = Apt::new(cache.path("apt").join(TOOLS_SUITE), &[TOOLS_SUITE])?;
    apt.update()?;
    if busybox {
        progress("downloading busybox (1 MB)");
        cache.fill_dir("busybox", lock, |dir| apt.unpack(&["busybox-static".into()], dir))?;
    }
    if qemu {
        progress("downloading QEMU and its libraries (40 MB)");
        cache.fill_dir("qemu", lock, |dir| {
            apt.unpack_closure(&["qemu-system-x86"], dir, None, is_part_of_qemu)?;
            for unused in ["usr/share/doc", "usr/share/man", "usr/bin/qemu-system-i386"] {
                let path = dir.join(unused);
                let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            }
            let version = qemu_version(&qemu_words(dir))?;
            ensure!(version >= QEMU_MIN, "{TOOLS_SUITE} has QEMU {version}, not {QEMU_MIN} or newer");
            Ok(())
        })?;
    }
    Ok(())
}

/// True if a package of QEMU's dependencies holds files it uses at run time.
fn is_part_of_qemu(package: &str) -> bool {
    package.starts_with("lib")
        || ["zlib1g", "seabios", "qemu-system-x86", "qemu-system-common", "qemu-system-data"]
            .contains(&package)
}

/// QEMU from the cache, if it is there.
fn cached_qemu(cache: &Cache) -> Option<Vec<OsString>> {
    let dir = cache.path("qemu");
    dir.exists().then(|| qemu_words(&dir))
}

/// QEMU unpacked in `dir`, run by the loader and with the libraries that came with it, so that it
/// runs on any distribution.
fn qemu_words(dir: &Path) -> Vec<OsString> {
    let libraries = dir.join(LIBRARIES);
    vec![
        libraries.join("ld-linux-x86-64.so.2").into(),
        "--library-path".into(),
        libraries.into(),
        dir.join("usr/bin").join(QEMU).into(),
        "-L".into(),
        dir.join("usr/share/qemu").into(),
        "-L".into(),
        dir.join("usr/share/seabios").into(),
    ]
}

/// The machine's own QEMU, if it is new enough.
fn own_qemu() -> Option<Vec<OsString>> {
    let words = vec![QEMU.into()];
    (qemu_version(&words).ok()? >= QEMU_MIN).then_some(words)
}

fn qemu_version(words: &[OsString]) -> Result<u32> {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg("--version");
    let text = apt::output(command, "qemu-system-x86")?;
    parse_qemu_version(&text).with_context(|| format!("QEMU says no version: {text:?}"))
}

fn parse_qemu_version(text: &str) -> Option<u32> {
    text.split_once("version ")?.1.split('.').next()?.parse().ok()
}

fn bring_kernel(
    cache: &Cache,
    lock: &Lock,
    kernel: &KernelChoice,
    progress: &mut impl FnMut(&str),
) -> Result<()> {
    let suites = kernel.suites();
    progress(&format!("fetching the package index of {}", suites.join(" and ")));
    let apt = Apt::new(cache.path("apt").join(suites.join("+")), &suites)?;
    apt.update()?;
    let names: BTreeSet<String> = apt.names("linux-")?.into_iter().collect();
    let (release, package) = choose(kernel, &names, &apt)?;
    if !cache.path("kernels").join(&release).exists() {
        let mut packages = vec![package];
        packages.extend(names.get(&format!("linux-base-{release}")).cloned());
        progress(&format!("downloading {}", packages.join(" ")));
        let temp = tempfile::Builder::new().prefix(PARTIAL).tempdir_in(cache.path(""))?;
        let (binary, base) = (temp.path().join("binary"), temp.path().join("base"));
        apt.unpack(&packages, &binary)?;
        let vmlinuz = file_of(&binary, &release, "vmlinuz")
            .with_context(|| format!("{} holds no kernel image", packages[0]))?;
        let config = match file_of(&binary, &release, "config") {
            Some(config) => config,
            None => {
                let neighbour = neighbour(&release, &names)
                    .with_context(|| format!("no package holds the configuration of {release}"))?;
                progress(&format!("{release} has no configuration; using that of {neighbour}"));
                apt.unpack(&[format!("linux-base-{neighbour}")], &base)?;
                file_of(&base, &neighbour, "config").context("linux-base holds no configuration")?
            }
        };
        progress("making the lock-step image");
        cache
            .fill_dir(Path::new("kernels").join(&release), lock, |dir| {
                let image = fs::read(&vmlinuz).with_context(|| format!("{}", vmlinuz.display()))?;
                let mut elf = image::extract_vmlinux(&image)?;
                let count = image::patch_kernel(&mut elf)?;
                progress(&format!("{count} PAUSE instructions replaced"));
                fs::write(dir.join("vmlinux-lockstep"), elf)?;
                fs::copy(&vmlinuz, dir.join("vmlinuz"))?;
                fs::copy(&config, dir.join("config"))?;
                Ok(())
            })
            .with_context(|| format!("cannot prepare kernel {release}"))?;
    }
    cache.write(choice_file(kernel), lock, &release)
}

/// The release that `kernel` means in this index, and the package that holds its image.
fn choose(kernel: &KernelChoice, names: &BTreeSet<String>, apt: &Apt) -> Result<(String, String)> {
    let release = match kernel {
        KernelChoice::Suite(suite) => apt
            .depends(META_PACKAGE, suite)?
            .iter()
            .find_map(|p| release_of_package(p))
            .with_context(|| format!("{META_PACKAGE} of {suite} depends on no kernel image"))?
            .to_owned(),
        KernelChoice::Release(wanted) => newest(wanted, names)
            .with_context(|| format!("no cloud kernel {wanted} in {}", kernel.suites().join(" or ")))?,
        KernelChoice::Package(package) => {
            release_of_package(package).context("not a kernel package")?.to_owned()
        }
        KernelChoice::Folder(dir) => release_of_folder(dir)?,
    };
    let mut candidates = vec![format!("linux-binary-{release}"), format!("linux-image-{release}")];
    if let KernelChoice::Package(package) = kernel {
        if package.contains("unsigned") {
            candidates.insert(0, package.clone());
        }
    }
    let Some(package) = candidates.into_iter().find(|c| names.contains(c)) else {
        bail!("the mirror has no kernel package for {kernel} in {}", kernel.suites().join(" or "));
    };
    Ok((release, package))
}

/// The newest cloud kernel whose release matches `wanted`.
fn newest(wanted: &str, names: &BTreeSet<String>) -> Option<String> {
    names
        .iter()
        .filter(|n| n.ends_with("-cloud-amd64") && !n.contains("unsigned"))
        .filter_map(|n| release_of_package(n))
        .filter(|r| release_matches(r, wanted))
        .max_by_key(|r| release_key(r))
        .map(str::to_owned)
}

/// The release nearest to `release`, the next one up if there is, whose configuration has a package.
fn neighbour(release: &str, names: &BTreeSet<String>) -> Option<String> {
    let key = release_key(release);
    let mut others: Vec<&str> = names
        .iter()
        .filter_map(|n| n.strip_prefix("linux-base-"))
        .filter(|r| r.ends_with("-cloud-amd64") && r.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    others.sort_by_key(|r| release_key(r));
    let next = others.iter().find(|r| release_key(r) > key);
    next.or(others.last()).map(|r| (*r).to_owned())
}

/// A kernel's file in an unpacked package: beside its modules, or, before 6.19, in /boot.
fn file_of(root: &Path, release: &str, name: &str) -> Option<PathBuf> {
    let places = [
        root.join("usr/lib/modules").join(release).join(name),
        root.join("boot").join(format!("{name}-{release}")),
    ];
    places.into_iter().find(|p| p.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_ordered_by_number() {
        let names: BTreeSet<String> = [
            "linux-image-6.18.9+deb13-cloud-amd64",
            "linux-image-6.18.15+deb13-cloud-amd64",
            "linux-image-6.18.15+deb13-amd64",
            "linux-binary-unsigned-6.18.99+deb13-cloud-amd64",
            "linux-base-7.2.6+deb13-cloud-amd64",
            "linux-base-7.2.13+deb13-cloud-amd64",
            "linux-base-cloud-amd64",
        ]
        .map(str::to_owned)
        .into();
        assert_eq!(newest("6.18", &names).as_deref(), Some("6.18.15+deb13-cloud-amd64"));
        assert_eq!(newest("6.1", &names), None);
        assert_eq!(neighbour("7.0.4", &names).as_deref(), Some("7.2.6+deb13-cloud-amd64"));
        assert_eq!(neighbour("8.0", &names).as_deref(), Some("7.2.13+deb13-cloud-amd64"));
    }

    #[test]
    fn qemu_versions() {
        let text = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright";
        assert_eq!(parse_qemu_version(text), Some(10));
        assert_eq!(parse_qemu_version("nothing"), None);
    }
}
