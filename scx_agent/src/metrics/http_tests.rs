// SPDX-License-Identifier: GPL-2.0-only

use super::super::Listen;
use super::*;
use crate::agents::{Phase, Span};
use crate::qos::Qos;
use crate::view::{Agent, Totals};
use proptest::prelude::*;

/// A stream of prepared bytes.
struct Bytes<'a>(&'a [u8]);

impl Read for Bytes<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        // As a slow sender would.
        let n = self.0.len().min(to.len()).min(7);
        to[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

impl Timed for Bytes<'_> {
    fn wait_at_most(&self, _: Duration) -> io::Result<()> {
        Ok(())
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_request_or_refused(line in "(GET|POST|\\PC{0,5}) /?\\PC{0,20}( HTTP/1.[01])?", rest in prop::collection::vec(any::<u8>(), 0..200)) {
        let request = [line.as_bytes(), b"\r\n", &rest].concat();
        match read_path(&mut Bytes(&request)).unwrap() {
            Ok(path) => prop_assert!(!path.contains('?')),
            Err(status) => prop_assert!(status.starts_with('4')),
        }
    }
}

#[test]
fn requests() {
    let path = |b: &'static [u8]| read_path(&mut Bytes(b)).unwrap();
    assert_eq!(path(b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"), Ok("/metrics".into()));
    assert_eq!(path(b"POST /metrics HTTP/1.1\r\n\r\n"), Err("405 Method Not Allowed"));
    for bad in
        [b"".as_slice(), b"\0\x01\x02\r\n\r\n", b"GET /metrics HTTP/1.1\r\nHo", b"GET / HTTP/9\r\n\r\n"]
    {
        assert_eq!(path(bad), Err("400 Bad Request"), "{bad:?}");
    }
    let long = [b"GET /".as_slice(), &[b'a'; 20_000]].concat();
    assert!(read_path(&mut Bytes(&long)).unwrap().is_err());
}

fn agent(name: &str, labelled: bool) -> Agent {
    Agent {
        name: name.into(),
        cgroup_id: 1,
        phase: Phase::Tool,
        since_ns: 1_000_000_000,
        history: vec![Span { phase: Phase::LlmWait, ended_ns: 1, lasted_ns: 1 }],
        totals: Totals {
            calls: 3,
            failed: 1,
            cpu_ns: 2_500_000_000,
            wait_ns: 5,
            phase_ns: [1_000_000_000; 3],
        },
        labelled,
        opaque: false,
        qos: Qos::default(),
        weight: 0,
        budget: None,
    }
}

/// Serves `view` once at a free port; what came back for `request`.
fn served(view: View, request: &str) -> String {
    let options = Options {
        metrics: Listen::At("127.0.0.1:0".parse().unwrap()),
        metrics_agents: 1,
        call_log: None,
        call_log_mb: 1,
        call_log_files: 0,
    };
    let waker = Waker::new().unwrap();
    let server = Server::start(&options, true, Observed::default(), waker).unwrap().unwrap();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    if request.contains("/metrics") {
        server.inquiries.recv_timeout(ANSWER).unwrap().send(view).unwrap();
    }
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_page_over_http() {
    let hostile = "a\"} 1\nscx_agent_forged 1\u{202e}\\";
    let agents = vec![agent("one", true), agent("two", false), agent(hostile, true), agent("one", true)];
    let others = Totals { calls: 7, ..Totals::default() };
    let view = View { now_ns: 3_000_000_000, agents, others, ..View::default() };
    let text = served(view, "GET /metrics HTTP/1.1\r\n\r\n");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("openmetrics-text"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    assert!(body.ends_with("# EOF\n"), "{body}");
    for line in [
        "scx_agent_agent_calls_total{agent=\"one\"} 6.0",
        "scx_agent_agent_calls_total{agent=\"other\"} 7.0",
        "scx_agent_agent_calls_failed_total{agent=\"one\"} 2.0",
        "scx_agent_agent_call_cpu_seconds_total{agent=\"one\"} 5.0",
        "scx_agent_agent_phase_seconds_total{agent=\"one\",phase=\"tool\"} 6.0",
        "scx_agent_agents_labelled 3.0",
        "# UNIT scx_agent_host_memory_available_bytes bytes",
    ] {
        assert!(body.lines().any(|l| l == line), "no {line}:\n{body}");
    }
    assert!(!body.contains("two") && !body.lines().any(|l| l.starts_with("scx_agent_forged")), "{body}");
    assert!(body.contains(r#"agent="a\"} 1\\nscx_agent_forged 1\\u{202e}"#), "{body}");
    assert!(body.chars().all(|c| c == '\n' || !c.is_control()), "{body:?}");
}

#[test]
fn other_paths() {
    assert!(served(View::default(), "GET / HTTP/1.1\r\n\r\n").contains("/metrics\n"));
    assert!(served(View::default(), "GET /x HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(served(View::default(), "junk\r\n\r\n").starts_with("HTTP/1.1 400 "));
}
