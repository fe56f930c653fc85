//! Timers that fire: the event and the moment it is of are kept in one commit, so that after a crash no moment is lost and none
//! fires twice.

use rusqlite::{OptionalExtension, params};

use crate::error::Result;
use crate::model::invocation::Record;
use crate::model::trigger::Kind;
use crate::store::events::Enqueue;
use crate::store::{Store, Tx};

/// A timer whose moment has come.
#[derive(Debug)]
pub struct Due {
    /// The trigger's row id.
    pub trigger_id: i64,
    /// The moment, microseconds since the epoch.
    pub moment_us: i64,
    /// The event's record, in state queued; none where there is nothing that it could run.
    pub record: Option<Record>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fired {
    /// Its event is in the queue.
    Queued,
    /// There was nothing that it could run.
    Nothing,
    /// The event of the moment before still waits for its first run, or for one that is not the function's fault: a second one
    /// would only wait behind it (triggers 4).
    Skipped,
    /// The trigger was deleted, switched off or set anew meanwhile, or that moment was seen to before.
    Gone,
}

impl Store {
    /// When the timer was last seen to, or set: moments after that are to come. Microseconds since the epoch, by row id.
    pub fn timer_moments(&self) -> Result<Vec<(i64, i64)>> {
        self.read(|tx| {
            let sql = "SELECT t.id, max(t.created_us, coalesce(s.moment_us, 0))
                       FROM trigger_row t LEFT JOIN trigger_state s ON s.trigger_id = t.id WHERE t.kind = ?1";
            let mut statement = tx.prepare_cached(sql)?;
            let rows = statement.query_map([Kind::Timer.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Keeps the events of timers, each with its moment; what became of each. When it returns, all survive a power cut.
    pub fn fire_timers(&self, due: Vec<Due>) -> Result<Vec<Fired>> {
        self.write_events(move |tx, enqueue| due.iter().map(|due| fire(tx, enqueue, due)).collect())
    }
}

fn fire(tx: &Tx<'_>, enqueue: &mut Enqueue<'_>, due: &Due) -> Result<Fired> {
    let Some(last_event) = is_to_come(tx, due)? else { return Ok(Fired::Gone) };
    let Some(record) = &due.record else {
        note(tx, due, None)?;
        return Ok(Fired::Nothing);
    };
    if let Some(last) = last_event
        && still_waits(tx, last)?
    {
        note(tx, due, Some(last))?;
        return Ok(Fired::Skipped);
    }
    enqueue.event(tx, record)?;
    note(tx, due, Some(record.id))?;
    Ok(Fired::Queued)
}

/// Whether nobody has seen to that moment yet; within it, the event of the one before.
fn is_to_come(tx: &Tx<'_>, due: &Due) -> Result<Option<Option<i64>>> {
    let sql = "SELECT s.invocation_id FROM trigger_row t LEFT JOIN trigger_state s ON s.trigger_id = t.id
               WHERE t.id = ?1 AND t.enabled AND max(t.created_us, coalesce(s.moment_us, 0)) < ?2";
    let mut statement = tx.prepare_cached(sql)?;
    Ok(statement.query_row(params![due.trigger_id, due.moment_us], |row| row.get(0)).optional()?)
}

/// One that the function has failed waits for its retry, which is no reason to leave a moment out.
fn still_waits(tx: &Tx<'_>, invocation_id: i64) -> Result<bool> {
    let sql = "SELECT 1 FROM queued WHERE invocation_id = ?1 AND claimed_us IS NULL AND failures = 0";
    Ok(tx.prepare_cached(sql)?.exists([invocation_id])?)
}

fn note(tx: &Tx<'_>, due: &Due, invocation_id: Option<i64>) -> Result<()> {
    let sql = "INSERT INTO trigger_state (trigger_id, moment_us, invocation_id) VALUES (?1, ?2, ?3)
               ON CONFLICT DO UPDATE SET moment_us = ?2, invocation_id = ?3";
    tx.prepare_cached(sql)?.execute(params![due.trigger_id, due.moment_us, invocation_id])?;
    Ok(())
}

/// Notes that a timer was set anew or switched on now: what lies before that does not fire any more.
pub(super) fn set_anew(tx: &Tx<'_>, trigger_id: i64) -> Result<()> {
    let sql = "INSERT INTO trigger_state (trigger_id, moment_us) VALUES (?1, ?2)
               ON CONFLICT DO UPDATE SET moment_us = ?2";
    tx.prepare_cached(sql)?.execute(params![trigger_id, tx.now_us])?;
    Ok(())
}
