//! SQLite: the only `rusqlite`, the only SQL, one file.
//!
//! [`Store`] is the handle everybody clones. Behind it one writes at a time (`queue`, `recorder`), one thread copies the write-ahead log
//! into the file (`checkpoint`), and a few connections read (`readers`); statements of others have their own (`sql`). Its public
//! methods are nouns of the model, one file per table family; `read(|tx|)` and `write(|tx|)` are for those files only.
//!
//! # What must stay true
//!
//! * Rows are written by whoever holds the recorder and by nobody else. WAL has one writer; here it never waits for
//!   another.
//! * A method that writes returns after the commit, so what was answered is on record. `record` commits with
//!   `synchronous=NORMAL`: it survives `kill -9`, and a power cut may take its tail. Accepted events, deploys, keys and
//!   deletes commit with `FULL`. `begin` and `append_lines` are the two that do not wait.
//! * The queue is bounded and every wait has a deadline: a disk that hangs makes callers fail, not pile up.
//! * JSON from users is stored as the bytes that came. Records and logs outlive their function.
//! * A full disk costs what comes, never what is there: `room` says what is refused before SQLite cannot write any more.
//! * Other programs may read the file at any time and write it for moments; views and their columns are a promise
//!   (`migrations/`), tables are not.

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::base::clock::Clock;
use crate::base::thread::{self, Worker};
use crate::error::{Error, Kind, Result};
use crate::store::events::Enqueue;
use crate::store::queue::Queue;
use crate::store::readers::Readers;
use crate::store::recorder::{Order, Recorder};
use crate::store::reply::{Answer, Reply};
use crate::store::room::Gauge;
use crate::store::sealing::Sealing;
use crate::store::sql::turns::Turns;
use crate::store::tail::Bell;

mod aliases;
mod backup;
pub mod check;
mod checkpoint;
pub mod concurrency;
mod connection;
mod dead_letters;
pub mod events;
mod fault;
pub mod functions;
mod keys;
mod layers;
pub mod listing;
pub mod logs;
mod migrate;
mod minutes;
mod namespaces;
pub mod objects;
mod packages;
mod queue;
mod readers;
mod recorder;
mod records;
mod reply;
pub mod retention;
pub mod room;
pub mod runs_by_time;
mod sealing;
pub mod search;
mod select;
mod server;
pub mod sql;
pub mod tail;
#[cfg(test)]
mod tests;
pub mod timers;
pub mod trigger_spec;
mod trigger_states;
pub mod triggers;
mod versions;
pub mod words;

/// Longest wait for a place in the queue.
const QUEUE_WAIT: Duration = Duration::from_secs(10);
/// Longest wait for a commit, above the recorder's own wait for a foreign lock.
const COMMIT_WAIT: Duration = Duration::from_secs(60);

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database file; created if missing.
    pub path: PathBuf,
    /// Whether another program (Litestream) checkpoints, so that we never do.
    pub external_checkpointer: bool,
    /// The file of the key that environments are sealed with; made if it is missing and nothing is sealed yet.
    pub seal_key: Option<PathBuf>,
}

/// Sizes for metrics and for `doctor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The database file, bytes.
    pub db_bytes: u64,
    /// The write-ahead log, bytes.
    pub wal_bytes: u64,
    /// What may still be written to its disk, bytes.
    pub disk_free_bytes: u64,
    /// Orders waiting for the recorder.
    pub queued: usize,
    /// Most orders that can wait.
    pub queued_max: usize,
    /// Log lines dropped because the queue stayed full, since the start.
    pub lines_dropped: u64,
    /// Free space below which things are given up, bytes; 0 for never.
    pub disk_low_bytes: u64,
    /// Log lines of users not stored because the disk was nearly full, since the start.
    pub lines_shed: u64,
    /// Runs that retention has deleted, since the start.
    pub runs_deleted: u64,
    /// Log lines that retention has deleted, since the start.
    pub lines_deleted: u64,
}

/// A handle of the database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

struct Inner {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    queue: Arc<Queue>,
    readers: Readers,
    /// For searches, which may take long.
    searchers: Readers,
    turns: Turns,
    run_id: AtomicI64,
    lines_dropped: AtomicU64,
    deleted: retention::Counters,
    gauge: Arc<Gauge>,
    bell: Arc<Bell>,
    /// None where another program checkpoints.
    checkpoints: Option<Arc<checkpoint::Signals>>,
    pins: packages::Pins,
    sealing: Sealing,
    /// Held while a backup is written: two at once would only take twice as long and twice the disk.
    copying: Mutex<()>,
    /// The recorder, then the checkpointer, which ends when the recorder has dropped the connection that wakes it.
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// What watches the disk.
    watch: Mutex<Option<Worker>>,
    /// Dropped last: until then no other server may open the file.
    _lock: connection::Lock,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

/// An open transaction, and the one time that counts as now in it.
pub(crate) struct Tx<'c> {
    conn: &'c Connection,
    /// Microseconds since the epoch.
    now_us: i64,
}

impl<'c> Tx<'c> {
    fn new(conn: &'c Connection, now_us: i64) -> Tx<'c> {
        Tx { conn, now_us }
    }
}

impl Deref for Tx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.conn
    }
}

impl Store {
    /// Opens the database, brings its schema up to date, and settles what a crash left behind.
    ///
    /// Fails with `Conflict` when another server uses the file and with `Invalid` when the file cannot be used: it
    /// cannot be opened, is no database, is another program's, was written by a newer release, or holds what the key that
    /// was given, or none, does not open.
    pub fn open(options: &Options, clock: Arc<dyn Clock>) -> Result<Store> {
        let lock = connection::Lock::take(&options.path)?;
        room::make_way(&options.path);
        connection::create(&options.path)?;
        backup::sweep(&options.path)?;
        let mut writer = connection::writer(&options.path, options.external_checkpointer)?;
        migrate::migrate(&mut writer)?;
        let key = options.seal_key.as_deref();
        let sealing = Sealing::prepare(&mut writer, key, !options.external_checkpointer)?;
        let run_id = settle(&mut writer, clock.wall_us())?;
        let bell = Arc::new(Bell::new(tail::newest(&Tx::new(&writer, clock.wall_us()))?));
        let gauge = Arc::new(Gauge::new());
        let Started { queue, threads, checkpoints } = threads(options, writer, &clock, &gauge, &bell)?;
        let store = Store(Arc::new(Inner {
            path: options.path.clone(),
            readers: Readers::new(options.path.clone(), clock.clone(), readers::READERS),
            searchers: Readers::new(options.path.clone(), clock.clone(), readers::SEARCHERS),
            turns: Turns::new(),
            clock,
            queue,
            run_id: AtomicI64::new(run_id),
            lines_dropped: AtomicU64::new(0),
            deleted: retention::Counters::default(),
            checkpoints,
            gauge,
            bell,
            pins: packages::Pins::default(),
            sealing,
            copying: Mutex::new(()),
            threads: Mutex::new(threads),
            watch: Mutex::new(None),
            _lock: lock,
        }));
        store.sweep_packages()?;
        Ok(store)
    }

    /// Waits until everything ordered before is committed.
    pub fn flush(&self) -> Result<()> {
        self.write(|_| Ok(()))
    }

    /// Has the write-ahead log copied into the file and made empty; writers wait meanwhile. Whether it is empty now: a
    /// reader or the checkpointer may have been in the way. Does nothing where another program checkpoints.
    pub fn cut_log(&self) -> Result<bool> {
        if let Some(signals) = &self.0.checkpoints {
            signals.want_cut();
            self.flush()?;
            // The first one's answer came before the cut, which follows its commit.
            self.flush()?;
        }
        Ok(self.sizes()?.wal_bytes == 0)
    }

    /// Commits what is queued, copies the write-ahead log into the file and closes it. Later calls fail.
    pub fn close(&self) {
        self.0.close();
    }

    /// Sizes, now.
    pub fn sizes(&self) -> Result<Sizes> {
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
        Ok(Sizes {
            db_bytes: bytes(&self.0.path),
            wal_bytes: bytes(&connection::beside(&self.0.path, "-wal")),
            disk_free_bytes: backup::free(&self.0.path)?,
            queued: self.0.queue.len(),
            queued_max: queue::ORDERS_MAX,
            lines_dropped: self.0.lines_dropped.load(Ordering::Relaxed),
            disk_low_bytes: self.0.gauge.low_bytes(),
            lines_shed: self.0.gauge.lines_shed(),
            runs_deleted: self.0.deleted.runs.load(Ordering::Relaxed),
            lines_deleted: self.0.deleted.lines.load(Ordering::Relaxed),
        })
    }

    /// Runs `body` in a read transaction on one of the reading connections.
    fn read<T>(&self, body: impl FnOnce(&Tx<'_>) -> Result<T>) -> Result<T> {
        self.0.readers.read(body)
    }

    /// Runs `body` in the recorder's next transaction and waits for its commit.
    fn write<T: Send + 'static>(
        &self,
        body: impl FnOnce(&Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.job(false, body)
    }

    /// As [`write`](Store::write), and the commit survives a power cut.
    fn write_durably<T: Send + 'static>(
        &self,
        body: impl FnOnce(&Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.job(true, body)
    }

    /// As [`write_durably`](Store::write_durably), and `body` may put events into the queue.
    fn write_events<T: Send + 'static>(
        &self,
        body: impl FnOnce(&Tx<'_>, &mut Enqueue<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.order_and_wait(|reply| Order::events(body, reply))
    }

    fn job<T: Send + 'static>(
        &self,
        durable: bool,
        body: impl FnOnce(&Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.order_and_wait(|reply| Order::job(durable, body, reply))
    }

    /// As [`write`](Store::write), carried out by the recorder's own thread: for callers of low priority, who must not hold
    /// up the commits of others by writing theirs.
    fn write_aside<T: Send + 'static>(
        &self,
        body: impl FnOnce(&Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = reply::reply();
        self.order(Order::job(false, body, reply))?;
        committed(answer)
    }

    fn order_and_wait<T>(&self, order: impl FnOnce(Reply<Result<T>>) -> Order) -> Result<T> {
        let (reply, answer) = reply::reply();
        self.0.queue.order_and_lead(order(reply), QUEUE_WAIT).map_err(|_| no_room())?;
        committed(answer)
    }

    fn order(&self, order: Order) -> Result<()> {
        self.0.queue.order(order, QUEUE_WAIT).map_err(|_| no_room())
    }

    fn take_run_id(&self) -> i64 {
        self.0.run_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn dropped(&self, lines: usize) {
        self.0.lines_dropped.fetch_add(u64::try_from(lines).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn pins(&self) -> packages::Pins {
        self.0.pins.clone()
    }

    /// Now, on the monotonic clock: what deadlines are counted from.
    pub fn now(&self) -> Instant {
        self.0.clock.now()
    }

    /// Whether environments are sealed with a key that is not in the file.
    pub fn is_sealed(&self) -> bool {
        self.0.sealing.is_on()
    }

    fn sealing(&self) -> &Sealing {
        &self.0.sealing
    }

    fn copying(&self) -> &Mutex<()> {
        &self.0.copying
    }

    fn path(&self) -> &Path {
        &self.0.path
    }

    fn gauge(&self) -> &Arc<Gauge> {
        &self.0.gauge
    }

    fn bell(&self) -> &Arc<Bell> {
        &self.0.bell
    }

    /// Keeps what watches the disk.
    fn watched_by(&self, watch: Worker) {
        *self.0.watch.lock().expect("no holder of this lock can panic") = Some(watch);
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }
}

/// What was committed, once it is.
fn committed<T>(answer: Answer<Result<T>>) -> Result<T> {
    answer.wait(COMMIT_WAIT).unwrap_or_else(|| {
        Err(Error::new(Kind::Busy, "the database did not commit in time, or was closed; try again"))
    })
}

fn no_room() -> Error {
    Error::new(Kind::Busy, "the database cannot keep up, or was closed; try again")
}

/// The version of SQLite inside this program.
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

/// Ends what a crash left open; the largest run id so far.
fn settle(writer: &mut Connection, now_us: i64) -> Result<i64> {
    let transaction = writer.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let tx = Tx::new(&transaction, now_us);
    minutes::settle(&tx)?;
    let cut_off = records::settle(&tx)?;
    if cut_off > 0 {
        log::warn!("{cut_off} runs had not ended when the server stopped; they are recorded as failed");
    }
    let again = events::recover(&tx)?;
    if again > 0 {
        log::warn!("{again} events were running when the server stopped; they are queued again");
    }
    let last_id = records::last_id(&tx)?;
    transaction.commit()?;
    Ok(last_id)
}

/// The queue, the threads behind it, and how they are asked to cut the log.
struct Started {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
    checkpoints: Option<Arc<checkpoint::Signals>>,
}

fn threads(
    options: &Options,
    mut writer: Connection,
    clock: &Arc<dyn Clock>,
    gauge: &Arc<Gauge>,
    bell: &Arc<Bell>,
) -> Result<Started> {
    let start = |recorder| -> Result<(Arc<Queue>, JoinHandle<()>)> {
        let queue = Arc::new(Queue::new(recorder));
        let working = Arc::clone(&queue);
        Ok((queue, thread::spawn("recorder", move || working.work())?))
    };
    if options.external_checkpointer {
        let (queue, recorder) =
            start(Recorder::new(writer, clock.clone(), None, gauge.clone(), bell.clone()))?;
        return Ok(Started { queue, threads: vec![recorder], checkpoints: None });
    }
    let checkpoint::Watched { signals, open, woken } = checkpoint::watch(&mut writer, Arc::clone(gauge))?;
    let checkpointer = connection::checkpointer(&options.path)?;
    let watched = Some((signals.clone(), open));
    let (queue, recorder) =
        start(Recorder::new(writer, clock.clone(), watched, gauge.clone(), bell.clone()))?;
    let (clock, checkpoints) = (clock.clone(), Some(signals.clone()));
    let checkpoint =
        thread::spawn("checkpoint", move || checkpoint::run(checkpointer, clock, signals, woken))?;
    Ok(Started { queue, threads: vec![recorder, checkpoint], checkpoints })
}

impl Inner {
    fn close(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().expect("no holder of this lock can panic"));
        if threads.is_empty() {
            return;
        }
        let join = |thread: JoinHandle<()>| {
            if thread.join().is_err() {
                log::error!("a thread of the store panicked");
            }
        };
        self.bell.close();
        // Whoever only reads closes before the writer, or the log would not be tidied up.
        drop(self.watch.lock().expect("no holder of this lock can panic").take());
        self.readers.close();
        self.searchers.close();
        self.turns.close();
        self.queue.close();
        threads.into_iter().for_each(join);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}
