//! Asynchronous events: accepted and kept, run when there is room, tried again when that failed, given up at last.
//!
//! An event is accepted when it is in the database, in a commit that survives a power cut; only then its caller hears its
//! request id. In memory there are only numbers: who waits ([`mod@line`]) and how much. Threads ([`dispatch`]) take one event
//! each, claim it, run it by the [`Invoker`] like any other, and store what follows with its record, in one transaction.
//!
//! What must stay true: an event that was accepted is in the line, with a thread, or has ended; whatever fails between a
//! claim and its settlement puts it back. Everything here can be made again from the database at a start.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::base::clock::Clock;
use crate::base::id::IdSource;
use crate::error::{About, Error, Kind, Result};
use crate::model::event::{Pace, Waiting};
use crate::model::function::Function;
use crate::model::invocation::Record;
use crate::pool::Pool;
use crate::service::events::dispatch::Desk;
use crate::service::events::line::Entry;
use crate::service::invoke::runner::Runner;
use crate::service::invoke::{Invoker, Known};
use crate::store::Store;

pub(crate) mod accept;
mod attempt;
mod bury;
mod crowd;
mod dispatch;
mod line;
mod message;
#[cfg(test)]
mod tests;
pub mod timers;

/// How often an event is looked for that is neither waiting nor running just now, and what lies between two looks.
const TERMINATE_TRIES: u32 = 100;
const TERMINATE_AGAIN: Duration = Duration::from_millis(20);

/// Bounds of the queue, and how fast its times pass.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most events that wait or run.
    pub events_max: u64,
    /// Most bytes of their bodies.
    pub bytes_max: u64,
    /// Most of them that run at once.
    pub threads_max: usize,
    /// As many run at once in any case, where quotas let them; more only while they leave the processors idle.
    pub few: usize,
    /// The pace of retries and ages.
    pub pace: Pace,
    /// What dead letters say of whose they are.
    pub account: Account,
}

/// The account in a dead letter (contract 4.5).
#[derive(Clone, Debug)]
pub struct Account {
    /// The application's id, digits.
    pub appid: String,
    /// The account's id, digits.
    pub uin: String,
}

/// What the queue is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Where events are kept.
    pub store: Store,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Request ids.
    pub ids: Arc<dyn IdSource>,
}

/// The queue in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers {
    /// Events that wait or run.
    pub events: u64,
    /// Most of them.
    pub events_max: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Most of those.
    pub bytes_max: u64,
    /// Of the events, those that run.
    pub running: u64,
    /// Accepted since the start.
    pub accepted: u64,
    /// Attempts since the start that were followed by another one.
    pub retried: u64,
    /// Given up since the start.
    pub given_up: u64,
}

/// The queue.
pub struct Events {
    parts: Parts,
    runner: Arc<dyn Runner>,
    options: Options,
    desk: Mutex<Desk>,
    /// Rung for threads that have nothing to do.
    work: Condvar,
    /// Rung when we stop, for threads that rest.
    stopping: Condvar,
    /// Whether somebody was refused room, or may be just now.
    refused: AtomicBool,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// The beginning of the clock that the line goes by.
    start: Instant,
    counts: Counts,
    this: Weak<Events>,
}

#[derive(Debug, Default)]
struct Counts {
    events: AtomicU64,
    bytes: AtomicU64,
    running: AtomicU64,
    accepted: AtomicU64,
    retried: AtomicU64,
    given_up: AtomicU64,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Events {
    /// The queue as the database has it, run by `invoker` in `pool`. Nothing runs before [`start`](Events::start).
    pub fn open(parts: Parts, invoker: Arc<Invoker>, pool: &Pool, options: Options) -> Result<Arc<Events>> {
        let events = Events::with(parts, invoker, options)?;
        let woken = Arc::downgrade(&events);
        pool.on_room(move || {
            if let Some(events) = woken.upgrade() {
                events.room();
            }
        });
        Ok(events)
    }

    fn with(parts: Parts, runner: Arc<dyn Runner>, options: Options) -> Result<Arc<Events>> {
        let (start, few) = (parts.clock.now(), options.few);
        let events = Arc::new_cyclic(|this| Events {
            parts,
            runner,
            options,
            desk: Mutex::new(Desk::new(few)),
            work: Condvar::new(),
            stopping: Condvar::new(),
            refused: AtomicBool::new(false),
            threads: Mutex::default(),
            start,
            counts: Counts::default(),
            this: Weak::clone(this),
        });
        events.load()?;
        Ok(events)
    }

    /// Begins to run events.
    pub fn start(&self) -> Result<()> {
        self.hire()
    }

    /// Called after a function's deploy has been committed: its events that wait go by what it is now.
    pub fn deployed(&self, function: &Function) {
        let known = Known::of(function.clone());
        let mut desk = self.lock();
        desk.know(function.id, &known, self.options.pace);
        desk.line.unblock();
        self.call_another(desk);
    }

    /// Called after a function's delete has been committed: its events are given up now, not when they are due.
    pub fn deleted(&self, function: &Function) {
        let mut desk = self.lock();
        desk.line.hurry(function.id);
        desk.know_gone(function.id);
        self.call_another(desk);
    }

    /// Ends an event on request: one that waits never runs again, one that runs is killed, or only told to end (SIGTERM), after
    /// which it may go on. Fails with `Conflict` when it is over.
    pub fn terminate(&self, event: &Record, is_graceful: bool) -> Result<()> {
        for _ in 0..TERMINATE_TRIES {
            if self.runner.terminate(event.id, is_graceful) {
                return Ok(());
            }
            if self.parts.store.abort_event(event.id)? {
                self.runner.ended(&event.request_id);
                return Ok(());
            }
            if self.parts.store.invocation(&event.request_id)?.is_none_or(|record| record.state.is_over()) {
                break;
            }
            // It is on its way from one to the other.
            self.rest(TERMINATE_AGAIN);
        }
        Err(Error::new(Kind::Conflict, "the event is over").about(About::Event))
    }

    /// The queue in numbers.
    pub fn numbers(&self) -> Numbers {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        Numbers {
            events: read(&counts.events),
            events_max: self.options.events_max,
            bytes: read(&counts.bytes),
            bytes_max: self.options.bytes_max,
            running: read(&counts.running),
            accepted: read(&counts.accepted),
            retried: read(&counts.retried),
            given_up: read(&counts.given_up),
        }
    }

    /// No event is begun any more.
    pub fn stop(&self) {
        self.lock().is_stopping = true;
        self.work.notify_all();
        self.stopping.notify_all();
    }

    /// Waits until the events that run have ended.
    pub fn join(&self) {
        self.stop();
        // One by one: another one may have been on its way here.
        while let Some(thread) = self.next_thread() {
            if thread.join().is_err() {
                log::error!("a thread that ran events had panicked");
            }
        }
    }

    fn next_thread(&self) -> Option<JoinHandle<()>> {
        self.threads.lock().expect("no holder of this lock can panic").pop()
    }

    /// Puts what the database has waiting into the line. What is due later than a retry may be comes from a clock that was set
    /// back meanwhile, and is due then.
    fn load(&self) -> Result<()> {
        let (now_us, wall_us) = (self.now_us(), self.parts.clock.wall_us());
        let most_us = micros(self.options.pace.interval());
        let mut desk = self.lock();
        self.parts.store.waiting(|waiting: Waiting| {
            let entry = Entry {
                id: waiting.id,
                born_us: now_us - wall_us.saturating_sub(waiting.created_us).max(0),
                // Those that are due already keep their order.
                due_us: now_us + waiting.due_us.saturating_sub(wall_us).min(most_us),
                bytes: waiting.bytes,
                is_suspect: waiting.is_suspect,
            };
            self.counts.events.fetch_add(1, Ordering::Relaxed);
            self.counts.bytes.fetch_add(waiting.bytes, Ordering::Relaxed);
            desk.line.push(waiting.function_id, entry, now_us);
        })?;
        for id in desk.line.function_ids() {
            match self.parts.store.function_by_id(id) {
                Ok(Some(function)) => desk.know(id, &Known::of(function), self.options.pace),
                Ok(None) => desk.know_gone(id),
                // Whoever takes one of its events looks again.
                Err(error) => log::error!("a function whose events wait cannot be read: {error:#}"),
            }
        }
        Ok(())
    }

    /// Puts an event into the line and has somebody look at it.
    fn enter(&self, function_id: i64, entry: Entry, known: Option<&Known>) {
        let mut desk = self.lock();
        if let Some(known) = known {
            desk.know(function_id, known, self.options.pace);
        }
        desk.line.push(function_id, entry, self.now_us());
        self.call_another(desk);
    }

    /// There may be room that was refused before.
    fn room(&self) {
        // On the way of every caller's run: mostly nobody was refused.
        if self.refused.load(Ordering::SeqCst) {
            let mut desk = self.lock();
            desk.line.unblock();
            self.call_another(desk);
        }
    }

    /// Waits for so long, or until we stop.
    fn rest(&self, length: Duration) {
        let goes_on = |desk: &mut Desk| !desk.is_stopping;
        let rested = self.stopping.wait_timeout_while(self.lock(), length, goes_on);
        drop(rested.expect("no holder of this lock can panic"));
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().expect("no holder of this lock can panic")
    }

    /// Microseconds since this was opened.
    fn now_us(&self) -> i64 {
        micros(self.parts.clock.now().saturating_duration_since(self.start))
    }
}

impl Counts {
    fn leave(&self, bytes: u64) {
        self.events.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}
