//! Writes an answer: as much as the socket takes at once, the rest is left for the loop.

use std::borrow::Cow;
use std::os::fd::{AsFd, BorrowedFd};

use super::connection::{Connection, Phase};
use super::encode::{self, DateLine, Length, Manner};
use super::front::Front;
use super::limits;
use super::outgoing::{FileRest, Outgoing, Progress, send};
use super::response::{Content, Response};

/// What a thread that answers keeps between answers, so that an answer allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Pen {
    out: Vec<u8>,
    date: DateLine,
}

impl Pen {
    /// The head of an answer; valid until the next one.
    pub(super) fn head(
        &mut self,
        front: &Front,
        response: &Response,
        length: Length,
        manner: Manner,
    ) -> &mut Vec<u8> {
        self.out.clear();
        self.out.shrink_to(2 * limits::JOINED_BYTES_MAX);
        let date = self.date.at(front.clock.wall_us());
        encode::head(&mut self.out, (response.status, &response.headers), length, manner, date);
        &mut self.out
    }
}

/// The answer itself, or a 500 in place of one that must not go out.
pub(super) fn checked(front: &Front, response: Response) -> Response {
    match encode::check(response.status, &response.headers) {
        Ok(()) => response,
        Err(reason) => {
            log::error!("an answer was withheld: {reason}");
            let sentence = "the answer could not be sent; the server's log says why";
            Response { after: response.after, ..front.refused_with(500, sentence) }
        }
    }
}

/// Sends a checked answer that is no stream. The connection comes back in its next phase, or not at all if it is
/// closed.
pub(super) fn deliver(
    front: &Front,
    mut connection: Box<Connection>,
    manner: Manner,
    response: Response,
    pen: &mut Pen,
) -> Option<Box<Connection>> {
    let socket = connection.socket.as_fd();
    let has_body = !manner.head_only && encode::may_have_body(response.status);
    let length = match &response.content {
        Content::Bytes(bytes) => bytes.len() as u64,
        Content::File { length, .. } => *length,
        Content::Stream(_) => 0,
    };
    let head = pen.head(front, &response, Length::Sized(length), manner);
    let rest = match response.content {
        Content::Bytes(bytes) if has_body => send_bytes(socket, head, bytes, manner),
        Content::File { file, from, length } if has_body => {
            send_file(socket, head, FileRest { file, at: from, left: length }, manner)
        }
        _ => send_bytes(socket, head, Cow::Borrowed(&[]), manner),
    };
    // An error is a client that went away: there is nobody to tell.
    match rest.ok()? {
        None => connection.answered(manner.ending, front.clock.now()),
        Some(mut rest) => rest.settle(&front.budget, &front.options).then(|| {
            connection.enter(Phase::Writing(Box::new(rest)), front.clock.now());
            connection
        }),
    }
}

fn send_bytes(
    socket: BorrowedFd<'_>,
    head: &mut Vec<u8>,
    body: Cow<'static, [u8]>,
    manner: Manner,
) -> rustix::io::Result<Option<Outgoing>> {
    if body.len() <= limits::JOINED_BYTES_MAX {
        head.extend_from_slice(&body);
        return send_joined(socket, head, manner);
    }
    let sent = send(socket, head, true)?;
    if sent < head.len() {
        head.extend_from_slice(&body);
        return Ok(Some(Outgoing::new(head[sent..].to_vec().into(), 0, None, manner.ending)));
    }
    let sent = send(socket, &body, false)?;
    Ok((sent < body.len()).then(|| Outgoing::new(body, sent, None, manner.ending)))
}

fn send_joined(socket: BorrowedFd<'_>, bytes: &[u8], manner: Manner) -> rustix::io::Result<Option<Outgoing>> {
    let sent = send(socket, bytes, false)?;
    let rest = &bytes[sent..];
    Ok((!rest.is_empty()).then(|| Outgoing::new(rest.to_vec().into(), 0, None, manner.ending)))
}

/// A file that does not go out in one turn is left to the loop whole, so no worker is kept by it.
fn send_file(
    socket: BorrowedFd<'_>,
    head: &[u8],
    rest: FileRest,
    manner: Manner,
) -> rustix::io::Result<Option<Outgoing>> {
    let mut outgoing = Outgoing::new(head.to_vec().into(), 0, Some(rest), manner.ending);
    Ok(match outgoing.write(socket)? {
        Progress::Done => None,
        Progress::Blocked { .. } => Some(outgoing),
    })
}
