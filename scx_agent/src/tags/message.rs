// SPDX-License-Identifier: GPL-2.0-only
//! What goes over the tag socket: one [`Message`] as a line of JSON, answered by one line, a
//! `Result<String, String>` as JSON.

use serde::{Deserialize, Serialize};

/// Longest message, in bytes.
pub const MESSAGE_MAX: usize = 16 << 10;
/// Longest name of a session, a call or a tool, in bytes.
pub const NAME_MAX: usize = 128;
/// Longest command, in bytes; more does not help to find its call.
pub const COMMAND_MAX: usize = 2048;

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A tool call is about to begin.
    CallBegin,
    /// A tool call is over.
    CallEnd,
    /// The model has been asked.
    ModelAsked,
    /// The model has answered.
    ModelAnswered,
}

/// What a process says of its agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    pub what: What,
    /// The caller is a hook: a helper of its agent.
    #[serde(default)]
    pub hook: bool,
    /// The call in which this process is, and not one that is still to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The agent's own name of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

impl Message {
    /// Checks what the type does not say.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check(&self) -> Result<(), String> {
        for (name, value) in [("session", &self.session), ("id", &self.id), ("tool", &self.tool)] {
            match value {
                Some(v) if v.is_empty() => return Err(format!("{name} is empty")),
                Some(v) if v.len() > NAME_MAX => {
                    return Err(format!("{name} has {} bytes, at most {NAME_MAX} are taken", v.len()))
                }
                _ => (),
            }
        }
        if self.command.as_ref().is_some_and(|c| c.len() > COMMAND_MAX) {
            return Err(format!("command has more than {COMMAND_MAX} bytes"));
        }
        let call = matches!(self.what, What::CallBegin | What::CallEnd);
        if call && self.id.is_none() && self.command.is_none() && self.tool.is_none() {
            return Err("a call needs an id, a tool or a command to be known by".into());
        }
        Ok(())
    }

    /// From the line that came over the socket.
    ///
    /// # Errors
    /// It is not a message, in a sentence.
    pub fn parse(line: &[u8]) -> Result<Message, String> {
        let message: Message = serde_json::from_slice(line).map_err(|e| format!("not a tag: {e}"))?;
        message.check()?;
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_wrong_is_named() {
        let refused = |text: &str| Message::parse(text.as_bytes()).unwrap_err();
        assert!(refused("").contains("not a tag"));
        assert!(refused("{\"what\":\"reboot\"}").contains("reboot"));
        assert!(refused("{\"what\":\"call_begin\",\"id\":\"a\",\"role\":1}").contains("role"));
        assert!(refused("{\"what\":\"call_begin\",\"id\":\"\"}").contains("id is empty"));
        assert!(refused("{\"what\":\"call_end\"}").contains("needs an id"));
        let long = format!("{{\"what\":\"call_end\",\"id\":\"{}\"}}", "x".repeat(NAME_MAX + 1));
        assert!(refused(&long).contains("129 bytes"));
        assert!(refused(&"[".repeat(10_000)).contains("not a tag"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Message::parse(&bytes);
        }
    }
}
