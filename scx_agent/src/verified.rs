// SPDX-License-Identifier: GPL-2.0-only
//! What the kernel's verifier went through to load the kernel half.

use libbpf_rs::query::ProgInfoIter;
use libbpf_rs::{Object, Program};
use log::debug;
use std::collections::HashSet;
use std::os::fd::AsFd;

/// Tells, with -vv, how many instructions the verifier looked at for each program of `object`, which is
/// loaded; the kernel refuses a program at a million (`BPF_COMPLEXITY_LIMIT_INSNS`).
pub fn tell(object: &Object) {
    if !log::log_enabled!(log::Level::Debug) {
        return;
    }
    let loaded = object.progs().filter(|p| p.autoload());
    let ids: HashSet<u32> = loaded.filter_map(|p| Program::id_from_fd(p.as_fd()).ok()).collect();
    for program in ProgInfoIter::default().filter(|p| ids.contains(&p.id)) {
        debug!("verified: {} instructions of {}", program.verified_insns, program.name.to_string_lossy());
    }
}
