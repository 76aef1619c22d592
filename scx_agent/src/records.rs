// SPDX-License-Identifier: GPL-2.0-only
//! Ring buffer records, as the kernel half writes them (`bpf/intf.h`).

use crate::bpf_intf;
use crate::calls::{command, Evidence};
use std::path::Path;

/// A record as the kernel half wrote it.
pub struct Raw(bpf_intf::agent_event);

impl std::ops::Deref for Raw {
    type Target = bpf_intf::agent_event;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Raw {
    /// None if the record is shorter than the layout.
    pub fn from_bytes(bytes: &[u8]) -> Option<Raw> {
        if bytes.len() < size_of::<bpf_intf::agent_event>() {
            return None;
        }
        // SAFETY: long enough, and every bit pattern is a valid agent_event (integers only).
        Some(Raw(unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) }))
    }

    /// The name, which a container may have chosen: whatever bytes, lossily as text.
    pub fn text(&self) -> String {
        text(&self.name)
    }
}

/// A C string of the kernel half, lossily.
fn text(chars: &[std::ffi::c_char]) -> String {
    let bytes: Vec<u8> = chars.iter().map(|&c| c as u8).take_while(|&c| c != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Evidence as it is kept and shown.
pub fn evidence(raw: &bpf_intf::agent_evidence) -> Evidence {
    Evidence {
        at_ns: raw.at_ns,
        cgroup_id: raw.cgroup_id,
        parent: raw.parent,
        parent_comm: text(&raw.parent_comm),
        session: raw.session,
        comm: text(&raw.comm),
    }
}

/// What a record of a call's program has beside the event: evidence and command line.
pub struct CallRecord {
    evidence: bpf_intf::agent_evidence,
    args: Vec<u8>,
}

impl CallRecord {
    /// None if the record is shorter than it says.
    pub fn from_bytes(bytes: &[u8]) -> Option<CallRecord> {
        use std::mem::offset_of;
        let at = offset_of!(bpf_intf::agent_call_event, evidence);
        let evidence = bytes.get(at..at + size_of::<bpf_intf::agent_evidence>())?;
        // SAFETY: long enough, and every bit pattern is valid (integers only).
        let evidence = unsafe { std::ptr::read_unaligned(evidence.as_ptr().cast()) };
        let at = offset_of!(bpf_intf::agent_call_event, args_len);
        let len = u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
        let at = offset_of!(bpf_intf::agent_call_event, args);
        let args = bytes.get(at..at.checked_add(usize::try_from(len).ok()?)?)?.to_vec();
        Some(CallRecord { evidence, args })
    }

    /// The command line: as the kernel half saw it, else as process `pid` has it now.
    pub fn words(&self, pid: u32) -> Vec<String> {
        match self.args.is_empty() {
            true => command::of_process(Path::new("/proc"), pid),
            false => command::words(&self.args),
        }
    }

    /// What it was decided from.
    pub fn evidence(&self) -> Evidence {
        evidence(&self.evidence)
    }
}
