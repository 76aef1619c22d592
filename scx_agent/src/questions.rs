// SPDX-License-Identifier: GPL-2.0-only
//! What other processes ask the daemon, over the scx_stats socket: its statistics, and what the
//! commands want to know. The socket is root's only.

use crate::stats::Metrics;
use anyhow::{Context, Result};
use crossbeam::channel::{Receiver, Sender};
use rustix::event::{eventfd, EventfdFlags};
use scx_stats::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// Where they ask: scx_stats' own choice, as every sched_ext scheduler has it.
pub const SOCKET: &str = "/run/scx/root/stats";

/// Target of `scx_agent calls`.
pub const CALLS: &str = "calls";
/// Target of `scx_agent explain`.
pub const EXPLAIN: &str = "explain";
/// Target of `scx_agent status`.
pub const STATUS: &str = "status";
/// Target of `scx_agent reload`: the daemon reads its files before it answers.
pub const RELOAD: &str = "reload";

/// Target of `scx_agent top`: a [`crate::view::View`], with phases that ended after the argument
/// `since_ns`, and, with the argument `ended_known`, with the calls that ended after the first so many.
pub const VIEW: &str = "view";

/// Target of `scx_agent pause`: the arguments are `agent` and `seconds`.
pub const PAUSE: &str = "pause";
/// Target of `scx_agent resume`: the argument is `agent`.
pub const RESUME: &str = "resume";

/// Target of `scx_agent set`: the arguments are `agent`, and `qos` or `weight` or both.
pub const SET: &str = "set";

/// One question to the thread that knows the answers.
#[derive(Debug)]
pub enum Question {
    /// The statistics.
    Metrics,
    /// Anything else: a target, and its arguments.
    About(&'static str, BTreeMap<String, String>),
}

/// The answer to one [`Question`].
#[derive(Debug)]
pub enum Answer {
    Metrics(Box<Metrics>),
    /// Of [`Question::About`]: what is sent back as JSON, or one sentence on why there is none.
    About(Result<Value, String>),
    /// Of [`Question::About`]: somebody else answers, with one sentence.
    Later(Receiver<Result<String, String>>),
}

/// Wakes the main loop: something was put into one of its channels.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// # Errors
    /// The system has no descriptors left.
    pub fn new() -> Result<Waker> {
        let fd =
            eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).context("cannot make an eventfd")?;
        Ok(Waker(Arc::new(fd)))
    }

    /// Wakes the loop, now or when it next sleeps.
    pub fn wake(&self) {
        // Only fails when woken 2^64 times over, and then it is awake.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }

    /// The loop is awake: until the next [`Waker::wake`] it may sleep again.
    pub fn clear(&self) {
        let _ = rustix::io::read(&*self.0, &mut [0u8; 8]);
    }

    /// Readable while the loop is to be awake.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How long another thread has for [`Answer::Later`]; whoever asks waits longer.
const LATER: Duration = Duration::from_secs(4);

/// What the socket offers. Each client gets counters of the statistics since its own last question.
pub fn server_data(waker: &Waker) -> StatsServerData<Question, Answer> {
    let mut data = StatsServerData::new().add_meta(Metrics::meta()).add_ops("top", metrics(waker.clone()));
    for target in [CALLS, EXPLAIN, STATUS, RELOAD, VIEW, PAUSE, RESUME, SET] {
        data = data.add_ops(target, about(target, waker.clone()));
    }
    data
}

type Channels<'a> = (&'a Sender<Question>, &'a Receiver<Answer>);

fn ask(question: Question, (questions, answers): Channels<'_>, waker: &Waker) -> Result<Answer> {
    questions.send(question)?;
    waker.wake();
    Ok(answers.recv()?)
}

fn metrics(waker: Waker) -> StatsOps<Question, Answer> {
    let now = move |channels: Channels<'_>| match ask(Question::Metrics, channels, &waker)? {
        Answer::Metrics(m) => Ok(*m),
        Answer::About(_) | Answer::Later(_) => anyhow::bail!("an answer to another question"),
    };
    let open: Box<dyn StatsOpener<Question, Answer>> = Box::new(move |channels| {
        let (mut prev, now) = (now(channels)?, now.clone());
        let read: Box<dyn StatsReader<Question, Answer>> = Box::new(move |_args, channels| {
            let cur = now(channels)?;
            let delta = cur.delta(&prev);
            prev = cur;
            delta.to_json()
        });
        Ok(read)
    });
    StatsOps { open, close: None }
}

fn about(target: &'static str, waker: Waker) -> StatsOps<Question, Answer> {
    let open: Box<dyn StatsOpener<Question, Answer>> = Box::new(move |_| {
        let waker = waker.clone();
        let read: Box<dyn StatsReader<Question, Answer>> = Box::new(move |args, channels| {
            match ask(Question::About(target, args.clone()), channels, &waker)? {
                Answer::About(answer) => Ok(serde_json::to_value(answer)?),
                Answer::Later(answer) => {
                    let silent = |_| Err("no answer came in time; see the log".to_string());
                    Ok(serde_json::to_value(answer.recv_timeout(LATER).unwrap_or_else(silent))?)
                }
                Answer::Metrics(_) => anyhow::bail!("an answer to another question"),
            }
        });
        Ok(read)
    });
    StatsOps { open, close: None }
}
