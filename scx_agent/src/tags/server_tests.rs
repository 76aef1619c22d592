// SPDX-License-Identifier: GPL-2.0-only

use super::super::client;
use super::super::message::What;
use super::*;
use std::sync::atomic::AtomicU64;

/// How long a server waits for a silent caller here: longer than any test takes.
const FOR_EVER: Duration = Duration::from_secs(3600);
/// How long a caller waits, on a machine with other things to do.
const LONG: Duration = Duration::from_secs(30);

/// A server whose callers are all in the agent that `agent` names (0: in none), and a main loop that
/// answers everything.
struct Fixture {
    server: Option<Server>,
    path: PathBuf,
    agent: Arc<AtomicU64>,
}

fn serve(name: &str) -> Fixture {
    let dir = std::env::temp_dir().join(format!("scx_agent-tags-{name}-{}", std::process::id()));
    let path = dir.join("tags/tag.sock");
    let agent = Arc::new(AtomicU64::new(1));
    let of = agent.clone();
    let agent_of = move |_pid| Some((3, of.load(Ordering::SeqCst))).filter(|a| a.1 != 0);
    let server = Server::patient(&path, agent_of, Waker::new().unwrap(), FOR_EVER).unwrap();
    let requests = server.requests.clone();
    std::thread::spawn(move || {
        for r in requests {
            let said = format!("{} {} {}", r.pid, r.group, r.cgroup_id);
            r.answer(&Ok(said));
        }
    });
    Fixture { server: Some(server), path, agent }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        drop(self.server.take());
        assert!(!self.path.exists(), "the socket is gone");
        let _ = fs::remove_dir_all(self.path.ancestors().nth(2).unwrap());
    }
}

fn message() -> Message {
    Message {
        what: What::CallEnd,
        hook: true,
        pid: None,
        session: None,
        id: Some("x".into()),
        tool: None,
        command: None,
    }
}

/// What a server says to `bytes`.
fn say(path: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let _ = stream.write_all(bytes);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn who_speaks_is_the_kernels_word() {
    let f = serve("who");
    let said = client::send(&f.path, &message(), LONG).unwrap();
    assert_eq!(said, format!("{} 3 1", std::process::id()));
    f.agent.store(0, Ordering::SeqCst);
    let e = client::send(&f.path, &message(), LONG).unwrap_err().to_string();
    assert!(e.contains("in no agent"), "{e}");
    let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&f.path), mode(f.path.parent().unwrap())), (0o666, 0o755));
}

#[test]
fn hostile_bytes_are_refused() {
    let f = serve("hostile");
    assert!(say(&f.path, b"{}\n").contains("not a tag"));
    assert!(say(&f.path, b"\n").contains("not a tag"));
    assert!(say(&f.path, b"\xff\xfe\n").contains("not a tag"));
    let long = say(&f.path, &vec![b'x'; 4 * MESSAGE_MAX]);
    assert!(long.is_empty() || long.contains("at most"), "{long}");
    client::send(&f.path, &message(), LONG).unwrap();
}

#[test]
fn whoever_says_nothing_holds_nobody_up() {
    let f = serve("silent");
    let silent: Vec<_> = (0..3 * PER_AGENT).map(|_| UnixStream::connect(&f.path).unwrap()).collect();
    // Until they have been accepted, so that they count as the first agent's: not all are kept.
    let refused = |s: &UnixStream| {
        s.set_nonblocking(true).unwrap();
        matches!((&*s).read(&mut [0u8; 1]), Ok(0))
    };
    let began = Instant::now();
    while silent.iter().filter(|s| refused(s)).count() < 2 * PER_AGENT {
        assert!(began.elapsed() < LONG, "connections beyond its share are closed");
        std::thread::sleep(Duration::from_millis(1));
    }
    f.agent.store(2, Ordering::SeqCst);
    client::send(&f.path, &message(), LONG).unwrap();
    // All that while the server has waited for the others.
    assert_eq!(silent.iter().filter(|s| !refused(s)).count(), PER_AGENT);
}

#[test]
fn a_flood_is_the_flooders_loss() {
    let f = serve("flood");
    let taken = (0..400).filter(|_| client::send(&f.path, &message(), LONG).is_ok()).count();
    assert!((100..300).contains(&taken), "{taken} of 400");
    f.agent.store(2, Ordering::SeqCst);
    client::send(&f.path, &message(), LONG).unwrap();
}
