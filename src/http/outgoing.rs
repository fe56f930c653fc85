//! What is still to be written to a socket that takes no more for now.

use std::borrow::Cow;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::SendFlags;

use super::body::spool_file;
use super::budget::{Budget, Lease};
use super::encode::Ending;
use super::limits::{self, Options};

/// The rest of an answer.
#[derive(Debug)]
pub(super) struct Outgoing {
    bytes: Cow<'static, [u8]>,
    /// Bytes already sent.
    at: usize,
    file: Option<FileRest>,
    lease: Option<Lease>,
    /// What becomes of the connection when all is sent.
    pub ending: Ending,
}

/// A stretch of a file.
#[derive(Debug)]
pub(super) struct FileRest {
    /// Opened for reading.
    pub file: File,
    /// Where the next byte is.
    pub at: u64,
    /// Bytes to go.
    pub left: u64,
}

/// How far a write came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Everything is with the kernel.
    Done,
    /// The socket takes no more, or others' turn has come; whether anything moved.
    Blocked {
        /// Whether the client took any byte.
        moved: bool,
    },
}

impl Outgoing {
    pub(super) fn new(
        bytes: Cow<'static, [u8]>,
        at: usize,
        file: Option<FileRest>,
        ending: Ending,
    ) -> Outgoing {
        Outgoing { bytes, at, file, lease: None, ending }
    }

    /// Writes without blocking until all is sent, the socket is full, or a turn's worth has moved.
    pub(super) fn write(&mut self, socket: BorrowedFd<'_>) -> rustix::io::Result<Progress> {
        let turn_end = self.bytes.len().min(self.at + limits::TURN_BYTES);
        let sent = send(socket, &self.bytes[self.at..turn_end], self.file.is_some())?;
        self.at += sent;
        if self.at < self.bytes.len() {
            return Ok(Progress::Blocked { moved: sent > 0 });
        }
        match &mut self.file {
            Some(rest) => rest.write(socket, sent > 0),
            None => Ok(Progress::Done),
        }
    }

    /// Makes the rest affordable to keep for a reader that takes its time: beyond a little it counts against the
    /// memory budget, and where that is used up it goes to a file. False where neither is possible.
    pub(super) fn settle(&mut self, budget: &Arc<Budget>, options: &Options) -> bool {
        let rest = &self.bytes[self.at..];
        if rest.len() <= limits::REST_BYTES_FREE || matches!(self.bytes, Cow::Borrowed(_)) {
            return true;
        }
        let mut lease = budget.lease();
        let kept = lease.take_memory(self.bytes.len() as u64) || {
            let file = spool(rest, &mut lease, options);
            self.file = self.file.take().or(file);
            self.at = 0;
            self.bytes = Cow::Borrowed(&[]);
            self.file.is_some()
        };
        self.lease = Some(lease);
        kept
    }
}

/// Only whole bodies of bytes are large enough to come here, and those have no file behind them.
fn spool(rest: &[u8], lease: &mut Lease, options: &Options) -> Option<FileRest> {
    let left = rest.len() as u64;
    let mut file = lease.take_spool(left).then(|| spool_file(&options.spool_dir)).flatten()?;
    file.write_all(rest).inspect_err(|cause| log::warn!("an answer cannot be spooled: {cause}")).ok()?;
    Some(FileRest { file, at: 0, left })
}

impl FileRest {
    fn write(&mut self, socket: BorrowedFd<'_>, mut moved: bool) -> rustix::io::Result<Progress> {
        let mut turn = limits::TURN_BYTES;
        while self.left > 0 && turn > 0 {
            let wanted = usize::try_from(self.left).map_or(turn, |left| left.min(turn));
            // It knows no NOSIGNAL, but Rust programs ignore SIGPIPE.
            match rustix::fs::sendfile(socket, self.file.as_fd(), Some(&mut self.at), wanted) {
                // The file is shorter than was promised: the client must see that the body is not whole.
                Ok(0) => return Err(Errno::PIPE),
                Ok(sent) => {
                    self.left -= sent as u64;
                    turn -= sent;
                    moved = true;
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(if self.left == 0 { Progress::Done } else { Progress::Blocked { moved } })
    }
}

/// Sends what the socket takes now and says how much that was. `more` tells the kernel that the packet need not go
/// out before more follows.
pub(super) fn send(socket: BorrowedFd<'_>, bytes: &[u8], more: bool) -> rustix::io::Result<usize> {
    let flags = SendFlags::NOSIGNAL | if more { SendFlags::MORE } else { SendFlags::empty() };
    let mut sent = 0;
    while sent < bytes.len() {
        match rustix::net::send(socket, &bytes[sent..], flags) {
            Ok(count) => sent += count,
            Err(Errno::AGAIN) => break,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(sent)
}
