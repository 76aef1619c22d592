// SPDX-License-Identifier: GPL-2.0-only
//! The kernel's interface to let programs control the memory of cgroups (`memcg_bpf_ops`), in the variants
//! that are known: no release has one. Loads `bpf/memory.bpf.c`, and attaches it to cgroups.

use crate::bpf_intf::agent_room;
use crate::memory_skel::MemorySkelBuilder;
use anyhow::{Context, Result};
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{libbpf_sys, MapCore, MapFlags, MapHandle, MapMut};
use scx_utils::compat::struct_has_field;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const OPS: &str = "memcg_bpf_ops";
/// The flag by which one of the forms says that the target is a cgroup.
const BPF_F_CGROUP_FD: u32 = 1 << 7;

/// A variant of the interface, by the version of the proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// `get_high_delay_ms` delays a charge.
    V6,
    /// `memcg_charged` does, and `below_low` and `below_min` have figures to decide by.
    V7,
}

impl Variant {
    /// The one that the running kernel has, by its types.
    pub fn of_kernel() -> Option<Variant> {
        let has = |member| struct_has_field(OPS, member).unwrap_or(false);
        if !has("below_low") || !has("below_min") {
            None
        } else if has("memcg_charged") {
            Some(Variant::V7)
        } else {
            has("get_high_delay_ms").then_some(Variant::V6)
        }
    }

    /// For messages: what tells it from the other.
    pub fn name(self) -> &'static str {
        match self {
            Variant::V6 => "memcg_bpf_ops with get_high_delay_ms",
            Variant::V7 => "memcg_bpf_ops with memcg_charged",
        }
    }

    /// The forms in which a kernel may take a cgroup, the one that came with the variant first.
    fn forms(self) -> [Form; 3] {
        match self {
            Variant::V6 => [Form::Relative, Form::Flagged, Form::Target],
            Variant::V7 => [Form::Flagged, Form::Target, Form::Relative],
        }
    }
}

/// How BPF_LINK_CREATE is told which cgroup the link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `link_create.cgroup.relative_fd`.
    Relative,
    /// `link_create.target_fd`, and a flag.
    Flagged,
    /// `link_create.target_fd` alone.
    Target,
}

/// The beginning of `union bpf_attr` for BPF_LINK_CREATE; what is not given is 0 to the kernel.
#[repr(C)]
#[derive(Debug, Default, PartialEq)]
struct LinkCreate {
    map_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    relative_fd: u32,
    unused: u32,
    expected_revision: u64,
}

impl LinkCreate {
    fn new(form: Form, map: u32, cgroup: u32) -> LinkCreate {
        let all = LinkCreate { map_fd: map, attach_type: libbpf_sys::BPF_STRUCT_OPS, ..Default::default() };
        match form {
            Form::Relative => LinkCreate { relative_fd: cgroup, ..all },
            Form::Flagged => LinkCreate { target_fd: cgroup, flags: BPF_F_CGROUP_FD, ..all },
            Form::Target => LinkCreate { target_fd: cgroup, ..all },
        }
    }

    /// The link; it is there as long as the descriptor.
    fn create(&self) -> io::Result<OwnedFd> {
        // SAFETY: the kernel reads the structure, which is as long as is said, and keeps no pointer to it.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                libbpf_sys::BPF_LINK_CREATE,
                self as *const LinkCreate,
                size_of_val(self),
            )
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a descriptor that the kernel has just made for us.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
    }
}

/// The programs, loaded.
#[derive(Debug)]
pub struct Programs {
    /// The struct_ops map that is attached.
    ops: OwnedFd,
    rooms: MapHandle,
    variant: Variant,
    /// How the kernel takes cgroups, once one was attached.
    form: Option<Form>,
}

impl Programs {
    /// Loads the programs for `variant`, which find what tasks are in the map `tasks`.
    ///
    /// # Errors
    /// The kernel refuses them.
    pub fn load(variant: Variant, tasks: BorrowedFd<'_>) -> Result<Programs> {
        let mut object = MaybeUninit::uninit();
        let mut open = MemorySkelBuilder::default().open(&mut object)?;
        // The programs of what is not created are not loaded.
        open.maps.ops_v6.set_autocreate(variant == Variant::V6)?;
        open.maps.ops_v7.set_autocreate(variant == Variant::V7)?;
        open.maps.task_ctxs.reuse_fd(tasks)?;
        let mut skel = open.load().context("the kernel refuses the programs")?;
        let ops = match variant {
            Variant::V6 => publish(&mut skel.maps.ops_v6)?,
            Variant::V7 => publish(&mut skel.maps.ops_v7)?,
        };
        Ok(Programs { ops, rooms: MapHandle::try_from(&skel.maps.rooms)?, variant, form: None })
    }

    /// Attaches them to `cgroup`, a directory, and all below it, until the descriptor is closed.
    ///
    /// # Errors
    /// EBUSY: somebody else's are attached there, or above.
    pub fn attach(&mut self, cgroup: BorrowedFd<'_>) -> io::Result<OwnedFd> {
        let (map, target) = (self.ops.as_raw_fd() as u32, cgroup.as_raw_fd() as u32);
        if let Some(form) = self.form {
            return LinkCreate::new(form, map, target).create();
        }
        let mut result = Err(io::ErrorKind::Unsupported.into());
        for form in self.variant.forms() {
            result = LinkCreate::new(form, map, target).create();
            match result.as_ref().map_err(io::Error::raw_os_error) {
                // So does a kernel answer that knows another form only.
                Err(Some(libc::EINVAL | libc::ENOENT | libc::EBADF)) => continue,
                // It has come as far as the cgroup.
                Ok(_) | Err(Some(libc::EBUSY)) => self.form = Some(form),
                Err(_) => (),
            }
            break;
        }
        result
    }

    /// Says what the agent whose cgroup is `id` may use.
    ///
    /// # Errors
    /// The kernel has no memory for it.
    pub fn set(&self, id: u64, room: &agent_room) -> Result<()> {
        // SAFETY: integers without padding between them.
        let value = unsafe {
            std::slice::from_raw_parts((room as *const agent_room).cast::<u8>(), size_of::<agent_room>())
        };
        self.rooms.update(&id.to_ne_bytes(), value, MapFlags::ANY).context("cannot set an agent's room")
    }

    /// The agent is no more.
    pub fn forget(&self, id: u64) {
        // It may not be there.
        let _ = self.rooms.delete(&id.to_ne_bytes());
    }
}

/// Gives the kernel the value of a struct_ops map, and returns the map. libbpf does so only on the way to a
/// link, which it can only ask for without a cgroup: that is refused (ENOENT), or is dropped at once.
fn publish(map: &mut MapMut<'_>) -> Result<OwnedFd> {
    let link = map.attach_struct_ops();
    drop(link);
    map.as_fd().try_clone_to_owned().context("cannot keep a map")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_asked_for_as_the_kernel_has_them() {
        // union bpf_attr: map_fd, target_fd, attach_type, flags; then cgroup.relative_fd.
        assert_eq!(std::mem::offset_of!(LinkCreate, flags), 12);
        assert_eq!(std::mem::offset_of!(LinkCreate, relative_fd), 16);
        assert_eq!(size_of::<LinkCreate>(), 32);
        let of = |form| {
            let l = LinkCreate::new(form, 5, 7);
            (l.map_fd, l.target_fd, l.flags, l.relative_fd)
        };
        assert_eq!(of(Form::Relative), (5, 0, 0, 7));
        assert_eq!(of(Form::Flagged), (5, 7, 128, 0));
        assert_eq!(of(Form::Target), (5, 7, 0, 0));
    }
}
