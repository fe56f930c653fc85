//! The log is followed over a real server: nothing missing, nothing twice, and nobody held up.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};

use fnlite::base::thread;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::console::visitor::Visitor;
use crate::function::{Function, folder, source};
use crate::gate::Gate;
use crate::server::{Server, spawn};
use crate::wait::{self, PATIENCE};

/// A client that follows. It speaks HTTP/1.0, so that what it reads are events and nothing between them.
struct Tail {
    reader: BufReader<Box<dyn Read>>,
    status: u16,
    /// The latest one.
    id: i64,
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// An event with data.
#[derive(Debug)]
struct Event {
    id: i64,
    name: String,
    data: Value,
}

impl Tail {
    fn open(server: &Server, filter: &str) -> Tail {
        Tail::after(server, filter, None)
    }

    fn after(server: &Server, filter: &str, id: Option<i64>) -> Tail {
        Tail::over(connect(server), server, filter, id)
    }

    fn over(stream: impl Read + Write + 'static, server: &Server, filter: &str, id: Option<i64>) -> Tail {
        let resume = id.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        let key = server.place().key();
        let right = format!("Authorization: Bearer {key}\r\n{resume}");
        Tail::with_right(stream, &format!("/v1/logs/tail?{filter}"), &right)
    }

    /// Of somebody who may by these headers.
    fn with_right(mut stream: impl Read + Write + 'static, target: &str, right: &str) -> Tail {
        let head = format!("GET {target} HTTP/1.0\r\n{right}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut tail = Tail { reader: BufReader::new(Box::new(stream)), status: 0, id: 0 };
        tail.status = tail.line().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        while tail.line().is_some_and(|line| !line.is_empty()) {}
        if tail.status == 200 {
            // It says first where it begins.
            tail.id = tail.line().unwrap().strip_prefix("id: ").unwrap().parse().unwrap();
            tail.line().unwrap();
        }
        tail
    }

    /// None at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.reader.read_line(&mut line).unwrap() > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event with data; none at the end.
    fn next(&mut self) -> Option<Event> {
        let (mut name, mut data) = (String::new(), String::new());
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some(("id", id)) => self.id = id.parse().unwrap(),
                Some(("event", text)) => name = text.to_owned(),
                Some(("data", text)) => data = text.to_owned(),
                _ if data.is_empty() => {}
                _ => return Some(Event { id: self.id, name, data: serde_json::from_str(&data).unwrap() }),
            }
        }
    }

    /// The lines up to the one with that text.
    fn until(&mut self, text: &str) -> Vec<Value> {
        let mut lines = Vec::new();
        loop {
            let Event { name, data, .. } = self.next().unwrap();
            assert_eq!(name, "");
            lines.push(data);
            if lines.last().unwrap()["message"] == text {
                return lines;
            }
        }
    }
}

/// Prints what its event lists, a line each.
fn printing() -> Function {
    source("def main_handler(event, context):\n    print(*event, sep='\\n')\n")
}

fn listed(server: &Server, filter: &str) -> Vec<Value> {
    server.get(&format!("/v1/logs?order=asc&limit=1000&{filter}"))["lines"].as_array().unwrap().clone()
}

#[test]
fn lines_come_in_order_and_complete_while_many_run() {
    let server = Server::start(&[]);
    server.deploy("printing", &printing());
    let mut tail = Tail::open(&server, "");
    std::thread::scope(|scope| {
        for caller in 0..4 {
            let server = &server;
            scope.spawn(move || {
                for run in 0..10 {
                    server
                        .invoke("printing", format!("[\"{caller}-{run}-a\", \"{caller}-{run}-b\"]"))
                        .returned();
                }
            });
        }
    });
    server.invoke("printing", "[\"the end\"]").returned();
    let heard = tail.until("the end");
    let mut expected = listed(&server, "");
    expected.truncate(expected.iter().position(|line| line["message"] == "the end").unwrap() + 1);
    assert!(expected.len() > 40 * 6);
    assert_eq!(heard, expected);
}

#[test]
fn lines_of_a_run_that_goes_on_come_before_its_end() {
    let server = Server::shared();
    server.deploy("tail-lasting", &folder("gate").with("timeout_s", 60));
    let gate = Gate::new();
    let mut tail = Tail::open(server, "function=tail-lasting");
    let id = server.accept("tail-lasting", gate.event());
    let held = gate.arrival();
    let lines = tail.until("at the gate");
    assert!(lines.iter().all(|line| line["request_id"] == id.as_str()), "{lines:?}");
    drop(held);
    server.over(&id);
}

#[test]
fn a_client_that_was_cut_off_goes_on_where_it_was() {
    let server = Server::start(&[]);
    server.deploy("printing", &printing());
    server.deploy("other", &printing());
    let mut tail = Tail::open(&server, "function=printing");
    let mut heard = Vec::new();
    for round in 0..5 {
        let last = format!("{round} last");
        server.invoke("printing", format!("[\"{round} first\", \"{last}\"]")).returned();
        server.invoke("other", "[\"noise\"]").returned();
        heard.extend(tail.until(&format!("{round} first")));
        // Cut off within a run; while it is away, more comes.
        let id = tail.id;
        drop(tail);
        server.invoke("printing", "[\"while away\"]").returned();
        tail = Tail::after(&server, "function=printing", Some(id));
        heard.extend(tail.until("while away"));
    }
    let mut expected = listed(&server, "function=printing");
    expected.truncate(heard.len());
    assert_eq!(heard, expected);
}

/// More lines than wait for anybody, and a client that does not read: its place in the kernel is full long before.
#[test]
fn a_slow_reader_is_told_what_it_missed_and_holds_nobody() {
    let server = Server::start(&[]);
    server.deploy(
        "flood",
        &source("def main_handler(event, context):\n    for n in range(1000): print('x' * 500)\n"),
    );
    server.deploy("printing", &printing());
    let stream = UnixStream::connect(server.place().file("fnlite.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut slow = Tail::over(stream, &server, "", None);
    let mut quick = Tail::open(&server, "function=printing");
    for _ in 0..14 {
        server.invoke("flood", "{}").returned();
        // Every run has been stored and answered, and others hear of theirs, while the slow one keeps still.
        server.invoke("printing", "[\"still here\"]").returned();
        quick.until("still here");
    }
    server.invoke("printing", "[\"the end\"]").returned();
    let (mut last, mut missed) = (slow.id, 0);
    loop {
        let event = slow.next().unwrap();
        if event.name == "missed" {
            missed += event.data["lines"].as_i64().unwrap();
            assert_eq!(event.id, last + event.data["lines"].as_i64().unwrap());
        } else {
            assert_eq!(event.id, last + 1, "what was not sent was told");
        }
        last = event.id;
        if event.data["message"] == "the end" {
            break;
        }
    }
    assert!(missed > 9000, "{missed}");
}

#[test]
fn one_tail_too_many_is_refused_until_another_has_left() {
    let server = Server::start(&[]);
    let mut tails: Vec<Tail> = (0..64).map(|_| Tail::open(&server, "")).collect();
    assert!(tails.iter().all(|tail| tail.status == 200));
    assert_eq!(Tail::open(&server, "").status, 429);
    assert_eq!(server.call("GET", "/v1/logs", b"").status, 200, "everything else goes on");
    tails.pop();
    wait::until("there is room again", || (Tail::open(&server, "").status == 200).then_some(()));
}

#[test]
fn tails_end_when_the_server_stops() {
    let server = Server::start(&["--drain-timeout", "60s"]);
    let mut tails: Vec<Tail> = (0..3).map(|_| Tail::open(&server, "")).collect();
    server.stop_in_order();
    for tail in &mut tails {
        assert!(tail.next().is_none());
    }
}

#[test]
fn a_tail_ends_with_the_right_to_it() {
    let server = Server::shared();
    let made = server.call("POST", "/v1/keys", br#"{"name":"follower","scope":"read"}"#).json();
    let right = format!("Authorization: Bearer {}\r\n", made["key"].as_str().unwrap());
    let mut by_key = Tail::with_right(connect(server), "/v1/logs/tail", &right);
    let visitors = [Visitor::with_key(server, "leaves", "read"), Visitor::with_key(server, "stays", "read")];
    let [mut left, mut stays] = visitors.each_ref().map(|visitor| {
        let right = format!("Host: {}\r\nCookie: {}\r\n", server.address(), visitor.cookie);
        Tail::with_right(connect(server), "/console/v1/logs/tail", &right)
    });
    assert_eq!([by_key.status, left.status, stays.status], [200; 3]);
    assert_eq!(server.call("DELETE", &format!("/v1/keys/{}", made["id"]), b"").status, 204);
    assert_eq!(visitors[0].post("/console/sign-out", &[]).status, 303);
    assert!(by_key.next().is_none() && left.next().is_none());
    server.deploy("tail_stays", &source("def main_handler(event, context):\n    print('still here')\n"));
    server.invoke("tail_stays", "{}");
    stays.until("still here");
}

/// `fnlite logs -f`, and what it prints.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    fn start(server: &Server, words: &[&str]) -> Follower {
        let mut command = server.place().fnlite(words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(command);
        let lines = lines_of(child.stdout.take().unwrap());
        Follower { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    /// Its messages up to that one.
    fn until(&self, text: &str) -> Vec<String> {
        let mut messages = Vec::new();
        while messages.last().is_none_or(|last| last != text) {
            let line: Value = serde_json::from_str(&self.line()).unwrap();
            messages.push(line["message"].as_str().unwrap().to_owned());
        }
        messages
    }

    /// Ends it by that signal; how it ended, and what it had to say.
    fn end(mut self, signal: Signal) -> (std::process::ExitStatus, String) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let status = self.child.wait().unwrap();
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (status, said)
    }
}

fn lines_of(stdout: ChildStdout) -> Receiver<String> {
    let (tell, lines) = channel();
    let read = move || {
        for line in BufReader::new(stdout).lines() {
            if tell.send(line.unwrap()).is_err() {
                return;
            }
        }
    };
    drop(thread::spawn("follower", read).unwrap());
    lines
}

#[test]
fn a_command_line_that_follows_goes_on_with_the_next_server() {
    use std::os::unix::process::ExitStatusExt;
    let server = Server::start(&[]);
    server.deploy("printing", &printing());
    server.invoke("printing", "[\"old\"]").returned();
    server.invoke("printing", "[\"older lines come first\"]").returned();
    let follower = Follower::start(&server, &["logs", "-f", "printing", "--json", "--limit", "6"]);
    let mut heard = follower.until("older lines come first");
    server.invoke("printing", "[\"before\"]").returned();
    heard.extend(follower.until("before"));
    let server = server.stop_in_order().serve(&[]);
    server.invoke("printing", "[\"between\"]").returned();
    let server = server.kill9().serve(&[]);
    server.invoke("printing", "[\"after\"]").returned();
    heard.extend(follower.until("after"));
    let expected: Vec<String> = listed(&server, "function=printing")
        .iter()
        .map(|line| line["message"].as_str().unwrap().to_owned())
        .collect();
    let first = expected.iter().position(|text| text == &heard[0]).unwrap();
    assert_eq!(heard, expected[first..first + heard.len()]);
    let all_before = expected.iter().position(|text| text == "before").unwrap();
    assert!(first < all_before && heard[0] != "before", "{heard:?}");
    let (status, said) = follower.end(Signal::INT);
    assert_eq!(status.signal(), Some(Signal::INT.as_raw()), "as tail -f");
    assert!(said.contains("the server has stopped; connecting again"), "{said}");
}

#[test]
fn what_is_followed_reads_like_any_log() {
    let server = Server::shared();
    server.deploy("tail-reads", &printing());
    let first = server.invoke("tail-reads", "[\"apple\"]").request_id;
    let follower = Follower::start(server, &["logs", "-f", "--request-id", &first]);
    assert!(follower.line().starts_with(&format!("tail-reads  {first}  ")));
    wait::until("its last line", || follower.line().contains("Report RequestId").then_some(()));
    follower.end(Signal::TERM);
    let refused = server.fnlite(&["logs", "-f", "nobody-here"]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no function nobody-here"));
}
