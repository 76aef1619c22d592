// SPDX-License-Identifier: GPL-2.0-only
//! The guest's root: busybox, our init, and the user's programs and files with the libraries they need.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{bail, ensure, Context, Result};

use crate::cpio::Writer;

/// Folders that init and ordinary programs expect.
const DIRS: [&str; 14] = [
    "/bin",
    "/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/etc",
    "/proc",
    "/sys",
    "/dev",
    "/tmp",
    "/run",
    "/var",
    "/root",
    "/out",
    "/boot",
];

enum Node {
    Dir,
    File(PathBuf),
    Text { text: Vec<u8>, mode: u32 },
    Symlink(String),
}

/// A root file system in the making. Later entries replace earlier ones of the same path.
pub(crate) struct Tree {
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// A tree with nothing in it.
    pub fn empty() -> Self {
        Self { nodes: BTreeMap::new() }
    }

    /// A tree with the usual empty folders.
    pub fn new() -> Self {
        let mut tree = Self::empty();
        for dir in DIRS {
            tree.insert(dir.into(), Node::Dir);
        }
        tree
    }

    /// A file of our own.
    pub fn text(&mut self, guest: &str, mode: u32, text: impl Into<Vec<u8>>) {
        self.insert(guest.into(), Node::Text { text: text.into(), mode });
    }

    /// An empty folder.
    pub fn dir(&mut self, guest: &str) {
        self.insert(guest.into(), Node::Dir);
    }

    /// A symbolic link of our own.
    pub fn symlink(&mut self, guest: &str, target: &str) {
        self.insert(guest.into(), Node::Symlink(target.into()));
    }

    /// A file of the host, or a folder with all that is in it.
    pub fn file(&mut self, source: &Path, guest: &Path) -> Result<()> {
        let guest = normal(guest)?;
        let meta = fs::metadata(source).with_context(|| format!("cannot read {}", source.display()))?;
        if meta.is_dir() {
            return self.folder(source, &guest);
        }
        ensure!(meta.is_file(), "{} is neither a file nor a folder", source.display());
        self.insert(guest, Node::File(source.to_path_buf()));
        Ok(())
    }

    fn folder(&mut self, source: &Path, guest: &str) -> Result<()> {
        if guest != "/" {
            self.insert(guest.into(), Node::Dir);
        }
        let entries = fs::read_dir(source).with_context(|| format!("cannot read {}", source.display()))?;
        for entry in entries {
            let entry = entry?;
            let (from, kind) = (entry.path(), entry.file_type()?);
            let to = Path::new(guest).join(entry.file_name());
            if kind.is_symlink() {
                let target = fs::read_link(&from)?.to_string_lossy().into_owned();
                self.insert(normal(&to)?, Node::Symlink(target));
            } else if kind.is_file() || kind.is_dir() {
                self.file(&from, &to)?;
            }
        }
        Ok(())
    }

    /// A program, as /bin/NAME, with the libraries that ldd names, at their own paths, if asked for.
    pub fn program(&mut self, source: &Path, name: Option<&str>, with_libraries: bool) -> Result<()> {
        let name = match name {
            Some(name) => name,
            None => source.file_name().and_then(|n| n.to_str()).context("a program needs a name")?,
        };
        ensure!(!name.contains('/'), "program name {name:?} must not contain a slash");
        let meta = fs::metadata(source).with_context(|| format!("cannot read {}", source.display()))?;
        ensure!(
            meta.is_file() && meta.permissions().mode() & 0o111 != 0,
            "{} is not an executable file",
            source.display()
        );
        let libraries = if with_libraries { libraries(source)? } else { Vec::new() };
        for library in libraries {
            self.file(Path::new(&library), Path::new(&library))?;
        }
        self.file(source, &Path::new("/bin").join(name))
    }

    /// `guest`, with its first folder replaced if that is a link, as /bin is in today's Debian: the
    /// kernel unpacks in order of names, before there is what /bin leads to.
    fn through_link(&self, guest: String) -> String {
        let Some((first, rest)) = guest[1..].split_once('/') else { return guest };
        match self.nodes.get(&format!("/{first}")) {
            Some(Node::Symlink(target)) => format!("/{}/{rest}", target.trim_start_matches('/')),
            _ => guest,
        }
    }

    fn insert(&mut self, guest: String, node: Node) {
        let guest = self.through_link(guest);
        let mut parent = Path::new(&guest).parent();
        while let Some(dir) = parent.filter(|p| p.parent().is_some()) {
            self.nodes.entry(dir.to_string_lossy().into_owned()).or_insert(Node::Dir);
            parent = dir.parent();
        }
        // A folder adds to what is there; anything else replaces it.
        if !matches!(node, Node::Dir) || !self.nodes.contains_key(&guest) {
            self.nodes.insert(guest, node);
        }
    }

    /// Writes the archive. It is not compressed: the guest would pay for that with emulated time.
    pub fn write(&self, path: &Path) -> Result<()> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut writer = Writer::new(BufWriter::with_capacity(1 << 20, file));
        for (guest, node) in &self.nodes {
            match node {
                Node::Dir => writer.dir(guest, 0o755),
                Node::Symlink(target) => writer.symlink(guest, target),
                Node::Text { text, mode } => writer.file(guest, *mode, text.len() as u64, &text[..]),
                Node::File(source) => File::open(source).and_then(|file| {
                    let meta = file.metadata()?;
                    writer.file(guest, meta.permissions().mode() & 0o7777, meta.len(), file)
                }),
            }
            .with_context(|| match node {
                Node::File(source) => format!("cannot put {} into the guest", source.display()),
                _ => format!("cannot write {}", path.display()),
            })?;
        }
        writer.finish().with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }
}

/// A guest path without `.`, and an error for one with `..`.
fn normal(path: &Path) -> Result<String> {
    let mut out = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::RootDir | Component::CurDir => {}
            _ => bail!("guest path {} must not contain ..", path.display()),
        }
    }
    let out = out.to_str().with_context(|| format!("guest path {} is not UTF-8", path.display()))?;
    Ok(out.to_owned())
}

/// The libraries and the loader that a program needs; none for a static one or a script.
fn libraries(program: &Path) -> Result<Vec<String>> {
    let path = fs::canonicalize(program).with_context(|| format!("{}", program.display()))?;
    let output = Command::new("ldd")
        .env("LC_ALL", "C")
        .arg(&path)
        .output()
        .context("cannot run ldd: install the package libc-bin")?;
    parse_ldd(&String::from_utf8_lossy(&output.stdout)).map_err(|missing| {
        anyhow::anyhow!("{} needs the library {missing}, which is not on this machine", program.display())
    })
}

/// The absolute paths in ldd's output, sorted; the error is the name of a library it did not find.
fn parse_ldd(out: &str) -> Result<Vec<String>, String> {
    let mut paths = Vec::new();
    for line in out.lines().map(str::trim) {
        let (name, rest) = line.split_once(" => ").unwrap_or((line, line));
        if rest.starts_with("not found") {
            return Err(name.to_owned());
        }
        // "name => /path (0x...)", or "/path (0x...)" for the loader.
        let path = rest.split(" (0x").next().unwrap_or(rest);
        if path.starts_with('/') && rest.contains(" (0x") {
            paths.push(path.to_owned());
        }
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// Reads `SRC[:GUESTPATH]`; without a guest path the file gets its own absolute path.
/// The error says what is wrong with the argument.
pub fn parse_file(arg: &str) -> Result<(PathBuf, PathBuf), String> {
    let (source, guest) = match arg.rsplit_once(':') {
        Some((source, guest)) => (PathBuf::from(source), PathBuf::from(guest)),
        None => {
            let source = PathBuf::from(arg);
            let guest = std::path::absolute(&source).map_err(|e| format!("{arg:?}: {e}"))?;
            (source, guest)
        }
    };
    if source.as_os_str().is_empty() || !guest.is_absolute() {
        return Err(format!("{arg:?}: expected SRC or SRC:/ABSOLUTE/GUEST/PATH"));
    }
    Ok((source, guest))
}

/// Reads `PATH[:GUESTNAME]`, the name being that in the guest's /bin.
/// The error says what is wrong with the argument.
pub fn parse_program(arg: &str) -> Result<(PathBuf, Option<String>), String> {
    let (path, name) = match arg.rsplit_once(':') {
        Some((path, name)) => (path, Some(name.to_owned())),
        None => (arg, None),
    };
    if path.is_empty() || name.as_ref().is_some_and(|n| n.is_empty() || n.contains('/')) {
        return Err(format!("{arg:?}: expected PATH or PATH:NAME"));
    }
    Ok((path.into(), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ldd_output() {
        let out = "\tlinux-vdso.so.1 (0x00007ffc)\n\
                   \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                   \tlibelf.so.1 => /lib/x86_64-linux-gnu/libelf.so.1 (0x00007f)\n\
                   \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(
            parse_ldd(out).unwrap(),
            [
                "/lib/x86_64-linux-gnu/libc.so.6",
                "/lib/x86_64-linux-gnu/libelf.so.1",
                "/lib64/ld-linux-x86-64.so.2"
            ]
        );
        assert_eq!(parse_ldd("\tstatically linked\n").unwrap(), [""; 0]);
        assert_eq!(parse_ldd("\tlibx.so.1 => not found\n"), Err("libx.so.1".into()));
    }

    #[test]
    fn arguments() {
        assert_eq!(parse_file("a:/b"), Ok(("a".into(), "/b".into())));
        assert_eq!(parse_file("/a/c"), Ok(("/a/c".into(), "/a/c".into())));
        assert!(parse_file("a:b").is_err());
        assert_eq!(parse_program("x/y:z"), Ok(("x/y".into(), Some("z".into()))));
        assert!(parse_program("x:y/z").is_err());
    }

    #[test]
    fn links_of_the_top_folder_are_followed() {
        let mut tree = Tree::empty();
        tree.symlink("/bin", "usr/bin");
        tree.text("/bin/a", 0o755, "");
        assert!(matches!(tree.nodes["/bin"], Node::Symlink(_)));
        assert!(tree.nodes.contains_key("/usr/bin/a") && !tree.nodes.contains_key("/bin/a"));
    }

    #[test]
    fn parents_come_first_and_later_entries_win() {
        let mut tree = Tree::new();
        tree.text("/etc/a/b", 0o644, "1");
        tree.text("/etc/a/b", 0o644, "2");
        let paths: Vec<_> = tree.nodes.keys().map(String::as_str).collect();
        let at = |p| paths.iter().position(|q| *q == p).unwrap();
        assert!(at("/etc") < at("/etc/a") && at("/etc/a") < at("/etc/a/b"));
        assert!(matches!(&tree.nodes["/etc/a/b"], Node::Text { text, .. } if text == b"2"));
        assert!(normal(Path::new("/a/../b")).is_err());
    }
}
