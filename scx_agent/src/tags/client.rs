// SPDX-License-Identifier: GPL-2.0-only
//! Sends one tag. A hook holds its agent up while it runs: this gives up soon.

use super::message::Message;
use anyhow::{anyhow, bail, Context, Result};
use rustix::net::sockopt::{set_socket_timeout, Timeout};
use rustix::net::{
    connect, shutdown, socket_with, AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType,
};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Sends `message` to the daemon at `path`; what it answers. `patience` is the longest wait for each of
/// connecting, writing and the answer.
///
/// # Errors
/// The daemon is not there, is busy, or refuses, in a sentence.
pub fn send(path: &Path, message: &Message, patience: Duration) -> Result<String> {
    let gone = || format!("no scx_agent listens at {}", path.display());
    let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Also bounds how long connect() waits while the daemon has too much to do.
    set_socket_timeout(&fd, Timeout::Send, Some(patience))?;
    set_socket_timeout(&fd, Timeout::Recv, Some(patience))?;
    connect(&fd, &SocketAddrUnix::new(path).with_context(gone)?).with_context(gone)?;
    let mut stream = UnixStream::from(fd);
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut answer = Vec::new();
    let sent = stream
        .write_all(&line)
        .and_then(|()| Ok(shutdown(&stream, Shutdown::Write)?))
        .and_then(|()| (&stream).take(4096).read_to_end(&mut answer));
    match sent {
        Err(e) if !matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
            return Err(e).context("scx_agent does not answer: the tag is lost")
        }
        // It has hung up without a word.
        _ if answer.is_empty() => bail!("scx_agent takes no more tags of this agent for now"),
        _ => (),
    }
    let answer: Result<String, String> =
        serde_json::from_slice(&answer).context("scx_agent's answer cannot be understood")?;
    answer.map_err(|e| anyhow!(e))
}
