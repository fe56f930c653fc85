//! Copies the write-ahead log into the database file, so that the recorder hardly ever waits for fsyncs.
//!
//! After each [`EVERY_PAGES`] new pages a PASSIVE checkpoint runs on a thread and a connection of its own, beside reads
//! and writes. Under steady load it never quite catches up, and then the log is never begun anew. So above [`CUT_PAGES`]
//! the recorder is asked to [`cut`] it, between two batches and right after a PASSIVE checkpoint has left it little to
//! copy: nobody else gets the write lock from a busy recorder. The checkpointer waits meanwhile, because SQLite turns
//! down a checkpoint at once while another runs. Where a reader holds on to an old snapshot the cut gives up after
//! [`CUT_WAIT`] and is not tried again for a while. The checkpointer's connection writes no rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use rusqlite::Connection;
use rusqlite::wal::CheckpointMode;

use crate::base::clock::Clock;
use crate::error::Result;
use crate::store::connection::{BUSY_TIMEOUT, PAGE_BYTES};
use crate::store::room::Gauge;

/// Pages between two PASSIVE checkpoints: 4 MiB.
const EVERY_PAGES: u64 = 1000;
/// Pages above which the log is cut: 64 MiB.
const CUT_PAGES: u64 = 64 * 1024 * 1024 / 4096;
/// How long nothing wakes the checkpointer before it looks by itself.
const IDLE: Duration = Duration::from_secs(2);
/// How long a cut waits for readers, while writers wait for it.
const CUT_WAIT: Duration = Duration::from_millis(20);
/// How long the checkpointer waits for the recorder to cut.
const CUT_OVER_WAIT: Duration = Duration::from_secs(1);
/// How long a cut that changed nothing is not asked for again.
const CUT_AGAIN: Duration = Duration::from_secs(5);

/// What the recorder and the checkpointer tell each other.
#[derive(Debug)]
pub(super) struct Signals {
    /// The log's length in pages after the last commit.
    pages: AtomicU64,
    /// Set when the log should be cut, taken by the recorder.
    cut: AtomicBool,
    /// Heard by the checkpointer when a cut is over.
    cut_over: (Sender<()>, Receiver<()>),
}

impl Signals {
    /// Has the log cut after the next batch.
    pub(super) fn want_cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    /// Cuts the log if that was asked for; called by the recorder between two batches.
    pub(super) fn cut_if_asked(&self, writer: &Connection) {
        // A plain look first: this is asked after every commit.
        if self.cut.load(Ordering::Relaxed) && self.cut.swap(false, Ordering::Relaxed) {
            cut(writer);
            // Full means that the checkpointer did not wait for the one before.
            let _ = self.cut_over.0.try_send(());
        }
    }

    /// Asks for a cut and waits until it is over; not for ever, because the recorder may have nothing to do.
    fn ask_for_cut(&self) {
        while self.cut_over.1.try_recv().is_ok() {}
        self.want_cut();
        // Late is as good as never: the next look at the log's length tells.
        let _ = self.cut_over.1.recv_timeout(CUT_OVER_WAIT);
    }
}

/// A writer's connection is open for as long as this is kept. Dropped after the connection, so that the checkpointer closes
/// its own only then: of two that close at once neither is the last one, which tidies the log up.
#[derive(Debug)]
pub(super) struct Open(#[expect(dead_code, reason = "it is there to be dropped")] Sender<()>);

/// What [`watch`] gives.
pub(super) struct Watched {
    pub(super) signals: Arc<Signals>,
    pub(super) open: Open,
    /// Hears whenever the log has grown by enough, until the writer is closed.
    pub(super) woken: Receiver<()>,
}

/// Watches how the log of `writer` grows; `gauge` hears of it as well.
pub(super) fn watch(writer: &mut Connection, gauge: Arc<Gauge>) -> Result<Watched> {
    let (wake, woken) = bounded(1);
    let open = Open(wake.clone());
    let signals = Signals { pages: AtomicU64::new(0), cut: AtomicBool::new(false), cut_over: bounded(1) };
    let signals = Arc::new(signals);
    let (watched, mut told) = (signals.clone(), 0);
    writer.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, length: std::ffi::c_int| {
        let length = u64::try_from(length).unwrap_or(0);
        let before = watched.pages.swap(length, Ordering::Relaxed);
        // A shorter log was begun anew.
        gauge.spend(if length < before { length } else { length - before } * PAGE_BYTES);
        told = tell(&wake, length, told);
        Ok(())
    }))?;
    Ok(Watched { signals, open, woken })
}

/// Wakes the checkpointer if the log has grown by enough since it was `told`; the length it knows of.
fn tell(wake: &Sender<()>, length: u64, told: u64) -> u64 {
    // A shorter log was begun anew.
    let told = if length < told { 0 } else { told };
    if length - told < EVERY_PAGES {
        return told;
    }
    // Full means it was told already; disconnected means we are closing.
    let _: std::result::Result<(), TrySendError<()>> = wake.try_send(());
    length
}

/// Checkpoints each time it is woken, until nobody can wake it any more.
pub(super) fn run(conn: Connection, clock: Arc<dyn Clock>, signals: Arc<Signals>, woken: Receiver<()>) {
    let mut not_before: Option<Instant> = None;
    loop {
        match woken.recv_timeout(IDLE) {
            Ok(()) => {}
            // Nobody writes much; a reader that was in the way may be gone.
            Err(RecvTimeoutError::Timeout) => {
                tidy(&conn, signals.pages.load(Ordering::Relaxed));
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
        checkpoint(&conn, CheckpointMode::PASSIVE);
        let now = clock.now();
        if signals.pages.load(Ordering::Relaxed) < CUT_PAGES {
            not_before = None;
        } else if not_before.is_none_or(|instant| now >= instant) {
            signals.ask_for_cut();
            not_before = Some(now + CUT_AGAIN);
        }
    }
}

/// What the checkpointer does when nothing wakes it, with a log of so many pages.
fn tidy(conn: &Connection, pages: u64) {
    match pages {
        CUT_PAGES.. => cut(conn),
        EVERY_PAGES.. => checkpoint(conn, CheckpointMode::PASSIVE),
        _ => {}
    }
}

/// Copies what is left of the log and makes it empty, if no reader needs it.
fn cut(conn: &Connection) {
    let waits = |length| {
        if let Err(error) = conn.busy_timeout(length) {
            log::error!("a busy timeout could not be set: {error}");
        }
    };
    waits(CUT_WAIT);
    checkpoint(conn, CheckpointMode::TRUNCATE);
    waits(BUSY_TIMEOUT);
}

/// Busy is normal (a reader needs the old pages, or the other thread is at it); anything else is worth a line.
fn checkpoint(conn: &Connection, mode: CheckpointMode) {
    match conn.wal_checkpoint_v2(None::<&str>, mode) {
        Err(error) if error.sqlite_error_code() != Some(rusqlite::ErrorCode::DatabaseBusy) => {
            log::error!("a checkpoint failed: {error}");
        }
        _ => {}
    }
}
