// SPDX-License-Identifier: GPL-2.0-only
//! The kernel's initramfs format (cpio "newc"), written so that equal trees give equal bytes:
//! owner root, time zero, inode numbers in order of writing.

use std::io::{self, Read, Write};

const S_IFDIR: u32 = 0o040000;
const S_IFREG: u32 = 0o100000;
const S_IFLNK: u32 = 0o120000;
const TRAILER: &str = "TRAILER!!!";

/// Writes one archive to `out`.
pub(crate) struct Writer<W: Write> {
    out: W,
    inode: u32,
}

impl<W: Write> Writer<W> {
    pub fn new(out: W) -> Self {
        Self { out, inode: 0 }
    }

    /// A folder; its parents must come before it.
    pub fn dir(&mut self, path: &str, mode: u32) -> io::Result<()> {
        self.entry(path, S_IFDIR | mode, 0, io::empty())
    }

    /// A symbolic link.
    pub fn symlink(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.entry(path, S_IFLNK | 0o777, target.len() as u64, target.as_bytes())
    }

    /// A regular file of exactly `size` bytes; an error if `data` holds fewer.
    pub fn file(&mut self, path: &str, mode: u32, size: u64, data: impl Read) -> io::Result<()> {
        self.entry(path, S_IFREG | mode, size, data)
    }

    /// Ends the archive and hands back the output, flushed.
    pub fn finish(mut self) -> io::Result<W> {
        self.inode = 0;
        self.header(TRAILER, 0, 0)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn entry(&mut self, path: &str, mode: u32, size: u64, data: impl Read) -> io::Result<()> {
        let size32 = u32::try_from(size)
            .map_err(|_| io::Error::other("an initramfs cannot hold a file of 4 GiB or more"))?;
        self.inode += 1;
        self.header(path.trim_start_matches('/'), mode, size32)?;
        let copied = io::copy(&mut data.take(size), &mut self.out)?;
        if copied != size {
            return Err(io::Error::other("the file shrank while it was read"));
        }
        self.pad(size)
    }

    fn header(&mut self, name: &str, mode: u32, size: u32) -> io::Result<()> {
        let links = 1 + u32::from(mode & S_IFDIR == S_IFDIR);
        let name_size = name.len() as u32 + 1;
        write!(self.out, "070701")?;
        let (uid, gid, mtime, device) = (0, 0, 0, 0);
        let fields =
            [self.inode, mode, uid, gid, links, mtime, size, device, device, device, device, name_size, 0];
        for field in fields {
            write!(self.out, "{field:08x}")?;
        }
        self.out.write_all(name.as_bytes())?;
        self.out.write_all(&[0])?;
        self.pad(110 + u64::from(name_size))
    }

    /// Pads what had `length` bytes to a multiple of four.
    fn pad(&mut self, length: u64) -> io::Result<()> {
        self.out.write_all(&[0; 3][..(length.wrapping_neg() % 4) as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(archive: &[u8], entry: usize, field: usize) -> usize {
        let at = entry + 6 + field * 8;
        usize::from_str_radix(std::str::from_utf8(&archive[at..at + 8]).unwrap(), 16).unwrap()
    }

    /// Name, mode and content of every entry, read as the kernel reads them.
    fn parse(archive: &[u8]) -> Vec<(String, usize, Vec<u8>)> {
        let (mut at, mut entries) = (0, Vec::new());
        loop {
            assert_eq!(&archive[at..at + 6], b"070701");
            let (mode, size) = (number(archive, at, 1), number(archive, at, 6));
            let name_size = number(archive, at, 11);
            let name = String::from_utf8(archive[at + 110..at + 110 + name_size - 1].to_vec()).unwrap();
            let data = (at + 110 + name_size).next_multiple_of(4);
            if name == TRAILER {
                assert_eq!(data, archive.len());
                return entries;
            }
            entries.push((name, mode, archive[data..data + size].to_vec()));
            at = (data + size).next_multiple_of(4);
        }
    }

    #[test]
    fn round_trip() {
        let mut writer = Writer::new(Vec::new());
        writer.dir("/a", 0o755).unwrap();
        writer.file("/a/five", 0o640, 5, &b"12345"[..]).unwrap();
        writer.file("/a/empty", 0o600, 0, io::empty()).unwrap();
        writer.symlink("/l", "a/five").unwrap();
        let archive = writer.finish().unwrap();
        let want = [
            ("a", 0o040755, ""),
            ("a/five", 0o100640, "12345"),
            ("a/empty", 0o100600, ""),
            ("l", 0o120777, "a/five"),
        ];
        let want: Vec<_> = want.map(|(n, m, d)| (n.to_string(), m, d.as_bytes().to_vec())).into();
        assert_eq!(parse(&archive), want);
    }

    #[test]
    fn a_file_that_shrank_is_an_error() {
        assert!(Writer::new(Vec::new()).file("f", 0o644, 3, &b"12"[..]).is_err());
    }
}
