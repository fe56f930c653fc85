//! A client that sends any bytes and reads answers one by one.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use fnlite::base::clock::{Clock, SystemClock};

/// Longest wait for anything; a test that comes near it has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection.
pub(crate) struct Raw<S> {
    stream: S,
    buffer: Vec<u8>,
    is_refused: bool,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Raw<TcpStream> {
    pub(crate) fn connect(address: SocketAddr) -> Raw<TcpStream> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Raw::new(stream)
    }

    pub(crate) fn finish_sending(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Sends until the other side takes nothing for a while; how many bytes that were.
    pub(crate) fn send_until_stuck(&mut self, bytes: &[u8], sent_max: usize) -> usize {
        self.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut sent = 0;
        while sent < sent_max {
            match self.stream.write(bytes) {
                Ok(count) => sent += count,
                Err(cause) if matches!(cause.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(cause) => panic!("{cause}"),
            }
        }
        sent
    }

    /// Whether the last thing sent was refused because the server has closed the connection.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Takes one byte of an answer; waits for it.
    pub(crate) fn read_a_byte(&mut self) {
        self.stream.read_exact(&mut [0]).unwrap();
    }

    /// Reads nothing and waits until the server has closed the connection, which refuses what is sent then.
    pub(crate) fn wait_until_refused(&mut self) {
        let clock = SystemClock;
        let until = clock.now() + PATIENCE;
        while self.stream.write_all(b"x").is_ok() {
            assert!(clock.now() < until, "the server keeps the connection");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl<S: Read + Write> Raw<S> {
    pub(crate) fn new(stream: S) -> Raw<S> {
        Raw { stream, buffer: Vec::new(), is_refused: false }
    }

    /// Sends all bytes. A server that has closed already may refuse them; what it answered is what counts.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Raw<S> {
        self.is_refused = self.stream.write_all(bytes.as_ref()).is_err();
        self
    }

    /// The next answer to a request that is no HEAD.
    pub(crate) fn answer(&mut self) -> Answer {
        self.next_answer(false).expect("an answer before the connection closes")
    }

    /// The next answer to a HEAD request.
    pub(crate) fn head_answer(&mut self) -> Answer {
        self.next_answer(true).expect("an answer before the connection closes")
    }

    /// All answers until the server closes the connection.
    pub(crate) fn answers_until_close(&mut self) -> Vec<Answer> {
        std::iter::from_fn(|| self.next_answer(false)).collect()
    }

    /// Whether the server closes the connection without another byte.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && !self.fill()
    }

    fn next_answer(&mut self, is_head: bool) -> Option<Answer> {
        let head = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break String::from_utf8(self.take(end + 4)).unwrap();
            }
            if !self.fill() {
                assert_eq!(String::from_utf8_lossy(&self.buffer), "", "the head breaks off");
                return None;
            }
        };
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new() };
        if !is_head && status >= 200 && !matches!(status, 204 | 304) {
            answer.body = self.body(&answer);
        }
        Some(answer)
    }

    fn body(&mut self, answer: &Answer) -> Vec<u8> {
        if answer.header("transfer-encoding") == Some("chunked") {
            return self.chunks();
        }
        match answer.header("content-length") {
            Some(length) => self.exactly(length.parse().unwrap()),
            None => {
                while self.fill() {}
                std::mem::take(&mut self.buffer)
            }
        }
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.line();
            let length = usize::from_str_radix(&line, 16).unwrap();
            body.extend(self.exactly(length));
            assert_eq!(self.line(), "");
            if length == 0 {
                return body;
            }
        }
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line = self.take(end + 2);
                return String::from_utf8(line[..end].to_vec()).unwrap();
            }
            assert!(self.fill(), "the line breaks off");
        }
    }

    fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length {
            assert!(self.fill(), "the body breaks off");
        }
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(length);
        std::mem::replace(&mut self.buffer, rest)
    }

    /// Reads once; false at the end. A reset is an end, too.
    fn fill(&mut self) -> bool {
        let mut piece = [0; 64 * 1024];
        match self.stream.read(&mut piece) {
            Ok(length) => {
                self.buffer.extend_from_slice(&piece[..length]);
                length > 0
            }
            Err(cause) if cause.kind() == ErrorKind::ConnectionReset => false,
            Err(cause) => panic!("no answer: {cause}"),
        }
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
