//! The thread that copies the write-ahead log into the database file, so that the recorder never waits for its fsyncs.
//!
//! After each [`EVERY_PAGES`] new pages a PASSIVE checkpoint runs beside reads and writes; under steady load it never
//! quite catches up, so above [`TRUNCATE_PAGES`] a TRUNCATE one cuts the log. That one holds writers up while it waits
//! for readers, so it waits 50 ms at most and, where somebody reads an old snapshot, is not tried again for a while.
//! This connection writes no rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use rusqlite::Connection;
use rusqlite::wal::CheckpointMode;

use crate::base::clock::Clock;
use crate::error::Result;

/// Pages between two PASSIVE checkpoints: 4 MiB.
const EVERY_PAGES: u64 = 1000;
/// Pages above which the log is cut: 64 MiB.
const TRUNCATE_PAGES: u64 = 64 * 1024 * 1024 / 4096;
/// How long a cut that a reader prevented is not tried again.
const TRUNCATE_AGAIN: Duration = Duration::from_secs(5);

/// Tells `wake` whenever the write-ahead log has grown; `pages` shows its length.
pub(super) fn watch(writer: &mut Connection, pages: Arc<AtomicU64>, wake: Sender<()>) -> Result<()> {
    let mut told = 0;
    writer.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, length: std::ffi::c_int| {
        let length = u64::try_from(length).unwrap_or(0);
        pages.store(length, Ordering::Relaxed);
        if length < told {
            told = 0;
        }
        if length - told >= EVERY_PAGES {
            told = length;
            // Full means it was told already; disconnected means we are closing.
            let _: std::result::Result<(), TrySendError<()>> = wake.try_send(());
        }
        Ok(())
    }))?;
    Ok(())
}

/// Checkpoints each time it is woken, until nobody can wake it any more.
pub(super) fn run(conn: Connection, clock: Arc<dyn Clock>, pages: Arc<AtomicU64>, woken: Receiver<()>) {
    let mut not_before: Option<Instant> = None;
    while woken.recv().is_ok() {
        checkpoint(&conn, CheckpointMode::PASSIVE);
        let long = pages.load(Ordering::Relaxed) >= TRUNCATE_PAGES;
        if long && not_before.is_none_or(|instant| clock.now() >= instant) {
            let cut = checkpoint(&conn, CheckpointMode::TRUNCATE);
            not_before = (!cut).then(|| clock.now() + TRUNCATE_AGAIN);
        }
    }
}

/// True when everything was copied. Busy is normal (a reader needs the old pages); anything else is worth a line.
fn checkpoint(conn: &Connection, mode: CheckpointMode) -> bool {
    match conn.wal_checkpoint_v2(None::<&str>, mode) {
        Ok((total, copied)) => total == copied,
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => false,
        Err(error) => {
            log::error!("a checkpoint failed: {error}");
            false
        }
    }
}
