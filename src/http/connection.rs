//! One connection: its socket and where it stands between the first byte of a request and the last of its answer.
//!
//! A connection has one owner at a time, the loop or the worker that answers it, so nothing in it is locked.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use super::encode::Ending;
use super::incoming::Incoming;
use super::limits::Options;
use super::outgoing::{Outgoing, send};
use super::refusal::Refusal;
use super::request::Peer;
use super::scan::HeadScan;

/// An accepted socket.
#[derive(Debug)]
pub(super) struct Connection {
    /// Its place in the loop's table.
    pub key: u64,
    /// Nonblocking.
    pub socket: OwnedFd,
    /// The other end.
    pub peer: Peer,
    /// Bytes that came and belong to no request yet. While a request is with a worker nothing is read, so this never
    /// grows above one head and one read.
    pub pending: Vec<u8>,
    /// What it is doing.
    pub phase: Phase,
    /// When that began; for writing, when the client last took something.
    pub since: Instant,
}

/// What a connection is doing.
#[derive(Debug)]
pub(super) enum Phase {
    /// No byte of a request has come; also while a worker has it.
    Idle,
    /// A head is arriving.
    Head(HeadScan),
    /// A body is arriving.
    Body(Box<Incoming>),
    /// An answer is going out as fast as the client takes it.
    Writing(Box<Outgoing>),
    /// Closed by us for writing; what still comes is dropped.
    Lingering,
}

/// What a time limit does to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// It closes without a word.
    Close,
    /// The client is told.
    Refuse(Refusal),
}

impl Connection {
    pub(super) fn new(key: u64, socket: OwnedFd, peer: Peer, now: Instant) -> Connection {
        Connection { key, socket, peer, pending: Vec::new(), phase: Phase::Idle, since: now }
    }

    /// Whether no request has begun.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// How readily it is closed where there is no room for a new one, the lowest first; none while it is at work. Heads
    /// are short: one that has been arriving for longest belongs to somebody who fills the house with heads that never
    /// end. Bodies and answers take their time honestly, and have limits of their own.
    pub(super) fn expendable(&self) -> Option<u8> {
        match self.phase {
            Phase::Idle => Some(0),
            Phase::Lingering => Some(1),
            Phase::Head(_) => Some(2),
            Phase::Body(_) | Phase::Writing(_) => None,
        }
    }

    /// Whether it waits for room to write rather than for bytes to read.
    pub(super) fn is_writing(&self) -> bool {
        matches!(self.phase, Phase::Writing(_))
    }

    /// Whether bytes of the next request are here already.
    pub(super) fn has_more(&self) -> bool {
        self.is_idle() && !self.pending.is_empty()
    }

    /// Begins the next phase.
    pub(super) fn enter(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.since = now;
    }

    /// What becomes of it when an answer has gone out whole; `None` closes it.
    pub(super) fn answered(mut self: Box<Self>, ending: Ending, now: Instant) -> Option<Box<Self>> {
        match ending {
            Ending::KeepAlive => self.enter(Phase::Idle, now),
            Ending::Close if self.pending.is_empty() => return None,
            Ending::Close | Ending::Linger => {
                // It can only fail when the other end has gone, which reading finds out next.
                let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write);
                self.pending = Vec::new();
                self.enter(Phase::Lingering, now);
            }
        }
        Some(self)
    }

    /// Sends `100 Continue` if the client waits for it; an error if not even that can be sent.
    pub(super) fn continue_if_asked(&mut self) -> rustix::io::Result<()> {
        const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        let Phase::Body(incoming) = &mut self.phase else { return Ok(()) };
        if !incoming.take_expectation() {
            return Ok(());
        }
        let sent = send(self.socket.as_fd(), INTERIM, false)?;
        if sent == INTERIM.len() { Ok(()) } else { Err(rustix::io::Errno::AGAIN) }
    }

    /// Whether it has used up its time.
    pub(super) fn expiry(&self, now: Instant, options: &Options) -> Option<Expiry> {
        let elapsed = now.saturating_duration_since(self.since);
        let over = |limit: Duration, expiry| (elapsed >= limit).then_some(expiry);
        match &self.phase {
            Phase::Idle => over(options.idle_timeout, Expiry::Close),
            Phase::Head(_) => over(options.head_timeout, Expiry::Refuse(Refusal::TooSlow)),
            Phase::Body(incoming) => {
                options.body_too_slow(incoming.length(), elapsed).then_some(Expiry::Refuse(Refusal::TooSlow))
            }
            Phase::Writing(_) => over(options.write_timeout, Expiry::Close),
            Phase::Lingering => over(options.linger_timeout, Expiry::Close),
        }
    }
}
