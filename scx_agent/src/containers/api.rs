// SPDX-License-Identifier: GPL-2.0-only
//! The part of the Docker API that says which containers there are; Podman serves it as well. Asked
//! as HTTP/1.0, to which bodies come as they are and end with the connection.

use anyhow::{bail, Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long an answer may take, the stream of events apart.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest head of an answer, in bytes.
const HEAD_MAX: u64 = 16 << 10;
/// Longest answer: a host with thousands of containers.
const BODY_MAX: u64 = 64 << 20;
/// Longest event.
const EVENT_MAX: u64 = 1 << 20;
/// Containers that start: `{"type":["container"],"event":["start"]}`.
const EVENTS: &str =
    "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22start%22%5D%7D";

/// A container that runs, as the API describes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// With a slash before it.
    name: String,
    #[serde(default)]
    config: Config,
    #[serde(default)]
    state: State,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    #[serde(default)]
    pid: u32,
}

impl Container {
    pub fn name(&self) -> &str {
        self.name.trim_start_matches('/')
    }

    pub fn label(&self, key: &str) -> Option<&str> {
        self.config.labels.as_ref()?.get(key).map(String::as_str)
    }

    /// Its first process; None if it does not run.
    pub fn pid(&self) -> Option<u32> {
        (self.state.pid != 0).then_some(self.state.pid)
    }
}

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Id")]
    id: String,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Actor")]
    actor: Actor,
}

#[derive(Deserialize)]
struct Actor {
    #[serde(rename = "ID")]
    id: String,
}

/// True if `id` is what container ids are: it becomes part of a path.
fn is_id(id: &str) -> bool {
    (12..=64).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_hexdigit())
}

/// The ids of all containers that run.
///
/// # Errors
/// Nobody answers, or not what is expected.
pub fn list(socket: &Path) -> Result<Vec<String>> {
    let body = get(&connect(socket)?, "/containers/json", Some(PATIENCE))?;
    let all: Vec<Listed> =
        serde_json::from_reader(body.take(BODY_MAX)).context("its list of containers is not understood")?;
    Ok(all.into_iter().map(|c| c.id).filter(|id| is_id(id)).collect())
}

/// The container `id`.
///
/// # Errors
/// As [`list`]; it may be gone.
pub fn inspect(socket: &Path, id: &str) -> Result<Container> {
    let body = get(&connect(socket)?, &format!("/containers/{id}/json"), Some(PATIENCE))?;
    serde_json::from_reader(body.take(BODY_MAX)).with_context(|| format!("container {id} is not understood"))
}

/// Containers that start from now on.
pub struct Starts(BufReader<UnixStream>);

impl Starts {
    /// Listens over `stream`; whoever shuts that down ends it.
    ///
    /// # Errors
    /// As [`list`].
    pub fn listen(stream: &UnixStream) -> Result<Starts> {
        Ok(Starts(get(stream, EVENTS, None)?))
    }
}

impl Iterator for Starts {
    type Item = String;

    /// Waits for the next container; None at the end of the connection.
    fn next(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.0.by_ref().take(EVENT_MAX).read_line(&mut line).ok()? == 0 {
                return None;
            }
            match serde_json::from_str::<Event>(&line) {
                Ok(e) if is_id(&e.actor.id) => return Some(e.actor.id),
                _ => log::debug!("an event of containers is not understood"),
            }
        }
    }
}

/// # Errors
/// Nobody listens there.
pub fn connect(socket: &Path) -> Result<UnixStream> {
    UnixStream::connect(socket).with_context(|| format!("cannot connect to {}", socket.display()))
}

/// Asks for `path`; returns the body.
fn get(stream: &UnixStream, path: &str, patience: Option<Duration>) -> Result<BufReader<UnixStream>> {
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut own = stream.try_clone()?;
    own.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes())?;
    let mut answer = BufReader::new(own);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let room = HEAD_MAX - head.len() as u64;
        if answer.by_ref().take(room).read_until(b'\n', &mut head)? == 0 {
            bail!("no HTTP answer to {path}");
        }
    }
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut fields);
    parsed.parse(&head).with_context(|| format!("no HTTP answer to {path}"))?;
    match parsed.code {
        Some(200) => (),
        code => bail!("{path} is answered with HTTP status {}", code.unwrap_or(0)),
    }
    answer.get_ref().set_read_timeout(patience)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::net::UnixListener;

    const ID: &str = "4fd1c2aa00114fd1c2aa00114fd1c2aa00114fd1c2aa00114fd1c2aa00114fd1";

    /// Answers one request with `answer`, and returns what was asked for.
    fn once(dir: &Path, answer: String) -> (std::path::PathBuf, std::thread::JoinHandle<String>) {
        let path = dir.join("api.sock");
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut asked).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            asked
        });
        (path, served)
    }

    #[test]
    fn containers_are_listed_and_described() {
        let dir = tempfile::tempdir().unwrap();
        let ok = "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n";
        let (path, served) = once(dir.path(), format!(r#"{ok}[{{"Id":"{ID}"}},{{"Id":"../../../x"}}]"#));
        assert_eq!(list(&path).unwrap(), [ID], "what is no id does not become a path");
        assert_eq!(served.join().unwrap(), "GET /containers/json HTTP/1.0\r\n");
        let about = r#"{"Name":"/coder","Config":{"Labels":{"role":"agent"}},"State":{"Pid":77}}"#;
        let (path, _) = once(dir.path(), format!("{ok}{about}"));
        let c = inspect(&path, ID).unwrap();
        assert_eq!(
            (c.name(), c.label("role"), c.label("x"), c.pid()),
            ("coder", Some("agent"), None, Some(77))
        );
        let (path, _) = once(dir.path(), format!(r#"{ok}{{"Name":"x","Config":{{"Labels":null}}}}"#));
        assert_eq!(inspect(&path, ID).unwrap().pid(), None, "it does not run");
    }

    #[test]
    fn starts_are_heard_until_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let event = format!(r#"{{"Type":"container","Action":"start","Actor":{{"ID":"{ID}"}}}}"#);
        let (path, _) = once(dir.path(), format!("HTTP/1.0 200 OK\r\n\r\n{event}\nnonsense\n{event}\n"));
        assert_eq!(Starts::listen(&connect(&path).unwrap()).unwrap().collect::<Vec<_>>(), [ID, ID]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn any_answer_is_taken_or_refused(
            head in "(HTTP/1.[01] 200 OK\r\n|\\PC{0,30}\r\n){0,3}(\r\n)?",
            body in "(\\[|\\{|\"Id\"|:|,|\"[0-9a-f]{0,70}\"|\\PC){0,12}",
        ) {
            let dir = tempfile::tempdir().unwrap();
            let (path, _) = once(dir.path(), format!("{head}{body}"));
            for id in list(&path).unwrap_or_default() {
                prop_assert!(is_id(&id));
            }
        }
    }

    #[test]
    fn other_answers_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let said = |answer: &str| {
            let (path, _) = once(dir.path(), answer.into());
            format!("{:#}", list(&path).unwrap_err())
        };
        assert!(said("HTTP/1.1 404 Not Found\r\n\r\n").contains("HTTP status 404"));
        assert!(said("SSH-2.0-OpenSSH\r\n\r\n").contains("no HTTP answer"));
        assert!(said("").contains("no HTTP answer"));
        assert!(said(&"x".repeat(40 << 10)).contains("no HTTP answer"));
        assert!(said("HTTP/1.0 200 OK\r\n\r\n{}").contains("not understood"));
        assert!(list(&dir.path().join("none")).is_err());
    }
}
