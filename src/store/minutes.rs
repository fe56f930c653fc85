//! Time ranges as id ranges, without an index on time.
//!
//! For each minute the smallest and largest row id of that minute are kept, whatever order rows come in and however the
//! clock jumps, so a range of ids found here holds every row of the time asked for; the query still compares the exact
//! time. The minute being written lives in memory: a row costs a comparison, a minute two statements. In the file its
//! `last_id` is NULL, which means "no bound"; [`settle`] closes what a crash left open.

use rusqlite::{OptionalExtension, params};

use crate::error::Result;
use crate::store::{Store, Tx};

pub(super) const MINUTE_US: i64 = 60_000_000;

/// Which table's rows are followed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    Log,
    Invocation,
}

/// What is known of one table; a copy taken before a savepoint undoes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Minutes {
    of: Of,
    open: Option<Minute>,
    /// The largest id noted.
    newest_id: i64,
}

#[derive(Clone, Copy, Debug)]
struct Minute {
    minute: i64,
    first_id: i64,
    last_id: i64,
}

impl Minutes {
    pub(super) fn new(of: Of) -> Minutes {
        Minutes { of, open: None, newest_id: 0 }
    }

    /// The largest id noted since the start; 0 before the first.
    pub(super) fn newest_id(&self) -> i64 {
        self.newest_id
    }

    /// Notes that row `id` has the time `ts_us`.
    pub(super) fn note(&mut self, tx: &Tx<'_>, ts_us: i64, id: i64) -> Result<()> {
        self.newest_id = self.newest_id.max(id);
        let minute = ts_us.div_euclid(MINUTE_US);
        match &mut self.open {
            Some(open) if open.minute == minute && id >= open.first_id => {
                open.last_id = open.last_id.max(id);
                Ok(())
            }
            _ => self.turn(tx, minute, id),
        }
    }

    fn turn(&mut self, tx: &Tx<'_>, minute: i64, id: i64) -> Result<()> {
        if let Some(open) = self.open.take() {
            write(tx, self.of, open.minute, open.first_id, Some(open.last_id))?;
        }
        let (first, last) = known(tx, self.of, minute)?.unwrap_or((id, id));
        let open = Minute { minute, first_id: first.min(id), last_id: last.max(id) };
        write(tx, self.of, minute, open.first_id, None)?;
        self.open = Some(open);
        Ok(())
    }
}

/// The ids that can hold rows between two times, both included; `None` if there are no such rows.
pub(super) fn ids(
    tx: &Tx<'_>,
    of: Of,
    since_us: Option<i64>,
    until_us: Option<i64>,
) -> Result<Option<(i64, i64)>> {
    if since_us.is_none() && until_us.is_none() {
        return Ok(Some((i64::MIN, i64::MAX)));
    }
    let sql = match of {
        Of::Log => {
            "SELECT min(first_id), max(coalesce(last_id, 9223372036854775807))
             FROM log_minute WHERE minute BETWEEN ?1 AND ?2"
        }
        Of::Invocation => {
            "SELECT min(first_id), max(coalesce(last_id, 9223372036854775807))
             FROM invocation_minute WHERE minute BETWEEN ?1 AND ?2"
        }
    };
    let since = since_us.map_or(i64::MIN, |us| us.div_euclid(MINUTE_US));
    let until = until_us.map_or(i64::MAX, |us| us.div_euclid(MINUTE_US));
    let found: (Option<i64>, Option<i64>) =
        tx.prepare_cached(sql)?.query_row([since, until], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.0.zip(found.1))
}

/// Removes minutes up to and including `until` of which no row is left, of at most `most` minutes after `after`; the
/// last minute looked at, if there may be more. An open minute stays: the recorder counts on its row.
pub(super) fn sweep(store: &Store, of: Of, after: i64, until: i64, most: usize) -> Result<Option<i64>> {
    let table = match of {
        Of::Log => "log",
        Of::Invocation => "invocation",
    };
    let is_empty = format!(
        "m.last_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {table} r WHERE r.id BETWEEN m.first_id AND m.last_id)"
    );
    let sql = format!(
        "SELECT m.minute, {is_empty} FROM {table}_minute m WHERE m.minute > ?1 AND m.minute <= ?2
         ORDER BY m.minute LIMIT ?3"
    );
    let most_rows = i64::try_from(most).unwrap_or(i64::MAX);
    let seen: Vec<(i64, bool)> = store.read(|tx| {
        let mut statement = tx.prepare_cached(&sql)?;
        let rows = statement.query_map([after, until, most_rows], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    })?;
    let more = (seen.len() == most).then(|| seen.last().map(|(minute, _)| *minute)).flatten();
    let empty: Vec<i64> = seen.into_iter().filter(|(_, empty)| *empty).map(|(minute, _)| minute).collect();
    if !empty.is_empty() {
        store.write(move |tx| {
            let sql = format!("DELETE FROM {table}_minute AS m WHERE m.minute = ?1 AND {is_empty}");
            let mut statement = tx.prepare_cached(&sql)?;
            empty.iter().try_for_each(|minute| Ok(statement.execute([minute]).map(drop)?))
        })?;
    }
    Ok(more)
}

/// Closes the minutes that a crash left open, with the largest id there is.
pub(super) fn settle(tx: &Tx<'_>) -> Result<()> {
    tx.execute(
        "UPDATE log_minute SET last_id = max(first_id, (SELECT coalesce(max(id), 0) FROM log))
         WHERE last_id IS NULL",
        [],
    )?;
    tx.execute(
        "UPDATE invocation_minute SET last_id = max(first_id, (SELECT coalesce(max(id), 0) FROM invocation))
         WHERE last_id IS NULL",
        [],
    )?;
    Ok(())
}

fn known(tx: &Tx<'_>, of: Of, minute: i64) -> Result<Option<(i64, i64)>> {
    let sql = match of {
        Of::Log => "SELECT first_id, coalesce(last_id, first_id) FROM log_minute WHERE minute = ?1",
        Of::Invocation => {
            "SELECT first_id, coalesce(last_id, first_id) FROM invocation_minute WHERE minute = ?1"
        }
    };
    let found =
        tx.prepare_cached(sql)?.query_row([minute], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(found)
}

fn write(tx: &Tx<'_>, of: Of, minute: i64, first_id: i64, last_id: Option<i64>) -> Result<()> {
    let sql = match of {
        Of::Log => "INSERT OR REPLACE INTO log_minute (minute, first_id, last_id) VALUES (?1, ?2, ?3)",
        Of::Invocation => {
            "INSERT OR REPLACE INTO invocation_minute (minute, first_id, last_id) VALUES (?1, ?2, ?3)"
        }
    };
    tx.prepare_cached(sql)?.execute(params![minute, first_id, last_id])?;
    Ok(())
}
