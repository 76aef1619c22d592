// SPDX-License-Identifier: GPL-2.0-only
//! What must be so before anything is loaded, each with one sentence on what to do.

use anyhow::bail;
use std::path::Path;

const SCHED_EXT: &str = "sched_ext";
const KERNEL_CONFIG: &str = "kernel configuration";

/// Where the kernel's files are; another root in tests.
pub struct Host<'a> {
    pub root: &'a Path,
    pub euid: u32,
    pub release: String,
}

impl Host<'static> {
    /// The machine we run on.
    pub fn this() -> Self {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        // SAFETY: geteuid() cannot fail and touches no memory.
        Host { root: Path::new("/"), euid: unsafe { libc::geteuid() }, release: release.trim().into() }
    }
}

impl Host<'_> {
    fn has(&self, path: &str) -> bool {
        self.root.join(path.trim_start_matches('/')).exists()
    }

    /// A file as text, empty if it cannot be read.
    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path.trim_start_matches('/'))).unwrap_or_default()
    }

    /// Checks everything the scheduler needs of this host, or with `no_sched` what its memory half
    /// needs; nothing is changed.
    ///
    /// # Errors
    /// The first thing that is missing, and what to do about it.
    pub fn check(&self, no_sched: bool) -> anyhow::Result<()> {
        if self.euid != 0 {
            bail!("loading programs into the kernel needs root; run it with sudo");
        }
        for need in self.needs().into_iter().filter(|n| n.for_memory || !no_sched) {
            need.found.map_err(anyhow::Error::msg)?;
        }
        if no_sched {
            return Ok(());
        }
        if let Some((state, ops)) = self.loaded() {
            bail!(
                "another sched_ext scheduler is loaded ({ops}, state {state}); stop it first, for example with \
                 `systemctl stop scx scx_loader`"
            );
        }
        Ok(())
    }

    /// Why nothing can be scheduled on this kernel, where all that is needed to manage memory is there;
    /// else None.
    pub fn only_memory(&self) -> Option<String> {
        let needs = self.needs();
        let managed = self.euid == 0 && needs.iter().all(|n| !n.for_memory || n.found.is_ok());
        let sched_ext = needs.into_iter().find(|n| n.name == SCHED_EXT)?;
        sched_ext.found.err().filter(|_| managed)
    }

    /// The state and the name of the sched_ext scheduler that is loaded now.
    pub fn loaded(&self) -> Option<(String, String)> {
        let state = self.read("/sys/kernel/sched_ext/state").trim().to_string();
        let ops = self.read("/sys/kernel/sched_ext/root/ops").trim().to_string();
        (state != "disabled").then_some((state, ops))
    }

    /// What there must be on the host.
    pub fn needs(&self) -> Vec<Need> {
        let need = |name, there: bool, ok: &str, missing: String| Need {
            name,
            for_memory: !matches!(name, SCHED_EXT | KERNEL_CONFIG),
            found: if there { Ok(ok.into()) } else { Err(missing) },
        };
        let config = format!("/boot/config-{}", self.release);
        vec![
            need(
                SCHED_EXT,
                self.has("/sys/kernel/sched_ext/state"),
                "schedulers can be loaded",
                format!(
                    "kernel {} has no sched_ext (CONFIG_SCHED_CLASS_EXT); boot a kernel 6.16 or newer that has it, \
                     such as Debian's backports or Ubuntu 25.10, or try it in a VM with scripts/demo",
                    self.release
                ),
            ),
            need(
                "BTF",
                self.has("/sys/kernel/btf/vmlinux"),
                "the kernel describes its types",
                "/sys/kernel/btf/vmlinux is not there; boot a kernel with CONFIG_DEBUG_INFO_BTF".into(),
            ),
            need(
                KERNEL_CONFIG,
                self.has(&config) || self.has("/proc/config.gz"),
                "loaders can read it",
                format!(
                    "neither {config} nor /proc/config.gz is there, and no sched_ext scheduler loads without the \
                     kernel's configuration; install the file of this kernel's package or `modprobe configs`"
                ),
            ),
            need(
                "cgroup v2",
                self.has("/sys/fs/cgroup/cgroup.controllers"),
                "agents are its cgroups",
                "/sys/fs/cgroup is not a cgroup v2 mount; boot with systemd.unified_cgroup_hierarchy=1".into(),
            ),
        ]
    }
}

/// One thing that the scheduler needs.
#[derive(Debug)]
pub struct Need {
    pub name: &'static str,
    /// The memory half alone needs it, too.
    pub for_memory: bool,
    /// What it is for; or what is missing, and what to do about it.
    pub found: Result<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A host with everything, under a directory of its own.
    fn host(name: &str) -> std::path::PathBuf {
        let root = std::env::temp_dir().join(format!("scx_agent-host-{name}-{}", std::process::id()));
        for (path, text) in [
            ("sys/kernel/sched_ext/state", "disabled\n"),
            ("sys/kernel/btf/vmlinux", ""),
            ("boot/config-7.0", ""),
            ("sys/fs/cgroup/cgroup.controllers", "cpu memory\n"),
        ] {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), text).unwrap();
        }
        root
    }

    fn check(root: &Path, euid: u32) -> anyhow::Result<()> {
        Host { root, euid, release: "7.0".into() }.check(false)
    }

    #[test]
    fn each_missing_thing_is_named() {
        let root = host("missing");
        check(&root, 0).unwrap();
        assert!(check(&root, 1000).unwrap_err().to_string().contains("sudo"));
        for (path, word) in [
            ("sys/fs/cgroup/cgroup.controllers", "cgroup v2"),
            ("boot/config-7.0", "/boot/config-7.0"),
            ("sys/kernel/btf/vmlinux", "BTF"),
            ("sys/kernel/sched_ext/state", "no sched_ext"),
        ] {
            fs::remove_file(root.join(path)).unwrap();
            let e = check(&root, 0).unwrap_err().to_string();
            assert!(e.contains(word), "{e}");
        }
        let alone = |root: &Path| Host { root, euid: 0, release: "7.0".into() }.check(true);
        let only = |root: &Path| Host { root, euid: 0, release: "7.0".into() }.only_memory();
        assert!(alone(&root).unwrap_err().to_string().contains("BTF"));
        assert_eq!(only(&root), None, "not even that");
        for path in ["sys/fs/cgroup/cgroup.controllers", "sys/kernel/btf/vmlinux"] {
            fs::write(root.join(path), "").unwrap();
        }
        alone(&root).unwrap();
        assert!(only(&root).unwrap().contains("no sched_ext"));
        assert_eq!(Host { root: &root, euid: 1000, release: "7.0".into() }.only_memory(), None);
        fs::write(root.join("sys/kernel/sched_ext/state"), "").unwrap();
        assert_eq!(only(&root), None, "what is missing can be installed");
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_loaded_scheduler_is_named() {
        let root = host("loaded");
        fs::write(root.join("sys/kernel/sched_ext/state"), "enabled\n").unwrap();
        fs::create_dir_all(root.join("sys/kernel/sched_ext/root")).unwrap();
        fs::write(root.join("sys/kernel/sched_ext/root/ops"), "lavd_1.0\n").unwrap();
        assert!(check(&root, 0).unwrap_err().to_string().contains("lavd_1.0"));
        fs::remove_dir_all(root).unwrap();
    }
}
