// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent record` and `scx_agent replay`.

use super::ask;
use super::top;
use crate::cli;
use crate::daemon::stop_on_signals;
use crate::top::{Model, Recorder, Recording};
use anyhow::{bail, Context, Result};
use ratatui::crossterm::event::KeyCode;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Steps of the arrow keys, in seconds.
const STEP_S: f64 = 10.0;
/// How far before a point in time the looks begin that lead up to it: what `top` shows of the past.
const BEFORE_S: f64 = 64.0;

/// Write down what `scx_agent top` shows, for `scx_agent replay` and `scx_agent report`.
///
/// One line of JSON for each look, with the tool calls that have ended since the one before, until Ctrl-C
/// or the end of its time. It holds names and command lines of agents, and only root may read it. Of some 50
/// agents an hour is about 60 MB.
#[derive(Debug, clap::Args)]
pub struct RecordArgs {
    /// Where to; what is there is added to.
    file: PathBuf,

    /// Seconds between two looks.
    #[arg(long, short, value_name = "SEC", default_value_t = 1.0)]
    interval: f64,

    /// Seconds to record for.
    #[arg(long = "for", value_name = "SEC")]
    seconds: Option<u64>,

    /// Size at which the file is put aside as FILE.1, in place of the one before, in MB: so much of the
    /// newest is kept at least.
    #[arg(long, value_name = "MB", default_value_t = 512, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    mb: u64,
}

/// Show a recording as `scx_agent top` would have.
///
/// Keys are those of top; p or space stops and goes on, left and right step by 10 s, Home and End
/// go to its begin and end while nothing is selected.
#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// The recording.
    file: PathBuf,

    /// Begin so many seconds after its begin.
    #[arg(long, value_name = "SEC", default_value_t = 0.0)]
    at: f64,

    /// How many times faster than it was.
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    speed: f64,

    /// Print the screen at that time as plain text, and exit.
    #[arg(long)]
    print: bool,

    /// No colours.
    #[arg(long)]
    no_color: bool,
}

/// # Errors
/// No daemon answers at the begin, or the file cannot be written.
pub fn record(args: &RecordArgs) -> Result<()> {
    let interval = cli::interval(args.interval, "--interval")?;
    let stop = stop_on_signals()?;
    let mut model = Model::default();
    let first = top::look(&model, None)?;
    let mut ended = first.view.ended_total;
    model.take(first);
    let mut recorder = Recorder::open(&args.file, args.mb)?;
    let end = args.seconds.map(|s| Instant::now() + Duration::from_secs(s));
    let mut next = Instant::now();
    let mut silent = false;
    loop {
        match top::look(&model, Some(ended)) {
            Ok(sample) => {
                silent = false;
                ended = sample.view.ended_total;
                let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
                recorder.write(unix_s, &sample)?;
                model.take(sample);
            }
            // It may come back: told once.
            Err(e) if !silent => {
                silent = true;
                eprintln!("scx_agent: {e:#}; still recording");
            }
            Err(_) => (),
        }
        next = (next + interval).max(Instant::now());
        while Instant::now() < next {
            if stop.load(Ordering::Relaxed) || end.is_some_and(|e| Instant::now() >= e) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50).min(interval));
        }
    }
}

/// A recording, and where it is shown.
struct Player {
    recording: Recording,
    model: Model,
    look: usize,
    /// Seconds since its begin.
    time_s: f64,
}

impl Player {
    /// Goes to a time, as if all before had been seen.
    fn seek(&mut self, time_s: f64) -> Result<()> {
        self.time_s = time_s.clamp(0.0, self.recording.length_s());
        let to = self.recording.at(self.time_s);
        let from = self.recording.at((self.time_s - BEFORE_S).max(0.0));
        self.model.forget();
        for n in from..=to {
            self.model.take(self.recording.look(n)?);
        }
        self.look = to;
        Ok(())
    }

    /// Lets time go on.
    fn go_on(&mut self, seconds: f64) -> Result<()> {
        self.time_s = (self.time_s + seconds).min(self.recording.length_s());
        while self.look + 1 < self.recording.len() && self.recording.time_s(self.look + 1) <= self.time_s {
            self.look += 1;
            self.model.take(self.recording.look(self.look)?);
        }
        Ok(())
    }

    fn tell(&mut self, stopped: bool) {
        let clock = |s: f64| format!("{}:{:02}", s as u64 / 60, s as u64 % 60);
        let state = if stopped { "STOPPED" } else { "REPLAY" };
        let (now, length) = (clock(self.time_s), clock(self.recording.length_s()));
        self.model.replay = Some(format!("{state} {now} of {length}  "));
    }
}

/// # Errors
/// The recording cannot be read, or there is no terminal.
pub fn replay(args: &ReplayArgs) -> Result<()> {
    if !(args.speed.is_finite() && (0.01..=1000.0).contains(&args.speed)) {
        bail!("--speed {}: expected a number from 0.01 to 1000", args.speed);
    }
    let recording = Recording::open(&args.file)?;
    let mut player = Player { recording, model: Model::default(), look: 0, time_s: 0.0 };
    player.seek(args.at)?;
    player.tell(args.print);
    if args.print {
        return ask::print(&top::as_text(&player.model)?);
    }
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        bail!("replay needs a terminal; --print prints a screen without one");
    }
    let stop = stop_on_signals()?;
    let mut terminal = ratatui::try_init().context("cannot set up the terminal")?;
    let done = play(&mut terminal, &mut player, args, &stop);
    ratatui::restore();
    done
}

fn play(
    terminal: &mut ratatui::DefaultTerminal,
    player: &mut Player,
    args: &ReplayArgs,
    stop: &std::sync::atomic::AtomicBool,
) -> Result<()> {
    let (mut page, mut stopped, mut last) = (1, false, Instant::now());
    while !stop.load(Ordering::Relaxed) {
        player.tell(stopped);
        top::show(terminal, &player.model, args.no_color, &mut page)?;
        let key = top::key(Duration::from_millis(100))?;
        let passed = last.elapsed().as_secs_f64() * args.speed;
        last = Instant::now();
        if !stopped {
            player.go_on(passed)?;
        }
        let free = player.model.selected.is_none();
        match key {
            Some(top::Key::Interrupt) => return Ok(()),
            Some(top::Key::Code(code)) => match code {
                KeyCode::Char('p' | ' ') if !player.model.editing => stopped = !stopped,
                KeyCode::Left => player.seek(player.time_s - STEP_S)?,
                KeyCode::Right => player.seek(player.time_s + STEP_S)?,
                KeyCode::Home if free => player.seek(0.0)?,
                KeyCode::End if free => player.seek(player.recording.length_s())?,
                code if player.model.key(code, page) => return Ok(()),
                _ => (),
            },
            None => (),
        }
    }
    Ok(())
}
