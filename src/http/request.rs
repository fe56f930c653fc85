//! What a handler is given: one whole request.

use std::net::SocketAddr;
use std::time::Instant;

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
