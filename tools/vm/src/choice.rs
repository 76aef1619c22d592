// SPDX-License-Identifier: GPL-2.0-only
//! Which kernel to boot, as a user writes it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The kernel to boot. Written as a suite (`sid`, `trixie-backports`: that suite's newest cloud
/// kernel), as a release or the beginning of one (`6.18`, `7.2.13+deb14`: the newest that matches),
/// as a package name (`linux-image-6.18.15+deb13-cloud-amd64`), or as the path of a folder, with a
/// slash (`./kernel`), for one that somebody has built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelChoice {
    /// The cloud kernel that a Debian suite offers now.
    Suite(String),
    /// The newest cloud kernel of the known suites whose release begins with this.
    Release(String),
    /// An exact binary package.
    Package(String),
    /// A folder with `vmlinuz`, `config`, and the release in `release`. It has no modules, and no image
    /// for the lock-step mode.
    Folder(PathBuf),
}

const NEITHER: &str = "neither a suite, a kernel release, a package name nor the path of a folder";

/// Suites in which releases and packages are looked for.
const RELEASE_SUITES: [&str; 2] = ["trixie-backports", "sid"];

impl KernelChoice {
    /// The Debian suites whose package index can hold this kernel.
    pub(crate) fn suites(&self) -> Vec<&str> {
        match self {
            Self::Suite(suite) => vec![suite],
            Self::Release(_) | Self::Package(_) => RELEASE_SUITES.to_vec(),
            Self::Folder(_) => Vec::new(),
        }
    }
}

impl Default for KernelChoice {
    fn default() -> Self {
        Self::Suite("sid".into())
    }
}

impl fmt::Display for KernelChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suite(s) | Self::Release(s) | Self::Package(s) => f.write_str(s),
            Self::Folder(path) => path.display().fmt(f),
        }
    }
}

impl FromStr for KernelChoice {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        if s.contains('/') {
            return Ok(Self::Folder(s.into()));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "+-.~_".contains(c);
        if s.is_empty() || !s.chars().all(plain) {
            return Err(format!("{s:?} is {NEITHER}"));
        }
        if s.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(Self::Release(s.into()));
        }
        if s.starts_with("linux-") {
            return if release_of_package(s).is_some() {
                Ok(Self::Package(s.into()))
            } else {
                Err(format!("{s:?}: expected a linux-image-* or linux-binary-* package of amd64"))
            };
        }
        if s.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Ok(Self::Suite(s.into()));
        }
        Err(format!("{s:?} is {NEITHER}"))
    }
}

/// The kernel release (`uname -r`) that a package holds, from its name.
pub(crate) fn release_of_package(package: &str) -> Option<&str> {
    let rest = package.strip_prefix("linux-image-").or_else(|| package.strip_prefix("linux-binary-"))?;
    let rest = rest.strip_prefix("unsigned-").unwrap_or(rest);
    let rest = rest.strip_suffix("-unsigned").unwrap_or(rest);
    (rest.starts_with(|c: char| c.is_ascii_digit()) && rest.ends_with("-amd64")).then_some(rest)
}

/// A release's numbers, for ordering: `6.18.15+deb13-cloud-amd64` is 6, 18, 15, 13, 64.
pub(crate) fn release_key(release: &str) -> Vec<u32> {
    release.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect()
}

/// True if `release` is, or begins with the whole numbers of, `wanted` (6.1 does not match 6.18).
pub(crate) fn release_matches(release: &str, wanted: &str) -> bool {
    release.strip_prefix(wanted).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices() {
        let parse = |s: &str| s.parse::<KernelChoice>();
        assert_eq!(parse("sid"), Ok(KernelChoice::default()));
        assert_eq!(parse("trixie-backports"), Ok(KernelChoice::Suite("trixie-backports".into())));
        assert_eq!(parse("6.18"), Ok(KernelChoice::Release("6.18".into())));
        let package = "linux-image-6.18.15+deb13-cloud-amd64";
        assert_eq!(parse(package), Ok(KernelChoice::Package(package.into())));
        assert_eq!(parse("./x"), Ok(KernelChoice::Folder("./x".into())));
        for bad in ["", "sid main", "linux-headers-6.1-amd64", "Sid"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn releases() {
        assert_eq!(release_of_package("linux-image-6.12.1-cloud-amd64-unsigned"), Some("6.12.1-cloud-amd64"));
        assert_eq!(release_of_package("linux-image-cloud-amd64"), None);
        assert!(release_key("6.9.1-amd64") < release_key("6.18.0-amd64"));
        assert!(release_matches("6.18.15+deb13-cloud-amd64", "6.18"));
        assert!(!release_matches("6.18.15+deb13-cloud-amd64", "6.1"));
    }
}
