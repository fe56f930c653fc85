//! The owner of every connection no worker has. One thread at a time runs it, the one that leads (`worker`).
//!
//! It accepts, reads until a request is whole, writes what slow readers leave, and ends what is over its time. It never
//! blocks but in its wait, so nothing that a client does holds up another one. Reads and writes are done in turns of
//! bounded size for the same reason.
//!
//! The last request that a turn brings is its thread's own, once another one leads; others go through the queue. Measured
//! side by side, one request at a time, this takes 40 microseconds of 120 from a request that asks for little: the time
//! in which a second thread is woken on another processor.

use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::RecvFlags;

use super::connection::{Connection, Expiry, Phase};
use super::deliver::{Pen, deliver};
use super::encode::Manner;
use super::front::{Front, Returned};
use super::incoming::Intake;
use super::limits;
use super::listener::Listener;
use super::outgoing::Progress;
use super::poller::WAKE;
use super::queue::Queue;
use super::request::Request;
use super::response::Response;
use super::table::Table;
use super::worker::{Duty, Job, serve_patiently};

mod accepting;

/// Bytes of one read.
const READ_BYTES: usize = 64 * 1024;
/// How often a stopping server looks whether it is done.
const DRAIN_TICK: Duration = Duration::from_millis(20);
/// Listeners have the keys from here on; connections' keys stay below.
const LISTENER_KEYS: u64 = u64::MAX - 1024;

#[derive(Debug)]
pub(super) struct EventLoop {
    front: Arc<Front>,
    listeners: Vec<Listener>,
    duties: Arc<Queue<Duty>>,
    /// The request this turn ends with: its thread is the one that read it.
    own: Option<Job>,
    ready: Vec<u64>,
    returned: Vec<Returned>,
    table: Table,
    pen: Pen,
    scratch: Vec<u8>,
    now: Instant,
    tick_at: Instant,
    /// When accepting goes on, while it rests.
    accept_at: Option<Instant>,
    /// When the log was last told that the host has nothing left.
    exhausted_told: Option<Instant>,
    /// When a stopping server stops waiting.
    drain_until: Option<Instant>,
}

impl EventLoop {
    /// A loop over prepared listeners.
    pub(super) fn new(front: Arc<Front>, listeners: Vec<Listener>, duties: Arc<Queue<Duty>>) -> EventLoop {
        let now = front.clock.now();
        let mut event_loop = EventLoop {
            listeners,
            duties,
            own: None,
            ready: Vec::new(),
            returned: Vec::new(),
            table: Table::default(),
            pen: Pen::default(),
            scratch: vec![0; READ_BYTES],
            now,
            tick_at: now,
            accept_at: None,
            exhausted_told: None,
            drain_until: None,
            front,
        };
        event_loop.watch_listeners();
        event_loop
    }

    /// Leads until there is a request for this very thread, which has handed the lead on by then. None once the server
    /// has stopped; the other workers are let go and what the loop holds closes.
    pub(super) fn lead(mut self: Box<EventLoop>) -> Option<Job> {
        while !self.is_done() {
            self.turn();
            let Some(job) = self.own.take() else { continue };
            let duties = Arc::clone(&self.duties);
            match duties.hand_over(Duty::Lead(self)) {
                Ok(()) => return Some(job),
                // Everybody answers something; this thread alone hears of the rest.
                Err(Duty::Lead(this)) => self = this,
                Err(Duty::Answer(_)) => unreachable!("what comes back is what was given"),
            }
            self.enqueue(job);
        }
        self.front.cut.store(true, Ordering::Relaxed);
        None
    }

    fn turn(&mut self) {
        let patience = self.patience();
        self.front.poller.wait(&mut self.ready, patience);
        self.now = self.front.clock.now();
        let mut returned = std::mem::take(&mut self.returned);
        self.front.take_returned(&mut returned);
        returned.drain(..).for_each(|returned| self.welcome(returned));
        self.returned = returned;
        let mut ready = std::mem::take(&mut self.ready);
        ready.drain(..).for_each(|key| self.walled(key, |this| this.on_ready(key)));
        self.ready = ready;
        self.keep_time();
    }

    /// How long to wait at most; for ever when nothing can be late.
    fn patience(&self) -> Option<Duration> {
        let tick = (self.table.count() > 0 || self.drain_until.is_some()).then_some(self.tick_at);
        let next = [tick, self.accept_at].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(self.now))
    }

    /// Does something for a connection such that a fault of ours costs that connection and not the server.
    fn walled(&mut self, key: u64, work: impl FnOnce(&mut EventLoop)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            log::error!("a connection was lost to a panic of the event loop");
            self.table.release(key);
        }
    }

    fn on_ready(&mut self, key: u64) {
        match key {
            WAKE => {}
            LISTENER_KEYS.. => self.accept(key),
            key => {
                // An event may be older than the connection's end in this very turn.
                if let Some(connection) = self.table.take(key) {
                    self.go_on(connection);
                }
            }
        }
    }

    /// A connection that was with a worker.
    fn welcome(&mut self, returned: Returned) {
        match returned {
            Returned::Gone(key) => self.table.release(key),
            Returned::Back(connection) if connection.has_more() => {
                self.walled(connection.key, |this| this.go_on_pending(connection));
            }
            Returned::Back(connection) => self.table.put(connection),
        }
    }

    /// A connection whose socket is ready.
    fn go_on(&mut self, connection: Box<Connection>) {
        match connection.phase {
            Phase::Idle | Phase::Head(_) | Phase::Body(_) => self.read(connection),
            Phase::Writing(_) => self.write(connection),
            Phase::Lingering => self.linger(connection),
        }
    }
}

/// Reading.
impl EventLoop {
    fn read(&mut self, mut connection: Box<Connection>) {
        let mut turn = limits::TURN_BYTES / READ_BYTES;
        loop {
            match receive(&connection, &mut self.scratch) {
                Ok(0) => return self.drop_taken(connection),
                Ok(length) => {
                    let Some(unfinished) = self.digest(connection, length) else { return };
                    turn -= 1;
                    // A read that did not fill the buffer has emptied the socket.
                    if turn == 0 || length < READ_BYTES {
                        return self.keep(unfinished);
                    }
                    connection = unfinished;
                }
                Err(Errno::AGAIN) => return self.keep(connection),
                Err(_) => return self.drop_taken(connection),
            }
        }
    }

    /// Goes on with bytes that came behind the request before.
    fn go_on_pending(&mut self, connection: Box<Connection>) {
        if let Some(connection) = self.digest(connection, 0) {
            self.keep(connection);
        }
    }

    /// Takes in what was read; the connection comes back if its request is not whole yet.
    fn digest(&mut self, mut connection: Box<Connection>, length: usize) -> Option<Box<Connection>> {
        match connection.take_in(&self.scratch[..length], &self.front, self.now) {
            Intake::Whole(request) => self.dispatch(connection, request),
            Intake::Refused(response, manner) => self.answer(connection, response, manner),
            Intake::More if connection.continue_if_asked().is_err() => self.drop_taken(connection),
            Intake::More => return Some(connection),
        }
        None
    }

    fn dispatch(&mut self, connection: Box<Connection>, request: Box<Request>) {
        let is_patient = self.front.is_patient(&request.head);
        let job = Job { connection, request };
        if is_patient {
            return self.dispatch_patient(job);
        }
        // The latest is kept: nothing of this turn is left to wait for but what is ready already.
        if let Some(earlier) = self.own.replace(job) {
            self.enqueue(earlier);
        }
    }

    fn enqueue(&mut self, job: Job) {
        if let Err(Duty::Answer(job)) = self.duties.push(Duty::Answer(job)) {
            let manner = self.front.manner_now(Manner::of(&job.request.head));
            self.turn_away(job, 503, "too many requests wait", manner);
        }
    }

    fn dispatch_patient(&mut self, job: Job) {
        let manner = self.front.manner_now(Manner::of(&job.request.head));
        let Some(admission) = self.front.streams.admit() else {
            return self.turn_away(job, 429, "too many long requests at once", manner);
        };
        let front = Arc::clone(&self.front);
        let run = move |job| serve_patiently(&front, job);
        if let Err(job) = self.front.streams.start(admission, job, run) {
            self.turn_away(job, 503, "no thread could be started", manner);
        }
    }

    /// The request was whole, so the connection may go on.
    fn turn_away(&mut self, job: Job, status: u16, sentence: &'static str, manner: Manner) {
        let response = self.front.refused_with(status, sentence).with_header("Retry-After", "1");
        self.answer(job.connection, response, manner);
    }

    fn answer(&mut self, connection: Box<Connection>, response: Response, manner: Manner) {
        let key = connection.key;
        match deliver(&self.front, connection, manner, response, &mut self.pen) {
            // Through the list, so that a pipelining client that is turned away cannot make us recurse.
            Some(connection) => self.front.hand_back(connection),
            None => self.table.release(key),
        }
    }
}

/// Writing and closing.
impl EventLoop {
    fn write(&mut self, mut connection: Box<Connection>) {
        let Phase::Writing(outgoing) = &mut connection.phase else { return self.keep(connection) };
        let ending = outgoing.ending;
        match outgoing.write(connection.socket.as_fd()) {
            Ok(Progress::Blocked { moved }) => {
                if moved {
                    connection.since = self.now;
                }
                self.keep(connection);
            }
            Ok(Progress::Done) => {
                let key = connection.key;
                match connection.answered(ending, self.now) {
                    Some(connection) => self.front.hand_back(connection),
                    None => self.table.release(key),
                }
            }
            Err(_) => self.drop_taken(connection),
        }
    }

    /// Drops what still comes until the client has closed its side.
    fn linger(&mut self, connection: Box<Connection>) {
        for _ in 0..limits::TURN_BYTES / READ_BYTES {
            match receive(&connection, &mut self.scratch) {
                Ok(0) => return self.drop_taken(connection),
                Ok(_) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => return self.drop_taken(connection),
            }
        }
        self.keep(connection);
    }

    /// Waits for the next event of a connection that was taken from the table.
    fn keep(&mut self, connection: Box<Connection>) {
        match self.front.poller.arm(&connection) {
            Ok(()) => self.table.put(connection),
            Err(_) => self.drop_taken(connection),
        }
    }

    fn drop_taken(&mut self, connection: Box<Connection>) {
        let key = connection.key;
        drop(connection);
        self.table.release(key);
    }

    fn close(&mut self, key: u64) {
        if let Some(connection) = self.table.take(key) {
            self.drop_taken(connection);
        }
    }
}

/// Time.
impl EventLoop {
    fn keep_time(&mut self) {
        if self.accept_at.is_some_and(|at| self.now >= at) {
            self.accept_at = None;
            self.watch_listeners();
        }
        if self.front.is_draining() && self.drain_until.is_none() {
            self.begin_drain();
        }
        if self.now >= self.tick_at {
            let tick = self.front.options.tick();
            self.tick_at = self.now + if self.drain_until.is_some() { tick.min(DRAIN_TICK) } else { tick };
            self.expire();
        }
    }

    /// A look at every connection once a tick costs less than a timer for every request.
    fn expire(&mut self) {
        let expired: Vec<(u64, Expiry)> = self
            .table
            .iter()
            .filter_map(|connection| Some((connection.key, self.expiry(connection)?)))
            .collect();
        for (key, expiry) in expired {
            match (expiry, self.table.take(key)) {
                (Expiry::Close, Some(connection)) => self.drop_taken(connection),
                (Expiry::Refuse(refusal), Some(connection)) => {
                    let response = self.front.refused(refusal);
                    self.answer(connection, response, Manner::UNREADABLE);
                }
                (_, None) => {}
            }
        }
    }

    fn expiry(&self, connection: &Connection) -> Option<Expiry> {
        if self.drain_until.is_some() && connection.is_idle() {
            return Some(Expiry::Close);
        }
        connection.expiry(self.now, &self.front.options)
    }

    /// Stops listening. Connections without a request close with the next tick, the others with their answer.
    fn begin_drain(&mut self) {
        self.drain_until = Some(self.now + self.front.options.drain_timeout);
        self.accept_at = None;
        self.tick_at = self.now;
        self.listeners.clear();
    }

    fn is_done(&self) -> bool {
        self.drain_until.is_some_and(|until| self.table.count() == 0 || self.now >= until)
    }
}

/// Reads once; interruptions are not the caller's business.
fn receive(connection: &Connection, buffer: &mut [u8]) -> rustix::io::Result<usize> {
    loop {
        match rustix::net::recv(&connection.socket, &mut *buffer, RecvFlags::empty()) {
            Err(Errno::INTR) => {}
            received => return received.map(|(length, _)| length),
        }
    }
}
