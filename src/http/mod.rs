//! The front: HTTP/1.1 over TCP and socket files. A transport; it knows nothing of functions.
//!
//! `tiny_http` gives the words ([`Method`](tiny_http::Method), [`StatusCode`](tiny_http::StatusCode),
//! [`HTTPVersion`](tiny_http::HTTPVersion)), httparse reads heads, epoll tells what is ready. tiny_http's own server
//! is not used: it has no time limits, no bound on heads, reads ambiguous framing, and dies when descriptors run
//! out. Nor is its `Response::raw_print`: it wants a blocking writer, allocates for every header, holds ASCII only
//! and writes out CR LF within values. `encode` is what replaces it.
//!
//! # A request's way
//!
//! 1. `event_loop`, run by the worker that leads, accepts the connection and waits for its bytes together with all others'.
//! 2. What was read goes through `incoming`: `scan` finds the end of the head, [`head`] checks it, the [`Handler`] says
//!    whether it wants the body, `chunked` and [`body`] collect it, in memory or in a file. What breaks a rule becomes a
//!    [`refusal`].
//! 3. A whole request stays with the `worker` that read it, which hands the lead to an idle one first. Where a turn brings
//!    several, or nobody is idle, it goes over a bounded `queue`, and with it its `connection`.
//! 4. The worker runs the [`Handler`] behind a panic wall and delivers the answer (`deliver`): encoded and written at once,
//!    without blocking. What the socket does not take (`outgoing`) is written by the loop.
//! 5. The worker gives the connection back and arms it, without waking the loop (`front`, `poller`). What came of
//!    the next request meanwhile is looked at only now, so answers keep their order and nothing piles up.
//!
//! Long polls and answers of unknown length run on threads of their own (`streams`).
//!
//! # What must stay true
//!
//! - A worker never waits for a socket, the loop never for anything but its poller; there is always a thread that leads.
//! - A connection has one owner at a time; nothing of it is read while a worker has it.
//! - Everything a client can make us hold is bounded: connections, heads, bodies (`budget`), the rest of an
//!   answer, threads; everything it can make us wait for has a limit of time ([`limits`]).
//! - Where a message ends is never guessed. What could be read in two ways is refused and its connection closed.
//! - Nothing a handler puts into a header can end that header.

mod budget;
pub(crate) mod chunked;
mod connection;
mod deliver;
mod encode;
mod event_loop;
mod front;
mod incoming;
mod outgoing;
mod poller;
mod queue;
mod scan;
mod streams;
mod table;
mod worker;

pub mod body;
pub mod head;
pub mod limits;
pub mod listener;
pub mod refusal;
pub mod request;
pub mod response;
pub mod server;

use head::Head;
use request::{Peer, Request};
use response::Response;

/// What answers the requests.
pub trait Handler: Send + Sync + 'static {
    /// The most bytes of body this request may carry (413 beyond), or the answer where its head alone says that it will
    /// not be served: so nobody makes us take a body who may not send one. Asked on the event loop, for requests that
    /// announce a body, before any of it is read and before `100 Continue`: it must not block. After such an answer,
    /// which is no stream and has nothing for after it, the connection closes.
    fn before_body(&self, head: &Head, peer: Peer) -> Result<u64, Response>;

    /// Whether the request may wait for long (a long poll, a live tail) and so gets one of the few threads kept for
    /// that. Asked on the event loop: it must not block.
    fn is_patient(&self, _head: &Head) -> bool {
        false
    }

    /// The answer where the front itself refuses a request or cannot serve it, with a status of 400 or more: in the shape
    /// that the handler's callers know. May be asked on the event loop: it must not block.
    fn refusal(&self, status: u16, sentence: &'static str) -> Response {
        Response::text(status, sentence)
    }

    /// The answer. Runs on a worker and may block for as long as a run takes; a panic is answered with 500.
    fn handle(&self, request: Request) -> Response;
}
