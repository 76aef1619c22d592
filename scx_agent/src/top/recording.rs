// SPDX-License-Identifier: GPL-2.0-only
//! Looks that were written down, a line of JSON each, to be shown again.

use super::Sample;
use crate::lines::{Lines, Rotation};
use anyhow::{anyhow, bail, Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Longest line that is read, in bytes: of some ten thousand agents.
const LINE_MAX: u64 = 64 << 20;
/// Lines that are no look, of which is said why; more are counted. A file of another kind has nothing else.
const SKIPPED_MAX: usize = 20;

/// What is written: 1 had no version, and no calls that have ended.
const VERSION: u32 = 2;

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    /// Time of the day, in seconds since 1970.
    unix_s: f64,
    sample: &'a Sample,
}

#[derive(Deserialize)]
struct Line {
    sample: Sample,
}

/// What is wanted of a line when it is first read.
#[derive(Deserialize)]
struct Head {
    unix_s: f64,
    #[serde(default = "first_version")]
    version: u32,
}

fn first_version() -> u32 {
    1
}

/// Writes looks.
#[derive(Debug)]
pub struct Recorder(Lines);

impl Recorder {
    /// Goes on with the recording at `path`; with more than `mb` MB, what is older is in `path.1`, and what is
    /// older than that is gone.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn open(path: &Path, mb: u64) -> Result<Recorder> {
        Ok(Recorder(Lines::rotating(path, Rotation { bytes: mb << 20, kept: 1 })?))
    }

    /// Writes `sample`, taken at `unix_s`.
    ///
    /// # Errors
    /// It could not be written, nor can any other.
    pub fn write(&mut self, unix_s: f64, sample: &Sample) -> Result<()> {
        self.0.write(&Written { version: VERSION, unix_s, sample });
        self.0.flush();
        if self.0.has_ended() {
            bail!("the recording has ended early");
        }
        Ok(())
    }
}

/// Looks that were written down.
#[derive(Debug)]
pub struct Recording {
    files: Vec<(PathBuf, BufReader<File>)>,
    looks: Vec<Place>,
    /// Lines that are no look: cut off, or damaged. FILE:LINE and why; of many the first, and how many more.
    pub skipped: Vec<String>,
}

/// Where a look is.
#[derive(Debug)]
struct Place {
    unix_s: f64,
    /// Which of the files, and from which byte on.
    file: usize,
    offset: u64,
    /// Number of its line, from 1.
    line: usize,
}

impl Recording {
    /// Opens the recording at `path`, with what was put aside as `path.1`.
    ///
    /// # Errors
    /// It cannot be read, or there is no look in it.
    pub fn open(path: &Path) -> Result<Recording> {
        let aside = PathBuf::from(format!("{}.1", path.display()));
        let mut this = Recording { files: Vec::new(), looks: Vec::new(), skipped: Vec::new() };
        let mut unnamed = 0;
        for (path, needed) in [(aside.as_path(), false), (path, true)] {
            if !needed && !path.exists() {
                continue;
            }
            let told = || format!("cannot read {}", path.display());
            unnamed += this.add(path, File::open(path).with_context(told)?)?;
        }
        if unnamed > 0 {
            this.skipped
                .push(format!("{}: {unnamed} more lines are no look of scx_agent record", path.display()));
        }
        if this.looks.is_empty() {
            bail!("{} is no recording of scx_agent record", path.display());
        }
        Ok(this)
    }

    /// Takes in one of its files; the number of lines that are no look beyond those that are told.
    fn add(&mut self, path: &Path, file: File) -> Result<u64> {
        let mut reader = BufReader::new(file);
        let (mut offset, mut unnamed, file) = (0, 0, self.files.len());
        for line in 1.. {
            let at = || format!("{}:{line}", path.display());
            let text = read_line(&mut reader).with_context(at)?;
            if text.is_empty() {
                break;
            }
            match serde_json::from_slice::<Head>(&text) {
                Ok(head) if head.version > VERSION => bail!(
                    "{}: version {} of recordings, of a newer scx_agent; this one reads those up to {VERSION}",
                    at(),
                    head.version
                ),
                Ok(head) => self.looks.push(Place { unix_s: head.unix_s, file, offset, line }),
                // The last one before the system went down may be cut off.
                Err(e) if self.skipped.len() < SKIPPED_MAX => {
                    self.skipped.push(format!("{}: {}", at(), why(&e)))
                }
                Err(_) => unnamed += 1,
            }
            offset += text.len() as u64;
        }
        self.files.push((path.into(), reader));
        Ok(unnamed)
    }

    /// Its length, in seconds.
    pub fn length_s(&self) -> f64 {
        self.time_s(self.looks.len().saturating_sub(1))
    }

    /// When look number `n` was, in seconds since the first.
    pub fn time_s(&self, n: usize) -> f64 {
        (self.unix_s(n) - self.unix_s(0)).max(0.0)
    }

    /// When look number `n` was, in seconds since 1970.
    pub fn unix_s(&self, n: usize) -> f64 {
        self.looks.get(n).map_or(0.0, |l| l.unix_s)
    }

    /// How many looks there are, at least one.
    pub fn len(&self) -> usize {
        self.looks.len()
    }

    /// The last look that is not after `time_s`.
    pub fn at(&self, time_s: f64) -> usize {
        let wanted = self.looks[0].unix_s + time_s;
        self.looks.partition_point(|l| l.unix_s <= wanted).saturating_sub(1)
    }

    /// Look number `n`.
    ///
    /// # Errors
    /// It cannot be read any more, or is damaged.
    pub fn look(&mut self, n: usize) -> Result<Sample> {
        let place = &self.looks[n];
        let (path, reader) = &mut self.files[place.file];
        let at = || format!("{}:{}", path.display(), place.line);
        reader.seek(SeekFrom::Start(place.offset)).with_context(at)?;
        let text = read_line(reader).with_context(at)?;
        let line: Line = serde_json::from_slice(&text).map_err(|e| anyhow!("{}: {}", at(), why(&e)))?;
        Ok(line.sample)
    }
}

/// What is wrong with a line, and in which column.
fn why(e: &serde_json::Error) -> String {
    let said = e.to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    format!("column {}: expected a look of scx_agent record: {said}", e.column())
}

/// One line with its end, bounded; empty at the end of the file.
fn read_line(reader: &mut impl BufRead) -> Result<Vec<u8>> {
    use std::io::Read;
    let mut line = Vec::new();
    reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
    Ok(line)
}
