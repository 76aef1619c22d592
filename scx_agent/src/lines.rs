// SPDX-License-Identifier: GPL-2.0-only
//! Logs of JSON lines. A log that cannot be written ends, or waits until it can be, with a warning; the daemon goes
//! on.

use anyhow::{Context, Result};
use log::warn;
use serde::Serialize;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Error, ErrorKind, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Time between two tries to go on with a log that could not be written.
const RETRY: Duration = Duration::from_secs(10);

/// When a log begins a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// A file that has reached this many bytes is put aside.
    pub bytes: u64,
    /// How many of those are kept: as `log.1`, the newest, to `log.N`.
    pub kept: u32,
}

/// One log.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    rotation: Option<Rotation>,
    /// Bytes in the file.
    size: u64,
    /// None once it could not be written.
    out: Option<BufWriter<File>>,
    /// When that is tried again; until something has been written.
    again: Option<Instant>,
}

impl Lines {
    /// Begins a log at `path`, in place of what is there; `what` it is called in an error.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(what: &str, path: &Path) -> Result<Lines> {
        let told = || format!("cannot write the {what} {}", path.display());
        let out = Some(BufWriter::new(File::create(path).with_context(told)?));
        Ok(Lines { path: path.into(), rotation: None, size: 0, out, again: None })
    }

    /// The same log, for another writer after this one; it may be a pipe, which cannot be opened again.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub fn another(&self) -> Result<Lines> {
        let out = self.out.as_ref().map(|out| out.get_ref().try_clone()).transpose()?.map(BufWriter::new);
        Ok(Lines { path: self.path.clone(), rotation: self.rotation, size: self.size, out, again: None })
    }

    /// Goes on with the log at `path`, readable by its owner only, which `rotation` bounds.
    ///
    /// # Errors
    /// The file cannot be opened or made.
    pub fn rotating(path: &Path, rotation: Rotation) -> Result<Lines> {
        let (file, size) = append(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Lines {
            path: path.into(),
            rotation: Some(rotation),
            size,
            out: Some(BufWriter::new(file)),
            again: None,
        })
    }

    /// Adds one line.
    pub fn write(&mut self, record: &impl Serialize) {
        self.try_again();
        if self.out.is_some() {
            let written = serde_json::to_vec(record).map_err(Error::from).and_then(|line| self.add(line));
            self.end_on(written);
        }
    }

    /// True once it could not be written.
    pub fn has_ended(&self) -> bool {
        self.out.is_none()
    }

    /// Hands what is buffered to the system.
    pub fn flush(&mut self) {
        if let Some(out) = &mut self.out {
            let flushed = out.flush();
            if flushed.is_ok() && self.again.take().is_some() {
                warn!("{} is written again", self.path.display());
            }
            self.end_on(flushed);
        }
    }

    fn add(&mut self, mut line: Vec<u8>) -> std::io::Result<()> {
        line.push(b'\n');
        if self.rotation.is_some_and(|r| self.size > 0 && self.size + line.len() as u64 > r.bytes) {
            self.rotate()?;
        }
        self.size += line.len() as u64;
        self.out.as_mut().map_or(Ok(()), |out| out.write_all(&line))
    }

    fn rotate(&mut self) -> std::io::Result<()> {
        let kept = self.rotation.map_or(0, |r| r.kept);
        if let Some(mut out) = self.out.take() {
            out.flush()?;
        }
        let aside = |n: u32| match n {
            0 => self.path.clone(),
            n => PathBuf::from(format!("{}.{n}", self.path.display())),
        };
        for n in (0..kept).rev() {
            match fs::rename(aside(n), aside(n + 1)) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                _ => (),
            }
        }
        if kept == 0 {
            fs::remove_file(&self.path)?;
        }
        let (file, size) = append(&self.path)?;
        (self.out, self.size) = (Some(BufWriter::new(file)), size);
        Ok(())
    }

    fn end_on(&mut self, done: std::io::Result<()>) {
        if let Err(e) = done {
            let then = match self.rotation {
                Some(_) => "what comes until it can be is lost",
                None => "this log ends here",
            };
            // Once, however often it is tried again.
            if self.again.is_none() {
                warn!("cannot write {}: {e}; {then}", self.path.display());
            }
            (self.out, self.again) = (None, Some(Instant::now() + RETRY));
        }
    }

    /// Goes on where it ended, if the place is free again.
    fn try_again(&mut self) {
        if self.rotation.is_none() || self.out.is_some() || self.again.is_some_and(|at| Instant::now() < at) {
            return;
        }
        self.again = Some(Instant::now() + RETRY);
        if let Ok((file, size)) = append(&self.path) {
            (self.out, self.size) = (Some(BufWriter::new(file)), size);
        }
    }
}

fn append(path: &Path) -> std::io::Result<(File, u64)> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let mut size = file.metadata()?.len();
    let mut last = [b'\n'];
    if size > 0 {
        file.read_exact_at(&mut last, size - 1)?;
    }
    // Cut off when the system went down: the next line is not to go with it.
    if last != [b'\n'] {
        file.write_all(b"\n")?;
        size += 1;
    }
    Ok((file, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("scx_agent-lines-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn its_files_are_bounded_and_its_lines_whole() {
        let dir = folder("bounded");
        let path = dir.join("calls.jsonl");
        let rotation = Rotation { bytes: 100, kept: 2 };
        // The daemon is started again now and then, and goes on where it was.
        for start in 0..10 {
            let mut log = Lines::rotating(&path, rotation).unwrap();
            for i in 0..7 {
                log.write(&serde_json::json!({ "number": start * 7 + i, "text": "\n" }));
            }
            log.flush();
        }
        let mut names: Vec<_> =
            fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["calls.jsonl", "calls.jsonl.1", "calls.jsonl.2"]);
        let mut numbers = Vec::new();
        for name in names.iter().rev() {
            let text = fs::read_to_string(dir.join(name)).unwrap();
            assert!(text.len() <= 100 && text.ends_with('\n'), "{name}: {text}");
            for line in text.lines() {
                let v: serde_json::Value = serde_json::from_str(line).unwrap();
                numbers.push(v["number"].as_u64().unwrap());
            }
        }
        let last = *numbers.last().unwrap();
        assert_eq!(last, 69);
        assert_eq!(
            numbers,
            (last + 1 - numbers.len() as u64..=last).collect::<Vec<_>>(),
            "the newest, in order"
        );
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_line_that_was_cut_off_stays_alone() {
        let dir = folder("cut");
        let path = dir.join("log");
        fs::write(&path, "1\n{\"a\":").unwrap();
        let mut log = Lines::rotating(&path, Rotation { bytes: 100, kept: 1 }).unwrap();
        log.write(&2);
        log.flush();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n{\"a\":\n2\n");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn one_that_cannot_be_written_ends() {
        let dir = folder("ends");
        let lacks = Lines::create("event log", &dir.join("no/such")).unwrap_err().to_string();
        assert!(lacks.contains("no/such"), "{lacks}");
        let path = dir.join("log");
        let mut log = Lines::rotating(&path, Rotation { bytes: 10, kept: 1 }).unwrap();
        log.write(&"12345678");
        fs::create_dir(dir.join("log.1")).unwrap(); // nothing can be put aside there
        log.write(&"12345678");
        log.write(&"1");
        log.flush();
        assert!(log.has_ended());
        assert_eq!(fs::read_to_string(&path).unwrap(), "\"12345678\"\n");
        // Not at once, and only where it can be; one without bounds does not come back.
        fs::remove_dir(dir.join("log.1")).unwrap();
        log.write(&"2");
        assert!(log.has_ended());
        log.again = Some(Instant::now());
        log.write(&"3");
        log.flush();
        assert_eq!(fs::read_to_string(&path).unwrap(), "\"3\"\n");
        assert_eq!(fs::read_to_string(dir.join("log.1")).unwrap(), "\"12345678\"\n");
        fs::remove_dir_all(dir).unwrap();
    }
}
