// SPDX-License-Identifier: GPL-2.0-only
//! The JSON that agents give to their hooks on standard input, as tags.

use super::message::{Message, What, COMMAND_MAX, NAME_MAX};
use crate::calls::command::cut;
use serde::Deserialize;
use serde_json::Value;

/// The fields that tell something; agents send more.
#[derive(Deserialize)]
struct Hook {
    hook_event_name: String,
    session_id: Option<String>,
    tool_use_id: Option<String>,
    tool_name: Option<String>,
    #[serde(default)]
    tool_input: Value,
}

/// Which of the two commands a hook calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Begin,
    End,
}

/// The tag that a hook's JSON stands for: of Claude Code and Codex (PreToolUse, PostToolUse), and of
/// Gemini CLI (BeforeTool, AfterTool, BeforeModel, AfterModel).
///
/// # Errors
/// It is not a hook's JSON, or that of a hook on the other side of the call.
pub fn parse(json: &[u8], side: Side) -> Result<Message, String> {
    let hook: Hook = serde_json::from_slice(json)
        .map_err(|e| format!("standard input is not the JSON of a tool hook: {e}"))?;
    let (on, what) = match hook.hook_event_name.as_str() {
        "PreToolUse" | "BeforeTool" => (Side::Begin, What::CallBegin),
        "PostToolUse" | "PostToolUseFailure" | "AfterTool" => (Side::End, What::CallEnd),
        "BeforeModel" => (Side::Begin, What::ModelAsked),
        "AfterModel" => (Side::End, What::ModelAnswered),
        other => {
            return Err(format!("hook_event_name {other:?} is none that tells of a call or of the model"))
        }
    };
    if on != side {
        return Err(format!(
            "{} is for `scx_agent call {}`",
            hook.hook_event_name,
            if on == Side::Begin { "begin" } else { "end" }
        ));
    }
    let name = |s: Option<String>| {
        s.filter(|s| !s.is_empty()).map(|mut s| {
            cut(&mut s, NAME_MAX);
            s
        })
    };
    let message = Message {
        what,
        hook: true,
        pid: None,
        session: name(hook.session_id),
        id: name(hook.tool_use_id),
        tool: name(hook.tool_name),
        command: command(&hook.tool_input),
    };
    message.check()?;
    Ok(message)
}

/// The command of a shell tool: a line, or a list of words.
fn command(input: &Value) -> Option<String> {
    let mut line = match input.get("command").or_else(|| input.get("cmd"))? {
        Value::String(line) => line.clone(),
        Value::Array(words) => words.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?.join(" "),
        _ => return None,
    };
    cut(&mut line, COMMAND_MAX);
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags::message::MESSAGE_MAX;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::{select, Index};

    #[test]
    fn hooks_of_each_agent() {
        let claude = br#"{"session_id":"abc","transcript_path":"/t","cwd":"/w","permission_mode":"default",
            "hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"npm test","description":"d"},
            "tool_use_id":"toolu_1"}"#;
        let m = parse(claude, Side::Begin).unwrap();
        assert_eq!((m.what, m.hook), (What::CallBegin, true));
        assert_eq!(m.id.as_deref(), Some("toolu_1"));
        assert_eq!(m.command.as_deref(), Some("npm test"));
        assert_eq!((m.session.as_deref(), m.tool.as_deref()), (Some("abc"), Some("Bash")));

        let codex = br#"{"hook_event_name":"PostToolUse","session_id":"s","turn_id":"t","tool_name":"shell",
            "tool_use_id":"call_9","tool_input":{"command":["bash","-lc","ls"]},"tool_response":"x"}"#;
        let m = parse(codex, Side::End).unwrap();
        assert_eq!((m.what, m.command.as_deref()), (What::CallEnd, Some("bash -lc ls")));

        let gemini = br#"{"session_id":"g","hook_event_name":"BeforeTool","tool_name":"run_shell_command",
            "tool_input":{"command":"make"}}"#;
        assert_eq!(parse(gemini, Side::Begin).unwrap().id, None);
        let model = br#"{"hook_event_name":"AfterModel","llm_response":{}}"#;
        assert_eq!(parse(model, Side::End).unwrap().what, What::ModelAnswered);
    }

    #[test]
    fn what_is_no_tool_hook_is_refused() {
        for (json, word) in [
            ("", "not the JSON"),
            ("{", "not the JSON"),
            ("[]", "not the JSON"),
            ("{}", "hook_event_name"),
            (r#"{"hook_event_name":3}"#, "not the JSON"),
            (r#"{"hook_event_name":"Stop"}"#, "Stop"),
            (r#"{"hook_event_name":"PostToolUse","tool_name":"x"}"#, "call end"),
            (r#"{"hook_event_name":"PreToolUse"}"#, "needs an id"),
        ] {
            let e = parse(json.as_bytes(), Side::Begin).unwrap_err();
            assert!(e.contains(word), "{json}: {e}");
        }
    }

    #[test]
    fn long_fields_are_cut() {
        let json = format!(
            r#"{{"hook_event_name":"PreToolUse","tool_use_id":"{}","tool_input":{{"command":"{}"}}}}"#,
            "é".repeat(500),
            "x".repeat(100_000)
        );
        let m = parse(json.as_bytes(), Side::Begin).unwrap();
        assert!(m.id.unwrap().len() <= NAME_MAX && m.command.unwrap().len() == COMMAND_MAX);
    }

    /// Every event that tells of something.
    const EVENTS: [&str; 7] = [
        "PreToolUse",
        "BeforeTool",
        "PostToolUse",
        "PostToolUseFailure",
        "AfterTool",
        "BeforeModel",
        "AfterModel",
    ];

    /// Text, short or longer than anything is kept.
    fn text() -> impl Strategy<Value = String> {
        ("(?s).{0,3}", 1..3000usize).prop_map(|(piece, times)| piece.repeat(times))
    }

    /// JSON of any kind, in which commands are not rare.
    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let object = vec(("command|cmd|[a-z]{0,4}", inner.clone()), 0..4);
            prop_oneof![
                vec(inner, 0..4).prop_map(Value::from),
                object.prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_text_is_a_hook_or_refused(text in "\\PC{0,200}", name in "[A-Za-z]{0,12}") {
            let _ = parse(text.as_bytes(), Side::Begin);
            let json = serde_json::json!({"hook_event_name": name, "tool_input": text});
            let _ = parse(json.to_string().as_bytes(), Side::End);
        }

        #[test]
        fn any_event_is_a_message_that_the_daemon_takes(
            event in select(EVENTS.to_vec()), session in option::of(text()), id in option::of(text()),
            tool in option::of(text()), input in json(),
        ) {
            let json = serde_json::json!({
                "hook_event_name": event, "session_id": session, "tool_use_id": id, "tool_name": tool,
                "tool_input": input,
            });
            let told = [Side::Begin, Side::End].map(|side| parse(json.to_string().as_bytes(), side));
            prop_assert!(told.iter().any(Result::is_err), "it is on both sides: {told:?}");
            for message in told.into_iter().flatten() {
                let line = serde_json::to_vec(&message).unwrap();
                prop_assert!(line.len() < MESSAGE_MAX, "{}", line.len());
                prop_assert_eq!(Message::parse(&line), Ok(message));
            }
        }

        #[test]
        fn a_command_is_kept_from_its_begin(
            event in select(EVENTS.to_vec()), line in text(), key in select(vec!["command", "cmd"]),
            words in any::<bool>(),
        ) {
            let input = match words {
                true => Value::from(line.split(' ').collect::<Vec<_>>()),
                false => Value::from(line.as_str()),
            };
            let json = serde_json::json!({"hook_event_name": event, "tool_input": {(key): input}}).to_string();
            let told = [Side::Begin, Side::End].map(|side| parse(json.as_bytes(), side));
            let kept = told.into_iter().flatten().next().and_then(|m| m.command).unwrap();
            prop_assert!(line.starts_with(&kept));
            // At most a character less than fits.
            prop_assert!(kept.len() <= COMMAND_MAX && kept.len() >= line.len().min(COMMAND_MAX - 3), "{}", kept.len());
        }

        #[test]
        fn a_damaged_hook_is_a_message_or_refused(input in json(), at in any::<Index>(), other in any::<u8>()) {
            let json = serde_json::json!({"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": input});
            let mut bytes = json.to_string().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = other;
            let _ = parse(&bytes, Side::Begin);
            bytes.truncate(at);
            prop_assert!(parse(&bytes, Side::Begin).is_err(), "its end is missing");
        }
    }
}
