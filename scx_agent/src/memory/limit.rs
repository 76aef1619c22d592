// SPDX-License-Identifier: GPL-2.0-only
//! A value of memory.high: a number of bytes, or none.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The kernel rounds limits down to whole pages; this is the largest size of one.
const PAGE: u64 = 65536;
/// Bytes in a MB, as figures are logged and options are given.
pub const MB: u64 = 1 << 20;

/// A limit in bytes. `Max` is above all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Limit {
    Bytes(u64),
    Max,
}

impl Limit {
    /// `bytes`, rounded down to what reads back the same after the kernel has taken it.
    pub fn pages(bytes: u64) -> Limit {
        Limit::Bytes(bytes / PAGE * PAGE)
    }

    /// The number of bytes, the largest there is for none.
    pub fn bytes(self) -> u64 {
        match self {
            Limit::Bytes(b) => b,
            Limit::Max => u64::MAX,
        }
    }

    /// For log lines: whole MB.
    pub fn human(self) -> String {
        match self {
            Limit::Bytes(b) => mb(b),
            Limit::Max => "max".into(),
        }
    }
}

/// `bytes` for log lines: whole MB.
pub fn mb(bytes: u64) -> String {
    format!("{} MB", bytes / MB)
}

impl fmt::Display for Limit {
    /// As the kernel writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Bytes(b) => write!(f, "{b}"),
            Limit::Max => f.write_str("max"),
        }
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s.trim() {
            "max" => Ok(Limit::Max),
            n => {
                n.parse().map(Limit::Bytes).map_err(|_| format!("{s:?} is neither a number of bytes nor max"))
            }
        }
    }
}

impl From<Limit> for String {
    fn from(l: Limit) -> String {
        l.to_string()
    }
}

impl TryFrom<String> for Limit {
    type Error = String;

    fn try_from(s: String) -> Result<Self, String> {
        s.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        assert_eq!("max\n".parse(), Ok(Limit::Max));
        assert_eq!("4096\n".parse(), Ok(Limit::Bytes(4096)));
        assert!("".parse::<Limit>().is_err());
        assert!("-1".parse::<Limit>().is_err());
        assert_eq!(Limit::pages(131_071).to_string(), "65536");
        assert!(Limit::Max > Limit::Bytes(u64::MAX));
    }
}
