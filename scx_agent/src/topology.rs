// SPDX-License-Identifier: GPL-2.0-only
//! Which CPUs are hardware threads of one core, for the kernel half.

use log::warn;
use scx_utils::Topology;

/// For each of the `cpus` the next thread of its core, after the last the first; None if no core has several.
/// CPUs that are offline count as cores of their own.
pub fn next_in_core(cpus: usize) -> Option<Vec<u16>> {
    let topology = match Topology::new() {
        Ok(topology) => topology,
        Err(e) => {
            warn!("cannot tell which CPUs share a core, all count as cores of their own: {e:#}");
            return None;
        }
    };
    let cores: Vec<Vec<usize>> =
        topology.all_cores.values().map(|core| core.cpus.keys().copied().collect()).collect();
    rings(&cores, cpus)
}

/// See [`next_in_core`]; `cores` are the threads of each.
fn rings(cores: &[Vec<usize>], cpus: usize) -> Option<Vec<u16>> {
    let mut next: Vec<u16> = (0..cpus).map(|cpu| cpu as u16).collect();
    let mut several = false;
    for core in cores {
        let threads: Vec<usize> = core.iter().copied().filter(|&cpu| cpu < cpus).collect();
        several |= threads.len() > 1;
        for (i, &cpu) in threads.iter().enumerate() {
            next[cpu] = threads[(i + 1) % threads.len()] as u16;
        }
    }
    several.then_some(next)
}

#[cfg(test)]
mod tests {
    use super::rings;

    #[test]
    fn threads_of_a_core_are_a_ring() {
        assert_eq!(rings(&[vec![0], vec![1]], 2), None);
        assert_eq!(rings(&[vec![0, 2], vec![1, 3]], 4), Some(vec![2, 3, 0, 1]));
        // Four threads, one that is not there, and a CPU of which nothing is known.
        assert_eq!(rings(&[vec![0, 1, 2, 3], vec![9]], 5), Some(vec![1, 2, 3, 0, 4]));
    }
}
