//! Answers of a server as the client reads them: pure parsing, apart from sockets.

use std::io::{Read, Write};

use crate::error::{Error, Kind, Result};
use crate::http::chunked::Chunked;

/// Largest head of an answer, bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most header lines of an answer.
const HEADERS_MAX: usize = 100;
/// Bytes of one read.
const READ_BYTES: usize = 64 * 1024;

/// The head of an answer.
#[derive(Debug)]
pub struct ReplyHead {
    /// The status code.
    pub status: u16,
    bytes: Vec<u8>,
    length: ReplyLength,
    closes: bool,
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReplyLength {
    Sized(u64),
    Chunked,
    UntilClose,
}

impl ReplyHead {
    /// Parses the head at the start of `bytes`; `None` while it is not whole. `is_head` is whether it answers a HEAD
    /// request, so that no body follows. The length of the head in bytes comes with it.
    fn parse(bytes: &[u8], is_head: bool) -> Result<Option<(ReplyHead, usize)>> {
        let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut slots);
        let length = match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() <= HEAD_BYTES_MAX => return Ok(None),
            Ok(httparse::Status::Partial) => return Err(garbled("its head is too long")),
            Err(cause) => return Err(garbled("its head is malformed").because(cause)),
        };
        let status = parsed.code.unwrap_or_default();
        let body = match is_head || status < 200 || matches!(status, 204 | 304) {
            true => ReplyLength::Sized(0),
            false => body_length(parsed.headers)?,
        };
        let says_close = parsed.headers.iter().any(|header| {
            header.name.eq_ignore_ascii_case("connection") && header.value.eq_ignore_ascii_case(b"close")
        });
        let closes = says_close || parsed.version == Some(0) || body == ReplyLength::UntilClose;
        let head = ReplyHead { status, bytes: bytes[..length].to_vec(), length: body, closes };
        Ok(Some((head, length)))
    }

    /// The value of a header, if it is there and text.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut slots);
        parsed.parse(&self.bytes).ok()?;
        let found = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok().map(str::to_owned)
    }

    /// Whether the server closes the connection after the body.
    pub fn closes(&self) -> bool {
        self.closes
    }
}

fn body_length(headers: &[httparse::Header<'_>]) -> Result<ReplyLength> {
    let value_of = |name: &str| headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value);
    if let Some(coding) = value_of("transfer-encoding") {
        let is_chunked = coding.eq_ignore_ascii_case(b"chunked");
        return if is_chunked { Ok(ReplyLength::Chunked) } else { Err(garbled("its coding is unknown")) };
    }
    let Some(digits) = value_of("content-length") else { return Ok(ReplyLength::UntilClose) };
    let length = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    length.map(ReplyLength::Sized).ok_or_else(|| garbled("its Content-Length is no number"))
}

fn garbled(what: &str) -> Error {
    Error::internal(format!("the server's answer cannot be read: {what}"))
}

/// Reads answers one after another from a connection.
#[derive(Debug)]
pub struct ReplyReader<R> {
    source: R,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are dealt with.
    at: usize,
    /// Bytes of the buffer that were read.
    end: usize,
}

impl<R: Read> ReplyReader<R> {
    /// A reader at the beginning of an answer.
    pub fn new(source: R) -> ReplyReader<R> {
        ReplyReader { source, buffer: Vec::new(), at: 0, end: 0 }
    }

    /// The connection, to write requests to.
    pub fn source(&mut self) -> &mut R {
        &mut self.source
    }

    /// The next head, interim ones skipped; `None` if the server closed the connection before it began.
    pub fn head(&mut self, is_head: bool) -> Result<Option<ReplyHead>> {
        loop {
            match ReplyHead::parse(&self.buffer[self.at..self.end], is_head)? {
                Some((head, length)) => {
                    self.at += length;
                    if head.status >= 200 {
                        return Ok(Some(head));
                    }
                }
                None if self.fill()? > 0 => {}
                None if self.at == self.end => return Ok(None),
                None => return Err(broke_off()),
            }
        }
    }

    /// The body that belongs to `head`, written to `sink` as it comes.
    pub fn body(&mut self, head: &ReplyHead, sink: &mut dyn Write) -> Result<()> {
        match head.length {
            ReplyLength::Sized(length) => self.sized(length, sink),
            ReplyLength::Chunked => self.chunked(sink),
            ReplyLength::UntilClose => self.until_close(sink),
        }
    }

    fn sized(&mut self, mut left: u64, sink: &mut dyn Write) -> Result<()> {
        while left > 0 {
            let here = &self.buffer[self.at..self.end];
            let taken = usize::try_from(left).map_or(here.len(), |left| left.min(here.len()));
            sink.write_all(&here[..taken]).map_err(cannot_write)?;
            self.at += taken;
            left -= taken as u64;
            if left > 0 && self.fill()? == 0 {
                return Err(broke_off());
            }
        }
        Ok(())
    }

    fn chunked(&mut self, sink: &mut dyn Write) -> Result<()> {
        let mut decoder = Chunked::default();
        loop {
            let step =
                decoder.step(&self.buffer[self.at..self.end]).map_err(|_| garbled("a chunk is malformed"))?;
            sink.write_all(step.data).map_err(cannot_write)?;
            self.at += step.used;
            if step.done {
                return Ok(());
            }
            if self.at == self.end && self.fill()? == 0 {
                return Err(broke_off());
            }
        }
    }

    fn until_close(&mut self, sink: &mut dyn Write) -> Result<()> {
        loop {
            sink.write_all(&self.buffer[self.at..self.end]).map_err(cannot_write)?;
            self.at = self.end;
            if self.fill()? == 0 {
                return Ok(());
            }
        }
    }

    /// Reads once behind what is left; how many bytes came.
    fn fill(&mut self) -> Result<usize> {
        self.buffer.copy_within(self.at..self.end, 0);
        self.end -= self.at;
        self.at = 0;
        if self.buffer.len() < self.end + READ_BYTES {
            self.buffer.resize(self.end + READ_BYTES, 0);
        }
        let length = read(&mut self.source, &mut self.buffer[self.end..]).map_err(cannot_read)?;
        self.end += length;
        Ok(length)
    }
}

fn read(source: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match source.read(buffer) {
            Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

fn broke_off() -> Error {
    Error::internal("the server closed the connection within its answer")
}

fn cannot_read(cause: std::io::Error) -> Error {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    match cause.kind() {
        TimedOut | WouldBlock => Error::new(Kind::Busy, "the server did not answer in time").because(cause),
        _ => Error::internal("the connection to the server broke").because(cause),
    }
}

fn cannot_write(cause: std::io::Error) -> Error {
    Error::internal("the answer cannot be written where it should go").because(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = self.0.len().min(1);
            self.0.read(&mut buffer[..length])
        }
    }

    /// The status and body of each answer in `text`, or the error that ended them.
    fn read_all(text: &str) -> Vec<std::result::Result<(u16, String), String>> {
        let mut reader = ReplyReader::new(Trickle(text.as_bytes()));
        let mut replies = Vec::new();
        loop {
            let mut body = Vec::new();
            let head = match reader.head(false) {
                Ok(None) => return replies,
                Ok(Some(head)) => head,
                Err(error) => return [replies, vec![Err(error.message)]].concat(),
            };
            match reader.body(&head, &mut body) {
                Ok(()) => replies.push(Ok((head.status, String::from_utf8(body).unwrap()))),
                Err(error) => return [replies, vec![Err(error.message)]].concat(),
            }
        }
    }

    #[test]
    fn answers_follow_each_other() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc\
                    HTTP/1.1 502 Bad\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n\
                    HTTP/1.1 204 None\r\n\r\nHTTP/1.0 200 OK\r\n\r\nrest";
        let expected = [(200, "abc"), (502, "def"), (204, ""), (200, "rest")];
        let expected = expected.map(|(status, body)| Ok((status, body.to_owned())));
        assert_eq!(read_all(text), expected);
    }

    #[test]
    fn what_breaks_off_is_told() {
        for text in [
            "HTTP/1.1 200",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n",
        ] {
            let broke = "the server closed the connection within its answer".to_owned();
            assert_eq!(read_all(text), [Err(broke)], "{text:?}");
        }
        assert!(read_all("SSH-2.0\r\n\r\n")[0].as_ref().unwrap_err().contains("its head is malformed"));
    }

    #[test]
    fn headers_are_found_in_any_case() {
        let text = b"HTTP/1.1 200 OK\r\nX-Fnlite-Status: 0\r\nConnection: Close\r\n\r\n";
        let (head, length) = ReplyHead::parse(text, false).unwrap().unwrap();
        assert_eq!(head.header("x-fnlite-status"), Some("0".to_owned()));
        assert_eq!((head.header("none"), head.closes(), length), (None, true, text.len()));
    }
}
