// SPDX-License-Identifier: GPL-2.0-only
//! `mark PATH`: gives a cgroup the attribute by which it is an agent, as setfattr would.

use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;

fn main() {
    let path = std::env::args_os().nth(1).expect("usage: mark PATH");
    let path = CString::new(path.into_vec()).expect("a path");
    // SAFETY: two C strings, and a value of one byte.
    let failed =
        unsafe { libc::setxattr(path.as_ptr(), c"user.scx_agent".as_ptr(), c"1".as_ptr().cast(), 1, 0) };
    assert_eq!(failed, 0, "{path:?}: {}", std::io::Error::last_os_error());
}
