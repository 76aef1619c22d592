// SPDX-License-Identifier: GPL-2.0-only
//! The unit of CPU demand: a fixed number of iterations of an ALU loop, so that interference
//! shows up as time and never as less work; and memory that is really touched.

use crate::sys;
use anyhow::{Context, Result};
use std::hint::black_box;
use std::io;

/// Bytes of a page as this load writes them.
pub const PAGE: usize = 4096;

/// Runs `iterations` of the work loop (each depends on the one before).
#[inline(never)]
pub fn spin(iterations: u64) {
    let mut x = black_box(0x9E37_79B9_7F4A_7C15u64);
    let mut left = iterations;
    while left > 0 {
        x = (x ^ left).wrapping_mul(0xD134_2543_DE82_EF95).rotate_left(17);
        left -= 1;
    }
    black_box(x);
}

/// Iterations of [`spin`] per ms that no processor reaches, each being a chain of five cycles at least: of
/// a measurement during which the clock stood still.
const IMPOSSIBLE_PER_MS: f64 = 4e6;

/// Iterations of [`spin`] per ms of thread CPU time, on an idle machine: the best of five
/// measurements of about 20 ms. One too many by far would be a load that never ends.
///
/// # Errors
/// If the clock of this thread's CPU time does not go on.
pub fn calibrate() -> Result<f64> {
    let mut n = 2000;
    let mut took = measure(n);
    while took < 2_000_000 {
        n *= 2;
        took = measure(n);
    }
    let n = (n as f64 * 20e6 / took as f64) as u64;
    best((0..5).map(|_| n as f64 * 1e6 / measure(n).max(1) as f64))
        .context("the clock of CPU time stands still: say --work-per-ms")
}

/// The highest of those that are possible.
fn best(per_ms: impl Iterator<Item = f64>) -> Option<f64> {
    per_ms.filter(|r| (1.0..IMPOSSIBLE_PER_MS).contains(r)).reduce(f64::max).map(f64::round)
}

fn measure(iterations: u64) -> u64 {
    let t = sys::thread_cpu_ns();
    spin(iterations);
    sys::thread_cpu_ns() - t
}

/// Iterations for `cpu_ms` of work, saturating.
pub fn iterations(cpu_ms: f64, work_per_ms: f64) -> u64 {
    (cpu_ms * work_per_ms).round().max(0.0) as u64
}

/// Pages for `mb` (10^6 bytes), rounded up.
pub fn pages(mb: f64) -> usize {
    (mb * 1e6 / PAGE as f64).ceil().max(0.0) as usize
}

/// Private anonymous memory that grows by touching pages and shrinks by unmapping them.
///
/// Pages are half incompressible, so that compressed swap sees something like real data.
pub struct Held {
    base: *mut u8,
    reserved: usize,
    held: usize,
    template: Vec<u64>,
}

impl Held {
    /// Reserves address space for at most `pages` pages, without touching any.
    pub fn reserve(pages: usize) -> io::Result<Held> {
        let mut template = vec![0u64; PAGE / 8];
        let mut x = 0x2545_F491_4F6C_DD1Du64;
        for word in template.iter_mut().take(PAGE / 16) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            *word = x;
        }
        let base = sys::map_anonymous(pages.max(1) * PAGE, false)?;
        // Children that only compute need no copy of it. SAFETY: our own mapping.
        unsafe { libc::madvise(base.cast(), pages.max(1) * PAGE, libc::MADV_DONTFORK) };
        Ok(Held { base, reserved: pages, held: 0, template })
    }

    /// Holds exactly `pages` (at most the reserved number): touches more or gives some back.
    pub fn resize(&mut self, pages: usize) {
        let pages = pages.min(self.reserved);
        // SAFETY: all addresses are within the reserved mapping, which only we use.
        unsafe {
            for i in self.held..pages {
                self.template[0] = i as u64;
                let page = self.base.add(i * PAGE);
                std::ptr::copy_nonoverlapping(self.template.as_ptr().cast(), page, PAGE);
            }
            if pages < self.held {
                let len = (self.held - pages) * PAGE;
                let tail = self.base.add(pages * PAGE);
                libc::madvise(tail.cast(), len, libc::MADV_DONTNEED);
            }
        }
        self.held = pages;
    }

    /// Writes a word of every page that is held, as a program does that uses what it has: pages that
    /// were swapped out come back.
    pub fn touch(&mut self) {
        for i in 0..self.held {
            // SAFETY: within the part of our mapping that is held, and aligned to pages.
            unsafe { self.base.add(i * PAGE).cast::<u64>().write_volatile(i as u64) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_not_optimised_away() {
        let t1 = measure(100_000);
        let t2 = measure(10_000_000);
        assert!(t2 > 10 * t1.max(1), "{t1} {t2}");
    }

    #[test]
    fn of_a_clock_that_stood_still_nothing_is_believed() {
        assert_eq!(best([3e5, 1.5e10, 4.4e5, 0.0, 1e5].into_iter()), Some(4.4e5));
        assert_eq!(best([1.5e10, 0.0].into_iter()), None);
    }

    #[test]
    fn held_memory_grows_and_shrinks() {
        let mut h = Held::reserve(100).unwrap();
        h.resize(50);
        h.touch();
        h.resize(10);
        h.resize(1000);
        h.touch();
        assert_eq!(h.held, 100);
    }

    #[test]
    fn conversions_round_sensibly() {
        assert_eq!(iterations(2.0, 1000.5), 2001);
        assert_eq!(iterations(-1.0, 1000.0), 0);
        assert_eq!(iterations(1e300, 1000.0), u64::MAX);
        assert_eq!(pages(0.0), 0);
        assert_eq!(pages(1.0), 245);
    }
}
