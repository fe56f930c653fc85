//! Log lines: appended by the recorder, read by run, function and time.

use rusqlite::{Row, params};

use crate::error::Result;
use crate::model::log::{Level, LogLine, Stream};
use crate::model::query::{LogQuery, Order, Page, StoredLine};
use crate::store::minutes::{self, Minutes};
use crate::store::recorder;
use crate::store::records::request_id;
use crate::store::select::Select;
use crate::store::{Store, Tx};

/// Whose lines they are.
#[derive(Clone, Copy, Debug)]
pub struct Of {
    /// The run's row id.
    pub run_id: i64,
    /// The function's row id.
    pub function_id: i64,
    /// Which attempt of the run printed them.
    pub retry_num: u32,
}

impl Store {
    /// Queues lines of a run that lasts; they are committed with the next batch. Not waited for. Fails with `Busy`, and
    /// counts the lines as dropped, when the queue stays full.
    pub fn append_lines(&self, of: Of, lines: Vec<LogLine>) -> Result<()> {
        let count = lines.len();
        self.order(recorder::Order::Lines { of, lines }).inspect_err(|_| self.dropped(count))
    }

    /// Lines in the order they were stored, or the reverse.
    pub fn logs(&self, query: &LogQuery) -> Result<Page<StoredLine, i64>> {
        self.read(|tx| {
            let Some((first, last)) = minutes::ids(tx, minutes::Of::Log, query.since_us, query.until_us)?
            else {
                return Ok(Page::empty());
            };
            let (first, last) = match (query.after, query.order) {
                (None, _) => (first, last),
                (Some(after), Order::Ascending) => (first.max(after.saturating_add(1)), last),
                (Some(after), Order::Descending) => (first, last.min(after.saturating_sub(1))),
            };
            let rows = select(query, first, last).rows(tx, row)?;
            Ok(Page::cut(rows, query.limit, |line| line.id))
        })
    }
}

/// CROSS JOIN: the line first, then its names. The unary plus keeps the function's index out of the way when the run is
/// known, which is far narrower.
fn select(query: &LogQuery, first: i64, last: i64) -> Select {
    let mut select = Select::between(
        "SELECT l.id, l.invocation_id, i.request_id, f.namespace, f.name, l.ts_us, l.stream, l.level, l.message,
             l.retry_num
         FROM log l CROSS JOIN function f ON f.id = l.function_id LEFT JOIN invocation i ON i.id = l.invocation_id
         WHERE l.id BETWEEN ? AND ?",
        first,
        last,
    );
    match (query.run_id, query.function_id, &query.namespace) {
        (Some(run_id), function_id, _) => {
            select.bind(" AND l.invocation_id = ?", run_id);
            select.bind_some(" AND +l.function_id = ?", function_id);
        }
        (None, Some(function_id), _) => select.bind(" AND l.function_id = ?", function_id),
        (None, None, namespace) => select.bind_some(" AND f.namespace = ?", namespace.clone()),
    }
    select.bind_some(" AND l.ts_us >= ?", query.since_us);
    select.bind_some(" AND l.ts_us <= ?", query.until_us);
    select.push(match query.order {
        Order::Ascending => " ORDER BY l.id",
        Order::Descending => " ORDER BY l.id DESC",
    });
    select.bind(" LIMIT ?", i64::from(query.limit.get()) + 1);
    select
}

/// Writes lines of one run, in order.
pub(super) fn append(tx: &Tx<'_>, minutes: &mut Minutes, of: Of, lines: &[LogLine]) -> Result<()> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO log (ts_us, invocation_id, function_id, level, stream, message, retry_num)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for line in lines {
        let (level, stream) = (level_number(line.level), stream_number(line.stream));
        statement.execute(params![
            line.ts_us,
            of.run_id,
            of.function_id,
            level,
            stream,
            line.message,
            of.retry_num
        ])?;
        minutes.note(tx, line.ts_us, tx.last_insert_rowid())?;
    }
    Ok(())
}

/// The line of a row whose first columns are those of `select`.
pub(super) fn row(row: &Row<'_>) -> rusqlite::Result<StoredLine> {
    let id = row.get_ref(2)?.as_str_or_null()?.map(|text| request_id(text, 2)).transpose()?;
    Ok(StoredLine {
        id: row.get(0)?,
        run_id: row.get(1)?,
        request_id: id,
        namespace: row.get(3)?,
        function: row.get(4)?,
        retry_num: row.get(9)?,
        line: LogLine {
            ts_us: row.get(5)?,
            stream: stream_of(row.get(6)?)?,
            level: level_of(row.get(7)?)?,
            message: row.get(8)?,
        },
    })
}

fn stream_number(stream: Stream) -> i64 {
    match stream {
        Stream::Platform => 0,
        Stream::Stdout => 1,
        Stream::Stderr => 2,
    }
}

fn stream_of(number: i64) -> rusqlite::Result<Stream> {
    match number {
        0 => Ok(Stream::Platform),
        1 => Ok(Stream::Stdout),
        2 => Ok(Stream::Stderr),
        _ => Err(rusqlite::Error::IntegralValueOutOfRange(6, number)),
    }
}

fn level_number(level: Level) -> i64 {
    match level {
        Level::Info => 0,
        Level::Error => 1,
    }
}

fn level_of(number: i64) -> rusqlite::Result<Level> {
    match number {
        0 => Ok(Level::Info),
        1 => Ok(Level::Error),
        _ => Err(rusqlite::Error::IntegralValueOutOfRange(7, number)),
    }
}
