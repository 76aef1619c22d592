// SPDX-License-Identifier: GPL-2.0-only
//! The wire formats: what of a request matters, and how an answer looks. Answers are complete, or
//! event streams with all events at once, which every client takes.

use serde_json::{json, Value};

/// Which API a request is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Api {
    /// OpenAI's Responses.
    Responses,
    /// OpenAI's chat completions.
    Chat,
    /// Anthropic's messages.
    Messages,
    /// Gemini's generateContent and streamGenerateContent.
    Gemini,
}

/// The tool that runs a command in a shell, as the request offers it.
#[derive(Debug, PartialEq)]
pub struct ShellTool {
    pub name: String,
    /// The argument that takes the command, and whether it wants a list of words.
    argument: String,
    words: bool,
    /// Other arguments that must be there.
    required: Vec<String>,
}

/// What the model says.
pub enum Answer<'a> {
    /// Run this command; the number is unique in a session.
    Call { number: usize, tool: &'a ShellTool, command: &'a str },
    /// A text, which ends the turn.
    Text(&'a str),
}

/// Names of the arguments that take a command.
const COMMAND_ARGUMENTS: [&str; 2] = ["command", "cmd"];
/// Names of tools that run a command and wait for its end, best first.
const SHELL_TOOLS: [&str; 6] =
    ["shell_command", "exec_command", "shell", "run_shell_command", "bash", "Bash"];

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn blocks(messages: &Value) -> impl Iterator<Item = &Value> {
    list(messages).flat_map(|m| list(&m["content"]))
}

impl Api {
    /// The API that a path belongs to.
    pub fn of_path(path: &str) -> Option<Api> {
        let path = path.split('?').next().unwrap_or(path);
        if path.ends_with("/responses") {
            Some(Api::Responses)
        } else if path.ends_with("/chat/completions") {
            Some(Api::Chat)
        } else if path.ends_with("/messages") {
            Some(Api::Messages)
        } else if path.ends_with(":generateContent") || path.ends_with(":streamGenerateContent") {
            Some(Api::Gemini)
        } else {
            None
        }
    }

    fn all_results(self, body: &Value) -> Vec<&Value> {
        match self {
            Api::Responses => list(&body["input"]).filter(|i| i["type"] == "function_call_output").collect(),
            Api::Chat => list(&body["messages"]).filter(|m| m["role"] == "tool").collect(),
            Api::Messages => blocks(&body["messages"]).filter(|b| b["type"] == "tool_result").collect(),
            Api::Gemini => list(&body["contents"])
                .flat_map(|c| list(&c["parts"]))
                .filter(|p| p.get("functionResponse").is_some())
                .collect(),
        }
    }

    /// How many tool calls the session has had the results of.
    pub fn results(self, body: &Value) -> usize {
        self.all_results(body).len()
    }

    /// What the last of them said, cut short.
    pub fn last_result(self, body: &Value) -> Option<String> {
        self.all_results(body).last().map(|r| r.to_string().chars().take(600).collect())
    }

    /// The shell tool that the request offers; none if it is a request for a title or the like.
    pub fn shell_tool(self, body: &Value) -> Option<ShellTool> {
        let described: Vec<(&Value, &Value)> = match self {
            Api::Responses => list(&body["tools"]).map(|t| (&t["name"], &t["parameters"])).collect(),
            Api::Chat => {
                list(&body["tools"]).map(|t| (&t["function"]["name"], &t["function"]["parameters"])).collect()
            }
            Api::Messages => list(&body["tools"]).map(|t| (&t["name"], &t["input_schema"])).collect(),
            Api::Gemini => list(&body["tools"])
                .flat_map(|t| list(&t["functionDeclarations"]))
                .map(|f| {
                    let schema = f.get("parametersJsonSchema").unwrap_or(&f["parameters"]);
                    (&f["name"], schema)
                })
                .collect(),
        };
        SHELL_TOOLS.iter().find_map(|wanted| {
            let (name, schema) = described.iter().find(|(name, _)| *name == wanted)?;
            let properties = &schema["properties"];
            let argument = COMMAND_ARGUMENTS.into_iter().find(|a| properties.get(a).is_some())?;
            let words =
                properties[argument]["type"].as_str().is_some_and(|t| t.eq_ignore_ascii_case("array"));
            let required = list(&schema["required"]).filter_map(Value::as_str).filter(|r| *r != argument);
            Some(ShellTool {
                name: name.as_str()?.to_owned(),
                argument: argument.to_owned(),
                words,
                required: required.map(str::to_owned).collect(),
            })
        })
    }

    /// Content type and body of the answer.
    pub fn render(self, path: &str, body: &Value, answer: &Answer) -> (&'static str, String) {
        let stream = body["stream"] == true || path.contains(":streamGenerateContent");
        let (whole, events) = match self {
            Api::Responses => responses(answer),
            Api::Chat => chat(answer),
            Api::Messages => messages(answer),
            Api::Gemini => gemini(answer),
        };
        if !stream {
            return ("application/json", whole.to_string());
        }
        let mut text = String::new();
        for event in events {
            if let Some(kind) = event["type"].as_str() {
                text += &format!("event: {kind}\n");
            }
            text += &format!("data: {event}\n\n");
        }
        if self == Api::Chat {
            text += "data: [DONE]\n\n";
        }
        ("text/event-stream", text)
    }
}

impl ShellTool {
    fn arguments(&self, command: &str) -> Value {
        let command = match self.words {
            true => json!(["bash", "-lc", command]),
            false => json!(command),
        };
        let mut all = json!({ &self.argument: command });
        for name in &self.required {
            all[name] = json!("scripted");
        }
        all
    }
}

fn responses(answer: &Answer) -> (Value, Vec<Value>) {
    let item = match answer {
        Answer::Call { number, tool, command } => json!({
            "type": "function_call", "id": format!("fc_{number}"), "call_id": format!("call_{number}"),
            "name": tool.name, "arguments": tool.arguments(command).to_string(), "status": "completed",
        }),
        Answer::Text(text) => json!({
            "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }),
    };
    let usage = json!({
        "input_tokens": 10, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 15,
    });
    let whole = json!({
        "id": "resp_1", "object": "response", "status": "completed", "output": [item.clone()], "usage": usage,
    });
    let started = json!({"id": "resp_1", "object": "response", "status": "in_progress", "output": []});
    let events = vec![
        json!({"type": "response.created", "response": started}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item.clone()}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": whole.clone()}),
    ];
    (whole, events)
}

fn chat(answer: &Answer) -> (Value, Vec<Value>) {
    let (message, reason) = match answer {
        Answer::Call { number, tool, command } => (
            json!({"role": "assistant", "content": null, "tool_calls": [{
                "index": 0, "id": format!("call_{number}"), "type": "function",
                "function": {"name": tool.name, "arguments": tool.arguments(command).to_string()},
            }]}),
            "tool_calls",
        ),
        Answer::Text(text) => (json!({"role": "assistant", "content": text}), "stop"),
    };
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15});
    let base = |object: &str, choice: Value| json!({"id": "chatcmpl-1", "object": object, "created": 1, "model": "scripted", "choices": [choice]});
    let mut whole =
        base("chat.completion", json!({"index": 0, "message": message.clone(), "finish_reason": reason}));
    whole["usage"] = usage.clone();
    let delta = base("chat.completion.chunk", json!({"index": 0, "delta": message, "finish_reason": null}));
    let mut last = base("chat.completion.chunk", json!({"index": 0, "delta": {}, "finish_reason": reason}));
    last["usage"] = usage;
    (whole, vec![delta, last])
}

fn messages(answer: &Answer) -> (Value, Vec<Value>) {
    let (block, empty, delta, reason) = match answer {
        Answer::Call { number, tool, command } => {
            let input = tool.arguments(command);
            let block = |input: &Value| json!({"type": "tool_use", "id": format!("toolu_{number}"), "name": tool.name, "input": input});
            let delta = json!({"type": "input_json_delta", "partial_json": input.to_string()});
            (block(&input), block(&json!({})), delta, "tool_use")
        }
        Answer::Text(text) => (
            json!({"type": "text", "text": text}),
            json!({"type": "text", "text": ""}),
            json!({"type": "text_delta", "text": text}),
            "end_turn",
        ),
    };
    let whole = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "scripted", "content": [block],
        "stop_reason": reason, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 5},
    });
    let mut started = whole.clone();
    started["content"] = json!([]);
    started["stop_reason"] = Value::Null;
    let events = vec![
        json!({"type": "message_start", "message": started}),
        json!({"type": "content_block_start", "index": 0, "content_block": empty}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null},
            "usage": {"output_tokens": 5}}),
        json!({"type": "message_stop"}),
    ];
    (whole, events)
}

fn gemini(answer: &Answer) -> (Value, Vec<Value>) {
    let part = match answer {
        Answer::Call { number, tool, command } => json!({"functionCall": {
            "id": format!("call_{number}"), "name": tool.name, "args": tool.arguments(command),
        }}),
        Answer::Text(text) => json!({"text": text}),
    };
    let whole = json!({
        "candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
        "modelVersion": "scripted",
    });
    (whole.clone(), vec![whole])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command_of(api: Api, body: &Value) -> (usize, Option<ShellTool>) {
        (api.results(body), api.shell_tool(body))
    }

    #[test]
    fn which_api() {
        assert_eq!(Api::of_path("/v1/responses"), Some(Api::Responses));
        assert_eq!(Api::of_path("/v1/messages?beta=true"), Some(Api::Messages));
        assert_eq!(Api::of_path("/v1beta/models/x:streamGenerateContent?alt=sse"), Some(Api::Gemini));
        assert_eq!(Api::of_path("/v1/models"), None);
    }

    #[test]
    fn results_are_counted_and_the_shell_found() {
        let schema = json!({"properties": {"command": {"type": "string"}}, "required": ["command", "why"]});
        let chat = json!({
            "messages": [{"role": "user", "content": "x"}, {"role": "tool", "content": "1"}],
            "tools": [{"type": "function", "function": {"name": "bash", "parameters": schema}}],
        });
        let (done, tool) = command_of(Api::Chat, &chat);
        assert_eq!(done, 1);
        assert_eq!(tool.unwrap().arguments("ls"), json!({"command": "ls", "why": "scripted"}));

        let words = json!({"properties": {"command": {"type": "array"}}});
        let responses = json!({
            "input": [{"type": "function_call_output"}, {"type": "message"}, {"type": "function_call_output"}],
            "tools": [{"type": "function", "name": "shell", "parameters": words}],
        });
        let (done, tool) = command_of(Api::Responses, &responses);
        assert_eq!(done, 2);
        assert_eq!(tool.unwrap().arguments("ls"), json!({"command": ["bash", "-lc", "ls"]}));

        let title = json!({"messages": [{"role": "user", "content": [{"type": "text"}]}]});
        assert_eq!(command_of(Api::Messages, &title), (0, None));
    }
}
