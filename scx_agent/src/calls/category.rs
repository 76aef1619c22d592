// SPDX-License-Identifier: GPL-2.0-only
//! What kind of work a tool call is, told from its command line. The command line is whatever the
//! container wants it to be: the kind is shown, and decides which of an operator's time limits a call has.

use super::shell;
use serde::{Deserialize, Serialize};

/// What a tool call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    Test,
    Build,
    PackageInstall,
    Git,
    Search,
    Interpreter,
    Other,
}

impl Category {
    /// As it is shown and serialised.
    pub fn name(self) -> &'static str {
        match self {
            Category::Test => "test",
            Category::Build => "build",
            Category::PackageInstall => "package-install",
            Category::Git => "git",
            Category::Search => "search",
            Category::Interpreter => "interpreter",
            Category::Other => "other",
        }
    }
}

/// A category and the program that it was told from, such as `pytest`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    pub category: Category,
    /// Base name of the program, without its version.
    pub program: String,
}

/// Levels of wrappers (`sh -c`, `env`, `timeout`, ...) that are looked through.
const DEPTH: usize = 8;
/// Longest program name that is kept, in bytes.
const PROGRAM_MAX: usize = 32;

/// The category of a command line.
#[cfg(test)]
pub fn category<S: AsRef<str>>(argv: &[S]) -> Category {
    kind(argv).category
}

/// What a command line does. Of several commands in one shell line the one that says most counts:
/// a test, else a build, and so on in the order of [`Category`].
pub fn kind<S: AsRef<str>>(argv: &[S]) -> Kind {
    let argv: Vec<&str> = argv.iter().map(AsRef::as_ref).collect();
    kind_at(&argv, DEPTH)
}

fn kind_at(argv: &[&str], depth: usize) -> Kind {
    let argv = shell::unwrap(argv);
    let Some(first) = argv.first() else { return other("") };
    if depth > 0 {
        if let Some(script) = shell::script(argv) {
            let kinds = shell::commands(script).into_iter().map(|words| {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                kind_at(&words, depth - 1)
            });
            // The first of those that say most; noise such as `cd` says something only if all is noise.
            let best = kinds.min_by_key(|k| (is_noise(&k.program), k.category));
            return best.unwrap_or_else(|| other(&program(first)));
        }
    }
    let name = program(first);
    let category = of_program(&name, &argv[1..]);
    if let (Category::Interpreter, Some(inner)) = (category, script_program(&name, &argv[1..])) {
        let told = of_program(&inner.0, inner.1);
        if !matches!(told, Category::Other | Category::Interpreter) {
            return Kind { category: told, program: inner.0 };
        }
    }
    Kind { category, program: name }
}

fn other(program: &str) -> Kind {
    Kind { category: Category::Other, program: program.into() }
}

/// Shell commands that only set the stage.
fn is_noise(program: &str) -> bool {
    const NOISE: &[&str] = &[
        "", "cd", "pushd", "popd", "source", ".", "set", "export", "unset", "echo", "printf", "true",
        "false", ":", "pwd", "shopt", "ulimit", "umask", "trap", "wait", "exit", "return", "test", "[", "[[",
        "alias", "unalias", "local", "declare", "typeset", "readonly", "read", "shift", "sleep", "setopt",
        "unsetopt", "hash", "builtin",
    ];
    NOISE.contains(&program)
}

/// Base name of an executable, without a version (`python3.12` is `python`) or `.exe`.
pub fn program(path: &str) -> String {
    let base = path.rsplit('/').next().unwrap_or(path);
    // A login shell is called `-bash`.
    let base = base.strip_prefix('-').unwrap_or(base);
    let base = base.strip_suffix(".exe").unwrap_or(base);
    let bare = base.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    let bare = if bare.is_empty() { base } else { bare };
    let mut end = bare.len().min(PROGRAM_MAX);
    while !bare.is_char_boundary(end) {
        end -= 1;
    }
    bare[..end].to_string()
}

/// The program that an interpreter runs, with its arguments: of `python -m pytest x` and of
/// `node node_modules/.bin/jest x`.
fn script_program<'a>(interpreter: &str, args: &'a [&'a str]) -> Option<(String, &'a [&'a str])> {
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        match *arg {
            "-m" if interpreter.starts_with("python") || interpreter == "pypy" => {
                let module = args.get(at + 1)?;
                return Some((program(module.split('.').next()?), &args[at + 2..]));
            }
            // Code on the command line, or on standard input.
            "-c" | "-e" | "--eval" | "-p" | "-" => return None,
            "-X" | "-W" | "-r" | "--require" | "--import" | "--loader" => at += 2,
            a if a.starts_with('-') => at += 1,
            a => {
                let name = program(a);
                let name = [".py", ".js", ".mjs", ".cjs", ".ts", ".rb"]
                    .iter()
                    .find_map(|end| name.strip_suffix(end))
                    .unwrap_or(&name);
                let name = if name == "npm-cli" { "npm" } else { name };
                return Some((name.to_string(), &args[at + 1..]));
            }
        }
    }
    None
}

/// The first argument that is no option; of several `-C DIR`s and the like the values are skipped.
fn subcommand<'a>(args: &[&'a str]) -> &'a str {
    const WITH_VALUE: &[&str] = &[
        "-C",
        "-c",
        "-f",
        "-p",
        "--prefix",
        "--cwd",
        "--dir",
        "--directory",
        "--project",
        "--manifest-path",
    ];
    let mut skip = false;
    for a in args {
        match *a {
            _ if skip => skip = false,
            a if WITH_VALUE.contains(&a) => skip = true,
            // `cargo +nightly test`
            a if a.starts_with('-') || a.starts_with('+') => (),
            a => return a,
        }
    }
    ""
}

fn of_program(name: &str, args: &[&str]) -> Category {
    use Category::*;
    let sub = subcommand(args);
    match name {
        "pytest" | "py.test" | "tox" | "nox" | "unittest" | "nosetests" | "jest" | "vitest" | "mocha"
        | "ava" | "karma" | "cypress" | "playwright" | "rspec" | "phpunit" | "ctest" | "gotestsum"
        | "nextest" | "bats" | "runtests" | "prove" | "behave" => Test,
        "make" | "gmake" | "ninja" | "just" | "rake" | "task" => match sub {
            "test" | "tests" | "check" => Test,
            "install" if name == "rake" => PackageInstall,
            _ => Build,
        },
        "cargo" => match sub {
            "test" | "t" | "nextest" | "bench" | "miri" => Test,
            "install" | "add" | "fetch" | "update" => PackageInstall,
            "run" | "r" => Interpreter,
            "build" | "b" | "check" | "c" | "clippy" | "doc" | "rustc" | "clean" | "fix" | "fmt" => Build,
            _ => Other,
        },
        "go" => match sub {
            "test" => Test,
            "get" | "install" | "mod" => PackageInstall,
            "run" => Interpreter,
            "build" | "vet" | "generate" => Build,
            _ => Other,
        },
        "npm" | "pnpm" | "yarn" | "bun" | "npx" | "bunx" => of_node_manager(name, args, sub),
        "pip" | "pipx" | "apt" | "apt-get" | "aptitude" | "dnf" | "yum" | "apk" | "pacman" | "zypper"
        | "brew" | "conda" | "mamba" | "micromamba" | "gem" | "bundle" | "bundler" | "composer"
        | "poetry" | "pdm" | "uv" | "rustup" | "ensurepip" | "dpkg" | "rpm" | "corepack" => {
            of_package_manager(name, args, sub)
        }
        "mvn" | "mvnw" | "gradle" | "gradlew" | "bazel" | "bazelisk" | "buck" | "sbt" | "dotnet" | "mix"
        | "lein" | "swift" | "zig" | "stack" | "cabal" | "dune" => match sub {
            "test" | "check" | "verify" => Test,
            "restore" | "deps.get" => PackageInstall,
            "run" => Interpreter,
            _ => Build,
        },
        "gcc" | "g++" | "cc" | "c++" | "clang" | "clang++" | "rustc" | "tsc" | "javac" | "kotlinc"
        | "cmake" | "meson" | "configure" | "autoreconf" | "webpack" | "vite" | "rollup" | "esbuild"
        | "ld" | "as" | "cpp" | "cc1" | "scons" | "nvcc" | "ghc" | "msbuild" | "docker-buildx"
        | "buildah" => Build,
        "setup" => match sub {
            "install" | "develop" => PackageInstall,
            "test" => Test,
            _ => Build,
        },
        "docker" | "podman" if sub == "build" => Build,
        // Django's.
        "manage" if sub == "test" => Test,
        "git" | "gh" | "glab" | "hg" | "svn" | "jj" | "git-lfs" => Git,
        "grep" | "egrep" | "fgrep" | "rg" | "ag" | "ack" | "find" | "fd" | "fdfind" | "locate" | "ls"
        | "tree" | "zgrep" | "ugrep" | "fzf" | "ast-grep" => Search,
        "python" | "pypy" | "ipython" | "node" | "nodejs" | "deno" | "ruby" | "perl" | "php" | "lua"
        | "luajit" | "R" | "Rscript" | "julia" | "java" | "tsx" | "ts-node" | "bash" | "sh" | "zsh"
        | "dash" | "ash" | "fish" | "ksh" | "elixir" | "erl" | "scala" | "sqlite" | "psql" | "awk"
        | "gawk" | "mawk" | "jq" => Interpreter,
        _ => Other,
    }
}

fn of_node_manager(name: &str, args: &[&str], sub: &str) -> Category {
    use Category::*;
    let script = args.iter().skip_while(|a| **a != sub).nth(1).copied().unwrap_or("");
    match (name, sub) {
        ("npx" | "bunx", _) | (_, "exec" | "x" | "dlx") => {
            let tool = if name == "npx" || name == "bunx" { sub } else { script };
            match of_program(&program(tool), &[]) {
                Other => Interpreter,
                told => told,
            }
        }
        (_, "test" | "t" | "tst") => Test,
        (_, "run" | "run-script") if script.starts_with("test") => Test,
        (_, "run" | "run-script") if script.starts_with("build") => Build,
        (_, "run" | "run-script" | "start") => Interpreter,
        (_, "build") => Build,
        (_, "install" | "i" | "ci" | "add" | "update" | "up" | "upgrade" | "remove" | "link") => {
            PackageInstall
        }
        ("yarn", "") if args.iter().all(|a| !matches!(*a, "--version" | "-v" | "--help")) => PackageInstall,
        ("bun", s) if s.ends_with(".ts") || s.ends_with(".js") => Interpreter,
        _ => Other,
    }
}

fn of_package_manager(name: &str, args: &[&str], sub: &str) -> Category {
    use Category::*;
    match (name, sub) {
        ("poetry" | "pdm" | "uv" | "bundle" | "bundler" | "conda" | "mamba", "run" | "exec") => {
            let rest: Vec<&str> = args.iter().skip_while(|a| **a != sub).skip(1).copied().collect();
            let rest = shell::unwrap(&rest);
            match rest.iter().position(|a| !a.starts_with('-')) {
                Some(at) => kind_at(&rest[at..], 2).category,
                None => Other,
            }
        }
        ("uv" | "poetry", "build") => Build,
        ("uv", "pip") => PackageInstall,
        ("dpkg" | "rpm" | "pacman", _) => match args.first() {
            Some(a) if a.starts_with("-i") || a.starts_with("-S") || a.starts_with("-U") => PackageInstall,
            Some(&"--install") => PackageInstall,
            _ => Other,
        },
        (
            _,
            "install" | "add" | "update" | "upgrade" | "sync" | "lock" | "remove" | "uninstall" | "purge"
            | "create" | "download" | "wheel" | "dist-upgrade" | "full-upgrade" | "build-dep" | "require"
            | "toolchain" | "component" | "target" | "env" | "reinstall" | "inject",
        ) => PackageInstall,
        _ => Other,
    }
}

#[cfg(test)]
#[path = "category_tests.rs"]
mod tests;
