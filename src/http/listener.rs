//! Sockets that listen, and what they accept.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;

use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with, listen, sockopt};

use super::limits;
use super::request::Peer;
use crate::error::{Error, Result};

/// A bound socket.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port.
    Tcp(TcpListener),
    /// A socket file.
    Unix(UnixListener),
}

/// What came of an accept.
#[derive(Debug)]
pub(super) enum Accepted {
    /// A nonblocking connection.
    Connection(OwnedFd, Peer),
    /// Nobody waits any more.
    Nobody,
    /// One client went away before it was accepted.
    Lost,
    /// The host has nothing left to accept with.
    Exhausted(Errno),
}

impl Listener {
    /// The address, for a TCP port.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(_) => None,
        }
    }

    /// Makes it ready for the loop: nonblocking, with room for many at once.
    pub(super) fn prepare(&self) -> Result<()> {
        let prepared = match self {
            Listener::Tcp(listener) => listener.set_nonblocking(true),
            Listener::Unix(listener) => listener.set_nonblocking(true),
        };
        prepared
            .and_then(|()| listen(self, limits::BACKLOG).map_err(Into::into))
            .map_err(|cause| Error::internal("a listening socket cannot be used").because(cause))
    }

    /// Accepts the next client.
    pub(super) fn accept(&self) -> Accepted {
        let (socket, address) = match acceptfrom_with(self, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(accepted) => accepted,
            Err(Errno::AGAIN) => return Accepted::Nobody,
            // accept(2): errors already pending on the new connection are reported here.
            Err(
                Errno::INTR
                | Errno::CONNABORTED
                | Errno::PROTO
                | Errno::PERM
                | Errno::NETDOWN
                | Errno::NOPROTOOPT
                | Errno::HOSTDOWN
                | Errno::NONET
                | Errno::HOSTUNREACH
                | Errno::OPNOTSUPP
                | Errno::NETUNREACH,
            ) => return Accepted::Lost,
            Err(errno) => return Accepted::Exhausted(errno),
        };
        let peer = match self {
            Listener::Tcp(_) => {
                // Answers are whole when they are written: waiting to fill a packet only adds delay.
                let _ = sockopt::set_tcp_nodelay(&socket, true);
                address.and_then(|address| SocketAddr::try_from(address).ok()).map(Peer::Tcp)
            }
            Listener::Unix(_) => sockopt::socket_peercred(&socket)
                .ok()
                .map(|who| Peer::Unix { uid: who.uid.as_raw(), pid: who.pid.as_raw_nonzero().get() }),
        };
        peer.map_or(Accepted::Lost, |peer| Accepted::Connection(socket, peer))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Tcp(listener) => listener.as_fd(),
            Listener::Unix(listener) => listener.as_fd(),
        }
    }
}
