// SPDX-License-Identifier: GPL-2.0-only
//! Which CPUs are hardware threads of one core, and which share a last-level cache, for the kernel half.

use log::warn;
use scx_utils::Topology;

/// Fewest CPUs of a domain: below that, what its queues save is less than what is balanced between them. As many
/// neighbours on the same memory as it takes are one.
const LEAST_CPUS: usize = 4;

/// What is known of the machine's CPUs.
#[derive(Debug, Default)]
pub struct Cpus {
    cores: Vec<Vec<usize>>,
    /// Of each memory node the CPUs of each last-level cache.
    caches: Vec<Vec<Vec<usize>>>,
}

impl Cpus {
    /// As the kernel tells it; without that, each CPU is a core and all share a cache.
    pub fn read() -> Cpus {
        let topology = match Topology::new() {
            Ok(topology) => topology,
            Err(e) => {
                warn!(
                    "cannot tell which CPUs share a core or a cache: all count as cores of their own, with one \
                     cache: {e:#}"
                );
                return Cpus::default();
            }
        };
        let cores = topology.all_cores.values().map(|core| core.cpus.keys().copied().collect());
        let caches = topology
            .nodes
            .values()
            .map(|node| node.llcs.values().map(|llc| llc.all_cpus.keys().copied().collect()).collect());
        Cpus { cores: cores.collect(), caches: caches.collect() }
    }

    /// For each of the `cpus` the next thread of its core, after the last the first; None if no core has several.
    /// CPUs that are offline count as cores of their own.
    pub fn next_in_core(&self, cpus: usize) -> Option<Vec<u16>> {
        rings(&self.cores, cpus)
    }

    /// The domain of each of the `cpus`, numbered from 0, `most` of them at most. Those that are offline are in
    /// that of the CPU before.
    pub fn domains(&self, cpus: usize, most: usize) -> Vec<u16> {
        let mut least = LEAST_CPUS;
        let mut domains = folded(&self.caches, least);
        while domains.len() > most && least < cpus {
            least *= 2;
            domains = folded(&self.caches, least);
        }
        domains.truncate(most); // more memory nodes than that: the others go with the first
        let mut of: Vec<Option<u16>> = vec![None; cpus];
        for (domain, members) in domains.iter().enumerate() {
            for &cpu in members.iter().filter(|&&cpu| cpu < cpus) {
                of[cpu] = Some(domain as u16);
            }
        }
        let mut last = 0;
        of.into_iter().map(|domain| *domain.as_ref().inspect(|d| last = **d).unwrap_or(&last)).collect()
    }
}

/// Caches as domains, neighbours in a node together until they have `least` CPUs.
fn folded(nodes: &[Vec<Vec<usize>>], least: usize) -> Vec<Vec<usize>> {
    let mut domains: Vec<Vec<usize>> = Vec::new();
    for caches in nodes {
        let mut node: Vec<Vec<usize>> = Vec::new();
        for cache in caches {
            match node.last_mut() {
                Some(last) if last.len() < least => last.extend(cache),
                _ => node.push(cache.clone()),
            }
        }
        // What is left over is too small by itself.
        if node.len() > 1 && node.last().is_some_and(|last| last.len() < least) {
            let rest = node.pop().expect("not empty");
            node.last_mut().expect("not empty").extend(rest);
        }
        domains.extend(node);
    }
    domains.retain(|d| !d.is_empty());
    domains
}

/// The CPUs by domain, and where each domain begins among them, with the end of the last.
pub fn by_domain(of: &[u16]) -> (Vec<u16>, Vec<u16>) {
    let mut cpus: Vec<u16> = (0..of.len() as u16).collect();
    cpus.sort_by_key(|&cpu| of[cpu as usize]);
    let last = of.iter().max().copied().unwrap_or(0);
    let start = (0..=last + 1).map(|d| cpus.partition_point(|&cpu| of[cpu as usize] < d) as u16).collect();
    (cpus, start)
}

/// See [`Cpus::next_in_core`]; `cores` are the threads of each.
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
    use super::*;

    #[test]
    fn threads_of_a_core_are_a_ring() {
        assert_eq!(rings(&[vec![0], vec![1]], 2), None);
        assert_eq!(rings(&[vec![0, 2], vec![1, 3]], 4), Some(vec![2, 3, 0, 1]));
        // Four threads, one that is not there, and a CPU of which nothing is known.
        assert_eq!(rings(&[vec![0, 1, 2, 3], vec![9]], 5), Some(vec![1, 2, 3, 0, 4]));
    }

    #[test]
    fn caches_are_domains_but_for_small_ones() {
        let nodes = |caches: &[&[&[usize]]]| Cpus {
            caches: caches.iter().map(|n| n.iter().map(|c| c.to_vec()).collect()).collect(),
            ..Cpus::default()
        };
        let two = nodes(&[&[&[0, 1, 2, 3], &[4, 5, 6, 7]]]);
        assert_eq!(two.domains(8, 64), [0, 0, 0, 0, 1, 1, 1, 1]);
        assert_eq!(two.domains(8, 1), [0; 8], "no more than there may be");
        // Threads of a core are far apart in number; CPUs 8 and 9 are offline.
        let far = nodes(&[&[&[0, 1, 4, 5]], &[&[2, 3, 6, 7]]]);
        assert_eq!(far.domains(10, 64), [0, 0, 1, 1, 0, 0, 1, 1, 1, 1]);
        // A virtual machine's CPUs have a cache each, as a rule.
        let each = nodes(&[&[&[0], &[1], &[2], &[3], &[4], &[5]], &[&[6]]]);
        assert_eq!(each.domains(7, 64), [0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(Cpus::default().domains(3, 64), [0, 0, 0]);
        assert!(Cpus::default().domains(0, 64).is_empty());
    }

    #[test]
    fn cpus_are_listed_by_domain() {
        assert_eq!(by_domain(&[0, 1, 0, 1, 2]), (vec![0, 2, 1, 3, 4], vec![0, 2, 4, 5]));
        assert_eq!(by_domain(&[0, 0]), (vec![0, 1], vec![0, 2]));
    }
}
