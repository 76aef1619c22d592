// SPDX-License-Identifier: GPL-2.0-only
//! `AGENT_RESOURCE_HINT` in a tool's environment: what it says that it will need.

use super::command::bounded;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The variable.
const NAME: &[u8] = b"AGENT_RESOURCE_HINT=";
/// How much of an environment is looked at, in bytes.
const ENVIRON_MAX: u64 = 64 << 10;
/// The most CPUs and bytes that are believed.
const CPU_MAX: u32 = 1024;
const BYTES_MAX: u64 = 1 << 44;

/// What memory a tool says that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Memory {
    Low,
    High,
    Bytes(u64),
}

/// A hint, each part of which may be left unsaid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    pub memory: Option<Memory>,
    /// Number of CPUs.
    pub cpu: Option<u32>,
}

impl Hint {
    /// Reads `memory:low|high|SIZE` and `cpu:N`, separated by commas or blanks; SIZE with K, M, G or
    /// T, in powers of 1024. None if that is not what it says.
    pub fn parse(text: &str) -> Option<Hint> {
        let mut hint = Hint::default();
        for part in text.split([',', ' ', ';']).filter(|p| !p.is_empty()) {
            match part.split_once([':', '='])? {
                ("memory", "low") => hint.memory = Some(Memory::Low),
                ("memory", "high") => hint.memory = Some(Memory::High),
                ("memory", size) => hint.memory = Some(Memory::Bytes(bytes(size)?)),
                ("cpu", n) => hint.cpu = Some(n.parse().ok().filter(|n| (1..=CPU_MAX).contains(n))?),
                _ => return None,
            }
        }
        (hint != Hint::default()).then_some(hint)
    }

    /// The hint of process `pid` of `proc` (`/proc`), None if it has none or one we do not
    /// understand.
    pub fn of_process(proc: &Path, pid: u32) -> Option<Hint> {
        let environ = bounded(&proc.join(pid.to_string()).join("environ"), ENVIRON_MAX);
        let value = environ.split(|b| *b == 0).find_map(|v| v.strip_prefix(NAME))?;
        Hint::parse(std::str::from_utf8(value).ok()?)
    }
}

impl std::fmt::Display for Hint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.memory {
            Some(Memory::Low) => f.write_str("memory:low ")?,
            Some(Memory::High) => f.write_str("memory:high ")?,
            Some(Memory::Bytes(n)) => write!(f, "memory:{}M ", n >> 20)?,
            None => (),
        }
        self.cpu.map_or(Ok(()), |n| write!(f, "cpu:{n}"))
    }
}

fn bytes(size: &str) -> Option<u64> {
    let upper = size.trim_end_matches(['b', 'B', 'i']).to_ascii_uppercase();
    let (number, shift) = match upper.as_bytes().last()? {
        b'K' => (&upper[..upper.len() - 1], 10),
        b'M' => (&upper[..upper.len() - 1], 20),
        b'G' => (&upper[..upper.len() - 1], 30),
        b'T' => (&upper[..upper.len() - 1], 40),
        _ => (upper.as_str(), 0),
    };
    let n: u64 = number.parse().ok()?;
    n.checked_mul(1 << shift).filter(|n| (1..=BYTES_MAX).contains(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_read() {
        let hint = |memory, cpu| Some(Hint { memory, cpu });
        assert_eq!(Hint::parse("memory:low"), hint(Some(Memory::Low), None));
        assert_eq!(Hint::parse("memory:high,cpu:4"), hint(Some(Memory::High), Some(4)));
        assert_eq!(Hint::parse("memory:2GiB cpu:8"), hint(Some(Memory::Bytes(2 << 30)), Some(8)));
        assert_eq!(Hint::parse("memory:512m"), hint(Some(Memory::Bytes(512 << 20)), None));
        for bad in [
            "",
            "memory",
            "memory:",
            "memory:-1",
            "memory:99999999999T",
            "cpu:0",
            "cpu:-1",
            "cpu:9999",
            "disk:1",
        ] {
            assert_eq!(Hint::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn of_a_process() {
        let dir = std::env::temp_dir().join(format!("scx_agent-hint-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("7")).unwrap();
        std::fs::write(dir.join("7/environ"), b"A=b\0AGENT_RESOURCE_HINT=cpu:2\0Z=\xff").unwrap();
        assert_eq!(Hint::of_process(&dir, 7), Some(Hint { memory: None, cpu: Some(2) }));
        assert_eq!(Hint::of_process(&dir, 8), None);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
