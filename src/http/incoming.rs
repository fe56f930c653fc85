//! From bytes to whole requests, however they are cut.

use std::time::Instant;

use super::body::{Body, BodyWriter};
use super::chunked::Chunked;
use super::connection::{Connection, Phase};
use super::encode::Manner;
use super::front::Front;
use super::head::{BodyLength, Head};
use super::limits::Options;
use super::refusal::Refusal;
use super::request::{Peer, Request};
use super::response::Response;
use super::scan::HeadScan;

/// A request whose head is here and whose body is arriving.
#[derive(Debug)]
pub(super) struct Incoming {
    head: Head,
    began: Instant,
    expects_continue: bool,
    decoder: Decoder,
    writer: BodyWriter,
}

#[derive(Debug)]
enum Decoder {
    /// Bytes still to come.
    Sized(u64),
    Chunked(Chunked),
}

/// What came of some bytes.
#[derive(Debug)]
pub(super) enum Intake {
    /// The request is not whole yet.
    More,
    /// It is.
    Whole(Box<Request>),
    /// It never will be, and this is the answer.
    Refused(Response, Manner),
}

impl Connection {
    /// Takes bytes that were read; with none, goes on with what is pending. What follows a whole request stays pending.
    pub(super) fn take_in(&mut self, input: &[u8], front: &Front, now: Instant) -> Intake {
        if self.pending.is_empty() {
            let (intake, used) = self.advance(input, front, now);
            self.pending.extend_from_slice(&input[used..]);
            return intake;
        }
        let mut bytes = std::mem::take(&mut self.pending);
        bytes.extend_from_slice(input);
        let (intake, used) = self.advance(&bytes, front, now);
        if used < bytes.len() {
            bytes.drain(..used);
            self.pending = bytes;
        }
        intake
    }

    /// The same, saying how many of `bytes` are dealt with. They begin where the request does, as long as its head is
    /// not whole.
    fn advance(&mut self, bytes: &[u8], front: &Front, now: Instant) -> (Intake, usize) {
        if bytes.is_empty() {
            return (Intake::More, 0);
        }
        if self.is_idle() {
            self.enter(Phase::Head(HeadScan::default()), now);
        }
        let used = match self.advance_head(bytes, front, now) {
            Ok(HeadProgress::None) => return (Intake::More, 0),
            Ok(HeadProgress::Bodiless(request, used)) => return (Intake::Whole(request), used),
            Ok(HeadProgress::Body(used)) => used,
            Err((response, manner)) => return (Intake::Refused(response, manner), bytes.len()),
        };
        let (intake, more_used) = self.advance_body(&bytes[used..], front, now);
        (intake, used + more_used)
    }

    fn advance_head(&mut self, bytes: &[u8], front: &Front, now: Instant) -> Result<HeadProgress, Refused> {
        let Phase::Head(scan) = &mut self.phase else { return Ok(HeadProgress::Body(0)) };
        let unreadable = |refusal| (front.refused(refusal), Manner::UNREADABLE);
        let Some(span) = scan.advance(bytes).map_err(unreadable)? else { return Ok(HeadProgress::None) };
        let head = Head::parse(&bytes[span.start..span.end]).map_err(unreadable)?;
        if head.framing().length == BodyLength::Sized(0) {
            self.phase = Phase::Idle;
            let request =
                Request { head, body: Body::new(Vec::new()), peer: self.peer, began: now, line: None };
            return Ok(HeadProgress::Bodiless(Box::new(request), span.end));
        }
        let incoming = Incoming::begin(head, front, self.peer, now)?;
        self.enter(Phase::Body(Box::new(incoming)), now);
        Ok(HeadProgress::Body(span.end))
    }

    fn advance_body(&mut self, bytes: &[u8], front: &Front, now: Instant) -> (Intake, usize) {
        let Phase::Body(incoming) = &mut self.phase else { return (Intake::More, 0) };
        match incoming.push(bytes, &front.options) {
            Err(refusal) => {
                let manner = Manner::of(&incoming.head).closing();
                (Intake::Refused(front.refused(refusal), manner), bytes.len())
            }
            Ok((used, false)) => (Intake::More, used),
            Ok((used, true)) => match std::mem::replace(&mut self.phase, Phase::Idle) {
                Phase::Body(incoming) => {
                    let Incoming { head, began, writer, .. } = *incoming;
                    self.since = now;
                    let request = Request { head, body: writer.finish(), peer: self.peer, began, line: None };
                    (Intake::Whole(Box::new(request)), used)
                }
                _ => unreachable!("the phase was matched above"),
            },
        }
    }
}

enum HeadProgress {
    /// It has not ended.
    None,
    /// It has ended after so many bytes, and so has the request.
    Bodiless(Box<Request>, usize),
    /// It has ended after so many bytes; a body follows.
    Body(usize),
}

/// What is answered in place of a request, and how.
type Refused = (Response, Manner);

impl Incoming {
    /// Begins a body after asking the handler whether it wants it and how large it may be.
    fn begin(head: Head, front: &Front, peer: Peer, now: Instant) -> Result<Incoming, Refused> {
        let refused = |response| (response, Manner::of(&head).closing());
        let length_max = front.before_body(&head, peer).map_err(refused)?;
        let decoder = match head.framing().length {
            BodyLength::Sized(length) if length > length_max => {
                return Err(refused(front.refused(Refusal::BodyTooLarge)));
            }
            BodyLength::Sized(length) => Decoder::Sized(length),
            BodyLength::Chunked => Decoder::Chunked(Chunked::default()),
        };
        Ok(Incoming {
            began: now,
            expects_continue: head.framing().expects_continue,
            decoder,
            writer: BodyWriter::new(&front.budget, length_max),
            head,
        })
    }

    /// Bytes of body so far.
    pub(super) fn length(&self) -> u64 {
        self.writer.length()
    }

    /// Whether `100 Continue` is owed; asked once.
    pub(super) fn take_expectation(&mut self) -> bool {
        std::mem::take(&mut self.expects_continue)
    }

    /// Takes bytes of the body; how many belonged to it and whether it has ended.
    fn push(&mut self, bytes: &[u8], options: &Options) -> Result<(usize, bool), Refusal> {
        match &mut self.decoder {
            Decoder::Sized(left) => {
                let length = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.writer.push(&bytes[..length], options)?;
                *left -= length as u64;
                Ok((length, *left == 0))
            }
            Decoder::Chunked(chunked) => push_chunked(chunked, &mut self.writer, bytes, options),
        }
    }
}

fn push_chunked(
    chunked: &mut Chunked,
    writer: &mut BodyWriter,
    bytes: &[u8],
    options: &Options,
) -> Result<(usize, bool), Refusal> {
    let mut used = 0;
    while used < bytes.len() {
        let step = chunked.step(&bytes[used..])?;
        writer.push(step.data, options)?;
        used += step.used;
        if step.done {
            return Ok((used, true));
        }
    }
    Ok((used, false))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    use super::*;
    use crate::base::clock::{Clock, SystemClock};
    use crate::http::Handler;
    use crate::http::poller::Poller;

    struct Nobody;

    impl Handler for Nobody {
        fn before_body(&self, _head: &Head, _peer: Peer) -> Result<u64, Response> {
            Ok(30)
        }

        fn handle(&self, _request: Request) -> Response {
            unreachable!("requests are read here and not answered")
        }
    }

    fn front() -> Front {
        let options = Options { body_memory_bytes: 8, ..Options::default() };
        Front::new(options, Arc::new(Nobody), Arc::new(SystemClock), Poller::new().unwrap())
    }

    /// What came of a stream of bytes that arrive in pieces: target and body of each request, the status of a refusal.
    fn read(front: &Front, bytes: &[u8], piece: usize) -> Vec<Result<(String, Vec<u8>), u16>> {
        let (now, socket) = (SystemClock.now(), UnixStream::pair().unwrap().0.into());
        let mut connection = Connection::new(0, socket, Peer::Unix { uid: 0, pid: 1 }, now);
        let mut seen = Vec::new();
        for piece in bytes.chunks(piece) {
            let mut intake = connection.take_in(piece, front, now);
            while let Intake::Whole(request) = intake {
                let target = request.head.target().to_owned();
                seen.push(Ok((target, request.body.into_bytes().unwrap())));
                intake = connection.take_in(&[], front, now);
            }
            if let Intake::Refused(response, _) = intake {
                seen.push(Err(response.status.0));
                return seen;
            }
        }
        seen
    }

    /// A stream of numbers that look random (xorshift), the same in every run.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 1).unwrap() % bound
        }

        /// One small change of the kind an attacker tries.
        fn mutate(&mut self, bytes: &mut Vec<u8>) {
            const SALT: &[u8] = b"\r\n\0 \t:;0fF-+,%/\x7f\xff";
            let at = self.below(bytes.len());
            match self.below(4) {
                0 => bytes[at] = SALT[self.below(SALT.len())],
                1 => bytes.insert(at, SALT[self.below(SALT.len())]),
                2 => drop(bytes.remove(at)),
                _ => {
                    let end = bytes.len().min(at + 1 + self.below(12));
                    let part = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, part);
                }
            }
        }
    }

    const STREAM: &str = "\r\nGET /a?b HTTP/1.1\r\nHost: h\r\n\r\n\
        POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello\
        POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
        5;x=\"y\"\r\nworld\r\n0010\r\n0123456789abcdef\r\n0\r\nT: t\r\n\r\n\
        OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";

    #[test]
    fn a_stream_of_requests_is_read_in_order() {
        let expected = [("/a?b", ""), ("/b", "hello"), ("/c", "world0123456789abcdef"), ("*", "")];
        let expected = expected.map(|(target, body)| Ok((target.to_owned(), body.as_bytes().to_vec())));
        assert_eq!(read(&front(), STREAM.as_bytes(), STREAM.len()), expected);
    }

    /// If the same bytes meant different things in different pieces, somebody could smuggle.
    #[test]
    fn mutated_streams_mean_the_same_in_whatever_pieces_they_come() {
        let (front, mut dice) = (front(), Dice(0x5eed));
        for _ in 0..2000 {
            let mut bytes = STREAM.as_bytes().to_vec();
            for _ in 0..=dice.below(3) {
                dice.mutate(&mut bytes);
            }
            let whole = read(&front, &bytes, bytes.len());
            let piece = 1 + dice.below(9);
            assert_eq!(read(&front, &bytes, piece), whole, "{piece}: {:?}", String::from_utf8_lossy(&bytes));
        }
    }
}
