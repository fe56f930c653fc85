//! Deleting what is too old, a few rows at a time, and giving the space back to the disk.
//!
//! What goes is chosen on a reading connection and deleted by id in a short transaction, so a writer never waits longer
//! than for [`ROWS`] rows or [`BYTES`]. A run goes with its lines, its attempts and its dead letter: lines first where
//! there are many, then, in one transaction, the rest. What to delete and when is the caller's policy (`service`).
//!
//! # What must stay true
//!
//! * What has not ended, what waits in `queued` and what is a young dead letter stays. It is looked at again in the
//!   deleting transaction: between the two a dead letter may have been replayed.
//! * The newest run and the run of the newest line stay. Ids are taken from the largest there is; were those gone, ids
//!   would begin anew, and the cursors that callers hold would skip what comes.

use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{OptionalExtension, Row, named_params};

use crate::error::Result;
use crate::model::function::LATEST;
use crate::store::minutes::{self, MINUTE_US, Of};
use crate::store::{Store, Tx};

/// Most rows looked at, and most deleted, in one step.
const ROWS: usize = 1000;
/// Most bytes of events and results in one step, and those of one run more: their pages are freed one by one.
const BYTES: i64 = 8 * 1024 * 1024;
/// Most minutes looked at in one step.
const MINUTES: usize = 5000;

/// Rows deleted since the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) runs: AtomicU64,
    pub(super) lines: AtomicU64,
}

/// Which runs may go, if they have ended.
#[derive(Clone, Copy, Debug)]
pub struct Old {
    /// Of that function only.
    pub function_id: Option<i64>,
    /// Created before then, microseconds since the epoch.
    pub before_us: i64,
    /// Those that became dead letters must have died before then, microseconds since the epoch.
    pub dead_before_us: i64,
}

/// Ids from the first to the last, both included.
pub type Ids = (i64, i64);

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Runs deleted.
    pub runs: u64,
    /// Lines deleted.
    pub lines: u64,
    /// Where the next step begins; nothing when all was looked at.
    pub next: Option<i64>,
}

/// What the pages of the file are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes in use.
    pub used_bytes: u64,
    /// Bytes that are free inside the file.
    pub free_bytes: u64,
}

/// A run chosen to go.
#[derive(Debug)]
pub(super) struct Chosen {
    id: i64,
    lines: Vec<i64>,
    /// Whether these are all of its lines.
    whole: bool,
}

impl Store {
    /// Every function that ever was, with how long it wants its history kept, seconds, if it says so.
    pub fn keeps(&self) -> Result<Vec<(i64, Option<u32>)>> {
        self.read(|tx| {
            let mut statement = tx.prepare_cached(
                "SELECT f.id, v.keep_s FROM function f
                 LEFT JOIN version v ON v.function_id = f.id AND v.qualifier = ?1",
            )?;
            let rows = statement.query_map([LATEST], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The ids among which all runs are that were created before that time.
    pub fn ids_before(&self, before_us: i64) -> Result<Option<Ids>> {
        self.read(|tx| minutes::ids(tx, Of::Invocation, None, Some(before_us)))
    }

    /// The first minute after that one (minutes since the epoch) in which runs were created, and the ids among which they
    /// are.
    pub fn minute_after(&self, minute: i64) -> Result<Option<(i64, Ids)>> {
        self.read(|tx| {
            let sql = "SELECT minute, first_id, coalesce(last_id, 9223372036854775807) FROM invocation_minute
                       WHERE minute > ?1 ORDER BY minute LIMIT 1";
            let row = |row: &Row<'_>| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)));
            Ok(tx.prepare_cached(sql)?.query_row([minute], row).optional()?)
        })
    }

    /// Deletes a few old runs with all that belongs to them, of the lowest of those ids.
    pub fn delete_runs(&self, old: Old, ids: Ids) -> Result<Step> {
        let (chosen, next) = self.read(|tx| choose(tx, &old, ids))?;
        if chosen.is_empty() {
            return Ok(Step { next, ..Step::default() });
        }
        let (runs, lines) = self.write(move |tx| delete(tx, &old, &chosen))?;
        self.count_deleted(runs, lines);
        Ok(Step { runs, lines, next })
    }

    /// Deletes a few lines read before that time whose run is not there: a crash can leave some. Looks at the lowest ids
    /// from `from` on.
    pub fn delete_stray_lines(&self, before_us: i64, from: i64) -> Result<Step> {
        let (strays, next) = self.read(|tx| stray_lines(tx, before_us, from))?;
        let lines = u64::try_from(strays.len()).unwrap_or(u64::MAX);
        if lines > 0 {
            self.write(move |tx| delete_lines(tx, &strays))?;
            self.count_deleted(0, lines);
        }
        Ok(Step { runs: 0, lines, next })
    }

    /// Deletes a few idempotency keys first used before that time; how many.
    pub fn delete_idempotency(&self, before_us: i64) -> Result<usize> {
        let there = self.read(|tx| {
            let sql = "SELECT EXISTS (SELECT 1 FROM idempotency WHERE created_us < ?1)";
            Ok(tx.prepare_cached(sql)?.query_row([before_us], |row| row.get::<_, bool>(0))?)
        })?;
        if !there {
            return Ok(0);
        }
        self.write(move |tx| {
            let sql = "DELETE FROM idempotency WHERE (function_id, key) IN
                       (SELECT function_id, key FROM idempotency WHERE created_us < ?1 ORDER BY created_us LIMIT ?2)";
            Ok(tx.prepare_cached(sql)?.execute([before_us, i64::try_from(ROWS).unwrap_or(i64::MAX)])?)
        })
    }

    /// Forgets the minutes before that time of which nothing is left.
    pub fn delete_minutes(&self, before_us: i64) -> Result<()> {
        let until = before_us.div_euclid(MINUTE_US);
        for of in [Of::Log, Of::Invocation] {
            let mut after = Some(i64::MIN);
            while let Some(minute) = after {
                after = minutes::sweep(self, of, minute, until, MINUTES)?;
            }
        }
        Ok(())
    }

    /// What the file's pages are used for, as last committed.
    pub fn space(&self) -> Result<Space> {
        self.read(|tx| {
            let pragma = |name| tx.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            let (pages, free, bytes) =
                (pragma("page_count")?, pragma("freelist_count")?, pragma("page_size")?);
            let size = |pages: i64| u64::try_from(pages.saturating_mul(bytes)).unwrap_or(0);
            Ok(Space { used_bytes: size(pages - free), free_bytes: size(free) })
        })
    }

    /// Gives up to that many free pages back to the disk, once a checkpoint follows.
    pub fn give_back(&self, pages: u32) -> Result<()> {
        self.write(move |tx| {
            let mut statement = tx.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
            // Each step frees one page.
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        })
    }

    /// Whether writes are waiting just now.
    pub fn is_busy(&self) -> bool {
        self.0.queue.len() > 0
    }

    fn count_deleted(&self, runs: u64, lines: u64) {
        self.0.deleted.runs.fetch_add(runs, Ordering::Relaxed);
        self.0.deleted.lines.fetch_add(lines, Ordering::Relaxed);
    }
}

/// Whether the run `i` goes. `0` is no id.
const GOES: &str = "i.state IN (1, 2, 5, 6) AND i.created_us < :before
    AND i.id <> coalesce((SELECT max(id) FROM invocation), 0)
    AND i.id <> coalesce((SELECT invocation_id FROM log ORDER BY id DESC LIMIT 1), 0)
    AND NOT EXISTS (SELECT 1 FROM queued q WHERE q.invocation_id = i.id)
    AND NOT EXISTS (SELECT 1 FROM dead_letter d WHERE d.invocation_id = i.id AND d.died_us >= :dead)";

/// What goes of the lowest ids, and where to go on.
pub(super) fn choose(tx: &Tx<'_>, old: &Old, ids: Ids) -> Result<(Vec<Chosen>, Option<i64>)> {
    let (mut chosen, mut rows_left, mut bytes_left) = (Vec::new(), ROWS, BYTES);
    let seen = look(tx, old, ids)?;
    let all_seen = seen.len() < ROWS;
    let mut last = ids.0;
    for (id, goes, bytes) in seen {
        last = id;
        if !goes {
            continue;
        }
        let lines = lines_of(tx, id, rows_left)?;
        let whole = lines.len() < rows_left;
        rows_left -= lines.len();
        chosen.push(Chosen { id, lines, whole });
        if !whole {
            return Ok((chosen, Some(id)));
        }
        (rows_left, bytes_left) = (rows_left - 1, bytes_left - bytes);
        if rows_left == 0 || bytes_left <= 0 {
            return Ok((chosen, after(id, ids)));
        }
    }
    Ok((chosen, if all_seen { None } else { after(last, ids) }))
}

fn after(id: i64, ids: Ids) -> Option<i64> {
    id.checked_add(1).filter(|next| *next <= ids.1)
}

/// Ids, whether they go, and the bytes of their event and result.
fn look(tx: &Tx<'_>, old: &Old, ids: Ids) -> Result<Vec<(i64, bool, i64)>> {
    // Without a function the unary plus leaves the ids as the only way to the rows.
    let of = if old.function_id.is_some() { "i.function_id = :of" } else { "+i.function_id <> :of" };
    let sql = format!(
        "SELECT i.id, {GOES}, length(i.event) + length(i.result) FROM invocation i
         WHERE {of} AND i.id BETWEEN :first AND :last ORDER BY i.id LIMIT :most"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let most = i64::try_from(ROWS).unwrap_or(i64::MAX);
    let parameters = named_params! {
        ":before": old.before_us, ":dead": old.dead_before_us, ":of": old.function_id.unwrap_or(0),
        ":first": ids.0, ":last": ids.1, ":most": most,
    };
    let rows = statement.query_map(parameters, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn lines_of(tx: &Tx<'_>, run_id: i64, most: usize) -> Result<Vec<i64>> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut statement =
        tx.prepare_cached("SELECT id FROM log WHERE invocation_id = ?1 ORDER BY id LIMIT ?2")?;
    let rows = statement.query_map([run_id, most], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Deletes what still goes; how many runs and lines.
pub(super) fn delete(tx: &Tx<'_>, old: &Old, chosen: &[Chosen]) -> Result<(u64, u64)> {
    let (mut runs, mut lines) = (0, 0);
    for run in chosen.iter().map(|run| (run, goes(tx, old, run.id))) {
        let (Chosen { id, lines: of_run, whole }, goes) = run;
        if !goes? {
            continue;
        }
        delete_lines(tx, of_run)?;
        lines += u64::try_from(of_run.len()).unwrap_or(u64::MAX);
        if *whole {
            for sql in [
                "DELETE FROM attempt WHERE invocation_id = ?1",
                "DELETE FROM dead_letter WHERE invocation_id = ?1",
                "DELETE FROM invocation WHERE id = ?1",
            ] {
                tx.prepare_cached(sql)?.execute([id])?;
            }
            runs += 1;
        }
    }
    Ok((runs, lines))
}

fn goes(tx: &Tx<'_>, old: &Old, id: i64) -> Result<bool> {
    let sql = format!("SELECT EXISTS (SELECT 1 FROM invocation i WHERE i.id = :id AND {GOES})");
    let parameters = named_params! { ":before": old.before_us, ":dead": old.dead_before_us, ":id": id };
    Ok(tx.prepare_cached(&sql)?.query_row(parameters, |row| row.get(0))?)
}

fn delete_lines(tx: &Tx<'_>, ids: &[i64]) -> Result<()> {
    let mut statement = tx.prepare_cached("DELETE FROM log WHERE id = ?1")?;
    ids.iter().try_for_each(|id| Ok(statement.execute([id]).map(drop)?))
}

fn stray_lines(tx: &Tx<'_>, before_us: i64, from: i64) -> Result<(Vec<i64>, Option<i64>)> {
    let Some((_, last)) = minutes::ids(tx, Of::Log, None, Some(before_us))? else {
        return Ok((Vec::new(), None));
    };
    let mut statement = tx.prepare_cached(
        "SELECT l.id, l.ts_us < ?3 AND l.id < (SELECT max(id) FROM log)
                AND NOT EXISTS (SELECT 1 FROM invocation i WHERE i.id = l.invocation_id)
         FROM log l WHERE l.id BETWEEN ?1 AND ?2 ORDER BY l.id LIMIT ?4",
    )?;
    let most = i64::try_from(ROWS).unwrap_or(i64::MAX);
    let rows = statement.query_map([from, last, before_us, most], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let seen: Vec<(i64, bool)> = rows.collect::<rusqlite::Result<_>>()?;
    let next =
        (seen.len() == ROWS).then(|| seen.last().and_then(|(id, _)| after(*id, (from, last)))).flatten();
    Ok((seen.into_iter().filter(|(_, goes)| *goes).map(|(id, _)| id).collect(), next))
}
