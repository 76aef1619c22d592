// SPDX-License-Identifier: GPL-2.0-only
//! The calls that one agent's hooks have announced and not yet ended.

use super::message::Message;
use crate::calls::Tag;
use std::collections::VecDeque;
use std::time::Instant;

/// Most open calls of one agent; the oldest makes way.
const OPEN_MAX: usize = 64;
/// Characters of a command that are compared.
const NEEDLE_MAX: usize = 200;

/// A call that was announced.
#[derive(Debug)]
struct Open {
    tag: Tag,
    /// Its command, as it is compared.
    needle: Option<String>,
    since: Instant,
    /// Slot and number of the call that the kernel half found for it.
    call: Option<(u32, u64)>,
}

/// What an agent has said of its calls.
#[derive(Debug, Default)]
pub struct OpenTags(VecDeque<Open>);

impl OpenTags {
    /// A call is announced; `call` is the one it stands for, if that is known already.
    ///
    /// # Errors
    /// Its id is open already.
    pub fn begin(&mut self, m: &Message, call: Option<(u32, u64)>, now: Instant) -> Result<Tag, String> {
        if m.id.is_some() && self.0.iter().any(|o| o.tag.id == m.id) {
            return Err(format!("call {:?} has begun already", m.id.as_deref().unwrap_or("")));
        }
        let tag = Tag { session: m.session.clone(), id: m.id.clone(), tool: m.tool.clone(), lasted_ns: None };
        if self.0.len() == OPEN_MAX {
            self.0.pop_front();
        }
        let needle = m.command.as_deref().map(needle).filter(|n| !n.is_empty());
        self.0.push_back(Open { tag: tag.clone(), needle, since: now, call });
        Ok(tag)
    }

    /// The tag for a call that has just begun with this command line: that of the oldest
    /// announced call with the same command that has none yet.
    pub fn claim(&mut self, words: &[String], slot: u32, call: u64) -> Option<Tag> {
        if self.0.iter().all(|o| o.call.is_some() || o.needle.is_none()) {
            return None;
        }
        let line = bare(&words.join(" "));
        let open = self
            .0
            .iter_mut()
            .find(|o| o.call.is_none() && o.needle.as_ref().is_some_and(|n| line.contains(n.as_str())))?;
        open.call = Some((slot, call));
        Some(open.tag.clone())
    }

    /// A call is over: its tag with its length, and the kernel half's call if one was found.
    ///
    /// # Errors
    /// No such call has begun.
    pub fn end(&mut self, m: &Message, now: Instant) -> Result<(Tag, Option<(u32, u64)>), String> {
        let wanted = m.command.as_deref().map(needle);
        let at = self.0.iter().position(|o| match &m.id {
            Some(_) => o.tag.id == m.id,
            None => o.tag.id.is_none() && o.tag.tool == m.tool && (wanted.is_none() || o.needle == wanted),
        });
        let Some(open) = at.and_then(|at| self.0.remove(at)) else {
            let name = m.id.as_deref().or(m.tool.as_deref()).or(m.command.as_deref()).unwrap_or("");
            return Err(format!("call {name:?} has not begun"));
        };
        let lasted_ns = u64::try_from(now.duration_since(open.since).as_nanos()).ok();
        Ok((Tag { lasted_ns, ..open.tag }, open.call))
    }

    /// Calls that are open now.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// A command without what quoting changes: an agent wraps it in `eval '...'` and the like.
fn bare(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '\'' | '"' | '\\')).collect()
}

fn needle(command: &str) -> String {
    bare(command).chars().take(NEEDLE_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::super::message::What;
    use super::*;

    fn message(id: Option<&str>, command: &str) -> Message {
        Message {
            what: What::CallBegin,
            hook: true,
            pid: None,
            session: None,
            id: id.map(String::from),
            tool: Some("Bash".into()),
            command: Some(command.into()),
        }
    }

    fn shell(line: &str) -> Vec<String> {
        ["/bin/bash", "-c", line].map(String::from).to_vec()
    }

    #[test]
    fn a_tag_finds_its_call() {
        let (mut open, now) = (OpenTags::default(), Instant::now());
        open.begin(&message(Some("1"), "echo 'a b' | wc"), None, now).unwrap();
        open.begin(&message(Some("2"), "make"), None, now).unwrap();
        assert!(open.begin(&message(Some("2"), "make"), None, now).unwrap_err().contains("already"));
        assert!(open.claim(&shell("ls"), 1, 10).is_none());
        let line = "source /snap.sh && eval 'echo '\"'\"'a b'\"'\"' | wc' < /dev/null && pwd";
        assert_eq!(open.claim(&shell(line), 2, 11).unwrap().id.as_deref(), Some("1"));
        assert!(open.claim(&shell(line), 3, 12).is_none(), "one call for one tag");
        let (tag, call) = open.end(&message(Some("1"), ""), now).unwrap();
        assert_eq!((tag.lasted_ns.is_some(), call), (true, Some((2, 11))));
        assert!(open.end(&message(Some("1"), ""), now).unwrap_err().contains("has not begun"));
        assert_eq!(open.len(), 1);
    }

    #[test]
    fn without_ids_tool_and_command_tell() {
        let (mut open, now) = (OpenTags::default(), Instant::now());
        open.begin(&message(None, "a"), None, now).unwrap();
        open.begin(&message(None, "b"), None, now).unwrap();
        assert!(open.end(&message(None, "c"), now).is_err());
        open.end(&message(None, "b"), now).unwrap();
        assert!(open.end(&message(None, "b"), now).is_err());
    }

    #[test]
    fn an_agent_keeps_few() {
        let (mut open, now) = (OpenTags::default(), Instant::now());
        for i in 0..1000 {
            open.begin(&message(Some(&i.to_string()), "x"), None, now).unwrap();
        }
        assert_eq!(open.len(), OPEN_MAX);
        assert!(open.end(&message(Some("0"), ""), now).is_err());
        open.end(&message(Some("999"), ""), now).unwrap();
    }
}
