// SPDX-License-Identifier: GPL-2.0-only
//! `agentmodel`: a model for agent CLIs that answers every request with the next call of a script.
//!
//! It keeps no state: which call is next is the number of tool results in the request, so that a
//! CLI may ask again, or ask for something else in between (a title, a summary), and still runs
//! every call of the script once, in order.

mod api;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::{json, Value};
use tiny_http::{Header, Method, Request, Response, Server};

use api::{Answer, Api};

/// Stands in for the model of an agent CLI: answers with the tool calls of a script, one at a time.
///
/// Speaks OpenAI's Responses and chat completions, Anthropic's messages and Gemini's
/// generateContent, whichever the request's path names.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Address to listen on; loopback only
    #[arg(long, default_value = "127.0.0.1:8123")]
    listen: std::net::SocketAddr,
    /// The shell commands to ask for, one a line; empty lines and lines with # are skipped
    #[arg(long, value_name = "FILE")]
    script: PathBuf,
    /// Where to write what was asked and answered, as JSON lines
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    /// How long the model thinks, in ms
    #[arg(long, default_value_t = 300, value_name = "MS")]
    think_ms: u64,
}

/// The commands of a script.
fn commands(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let wanted = |l: &&str| !l.trim().is_empty() && !l.starts_with('#');
    Ok(text.lines().filter(wanted).map(str::to_owned).collect())
}

/// CLOCK_MONOTONIC in ns, which is the clock of the scheduler's events.
fn monotonic_ns() -> u64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is ours to write.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut t) };
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

struct Model {
    script: Vec<String>,
    log: File,
    think: Duration,
}

impl Model {
    fn note(&mut self, entry: &Value) -> Result<()> {
        writeln!(self.log, "{entry}").context("cannot write the log")
    }

    /// Answers one request. An error is of this request alone.
    fn serve(&mut self, mut request: Request) -> Result<()> {
        let asked_ns = monotonic_ns();
        let path = request.url().to_owned();
        let mut text = String::new();
        request.as_reader().read_to_string(&mut text).context("cannot read a request")?;
        let body: Option<Value> = serde_json::from_str(&text).ok();
        let found = Api::of_path(&path).zip(body.filter(|_| *request.method() == Method::Post));
        let Some((api, body)) = found else {
            self.note(&json!({"path": path, "asked_ns": asked_ns, "answer": "none"}))?;
            return request
                .respond(Response::from_string("{}").with_status_code(404))
                .context("cannot answer");
        };
        let done = api.results(&body);
        let tool = api.shell_tool(&body);
        let answer = match (&tool, self.script.get(done)) {
            (Some(tool), Some(command)) => Answer::Call { number: done, tool, command },
            _ => Answer::Text("All is done."),
        };
        std::thread::sleep(self.think);
        let (kind, text) = api.render(&path, &body, &answer);
        let header = Header::from_bytes("Content-Type", kind).expect("a header of ours");
        // Before the answer is out, for the call may begin before this process goes on.
        let answered_ns = monotonic_ns();
        self.note(&json!({
            "path": path, "asked_ns": asked_ns, "answered_ns": answered_ns, "results": done,
            "tool": tool.as_ref().map(|t| &t.name),
            "command": match &answer { Answer::Call { command, .. } => Some(command), Answer::Text(_) => None },
            "last_result": api.last_result(&body),
        }))?;
        request.respond(Response::from_string(text).with_header(header)).context("cannot answer")
    }
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    anyhow::ensure!(cli.listen.ip().is_loopback(), "--listen {}: only loopback addresses", cli.listen);
    let log = File::create(&cli.log).with_context(|| format!("cannot write {}", cli.log.display()))?;
    let think = Duration::from_millis(cli.think_ms);
    let mut model = Model { script: commands(&cli.script)?, log, think };
    let server =
        Server::http(cli.listen).map_err(|e| anyhow::anyhow!("cannot listen on {}: {e}", cli.listen))?;
    for request in server.incoming_requests() {
        if let Err(e) = model.serve(request) {
            eprintln!("agentmodel: {e:#}");
        }
    }
    Ok(())
}
