//! What the loop and the workers share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::Handler;
use super::budget::Budget;
use super::connection::Connection;
use super::deliver::checked;
use super::encode::Manner;
use super::head::Head;
use super::limits::Options;
use super::poller::Poller;
use super::refusal::Refusal;
use super::request::{Peer, Request};
use super::response::Response;
use super::streams::Streams;
use crate::base::clock::Clock;

/// The parts that every thread of the front needs.
#[derive(Debug)]
pub(super) struct Front {
    pub options: Options,
    pub handler: HandlerRef,
    pub clock: Arc<dyn Clock>,
    pub poller: Poller,
    pub budget: Arc<Budget>,
    pub streams: Streams,
    /// No new request is read and every answer says that the connection closes.
    pub draining: AtomicBool,
    /// Time is over: what has not been answered will not be.
    pub cut: AtomicBool,
    returned: Mutex<Vec<Returned>>,
}

/// A connection that was away.
#[derive(Debug)]
pub(super) enum Returned {
    /// It is armed already, or has bytes of the next request.
    Back(Box<Connection>),
    /// It was closed; its key.
    Gone(u64),
}

/// The handler, which need not be `Debug`.
pub(super) struct HandlerRef(pub Arc<dyn Handler>);

impl std::fmt::Debug for HandlerRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handler")
    }
}

impl Front {
    pub(super) fn new(
        options: Options,
        handler: Arc<dyn Handler>,
        clock: Arc<dyn Clock>,
        poller: Poller,
    ) -> Front {
        Front {
            budget: Budget::new(options.budget_memory_bytes, options.budget_spool_bytes),
            streams: Streams::new(options.long_polls),
            handler: HandlerRef(handler),
            clock,
            poller,
            draining: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            returned: Mutex::new(Vec::new()),
            options,
        }
    }

    /// The handler's word on a body that is to come, behind a panic wall: this runs on the loop.
    pub(super) fn before_body(&self, head: &Head, peer: Peer) -> Result<u64, Response> {
        match catch_unwind(AssertUnwindSafe(|| self.handler.0.before_body(head, peer))) {
            Ok(word) => word.map_err(|response| checked(self, response)),
            Err(_) => {
                log::error!("the handler panicked when asked about a body");
                Err(self.refused(Refusal::Broken))
            }
        }
    }

    /// Whether the handler wants a thread of its own for this request.
    pub(super) fn is_patient(&self, head: &Head) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.handler.0.is_patient(head))).unwrap_or_else(|_| {
            log::error!("the handler panicked when asked whether a request takes long");
            false
        })
    }

    /// The handler's answer, or a 500 if it panics.
    pub(super) fn answer(&self, request: Request) -> Response {
        catch_unwind(AssertUnwindSafe(|| self.handler.0.handle(request))).unwrap_or_else(|_| {
            log::error!("a handler panicked");
            self.refused(Refusal::Broken)
        })
    }

    /// The answer to what the front refuses.
    pub(super) fn refused(&self, refusal: Refusal) -> Response {
        self.refused_with(refusal.status().0, refusal.sentence())
    }

    /// The same, for what is no fault of the request.
    pub(super) fn refused_with(&self, status: u16, sentence: &'static str) -> Response {
        let asked = catch_unwind(AssertUnwindSafe(|| self.handler.0.refusal(status, sentence)));
        asked.unwrap_or_else(|_| {
            log::error!("the handler panicked when asked for the words of a refusal");
            Response::text(status, sentence)
        })
    }

    /// How to answer now: while we are stopping, every connection closes.
    pub(super) fn manner_now(&self, manner: Manner) -> Manner {
        if self.is_draining() { manner.closing() } else { manner }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Gives a connection back to the loop, which is not woken unless there is something to do at once.
    ///
    /// The list stays locked while the connection is armed: its event can come as soon as it is, and the loop must
    /// find it in the list then; nor may the loop close it before its descriptor was used here.
    pub(super) fn hand_back(&self, connection: Box<Connection>) {
        let (key, has_more) = (connection.key, connection.has_more());
        let mut returned = self.returned.lock().expect("no holder of this lock can panic");
        let alive = has_more || self.poller.arm(&connection).is_ok();
        returned.push(if alive { Returned::Back(connection) } else { Returned::Gone(key) });
        drop(returned);
        if has_more || self.is_draining() {
            self.poller.wake();
        }
    }

    /// Tells the loop that a connection it gave away is closed.
    pub(super) fn gone(&self, key: u64) {
        self.returned.lock().expect("no holder of this lock can panic").push(Returned::Gone(key));
        if self.is_draining() {
            self.poller.wake();
        }
    }

    /// Moves all that came back into `into`, which is empty.
    pub(super) fn take_returned(&self, into: &mut Vec<Returned>) {
        std::mem::swap(&mut *self.returned.lock().expect("no holder of this lock can panic"), into);
    }
}
