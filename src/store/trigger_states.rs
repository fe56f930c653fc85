//! What has come of each trigger.

use rusqlite::params;

use crate::error::Result;
use crate::model::invocation::Record;
use crate::model::trigger::State;
use crate::store::{Store, Tx};

impl Store {
    /// Adds to what has come of triggers, by their row ids; of those that are gone nothing is kept.
    pub fn count_triggers(&self, counts: Vec<(i64, State)>) -> Result<()> {
        self.write(move |tx| {
            let sql = "INSERT INTO trigger_state (trigger_id, fired, failed, skipped, fired_us, error, error_us)
                       SELECT id, ?2, ?3, ?4, ?5, ?6, ?7 FROM trigger_row WHERE id = ?1
                       ON CONFLICT DO UPDATE SET fired = fired + ?2, failed = failed + ?3, skipped = skipped + ?4,
                           fired_us = max(fired_us, ?5), error = iif(?6 = '', error, ?6),
                           error_us = iif(?6 = '', error_us, ?7)";
            let mut statement = tx.prepare_cached(sql)?;
            for (id, count) in &counts {
                let [fired, failed, skipped] =
                    [count.fired, count.failed, count.skipped].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
                let State { fired_us, error, error_us, .. } = count;
                statement.execute(params![id, fired, failed, skipped, fired_us, error, error_us])?;
            }
            Ok(())
        })
    }
}

/// Has the trigger of an event told that it was given up, before the event leaves the queue.
pub(super) fn blame(tx: &Tx<'_>, record: &Record) -> Result<()> {
    let sql = "INSERT INTO trigger_state (trigger_id, failed, error, error_us)
               SELECT t.id, 1, ?2, ?3 FROM queued q JOIN trigger_row t ON t.id = q.trigger_id WHERE q.invocation_id = ?1
               ON CONFLICT DO UPDATE SET failed = failed + 1, error = ?2, error_us = ?3";
    tx.prepare_cached(sql)?.execute(params![record.id, record.error, record.ended_us])?;
    Ok(())
}
