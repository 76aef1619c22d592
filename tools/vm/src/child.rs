// SPDX-License-Identifier: GPL-2.0-only
//! Child processes that do not outlive us.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Makes the kernel send `signal` to the command's process when the thread that starts it is gone.
pub(crate) fn dies_with_us(command: &mut Command, signal: libc::c_int) {
    let parent = std::process::id();
    // SAFETY: between fork and exec it makes system calls only, which are async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, signal) != 0 {
                return Err(io::Error::last_os_error());
            }
            if libc::getppid() as u32 != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH)); // died before the prctl
            }
            Ok(())
        });
    }
}
