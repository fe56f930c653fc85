//! Dead letters: listed, shown, dropped. Those of the queue come with the record of the last attempt (`events.rs`);
//! those of runs that somebody else tried again and gave up are made here. A replay takes their place in the queue in one
//! transaction.

use rusqlite::{OptionalExtension, Row, params};

use crate::base::id::RequestId;
use crate::error::{Error, Result};
use crate::model::event::{DeadLetter, Death, Reason};
use crate::model::invocation::Record;
use crate::model::query::{DeadLetterQuery, Page};
use crate::store::minutes::{self, Of};
use crate::store::records::{self, BLOBS, COLUMNS, TABLES};
use crate::store::select::Select;
use crate::store::{Store, Tx};

impl Store {
    /// Dead letters, the newest event first, without event and result.
    pub fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Page<DeadLetter, i64>> {
        self.read(|tx| {
            let Some((first, last)) = minutes::ids(tx, Of::Invocation, query.since_us, query.until_us)?
            else {
                return Ok(Page::empty());
            };
            let last = query.before.map_or(last, |before| last.min(before.saturating_sub(1)));
            let rows = select(query, first, last).rows(tx, |row| letter(row, records::row(row)?, 21))?;
            Ok(Page::cut(rows, query.limit, |letter| letter.record.id))
        })
    }

    /// The dead letter of that request id, with event and result.
    pub fn dead_letter(&self, request_id: &RequestId) -> Result<Option<DeadLetter>> {
        self.read(|tx| {
            let sql = format!(
                "SELECT {COLUMNS}, {BLOBS}, d.died_us, d.reason FROM {TABLES}
                 JOIN dead_letter d ON d.invocation_id = i.id WHERE i.request_id = ?1"
            );
            let row = |row: &Row<'_>| letter(row, records::whole_row(row)?, 23);
            Ok(tx.prepare_cached(&sql)?.query_row([request_id.as_str()], row).optional()?)
        })
    }

    /// Makes a dead letter of a run that has ended and that nobody tries again. When it returns, that survives a power cut; a
    /// second time does nothing.
    pub fn bury(&self, id: i64, reason: Reason) -> Result<()> {
        self.write_durably(move |tx| {
            let sql = "UPDATE invocation SET state = 6 WHERE id = ?1 AND state IN (2, 6)";
            if tx.prepare_cached(sql)?.execute([id])? == 0 {
                return Err(Error::not_found("the run that was given up is not there"));
            }
            let sql = "INSERT OR IGNORE INTO dead_letter (invocation_id, function_id, died_us, reason)
                       SELECT id, function_id, ?2, ?3 FROM invocation WHERE id = ?1";
            tx.prepare_cached(sql)?.execute(params![id, tx.now_us, reason.as_str()])?;
            Ok(())
        })
    }

    /// When and why that invocation's event was given up, if its dead letter is still there.
    pub fn death(&self, id: i64) -> Result<Option<Death>> {
        self.read(|tx| {
            let sql = "SELECT died_us, reason FROM dead_letter WHERE invocation_id = ?1";
            let row = |row: &Row<'_>| Ok(Death { died_us: row.get(0)?, reason: row.get(1)? });
            Ok(tx.prepare_cached(sql)?.query_row([id], row).optional()?)
        })
    }

    /// Lets a dead letter go; its record stays. Fails with `NotFound`.
    pub fn drop_dead_letter(&self, request_id: &RequestId) -> Result<()> {
        let id = request_id.clone();
        self.write_durably(move |tx| {
            let sql = "DELETE FROM dead_letter WHERE invocation_id = (SELECT id FROM invocation WHERE request_id = ?1)";
            match tx.prepare_cached(sql)?.execute([id.as_str()])? {
                0 => Err(Error::not_found(format!("there is no dead letter {id}"))),
                _ => Ok(()),
            }
        })
    }

    /// How many there are.
    pub fn dead_letters_count(&self) -> Result<u64> {
        self.read(count)
    }
}

fn count(tx: &Tx<'_>) -> Result<u64> {
    let count: i64 = tx.query_row("SELECT count(*) FROM dead_letter", [], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn select(query: &DeadLetterQuery, first: i64, last: i64) -> Select {
    let sql = format!(
        "SELECT {COLUMNS}, d.died_us, d.reason FROM dead_letter d CROSS JOIN {TABLES}
         WHERE i.id = d.invocation_id AND d.invocation_id BETWEEN ? AND ?"
    );
    let mut select = Select::between(&sql, first, last);
    match (query.function_id, &query.namespace) {
        (Some(function_id), _) => select.bind(" AND d.function_id = ?", function_id),
        (None, namespace) => select.bind_some(" AND f.namespace = ?", namespace.clone()),
    }
    select.bind_some(" AND i.created_us >= ?", query.since_us);
    select.bind_some(" AND i.created_us <= ?", query.until_us);
    select.bind(" ORDER BY d.invocation_id DESC LIMIT ?", i64::from(query.limit.get()) + 1);
    select
}

fn letter(row: &Row<'_>, record: Record, at: usize) -> rusqlite::Result<DeadLetter> {
    Ok(DeadLetter { record, died_us: row.get(at)?, reason: row.get(at + 1)? })
}
