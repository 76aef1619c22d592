// SPDX-License-Identifier: GPL-2.0-only
//! `scx_agent top`: looks, keys and the terminal; what is shown is in [`crate::top`].

use super::ask;
use crate::cli;
use crate::daemon::stop_on_signals;
use crate::questions;
use crate::top::{draw, Model, Sample};
use crate::usage::{Host, Usage};
use crate::view::View;
use anyhow::{bail, Context, Result};
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::Terminal;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Screen of `--batch`, unless the environment says COLUMNS and LINES.
const SCREEN: (u16, u16) = (80, 24);

/// Show agents by CPU, memory and wait, with their phases and running calls, on a screen that
/// follows.
///
/// CPU is in CPUs; WAIT is how many tasks of tool calls are runnable and do not run; both are over
/// the time between two looks. LAST MINUTE has a character for each 4 s: # a tool call, + the
/// framework, . waits for its model. Keys: arrows or j and k select, Enter shows one agent alone,
/// s sorts by CPU, memory, wait or name, / filters by name, p pauses, q quits. NO_COLOR in the
/// environment is respected.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Seconds between two looks.
    #[arg(long, short, value_name = "SEC", default_value_t = 1.0)]
    interval: f64,

    /// Print N screens as plain text (COLUMNS by LINES, or 80 by 24) and exit.
    #[arg(long, value_name = "N")]
    batch: Option<u64>,

    /// No colours.
    #[arg(long)]
    no_color: bool,
}

/// # Errors
/// No daemon answers, or there is no terminal.
pub fn run(args: &Args) -> Result<()> {
    let interval = cli::interval(args.interval, "--interval")?;
    let mut model = Model::default();
    // Errors before there is a screen are told without one.
    model.take(look(&model, None)?);
    let stop = stop_on_signals()?;
    if let Some(screens) = args.batch {
        return batch(&mut model, interval, screens, &stop);
    }
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        bail!("top needs a terminal; --batch N prints N screens without one");
    }
    let mut terminal = ratatui::try_init().context("cannot set up the terminal")?;
    let done = follow(&mut terminal, &mut model, interval, args.no_color, &stop);
    ratatui::restore();
    done
}

/// Everything now, and, if `ended_known` says how many are known, the calls that ended after those.
///
/// # Errors
/// No daemon answers.
pub fn look(model: &Model, ended_known: Option<u64>) -> Result<Sample> {
    let mut wanted = vec![("since_ns", model.known_ns().to_string())];
    wanted.extend(ended_known.map(|n| ("ended_known", n.to_string())));
    let view: View = ask::ask(questions::VIEW, &wanted)?;
    let usage = view.agents.iter().filter_map(|a| Some((a.cgroup_id, Usage::of(a.cgroup_id)?))).collect();
    Ok(Sample { view, usage, host: Host::now() })
}

/// Draws, and notes how many agents fit.
///
/// # Errors
/// The terminal is gone.
pub fn show(
    terminal: &mut ratatui::DefaultTerminal,
    model: &Model,
    no_color: bool,
    page: &mut usize,
) -> Result<()> {
    let colours = !no_color && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    terminal.draw(|frame| *page = draw(frame, model, colours)).context("cannot draw")?;
    Ok(())
}

/// What was pressed.
pub enum Key {
    Code(KeyCode),
    /// Ctrl-C, which is a key on a terminal of ours.
    Interrupt,
}

/// The key that is pressed within `wait`, if any.
///
/// # Errors
/// The terminal is gone.
pub fn key(wait: Duration) -> Result<Option<Key>> {
    if !event::poll(wait).context("cannot read keys")? {
        return Ok(None);
    }
    Ok(match event::read().context("cannot read keys")? {
        Event::Key(k) if k.code == KeyCode::Char('c') && k.modifiers.contains(KeyModifiers::CONTROL) => {
            Some(Key::Interrupt)
        }
        Event::Key(k) if k.kind == KeyEventKind::Press => Some(Key::Code(k.code)),
        _ => None,
    })
}

fn follow(
    terminal: &mut ratatui::DefaultTerminal,
    model: &mut Model,
    interval: Duration,
    no_color: bool,
    stop: &AtomicBool,
) -> Result<()> {
    let mut next = Instant::now() + interval;
    let mut page = 1;
    while !stop.load(Ordering::Relaxed) {
        show(terminal, model, no_color, &mut page)?;
        // Signals are noticed within this time.
        match key(next.saturating_duration_since(Instant::now()).min(Duration::from_millis(250)))? {
            Some(Key::Interrupt) => return Ok(()),
            Some(Key::Code(code)) if model.key(code, page) => return Ok(()),
            _ => (),
        }
        if Instant::now() >= next {
            next = Instant::now() + interval;
            match look(model, None) {
                Ok(sample) => model.take(sample),
                // It may come back.
                Err(e) => model.trouble = Some(format!("{e:#}")),
            }
        }
    }
    Ok(())
}

/// A screen of COLUMNS by LINES, or 80 by 24, as text.
///
/// # Errors
/// It cannot be drawn.
pub fn as_text(model: &Model) -> Result<String> {
    let from = |name: &str| std::env::var(name).ok()?.parse::<u16>().ok().filter(|n| (10..=1000).contains(n));
    let (columns, lines) = (from("COLUMNS").unwrap_or(SCREEN.0), from("LINES").unwrap_or(SCREEN.1));
    let mut screen = Terminal::new(TestBackend::new(columns, lines)).context("cannot draw")?;
    screen.draw(|frame| _ = draw(frame, model, false)).context("cannot draw")?;
    Ok(crate::top::text(screen.backend().buffer()))
}

fn batch(model: &mut Model, interval: Duration, screens: u64, stop: &AtomicBool) -> Result<()> {
    for _ in 0..screens {
        let until = Instant::now() + interval;
        while Instant::now() < until && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50).min(interval));
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        model.take(look(model, None)?);
        ask::print(&as_text(model)?)?;
    }
    Ok(())
}
