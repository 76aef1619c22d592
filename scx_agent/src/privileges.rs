// SPDX-License-Identifier: GPL-2.0-only
//! What root's process does without: capabilities that scx_agent never uses are dropped when it starts, those that
//! only loading needs are in force while it loads, and threads that answer anybody have none for good. The unit
//! (`dist/systemd/scx_agent.service`) bounds them in the same way; this is for those that start it by hand.

use anyhow::{Context, Result};
use log::warn;
use rustix::io::Errno;
use rustix::thread::{
    capabilities, capability_is_in_bounding_set, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs, CapabilitySet, CapabilitySets,
};

/// What loading and attaching needs: at the start, and again when CPUs have come or gone.
pub const LOADING: CapabilitySet =
    CapabilitySet::SYS_ADMIN.union(CapabilitySet::BPF).union(CapabilitySet::PERFMON);

/// What putting knobs back needs: to open cgroups by their ids, to write files that are others', to lower
/// oom_score_adj, and to find processes where /proc is mounted with hidepid.
pub const RESTORING: CapabilitySet = CapabilitySet::DAC_READ_SEARCH
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::SYS_RESOURCE)
    .union(CapabilitySet::SYS_PTRACE);

/// What the daemon needs while it runs: as well to read the environment of calls, and to end those that are over
/// their time limit.
pub const WORKING: CapabilitySet = RESTORING.union(CapabilitySet::KILL);

/// To read `trusted.delegate` of cgroups.
pub const DELEGATED: CapabilitySet = CapabilitySet::SYS_ADMIN;

/// To open cgroups by their ids.
pub const LOOKING: CapabilitySet = CapabilitySet::DAC_READ_SEARCH;

/// For those that need nothing.
pub const NOTHING: CapabilitySet = CapabilitySet::empty();

/// Drops what the daemon never uses from every set, for this thread and those that it starts, and whatever is
/// executed gains nothing. To be called while there is one thread. What loading needs is not in force afterwards.
///
/// # Errors
/// The kernel refuses to take away what this process has.
pub fn bound() -> Result<()> {
    let wanted = WORKING.union(LOADING);
    for n in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << n);
        match capability_is_in_bounding_set(one) {
            Ok(true) if !wanted.contains(one) => match remove_capability_from_bounding_set(one) {
                // Without CAP_SETPCAP: they are dropped from the other sets all the same.
                Err(Errno::PERM) => break,
                done => done.context("cannot drop capabilities")?,
            },
            Ok(_) => (),
            // Beyond the last that this kernel has.
            Err(_) => break,
        }
    }
    set(wanted, WORKING).context("cannot drop capabilities")?;
    set_no_new_privs(true).context("cannot set no_new_privs")
}

/// Of what this thread has it keeps only `set`, for good.
pub fn keep(set: CapabilitySet) {
    if let Err(e) = self::set(set, set) {
        warn!("cannot drop capabilities: {e}");
    }
}

/// As far as this thread may have them.
fn set(permitted: CapabilitySet, effective: CapabilitySet) -> rustix::io::Result<()> {
    let permitted = permitted.intersection(capabilities(None)?.permitted);
    let effective = effective.intersection(permitted);
    set_capabilities(None, CapabilitySets { effective, permitted, inheritable: CapabilitySet::empty() })
}

/// While this is there its thread can load programs, as can threads that it starts.
#[derive(Debug)]
pub struct Loading(());

impl Loading {
    /// # Errors
    /// The kernel refuses.
    pub fn begin() -> Result<Loading> {
        set(WORKING.union(LOADING), WORKING.union(LOADING)).context("cannot use capabilities")?;
        Ok(Loading(()))
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        if let Err(e) = set(WORKING.union(LOADING), WORKING) {
            warn!("cannot drop capabilities: {e}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Capabilities are each thread's own: one that ends takes with it what it has dropped.
    #[test]
    fn what_is_dropped_does_not_come_back() {
        let now = || capabilities(None).unwrap();
        let before = now();
        std::thread::spawn(move || {
            keep(WORKING.union(LOADING));
            {
                let _loading = Loading::begin().unwrap();
                assert_eq!(now().effective, WORKING.union(LOADING).intersection(before.permitted));
            }
            assert_eq!(now().effective, WORKING.intersection(before.permitted));
            keep(LOOKING);
            let _loading = Loading::begin().unwrap();
            assert_eq!(now().permitted, LOOKING.intersection(before.permitted));
            keep(NOTHING);
            assert_eq!((now().permitted, now().effective), (NOTHING, NOTHING));
        })
        .join()
        .unwrap();
        assert_eq!(now(), before);
    }
}
