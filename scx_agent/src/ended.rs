// SPDX-License-Identifier: GPL-2.0-only
//! Why the kernel has ended the scheduler, in its words. They hold names of tasks, which is text that anybody
//! chooses and the kernel cuts off anywhere: scx_utils, which tells them, takes UTF-8 and prints it as it is.

use crate::bpf_skel::BpfSkel;
use anyhow::{Context, Result};
use scx_utils::compat::struct_has_field;
use scx_utils::{UserExitInfo, UEI_DUMP_PTR_MUTEX};
use std::ffi::{c_char, CStr, CString};
use std::ptr::null;
use std::sync::PoisonError;

/// Tells why; true if it is to be started again.
///
/// # Errors
/// The kernel ejected it: its reason.
pub fn report(skel: &BpfSkel<'_>) -> Result<bool> {
    let uei = &skel.maps.data_data.as_ref().context("the kernel half has no data")?.uei;
    let has = |field: &str| struct_has_field("scx_exit_info", field).unwrap_or(false);
    let dump = UEI_DUMP_PTR_MUTEX.lock().unwrap_or_else(PoisonError::into_inner).ptr;
    // SAFETY: the kernel half ends each with a NUL, and the maps they are in live as long as `skel`.
    let [reason, msg] = [uei.reason.as_ptr(), uei.msg.as_ptr()].map(|text| unsafe { clean(text.cast()) });
    // SAFETY: the same.
    let dump = (!dump.is_null()).then(|| unsafe { clean(dump.cast()) });
    let info = UserExitInfo::new(
        &uei.kind,
        if has("exit_code") { &uei.exit_code } else { null() },
        if has("exit_cpu") { &uei.exit_cpu } else { null() },
        reason.as_ptr(),
        msg.as_ptr(),
        dump.as_ref().map_or(null(), |d| d.as_ptr()),
    );
    info.report()?;
    Ok(info.should_restart())
}

/// A copy that any terminal takes.
///
/// # Safety
/// `text` ends with a NUL.
unsafe fn clean(text: *const c_char) -> CString {
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => clean.push(c),
            c if c.is_control() => clean.extend(c.escape_default()),
            c => clean.push(c),
        }
    }
    CString::new(clean).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tasks_may_be_anything() {
        let text = c"runnable\t\xff\x1b[2J\xc3[7]\n  a \xc3\xa4";
        // SAFETY: it ends with a NUL.
        let clean = unsafe { clean(text.as_ptr()) };
        assert_eq!(clean.to_str(), Ok("runnable\t\u{fffd}\\u{1b}[2J\u{fffd}[7]\n  a \u{e4}"));
    }
}
