// SPDX-License-Identifier: GPL-2.0-only
//! Looks that were written down, a line of JSON each, to be shown again.

use super::Sample;
use crate::lines::{Lines, Rotation};
use anyhow::{bail, Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Longest line that is read, in bytes: of some ten thousand agents.
const LINE_MAX: u64 = 64 << 20;

#[derive(Serialize)]
struct Written<'a> {
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
        self.0.write(&Written { unix_s, sample });
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
    files: Vec<BufReader<File>>,
    /// When each look was, which file it is in, and where.
    looks: Vec<(f64, usize, u64)>,
}

impl Recording {
    /// Opens the recording at `path`, with what was put aside as `path.1`.
    ///
    /// # Errors
    /// It cannot be read, or there is no look in it.
    pub fn open(path: &Path) -> Result<Recording> {
        let aside = PathBuf::from(format!("{}.1", path.display()));
        let mut this = Recording { files: Vec::new(), looks: Vec::new() };
        for (path, needed) in [(aside.as_path(), false), (path, true)] {
            if !needed && !path.exists() {
                continue;
            }
            let told = || format!("cannot read {}", path.display());
            this.add(File::open(path).with_context(told)?).with_context(told)?;
        }
        if this.looks.is_empty() {
            bail!("{} is no recording of scx_agent record", path.display());
        }
        Ok(this)
    }

    fn add(&mut self, file: File) -> Result<()> {
        let (mut reader, number) = (BufReader::new(file), self.files.len());
        let mut offset = 0;
        loop {
            let line = read_line(&mut reader)?;
            if line.is_empty() {
                break;
            }
            // The last one may be cut off.
            if let Ok(head) = serde_json::from_slice::<Head>(&line) {
                self.looks.push((head.unix_s, number, offset));
            }
            offset += line.len() as u64;
        }
        self.files.push(reader);
        Ok(())
    }

    /// Its length, in seconds.
    pub fn length_s(&self) -> f64 {
        self.time_s(self.looks.len().saturating_sub(1))
    }

    /// When look number `n` was, in seconds since the first.
    pub fn time_s(&self, n: usize) -> f64 {
        let at = |n: usize| self.looks.get(n).map_or(0.0, |l| l.0);
        (at(n) - at(0)).max(0.0)
    }

    /// How many looks there are, at least one.
    pub fn len(&self) -> usize {
        self.looks.len()
    }

    /// The last look that is not after `time_s`.
    pub fn at(&self, time_s: f64) -> usize {
        let wanted = self.looks[0].0 + time_s;
        self.looks.partition_point(|l| l.0 <= wanted).saturating_sub(1)
    }

    /// Look number `n`.
    ///
    /// # Errors
    /// It cannot be read any more, or is damaged.
    pub fn look(&mut self, n: usize) -> Result<Sample> {
        let (_, file, offset) = self.looks[n];
        let reader = &mut self.files[file];
        reader.seek(SeekFrom::Start(offset))?;
        let line: Line = serde_json::from_slice(&read_line(reader)?).with_context(|| format!("look {n}"))?;
        Ok(line.sample)
    }
}

/// One line with its end, bounded; empty at the end of the file.
fn read_line(reader: &mut impl BufRead) -> Result<Vec<u8>> {
    use std::io::Read;
    let mut line = Vec::new();
    reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
    Ok(line)
}
