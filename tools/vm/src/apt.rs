// SPDX-License-Identifier: GPL-2.0-only
//! Debian packages, downloaded and unpacked without installing any: apt with a configuration of its
//! own. The one mirror is the machine's own; suites are verified with the Debian archive's key.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{bail, ensure, Context, Result};

use crate::cache::PARTIAL;
use crate::child::dies_with_us;

/// The variable that names a Debian mirror where the machine's apt has none.
const MIRROR_ENV: &str = "SCX_AGENT_DEBIAN_MIRROR";
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// Some suites of one Debian mirror.
pub(crate) struct Apt {
    dir: PathBuf,
    options: Vec<String>,
}

impl Apt {
    /// Writes a private configuration for `suites` into `dir`. Nothing is downloaded yet.
    pub fn new(dir: PathBuf, suites: &[&str]) -> Result<Self> {
        let mirror = mirror()?;
        let Some(keyring) = KEYRINGS.iter().find(|p| Path::new(p).exists()) else {
            bail!("no Debian archive key on this machine: install the package debian-archive-keyring");
        };
        for sub in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(sub)).with_context(|| format!("{}", dir.display()))?;
        }
        let sources = dir.join("sources.list");
        let lines: String = suites
            .iter()
            .map(|s| format!("deb [arch=amd64 signed-by={keyring}] {mirror} {s} main\n"))
            .collect();
        fs::write(&sources, lines).with_context(|| format!("{}", sources.display()))?;
        let status = dir.join("state/status"); // no package is installed, as far as this apt knows
        fs::write(&status, "").with_context(|| format!("{}", status.display()))?;
        let d = dir.display();
        let options = [
            format!("Dir::State={d}/state"),
            format!("Dir::State::status={d}/state/status"),
            format!("Dir::Cache={d}/cache"),
            format!("Dir::Etc::SourceList={d}/sources.list"),
            "Dir::Etc::SourceParts=/dev/null".into(),
            "Dir::Etc::Preferences=/dev/null".into(),
            "Dir::Etc::PreferencesParts=/dev/null".into(),
            "APT::Sandbox::User=root".into(),
            "APT::Architecture=amd64".into(),
            "APT::Architectures=amd64".into(),
            "Acquire::Languages=none".into(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".into(),
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false".into(),
        ]
        .into_iter()
        .map(|o| format!("-o{o}"))
        .collect();
        Ok(Self { dir, options })
    }

    /// Fetches the suites' package indexes.
    pub fn update(&self) -> Result<()> {
        self.apt("apt-get", &["update", "-qq", "--error-on=any"], None)
            .context("cannot fetch the package index of the Debian mirror")?;
        Ok(())
    }

    /// The names of all packages that begin with `prefix`.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let out = self.apt("apt-cache", &["pkgnames", prefix], None)?;
        let mut names: Vec<_> = out.lines().map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    /// What `package` in `suite` depends on directly.
    pub fn depends(&self, package: &str, suite: &str) -> Result<Vec<String>> {
        let out = self
            .apt("apt-cache", &["depends", &format!("{package}/{suite}")], None)
            .with_context(|| format!("suite {suite} has no package {package}"))?;
        Ok(parse_depends(&out))
    }

    /// Downloads `packages` alone and unpacks them into `to`.
    pub fn unpack(&self, packages: &[String], to: &Path) -> Result<()> {
        let debs = tempfile::Builder::new()
            .prefix(PARTIAL)
            .tempdir_in(&self.dir)
            .with_context(|| format!("{}", self.dir.display()))?;
        let mut args = vec!["download", "-qq"];
        args.extend(packages.iter().map(String::as_str));
        self.apt("apt-get", &args, Some(debs.path()))?;
        unpack_debs(debs.path(), to, |_| true)
    }

    /// Downloads `packages` with everything they depend on, and unpacks those packages of the whole
    /// that `wanted` names into `to`. The packages themselves go to `debs` below that, if it is given.
    pub fn unpack_closure(
        &self,
        packages: &[&str],
        to: &Path,
        debs: Option<&Path>,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let mut args = vec!["install", "-qq", "--yes", "--download-only", "--no-install-recommends"];
        args.extend(packages);
        self.apt("apt-get", &args, None)?;
        let archives = self.dir.join("cache/archives");
        unpack_debs(&archives, to, wanted)?;
        if let Some(debs) = debs.map(|d| to.join(d)) {
            fs::create_dir_all(&debs).with_context(|| format!("{}", debs.display()))?;
            for entry in fs::read_dir(&archives)?.flatten().filter(|e| e.path().is_file()) {
                fs::copy(entry.path(), debs.join(entry.file_name()))?;
            }
        }
        self.apt("apt-get", &["clean"], None)?;
        Ok(())
    }

    /// The names of `packages` and of everything they depend on.
    pub fn closure(&self, packages: &[&str]) -> Result<Vec<String>> {
        let mut args = vec!["install", "-qq", "--yes", "--simulate", "--no-install-recommends"];
        args.extend(packages);
        let out = self.apt("apt-get", &args, None)?;
        Ok(out
            .lines()
            .filter_map(|l| l.strip_prefix("Inst ")?.split(' ').next())
            .map(str::to_owned)
            .collect())
    }

    fn apt(&self, program: &str, args: &[&str], cwd: Option<&Path>) -> Result<String> {
        let mut command = Command::new(program);
        command.env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
        command.args(&self.options).args(args).current_dir(cwd.unwrap_or(&self.dir));
        output(command, "apt")
    }
}

/// Unpacks the packages of a folder whose names `wanted` accepts.
fn unpack_debs(debs: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let entries = fs::read_dir(debs).with_context(|| format!("{}", debs.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let package = name.split('_').next().unwrap_or_default();
        if name.ends_with(".deb") && wanted(package) {
            let mut command = Command::new("dpkg");
            command.arg("-x").arg(&path).arg(to);
            output(command, "dpkg")?;
        }
    }
    Ok(())
}

/// Runs a command for its output; `package` is what to install when it is not there.
pub(crate) fn output(mut command: Command, package: &str) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    dies_with_us(&mut command, libc::SIGTERM);
    let Output { status, stdout, stderr } =
        command.output().with_context(|| format!("cannot run {program}: install the package {package}"))?;
    if !status.success() {
        let args: Vec<_> =
            command.get_args().map(|a| a.to_string_lossy()).filter(|a| !a.starts_with("-o")).collect();
        let stderr = String::from_utf8_lossy(&stderr);
        bail!("{program} {}: {status}: {}", args.join(" "), stderr.trim());
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

/// The Debian mirror: the one the environment names, else the one the machine's apt uses.
fn mirror() -> Result<String> {
    if let Some(named) = std::env::var(MIRROR_ENV).ok().filter(|v| !v.is_empty()) {
        ensure!(
            !named.chars().any(char::is_whitespace),
            "{MIRROR_ENV}={named:?} is not the address of a mirror"
        );
        return Ok(named);
    }
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(REPO_URI)|$(ORIGIN)|$(LABEL)", "Created-By: Packages"]);
    let targets = output(command, "apt (this needs a Debian or Ubuntu machine)")?;
    parse_mirror(&targets).with_context(|| {
        format!(
            "this machine's apt knows no Debian mirror: on Debian run `apt-get update` once; \
             on Ubuntu set {MIRROR_ENV} to a mirror's address and install debian-archive-keyring"
        )
    })
}

/// The first address in apt's list of index targets whose origin and label are Debian's main archive.
fn parse_mirror(targets: &str) -> Option<String> {
    targets.lines().find_map(|line| {
        let mut fields = line.split('|');
        let uri = fields.next()?;
        (fields.next()? == "Debian" && fields.next()? == "Debian").then(|| uri.to_owned())
    })
}

/// The plain dependencies in the output of `apt-cache depends`.
fn parse_depends(out: &str) -> Vec<String> {
    out.lines()
        .filter_map(|l| l.trim_start().trim_start_matches('|').strip_prefix("Depends: "))
        .map(|name| name.trim().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_archive_is_the_mirror() {
        let targets = "http://s.example/debian-security/|Debian|Debian-Security\n\
                       http://m.example/debian/|Debian|Debian\n";
        assert_eq!(parse_mirror(targets).as_deref(), Some("http://m.example/debian/"));
        assert_eq!(parse_mirror("http://u.example/ubuntu/|Ubuntu|Ubuntu\n"), None);
        assert_eq!(parse_mirror("http://u.example/debian/||\n"), None);
    }

    #[test]
    fn depends() {
        let out = "linux-image-cloud-amd64\n  Depends: linux-base-cloud-amd64\n |Depends: a\n  Breaks: b\n";
        assert_eq!(parse_depends(out), ["linux-base-cloud-amd64", "a"]);
    }
}
