// SPDX-License-Identifier: GPL-2.0-only
//! Where metrics are served, and what is logged of tool calls.

use crate::lines::Rotation;
use clap::Args;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// The port on loopback.
pub const PORT: u16 = 9855;

#[derive(Debug, Args)]
#[command(next_help_heading = "Observation")]
#[group(skip)]
pub struct Options {
    /// Where Prometheus finds the metrics, under /metrics: `loopback` (127.0.0.1:9855), an ADDRESS:PORT, or `off`.
    /// There is no password: an address other than loopback is for a network that you trust.
    #[arg(long, value_name = "WHERE", default_value = "loopback")]
    pub metrics: Listen,

    /// How many agents have metrics of their own; those of others are told together, as agent
    /// "other". Those that are found first have theirs for as long as they are there.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub metrics_agents: u64,

    /// Append each tool call that has ended to FILE, as a line of JSON, with its command line; a
    /// service may write below /var/log/scx_agent.
    #[arg(long, value_name = "FILE")]
    pub call_log: Option<PathBuf>,

    /// Size from which that file is put aside as FILE.1 and a new one begun, in MB.
    #[arg(long, value_name = "MB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub call_log_mb: u64,

    /// How many files that were put aside are kept: so that the log has at most (N + 1) times the
    /// size above.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub call_log_files: u32,
}

impl Options {
    /// What bounds the log of tool calls.
    pub fn rotation(&self) -> Rotation {
        Rotation { bytes: self.call_log_mb << 20, kept: self.call_log_files }
    }
}

/// Where metrics are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    Off,
    Loopback,
    At(SocketAddr),
}

impl Listen {
    /// The address to listen at, if any.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Listen::Off => None,
            Listen::Loopback => Some((Ipv4Addr::LOCALHOST, PORT).into()),
            Listen::At(address) => Some(address),
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "off" => Ok(Listen::Off),
            "loopback" => Ok(Listen::Loopback),
            _ => s.parse().map(Listen::At).map_err(|_| {
                format!("{s:?} is neither off, loopback nor ADDRESS:PORT, such as 192.0.2.1:{PORT} or [::]:{PORT}")
            }),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Off => f.write_str("off"),
            Listen::Loopback => f.write_str("loopback"),
            Listen::At(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        for s in ["off", "loopback", "127.0.0.1:1", "[::]:9855"] {
            assert_eq!(s.parse::<Listen>().unwrap().to_string(), s);
        }
        for s in ["", "on", "localhost", "localhost:1", "127.0.0.1", "1.2.3.4:65536"] {
            assert!(s.parse::<Listen>().is_err(), "{s}");
        }
        assert!("loopback".parse::<Listen>().unwrap().address().unwrap().ip().is_loopback());
    }
}
