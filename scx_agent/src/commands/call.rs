// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent call begin|end`: says exactly where a tool call begins and ends. For an agent's hooks.

use crate::tags::{client, hook, Message, What, SOCKET};
use anyhow::{anyhow, Context, Result};
use hook::Side;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

/// Longest JSON of a hook that is read, in bytes: a tool's output may be in it.
const JSON_MAX: u64 = 32 << 20;

/// Tag a tool call of one's own agent, from its hooks.
///
/// Without options, reads the JSON that Claude Code and Codex give to PreToolUse and PostToolUse
/// hooks, and Gemini CLI to BeforeTool, AfterTool, BeforeModel and AfterModel hooks, from standard
/// input. It then never fails and prints nothing on standard output, whatever is wrong, so that the
/// agent goes on. `scx_agent hooks install` sets it up.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    side: SideArgs,
}

#[derive(Debug, clap::Subcommand)]
enum SideArgs {
    /// A tool call is about to begin, or the model has been asked.
    Begin(Options),
    /// A tool call is over, or the model has answered.
    End(Options),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "EXAMPLES:
  scx_agent call begin <hook.json                    what a hook does
  scx_agent call begin --id 7 --command 'make test'  the next call with this command is 7
  scx_agent call begin --id 8 --pid 4711             the call that process 4711 is in is 8
  scx_agent call end --id 7")]
struct Options {
    /// The agent's own name of the call.
    #[arg(long)]
    id: Option<String>,

    /// What the call runs: so it is found among the agent's processes.
    #[arg(long)]
    command: Option<String>,

    /// The agent's name of the session.
    #[arg(long)]
    session: Option<String>,

    /// The agent's name of the tool.
    #[arg(long)]
    tool: Option<String>,

    /// A process of the call, which has begun already. Not from within a pid namespace.
    #[arg(long)]
    pid: Option<u32>,

    /// The daemon's socket.
    #[arg(long, default_value = SOCKET)]
    socket: PathBuf,

    /// Longest wait for the daemon in ms, after which the tag is lost: an agent waits for its hooks.
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    wait_ms: u64,
}

/// # Errors
/// With options: the tag is refused, or no daemon is there. Never for a hook.
pub fn run(args: &Args) -> Result<()> {
    let (side, o) = match &args.side {
        SideArgs::Begin(o) => (Side::Begin, o),
        SideArgs::End(o) => (Side::End, o),
    };
    let patience = Duration::from_millis(o.wait_ms);
    if o.id.is_none() && o.command.is_none() && o.tool.is_none() && o.pid.is_none() {
        if let Err(e) = read_hook(side).and_then(|m| client::send(&o.socket, &m, patience)) {
            eprintln!("scx_agent: {e:#}");
        }
        return Ok(());
    }
    let message = Message {
        what: if side == Side::Begin { What::CallBegin } else { What::CallEnd },
        hook: false,
        pid: o.pid,
        session: o.session.clone(),
        id: o.id.clone(),
        tool: o.tool.clone(),
        command: o.command.clone(),
    };
    message.check().map_err(|e| anyhow!(e))?;
    println!("{}", client::send(&o.socket, &message, patience)?);
    Ok(())
}

fn read_hook(side: Side) -> Result<Message> {
    let mut json = Vec::new();
    std::io::stdin().take(JSON_MAX).read_to_end(&mut json).context("cannot read standard input")?;
    hook::parse(&json, side).map_err(|e| anyhow!(e))
}
