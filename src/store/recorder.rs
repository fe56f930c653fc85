//! What writes rows, one at a time (see [`queue`](super::queue)): group commit, durable and ordinary batches.
//!
//! A batch is whatever is queued when the last commit ends, at most [`BATCH`] orders; nobody waits for a fuller one. A
//! batch that holds a durable order commits with `synchronous=FULL`, the rest with `NORMAL`, which survives `kill -9`
//! and may lose its tail in a power cut, never its consistency. Each order of a larger batch has its own savepoint: one
//! that fails fails alone. Replies leave after the commit, never before.
//!
//! What must stay true: the recorder waits for nobody but SQLite; reply channels hold one value, so sending cannot
//! block. When SQLite itself gives the transaction up (disk full, I/O error), the whole batch fails: what follows would
//! otherwise run outside any transaction.
//!
//! A panic is a failure like any other: caught, rolled back and told to those who wait, and the next batch is written. To
//! end with the first one would be no better for anybody: an event whose writing panics would come again after every start.
//! Only where not even the rollback works does the process end ([`give_up`]), because then nothing could be written any more.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::base::clock::Clock;
use crate::base::failpoint;
use crate::error::{Error, Kind, Result};
use crate::model::event::Acceptance;
use crate::model::finished::FinishedRun;
use crate::model::invocation::Record;
use crate::model::log::LogLine;
use crate::store::events::{Accepting, Enqueue};
use crate::store::minutes::{Minutes, Of};
use crate::store::reply::Reply;
use crate::store::room::{Gauge, Shedder};
use crate::store::tail::Bell;
use crate::store::{Tx, checkpoint, events, fault, logs, records};

/// Most orders of one commit: bounds what the first one waits for.
const BATCH: usize = 512;

/// How long a batch waits in all for a lock that another program holds; SQLite's own wait is shorter and is repeated.
const LOCKED_MAX: Duration = Duration::from_secs(20);

/// What can be queued.
pub(super) enum Order {
    /// A run that ended, with its lines; answered with its record.
    Run(Box<FinishedRun>, Reply<Result<Record>>),
    /// An event to keep.
    Accept(Box<Accepting>, Reply<Result<Acceptance>>),
    /// A run that lasts: its row in state running.
    Begin(Box<Record>),
    /// Lines of a run that lasts.
    Lines { of: logs::Of, lines: Vec<LogLine> },
    /// Anything else.
    Work(Box<dyn Work>),
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Order")
    }
}

impl Order {
    /// A transaction's body, answered with what it gives.
    pub(super) fn job<T: Send + 'static>(
        durable: bool,
        body: impl FnOnce(&Tx<'_>) -> Result<T> + Send + 'static,
        reply: Reply<Result<T>>,
    ) -> Order {
        let body = |tx: &Tx<'_>, _: &mut Enqueue<'_>| body(tx);
        Order::Work(Box::new(Job { durable, body: Some(body), value: None, reply }))
    }

    /// The body of a durable transaction that may put events into the queue.
    pub(super) fn events<T: Send + 'static>(
        body: impl FnOnce(&Tx<'_>, &mut Enqueue<'_>) -> Result<T> + Send + 'static,
        reply: Reply<Result<T>>,
    ) -> Order {
        Order::Work(Box::new(Job { durable: true, body: Some(body), value: None, reply }))
    }
}

/// A transaction's body that keeps its own value and reply.
pub(super) trait Work: Send {
    /// Whether the answer promises to survive a power cut.
    fn durable(&self) -> bool;
    /// Writes; called once, in the batch's transaction.
    fn run(&mut self, tx: &Tx<'_>, enqueue: &mut Enqueue<'_>) -> Result<()>;
    /// Replies; called once, after the commit or with the reason why there was none.
    fn finish(self: Box<Self>, committed: Result<()>);
}

/// A closure as [`Work`].
struct Job<T, F> {
    durable: bool,
    body: Option<F>,
    value: Option<T>,
    reply: Reply<Result<T>>,
}

impl<T: Send, F: FnOnce(&Tx<'_>, &mut Enqueue<'_>) -> Result<T> + Send> Work for Job<T, F> {
    fn durable(&self) -> bool {
        self.durable
    }

    fn run(&mut self, tx: &Tx<'_>, enqueue: &mut Enqueue<'_>) -> Result<()> {
        let body = self.body.take().expect("a job runs once");
        self.value = Some(body(tx, enqueue)?);
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Result<()>) {
        let Job { value, reply, .. } = *self;
        reply.send(committed.map(|()| value.expect("a job that committed has run")));
    }
}

/// The writing connection and what belongs to it.
#[derive(Debug)]
pub(super) struct Recorder {
    conn: Connection,
    clock: Arc<dyn Clock>,
    batch: Vec<Order>,
    /// None where another program checkpoints.
    checkpoints: Option<Arc<checkpoint::Signals>>,
    full: bool,
    shedder: Shedder,
    bell: Arc<Bell>,
    log_minutes: Minutes,
    run_minutes: Minutes,
    /// The last field: dropped when the connection is closed.
    _open: Option<checkpoint::Open>,
}

impl Recorder {
    /// A recorder over the writing connection, whose `synchronous` is NORMAL.
    pub(super) fn new(
        conn: Connection,
        clock: Arc<dyn Clock>,
        checkpoints: Option<(Arc<checkpoint::Signals>, checkpoint::Open)>,
        gauge: Arc<Gauge>,
        bell: Arc<Bell>,
    ) -> Recorder {
        let (checkpoints, _open) = checkpoints.unzip();
        let log_minutes = Minutes::new(Of::Log);
        let run_minutes = Minutes::new(Of::Invocation);
        let shedder = Shedder::new(gauge);
        Recorder {
            conn,
            clock,
            batch: Vec::new(),
            checkpoints,
            full: false,
            shedder,
            bell,
            log_minutes,
            run_minutes,
            _open,
        }
    }

    /// Commits one batch of what `take` gives; false if that is nothing.
    pub(super) fn turn(&mut self, take: impl FnOnce(&mut Vec<Order>, usize)) -> bool {
        let mut batch = std::mem::take(&mut self.batch);
        take(&mut batch, BATCH);
        let some = !batch.is_empty();
        if some {
            self.commit(&mut batch);
        }
        self.batch = batch;
        if let Some(signals) = &self.checkpoints {
            signals.cut_if_asked(&self.conn);
        }
        some
    }

    fn commit(&mut self, batch: &mut Vec<Order>) {
        let before = (self.log_minutes, self.run_minutes);
        let mut done = Vec::with_capacity(batch.len());
        let committed = caught(|| self.transaction(batch, &mut done));
        if let Err(error) = &committed {
            if fault::found_full(error) {
                self.shedder.found_full();
            }
            // A name that is taken or not there is the caller's answer and no failure.
            if matches!(error.kind, Kind::Busy | Kind::Internal) {
                log::error!("{} writes failed together: {error:#}", batch.len());
            }
            (self.log_minutes, self.run_minutes) = before;
            self.roll_back().unwrap_or_else(|error| give_up(&error));
        }
        let wrote_lines = committed.is_ok() && self.log_minutes.newest_id() > before.0.newest_id();
        let told = committed.and_then(|()| caught(|| failpoint::here("record.reply")));
        let mut done = done.into_iter();
        for order in batch.drain(..) {
            let wrote = match &told {
                Ok(()) => done.next().expect("every order of a committed batch has run"),
                Err(error) => Err(fault::again(error)),
            };
            reply(order, wrote);
        }
        // Last: whoever was answered need not share the processor with those who follow the log.
        if wrote_lines {
            self.bell.ring(self.log_minutes.newest_id());
        }
    }

    /// Ends what a failed batch has left open.
    fn roll_back(&self) -> Result<()> {
        if !self.conn.is_autocommit() {
            failpoint::here("record.rollback")?;
            self.conn.execute_batch("ROLLBACK")?;
        }
        Ok(())
    }

    fn transaction(&mut self, batch: &mut [Order], done: &mut Vec<Result<()>>) -> Result<()> {
        failpoint::here("record.begin")?;
        self.promise(batch.iter().any(durable))?;
        self.begin()?;
        let now_us = self.clock.wall_us();
        let alone = batch.len() == 1;
        for order in batch {
            let wrote = if alone { self.write(order, now_us) } else { self.guarded(order, now_us) };
            match wrote {
                Err(error) if alone || self.conn.is_autocommit() => return Err(error),
                wrote => done.push(wrote),
            }
        }
        failpoint::here("record.commit")?;
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    /// Switches between the two durabilities. The pragma acts when it is compiled, so it cannot be a cached statement.
    fn promise(&mut self, full: bool) -> Result<()> {
        if self.full != full {
            self.conn.execute_batch(if full {
                "PRAGMA synchronous=FULL"
            } else {
                "PRAGMA synchronous=NORMAL"
            })?;
            self.full = full;
        }
        Ok(())
    }

    fn begin(&self) -> Result<()> {
        let until: Instant = self.clock.now() + LOCKED_MAX;
        loop {
            match self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([]).map_err(Error::from) {
                Err(error) if error.kind == Kind::Busy && self.clock.now() < until => {
                    log::warn!("another program has locked the database; still waiting");
                }
                begun => return begun.map(drop),
            }
        }
    }

    fn guarded(&mut self, order: &mut Order, now_us: i64) -> Result<()> {
        let before = (self.log_minutes, self.run_minutes);
        self.conn.prepare_cached("SAVEPOINT one")?.execute([])?;
        let wrote = caught(|| self.write(order, now_us));
        if wrote.is_err() {
            (self.log_minutes, self.run_minutes) = before;
            if !self.conn.is_autocommit() {
                self.conn.prepare_cached("ROLLBACK TO one")?.execute([])?;
            }
        }
        if !self.conn.is_autocommit() {
            self.conn.prepare_cached("RELEASE one")?.execute([])?;
        }
        wrote
    }

    fn write(&mut self, order: &mut Order, now_us: i64) -> Result<()> {
        let tx = &Tx::new(&self.conn, now_us);
        match order {
            Order::Run(run, _) => {
                self.shedder.shed(run.record.id, &mut run.lines, true);
                finish(tx, run, &mut self.run_minutes, &mut self.log_minutes)
            }
            Order::Accept(accepting, _) => events::accept(tx, &mut self.run_minutes, accepting),
            Order::Begin(record) => {
                records::begin(tx, record)?;
                self.run_minutes.note(tx, record.created_us, record.id)
            }
            Order::Lines { of, lines } => {
                self.shedder.shed(of.run_id, lines, false);
                logs::append(tx, &mut self.log_minutes, *of, lines)
            }
            Order::Work(work) => work.run(tx, &mut Enqueue::new(&mut self.run_minutes)),
        }
    }
}

/// Writes a run that ended, and what follows for its event.
fn finish(
    tx: &Tx<'_>,
    run: &FinishedRun,
    run_minutes: &mut Minutes,
    log_minutes: &mut Minutes,
) -> Result<()> {
    let record = &run.record;
    let of = logs::Of { run_id: record.id, function_id: record.function_id, retry_num: record.retry_num };
    let Some(settlement) = &run.settlement else {
        records::finish(tx, record)?;
        run_minutes.note(tx, record.created_us, record.id)?;
        return logs::append(tx, log_minutes, of, &run.lines);
    };
    // Its row has been there, and its minute noted, since it was accepted.
    if !events::is_open(tx, record)? {
        return Ok(());
    }
    records::finish(tx, record)?;
    logs::append(tx, log_minutes, of, &run.lines)?;
    events::settle(tx, run_minutes, record, settlement)
}

/// A panic as an error. What was printed where it happened tells the rest.
fn caught(body: impl FnOnce() -> Result<()>) -> Result<()> {
    let panicked = |_| Err(Error::internal("a fault of fnlite itself kept it from writing"));
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(panicked)
}

/// Ends the process where nothing can be written any more, so that whoever looks after it starts it again: a server that
/// answers everybody with failures would be left alone. What was answered is committed, so no more is lost than in a kill.
pub(super) fn give_up(why: &dyn fmt::Display) -> ! {
    log::error!("nothing can be written any more, so the server ends: {why:#}");
    std::process::abort()
}

fn durable(order: &Order) -> bool {
    match order {
        Order::Accept(..) => true,
        Order::Work(work) => work.durable(),
        Order::Run(..) | Order::Begin(_) | Order::Lines { .. } => false,
    }
}

/// Nobody waits for `Begin` and `Lines`, so their failures are told here.
fn reply(order: Order, wrote: Result<()>) {
    match order {
        Order::Run(run, reply) => {
            reply.send(wrote.map(|()| run.record));
        }
        Order::Accept(accepting, reply) => {
            reply.send(wrote.map(|()| accepting.acceptance));
        }
        Order::Work(work) => work.finish(wrote),
        Order::Begin(record) => told(wrote, record.id),
        Order::Lines { of, .. } => told(wrote, of.run_id),
    }
}

fn told(wrote: Result<()>, run_id: i64) {
    if let Err(error) = wrote {
        log::error!("what run {run_id} has printed so far was not stored: {error:#}");
    }
}
