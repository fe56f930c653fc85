//! Log lines: appended by the recorder, read by run, function and time.

use std::ops::ControlFlow;
use std::time::Duration;

use rusqlite::params;

use crate::error::{Error, Kind, Result};
use crate::model::log::{Level, LogLine, Stream};
use crate::model::query::{LogQuery, Page, StoredLine};
use crate::store::minutes::Minutes;
use crate::store::recorder;
use crate::store::search::{Over, Search};
use crate::store::{Store, Tx};

/// Longest look for lines by run, function and time alone.
const LOOK: Duration = Duration::from_secs(5);

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
        let limit = usize::try_from(query.limit.get()).unwrap_or(usize::MAX);
        let mut rows = Vec::new();
        let search = Search { of: query, query: None, deadline: self.now() + LOOK, looks_at_much: false };
        let over = self.search(&search, |found| {
            rows.push(found.stored()?);
            Ok(if rows.len() > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        match over {
            Over::Late(_) => Err(Error::new(Kind::Busy, "the log could not be read in time; try again")),
            Over::End | Over::Stopped => Ok(Page::cut(rows, query.limit, |line| line.id)),
        }
    }
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

fn stream_number(stream: Stream) -> i64 {
    match stream {
        Stream::Platform => 0,
        Stream::Stdout => 1,
        Stream::Stderr => 2,
    }
}

pub(super) fn stream_of(number: i64) -> rusqlite::Result<Stream> {
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

pub(super) fn level_of(number: i64) -> rusqlite::Result<Level> {
    match number {
        0 => Ok(Level::Info),
        1 => Ok(Level::Error),
        _ => Err(rusqlite::Error::IntegralValueOutOfRange(7, number)),
    }
}
