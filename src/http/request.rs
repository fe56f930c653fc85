//! What a handler is given: one whole request.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::body::Body;
use super::head::Head;

/// A request of which every byte is here.
#[derive(Debug)]
pub struct Request {
    /// The checked head.
    pub head: Head,
    /// The whole body.
    pub body: Body,
    /// Who is at the other end.
    pub peer: Peer,
    /// When the head was whole, on the monotonic clock.
    pub began: Instant,
    /// Tells whether somebody still waits for the answer; for requests that may take long.
    pub line: Option<LineWatch>,
}

/// The other end of a connection, looked at while a handler takes its time.
#[derive(Debug)]
pub struct LineWatch(OwnedFd);

impl LineWatch {
    /// Watches that socket; nothing where no descriptor is to be had for it.
    pub(super) fn of(socket: impl AsFd) -> Option<LineWatch> {
        rustix::io::fcntl_dupfd_cloexec(socket, 0).ok().map(LineWatch)
    }

    /// Whether the other end has hung up. A client that has only said that it sends no more counts as gone.
    pub fn is_dead(&self) -> bool {
        let hung_up = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        let mut watched = [PollFd::new(&self.0, PollFlags::RDHUP)];
        let looked = poll(&mut watched, Some(&Timespec::default()));
        looked.is_ok() && watched[0].revents().intersects(hung_up)
    }
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A TCP address; behind a proxy the proxy's.
    Tcp(SocketAddr),
    /// A process on this host that could open the socket file, as the kernel saw it when it connected.
    Unix {
        /// Its effective user id.
        uid: u32,
        /// Its process id.
        pid: i32,
    },
}

impl Peer {
    /// The client's address as far as we know it; a process at the socket file is on this host.
    pub fn address(self) -> String {
        match self {
            Peer::Tcp(address) => address.ip().to_canonical().to_string(),
            Peer::Unix { .. } => "127.0.0.1".to_owned(),
        }
    }
}
