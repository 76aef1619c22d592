// SPDX-License-Identifier: GPL-2.0-only
//! The kernel's trace ring buffer, as read from `trace_pipe_raw`: sub-buffers of a time stamp,
//! a length and events with time deltas.

/// What the tracer wants to know of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A CPU switched from one pid to another.
    Switch { prev: i32, next: i32 },
    /// A process forked.
    Fork { parent: i32, child: i32 },
}

/// Where an event type keeps two pids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Number of the event type.
    pub id: u16,
    /// Offset of `prev_pid` or `parent_pid`, and of `next_pid` or `child_pid`.
    pub first: usize,
    pub second: usize,
}

/// Reads the layout from an event's `format` file.
pub fn layout(format: &str, first: &str, second: &str) -> Option<Layout> {
    let id = format.lines().find_map(|l| l.strip_prefix("ID: "))?.trim().parse().ok()?;
    let offset = |field: &str| -> Option<usize> {
        let line = format.lines().find(|l| {
            l.trim_start()
                .strip_prefix("field:")
                .and_then(|r| r.split(';').next())
                .is_some_and(|d| d.split_whitespace().last() == Some(field))
        })?;
        line.split("offset:").nth(1)?.split(';').next()?.trim().parse().ok()
    };
    Some(Layout { id, first: offset(first)?, second: offset(second)? })
}

/// Calls `f(time_ns, event)` for each known event of a sub-buffer, in order.
pub fn parse(page: &[u8], switch: Layout, fork: Layout, mut f: impl FnMut(u64, Event)) {
    let Some(mut time) = u64_at(page, 0) else {
        return;
    };
    let Some(commit) = u64_at(page, 8) else {
        return;
    };
    // The upper bits flag lost events.
    let end = (16 + (commit & 0xf_ffff) as usize).min(page.len());
    let mut at = 16;
    while let Some(head) = u32_at(page, at).filter(|_| at + 4 <= end) {
        let (kind, delta) = (head & 0x1f, (head >> 5) as u64);
        let body = at + 4;
        match kind {
            // Padding: the rest of the page when without a delta.
            29 => {
                if delta == 0 {
                    return;
                }
                time += delta;
                at = body + u32_at(page, body).unwrap_or(u32::MAX / 2) as usize;
            }
            // The high bits of a long delta.
            30 => {
                time += delta + ((u32_at(page, body).unwrap_or(0) as u64) << 27);
                at = body + 4;
            }
            // An absolute time; its top five bits are those of the time so far.
            31 => {
                let low = delta + ((u32_at(page, body).unwrap_or(0) as u64) << 27);
                time = low | (time & (0x1f << 59));
                at = body + 4;
            }
            // Data: a length in words, or in the first word.
            _ => {
                time += delta;
                let (data, len) = match kind {
                    0 => (body + 4, (u32_at(page, body).unwrap_or(0) as usize).saturating_sub(4)),
                    words => (body, 4 * words as usize),
                };
                if data + len > end {
                    return;
                }
                let event = &page[data..data + len];
                let pids =
                    |l: Layout| Some((u32_at(event, l.first)? as i32, u32_at(event, l.second)? as i32));
                match u16_at(event, 0) {
                    Some(id) if id == switch.id => {
                        if let Some((prev, next)) = pids(switch) {
                            f(time, Event::Switch { prev, next });
                        }
                    }
                    Some(id) if id == fork.id => {
                        if let Some((parent, child)) = pids(fork) {
                            f(time, Event::Fork { parent, child });
                        }
                    }
                    _ => {}
                }
                at = data + len.next_multiple_of(4);
            }
        }
    }
}

fn u16_at(b: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(b.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(b: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(b.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(b: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(b.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: &str = "name: sched_switch\nID: 314\nformat:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:0;\n\tfield:pid_t prev_pid;\toffset:24;\tsize:4;\tsigned:1;\n\tfield:pid_t next_pid;\toffset:56;\tsize:4;\tsigned:1;\n";

    #[test]
    fn the_format_file_is_understood() {
        let l = layout(FORMAT, "prev_pid", "next_pid").unwrap();
        assert_eq!(l, Layout { id: 314, first: 24, second: 56 });
        assert_eq!(layout(FORMAT, "prev_pid", "nothing"), None);
    }

    #[test]
    fn a_page_is_walked() {
        let switch = Layout { id: 1, first: 4, second: 8 };
        let fork = Layout { id: 2, first: 4, second: 8 };
        let mut body: Vec<u32> = Vec::new();
        // A switch 100 ns in, a long delta of 2 * 2^27 + 5, a fork in the long form, one of
        // another type, padding to the end.
        body.extend([3 | (100 << 5), 1, 10, 11]);
        body.extend([30 | (5 << 5), 2]);
        body.extend([1 << 5, 16, 2, 11, 12]);
        body.extend([2 | (1 << 5), 9, 9]);
        body.extend([29, 0]);
        let mut page = 1000u64.to_ne_bytes().to_vec();
        page.extend((4 * body.len() as u64).to_ne_bytes());
        page.extend(body.iter().flat_map(|w| w.to_ne_bytes()));
        let mut seen = Vec::new();
        parse(&page, switch, fork, |t, e| seen.push((t, e)));
        let late = 1100 + 5 + (2 << 27) + 1;
        assert_eq!(
            seen,
            [(1100, Event::Switch { prev: 10, next: 11 }), (late, Event::Fork { parent: 11, child: 12 })]
        );
        // Cut anywhere, it does not panic.
        for n in 0..page.len() {
            parse(&page[..n], switch, fork, |_, _| {});
        }
    }
}
