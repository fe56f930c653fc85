//! The Custom Runtime's HTTP (contract 10.2): the program in the Instance is the client, we are the server, for one event.
//!
//! It may open a connection for each call or keep one for all. All of them together are bounded, as is what each may send; a
//! call that breaks a rule is answered with its status and a sentence, and its connection is closed.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags};

use crate::instance::run::Task;
use crate::instance::talk::Talk;
use crate::instance::talk::request::{self, Parsed, Request};
use crate::model::invocation::Outcome;
use crate::model::limits;

/// Most connections at once; a program that has one event needs few.
const CONNECTIONS_MAX: usize = 64;

/// Longest body: a result as large as may be, and enough to see that one is larger.
const BODY_BYTES_MAX: usize = limits::ANSWER_BYTES_MAX + 1;

/// Longest text of an error, bytes.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// Reads of one connection before others are looked at.
const READS_MAX: usize = 16;

/// Our side.
#[derive(Debug)]
pub(crate) struct HttpTalk {
    door: TcpListener,
    connections: Vec<Connection>,
    is_ready: bool,
    event: Option<Given>,
    outcome: Option<Outcome>,
}

/// The event, as it is told whoever asks for it.
#[derive(Debug)]
struct Given {
    head: String,
    body: Vec<u8>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    /// What is to be sent, and how much of it has been.
    sending: Vec<u8>,
    sent: usize,
    /// It has asked for the event, which is not there yet.
    waits: bool,
    /// `100 Continue` was sent for the request that is being received.
    continued: bool,
    /// Nothing is read any more; it is closed once all is sent.
    is_last: bool,
}

impl HttpTalk {
    /// Over connections to that listening socket.
    pub(crate) fn new(door: OwnedFd) -> io::Result<HttpTalk> {
        let door = TcpListener::from(door);
        door.set_nonblocking(true)?;
        Ok(HttpTalk { door, connections: Vec::new(), is_ready: false, event: None, outcome: None })
    }

    fn accept(&mut self) {
        while self.connections.len() < CONNECTIONS_MAX {
            let Ok((stream, _)) = self.door.accept() else { return };
            if stream.set_nonblocking(true).is_ok() {
                // A program asks and waits: what is sent must not wait for more.
                let _ = stream.set_nodelay(true);
                self.connections.push(Connection::new(stream));
            }
        }
    }

    /// Answers every whole request that has come on that connection.
    fn serve(&mut self, number: usize) {
        while !self.connections[number].is_last && !self.connections[number].waits {
            let connection = &mut self.connections[number];
            match request::parse(&connection.received, BODY_BYTES_MAX) {
                Parsed::Whole { request, length } => {
                    connection.received.drain(..length);
                    connection.continued = false;
                    connection.is_last |= request.is_last;
                    self.answer(number, request);
                }
                Parsed::Expects if !connection.continued => {
                    connection.continued = true;
                    connection.sending.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                    return;
                }
                Parsed::Partial | Parsed::Expects => return,
                Parsed::Wrong { status, why } => {
                    // So much of a result is one that is too large, whatever it was going to be.
                    if status == request::TOO_LARGE && self.event.is_some() {
                        self.outcome.get_or_insert(Outcome::AnswerTooLarge);
                    }
                    let connection = &mut self.connections[number];
                    connection.is_last = true;
                    connection.say(status, why);
                }
            }
        }
    }

    fn answer(&mut self, number: usize, request: Request) {
        let connection = &mut self.connections[number];
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/runtime/init/ready") => {
                self.is_ready = true;
                connection.say(200, "");
            }
            ("GET", "/runtime/invocation/next") => match &self.event {
                Some(event) => connection.tell(event),
                None => connection.waits = true,
            },
            ("POST", "/runtime/invocation/response" | "/runtime/invocation/error")
                if self.event.is_none() =>
            {
                connection.say(403, "no event was given");
            }
            ("POST", "/runtime/invocation/response") => {
                connection.say(200, "");
                self.outcome.get_or_insert_with(|| returned(request.body));
            }
            ("POST", "/runtime/invocation/error") => {
                connection.say(200, "");
                self.outcome.get_or_insert_with(|| raised(&request.body));
            }
            (
                _,
                "/runtime/init/ready"
                | "/runtime/invocation/next"
                | "/runtime/invocation/response"
                | "/runtime/invocation/error",
            ) => connection.say(405, "this call has another method"),
            _ => connection.say(404, "there is no such call"),
        }
    }
}

impl Talk for HttpTalk {
    fn wait_for<'a>(&'a self, waits: &mut Vec<PollFd<'a>>) {
        if self.connections.len() < CONNECTIONS_MAX {
            waits.push(PollFd::new(&self.door, PollFlags::IN));
        }
        for connection in &self.connections {
            let mut interest = PollFlags::empty();
            interest.set(PollFlags::IN, connection.has_room());
            interest.set(PollFlags::OUT, connection.sent < connection.sending.len());
            waits.push(PollFd::new(&connection.stream, interest));
        }
    }

    /// A program that has closed its connections may open others: only its end is the end.
    fn attend(&mut self) -> bool {
        self.accept();
        for number in 0..self.connections.len() {
            let is_whole = self.connections[number].read();
            self.serve(number);
            let connection = &mut self.connections[number];
            if is_whole {
                // Nothing more will be asked on it.
                connection.is_last = true;
                connection.waits = false;
            }
            connection.write();
        }
        // A program that is cut off would complain in its log of what is its end.
        if self.outcome.is_none() {
            self.connections.retain(|connection| !connection.is_over());
        }
        true
    }

    fn is_loaded(&self) -> bool {
        self.is_ready
    }

    fn give(&mut self, task: &Task<'_>, _began_us: i64) {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nrequest_id: {}\r\n\
             memory_limit_in_mb: {}\r\ntime_limit_in_ms: {}\r\n\r\n",
            task.event.len(),
            task.request_id,
            task.memory_mb,
            u64::from(task.timeout_s) * 1000,
        );
        let event = Given { head, body: task.event.to_vec() };
        for connection in self.connections.iter_mut().filter(|connection| connection.waits) {
            connection.waits = false;
            connection.tell(&event);
        }
        self.event = Some(event);
    }

    fn outcome(&mut self) -> Option<Outcome> {
        self.outcome.take()
    }
}

fn returned(body: Vec<u8>) -> Outcome {
    if body.len() > limits::ANSWER_BYTES_MAX { Outcome::AnswerTooLarge } else { Outcome::Returned(body) }
}

fn raised(body: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(&body[..body.len().min(ERROR_BYTES_MAX)]);
    let trace =
        if text.trim().is_empty() { "the runtime reported an error without a text".into() } else { text };
    Outcome::Raised { trace: trace.into_owned() }
}

impl Connection {
    fn new(stream: TcpStream) -> Connection {
        Connection {
            stream,
            received: Vec::new(),
            sending: Vec::new(),
            sent: 0,
            waits: false,
            continued: false,
            is_last: false,
        }
    }

    /// Whether more than the longest request may still be kept.
    fn has_room(&self) -> bool {
        self.is_last || self.received.len() <= BODY_BYTES_MAX + request::HEAD_BYTES_MAX
    }

    /// True once the program has sent all it will.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        for _ in 0..READS_MAX {
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                // What nobody will look at any more is only taken out of the way.
                Ok(_) if self.is_last => {}
                Ok(length) => self.received.extend_from_slice(&buffer[..length]),
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return false,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.fail();
                    return true;
                }
            }
            if !self.has_room() {
                return false;
            }
        }
        false
    }

    fn write(&mut self) {
        while self.sent < self.sending.len() {
            match self.stream.write(&self.sending[self.sent..]) {
                Ok(length) => self.sent += length,
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.fail();
                    return;
                }
            }
        }
        self.sending.clear();
        self.sent = 0;
    }

    /// It is of no use any more.
    fn fail(&mut self) {
        self.is_last = true;
        self.waits = false;
        self.sending.clear();
        self.sent = 0;
    }

    fn is_over(&self) -> bool {
        self.is_last && self.sending.is_empty()
    }

    fn tell(&mut self, event: &Given) {
        self.sending.extend_from_slice(event.head.as_bytes());
        self.sending.extend_from_slice(&event.body);
    }

    fn say(&mut self, status: u16, sentence: &str) {
        let close = if self.is_last { "Connection: close\r\n" } else { "" };
        let answer = format!(
            "HTTP/1.1 {status} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n{close}\r\n{sentence}",
            request::phrase(status),
            sentence.len()
        );
        self.sending.extend_from_slice(answer.as_bytes());
    }
}
