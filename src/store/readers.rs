//! A few read-only connections, and a deadline on whatever runs on them.
//!
//! Connections are opened when first needed and kept. A caller waits for one at most [`WAIT`]; a query is interrupted
//! after [`QUERY`], or when its caller says. A connection whose transaction could not be ended is thrown away. Searches that
//! may look at much have connections of their own, so that they stand in nobody else's way.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use rusqlite::Connection;

use crate::base::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::store::Tx;
use crate::store::connection;

/// Most connections for short reads.
pub(super) const READERS: usize = 4;
/// Most searches at once. More would not be faster on a small host, and take the time of those who invoke.
pub(super) const SEARCHERS: usize = 2;
/// Longest wait for a free connection.
const WAIT: Duration = Duration::from_secs(5);
/// Longest time one transaction may compute.
const QUERY: Duration = Duration::from_secs(5);
/// Virtual machine steps between two looks at the clock: some tens of microseconds.
const STEPS: i32 = 4000;

/// The pool.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    most: usize,
    opened: AtomicUsize,
    give: Sender<Reader>,
    take: Receiver<Reader>,
}

#[derive(Debug)]
struct Reader {
    conn: Connection,
    deadline: Arc<Deadline>,
}

/// When the running query has to end, as microseconds after `start`.
#[derive(Debug)]
struct Deadline {
    clock: Arc<dyn Clock>,
    start: Instant,
    at_us: AtomicU64,
}

impl Readers {
    /// At most `most` connections at once.
    pub(super) fn new(path: PathBuf, clock: Arc<dyn Clock>, most: usize) -> Readers {
        let (give, take) = bounded(most);
        Readers { path, clock, most, opened: AtomicUsize::new(0), give, take }
    }

    /// Runs `body` in one read transaction: everything it sees is of one moment.
    pub(super) fn read<T>(&self, body: impl FnOnce(&Tx<'_>) -> Result<T>) -> Result<T> {
        self.read_within(QUERY, body)
    }

    /// The same, interrupted after `patience`.
    pub(super) fn read_within<T>(
        &self,
        patience: Duration,
        body: impl FnOnce(&Tx<'_>) -> Result<T>,
    ) -> Result<T> {
        let reader = self.reader()?;
        reader.deadline.set(patience);
        let done = transaction(&reader.conn, self.clock.wall_us(), body);
        if reader.conn.is_autocommit() {
            // The channel holds as many as were ever opened, so it cannot be full.
            let _ = self.give.try_send(reader);
        } else {
            self.opened.fetch_sub(1, Ordering::Relaxed);
        }
        done
    }

    /// Closes the connections that idle, so that the last one to close can be the writer.
    pub(super) fn close(&self) {
        while self.take.try_recv().is_ok() {}
    }

    fn reader(&self) -> Result<Reader> {
        if let Ok(reader) = self.take.try_recv() {
            return Ok(reader);
        }
        let more = |opened| (opened < self.most).then_some(opened + 1);
        if self.opened.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok() {
            return self.open().inspect_err(|_| {
                self.opened.fetch_sub(1, Ordering::Relaxed);
            });
        }
        self.take
            .recv_timeout(WAIT)
            .map_err(|_| Error::new(Kind::Busy, "too many queries at once; try again"))
    }

    fn open(&self) -> Result<Reader> {
        let mut conn = connection::reader(&self.path)?;
        let deadline = Arc::new(Deadline {
            clock: self.clock.clone(),
            start: self.clock.now(),
            at_us: AtomicU64::new(u64::MAX),
        });
        let watched = deadline.clone();
        conn.progress_handler(STEPS, Some(move || watched.passed()))?;
        Ok(Reader { conn, deadline })
    }
}

fn transaction<T>(conn: &Connection, now_us: i64, body: impl FnOnce(&Tx<'_>) -> Result<T>) -> Result<T> {
    conn.prepare_cached("BEGIN")?.execute([])?;
    let done = body(&Tx::new(conn, now_us));
    // Nothing was written; COMMIT only ends the snapshot.
    conn.prepare_cached("COMMIT")?.execute([])?;
    done
}

impl Deadline {
    fn set(&self, length: Duration) {
        self.at_us.store(micros(self.clock.now() + length - self.start), Ordering::Relaxed);
    }

    fn passed(&self) -> bool {
        micros(self.clock.now() - self.start) > self.at_us.load(Ordering::Relaxed)
    }
}

fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}
