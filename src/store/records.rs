//! Records: one row a run.

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, params};

use crate::base::id::RequestId;
use crate::error::Result;
use crate::model::finished::FinishedRun;
use crate::model::invocation::{Record, State};
use crate::model::query::{InvocationQuery, Page, StatusFilter};
use crate::store::minutes::{self, Of};
use crate::store::recorder::Order;
use crate::store::select::Select;
use crate::store::{Store, Tx, events};

impl Store {
    /// The id of the next run, from memory: unique, rising, and above every id in the file.
    pub fn next_run_id(&self) -> i64 {
        self.take_run_id()
    }

    /// Writes a finished run's record and remaining lines, and gives the record back once they are committed. The row
    /// of a run that [`begin`](Store::begin) announced is completed.
    pub fn record(&self, run: FinishedRun) -> Result<Record> {
        self.order_and_wait(|reply| Order::Run(Box::new(run), reply))
    }

    /// Announces a run that lasts, in state running, so that its flushed lines are found by request id and a crash of
    /// the server leaves a record. Not waited for; once is enough, before its first
    /// [`append_lines`](Store::append_lines).
    pub fn begin(&self, record: Record) -> Result<()> {
        self.order(Order::Begin(Box::new(record)))
    }

    /// The run of that request id, with event and result.
    pub fn invocation(&self, request_id: &RequestId) -> Result<Option<Record>> {
        self.read(|tx| {
            let sql = format!("SELECT {COLUMNS}, {BLOBS} FROM {TABLES} WHERE i.request_id IN (?1, ?2)");
            let found = tx.prepare_cached(&sql)?.query_row(both_forms(request_id), whole_row).optional()?;
            Ok(found)
        })
    }

    /// The id of the run of that request id.
    pub fn run_id(&self, request_id: &RequestId) -> Result<Option<i64>> {
        self.read(|tx| {
            let sql = "SELECT id FROM invocation WHERE request_id IN (?1, ?2)";
            let found =
                tx.prepare_cached(sql)?.query_row(both_forms(request_id), |row| row.get(0)).optional()?;
            Ok(found)
        })
    }

    /// Records, newest first, without event and result (they can be 12 MB a row).
    pub fn invocations(&self, query: &InvocationQuery) -> Result<Page<Record, i64>> {
        self.read(|tx| {
            let Some((first, last)) = minutes::ids(tx, Of::Invocation, query.since_us, query.until_us)?
            else {
                return Ok(Page::empty());
            };
            let last = query.before.map_or(last, |before| last.min(before.saturating_sub(1)));
            let rows = select(query, first, last).rows(tx, row)?;
            Ok(Page::cut(rows, query.limit, |record| record.id))
        })
    }
}

/// An id as it was asked for, and with or without its dashes: people paste either.
fn both_forms(request_id: &RequestId) -> [String; 2] {
    [request_id.as_str().to_owned(), request_id.other_form().as_str().to_owned()]
}

/// The run of that id, with event and result.
pub(super) fn by_id(tx: &Tx<'_>, id: i64) -> Result<Option<Record>> {
    let sql = format!("SELECT {COLUMNS}, {BLOBS} FROM {TABLES} WHERE i.id = ?1");
    Ok(tx.prepare_cached(&sql)?.query_row([id], whole_row).optional()?)
}

/// The columns of a record, event and result apart, which [`row`] reads.
pub(super) const COLUMNS: &str = "i.id, i.request_id, i.function_id, f.namespace, f.name, i.qualifier, i.source, i.state,
    i.status, i.created_us, i.started_us, i.ended_us, i.duration_us, i.init_us, i.memory_mb, i.memory_used_kb, i.error,
    i.retry_num, q.due_us, i.alias, i.is_event";

/// Event and result, which [`whole_row`] reads behind those.
pub(super) const BLOBS: &str = "i.event, i.result";

/// CROSS JOIN: the run first, then its names; never all runs of a name, sorted.
pub(super) const TABLES: &str = "invocation i CROSS JOIN function f ON f.id = i.function_id
    LEFT JOIN queued q ON q.invocation_id = i.id";

/// The states are literals, so that the partial indexes over running and failed rows can be used.
fn select(query: &InvocationQuery, first: i64, last: i64) -> Select {
    let sql = format!("SELECT {COLUMNS} FROM {TABLES} WHERE i.id BETWEEN ? AND ?");
    let mut select = Select::between(&sql, first, last);
    match (query.function_id, &query.namespace) {
        (Some(function_id), _) => select.bind(" AND i.function_id = ?", function_id),
        (None, namespace) => select.bind_some(" AND f.namespace = ?", namespace.clone()),
    }
    match query.status {
        None => {}
        Some(StatusFilter::State(State::Running)) => select.push(" AND i.state = 0"),
        Some(StatusFilter::State(State::Succeeded)) => select.push(" AND i.state = 1"),
        Some(StatusFilter::State(State::Aborted)) => select.push(" AND i.state = 7"),
        Some(StatusFilter::State(state @ (State::Queued | State::Retrying))) => {
            select.push(" AND i.id IN (SELECT invocation_id FROM queued)");
            select.bind(" AND i.state = ?", state_number(state));
        }
        Some(StatusFilter::State(state)) => {
            select.push(" AND i.state IN (2, 5, 6)");
            select.bind(" AND +i.state = ?", state_number(state));
        }
        Some(StatusFilter::Unsuccessful) => select.push(" AND i.state IN (2, 5, 6)"),
        Some(StatusFilter::Code(202)) => select.push(" AND i.state = 0"),
        Some(StatusFilter::Code(200)) => select.push(" AND i.state = 1"),
        Some(StatusFilter::Code(499)) => select.push(" AND i.state = 7"),
        Some(StatusFilter::Code(code)) => {
            select.bind(" AND i.state IN (2, 5, 6) AND i.status = ?", i64::from(code));
        }
    }
    select.bind_some(" AND i.source = ?", query.source.map(|source| source.as_str().to_owned()));
    select.bind_some(" AND i.created_us >= ?", query.since_us);
    select.bind_some(" AND i.created_us <= ?", query.until_us);
    select.bind(" ORDER BY i.id DESC LIMIT ?", i64::from(query.limit.get()) + 1);
    select
}

/// Writes the row of a run that ended.
pub(super) fn finish(tx: &Tx<'_>, record: &Record) -> Result<()> {
    insert(
        tx,
        "INSERT INTO invocation (id, request_id, function_id, qualifier, source, state, status, created_us, started_us,
             ended_us, duration_us, init_us, memory_mb, memory_used_kb, error, event, result, retry_num, alias, is_event)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, status = excluded.status,
             started_us = excluded.started_us, ended_us = excluded.ended_us, duration_us = excluded.duration_us,
             init_us = excluded.init_us, memory_used_kb = excluded.memory_used_kb, error = excluded.error,
             result = excluded.result, retry_num = excluded.retry_num, memory_mb = excluded.memory_mb,
             qualifier = excluded.qualifier",
        record,
    )
}

/// Writes the row of a run that lasts, unless it is there.
pub(super) fn begin(tx: &Tx<'_>, record: &Record) -> Result<()> {
    insert(
        tx,
        "INSERT INTO invocation (id, request_id, function_id, qualifier, source, state, status, created_us, started_us,
             ended_us, duration_us, init_us, memory_mb, memory_used_kb, error, event, result, retry_num, alias, is_event)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
         ON CONFLICT (id) DO NOTHING",
        record,
    )
}

fn insert(tx: &Tx<'_>, sql: &str, record: &Record) -> Result<()> {
    tx.prepare_cached(sql)?.execute(params![
        record.id,
        record.request_id.as_str(),
        record.function_id,
        record.qualifier,
        record.source,
        state_number(record.state),
        record.status,
        record.created_us,
        record.started_us,
        record.ended_us,
        record.duration_us,
        record.init_us,
        record.memory_mb,
        i64::try_from(record.memory_used_kb).unwrap_or(i64::MAX),
        record.error,
        record.event,
        record.result,
        record.retry_num,
        record.alias,
        record.is_event,
    ])?;
    Ok(())
}

/// Marks runs that a crash of the server cut off as failed, with the contract's error body; their lines are there.
pub(super) fn settle(tx: &Tx<'_>) -> Result<usize> {
    let cut_off = tx.execute(
        "UPDATE invocation SET state = 2, status = 500, ended_us = ?1, error = ?2,
             result = CAST(json_object('errorCode', -1, 'errorMessage', ?2, 'requestId', request_id,
                                       'stackTrace', '', 'statusCode', 500) AS BLOB)
         WHERE state = 0",
        params![tx.now_us, events::CUT_OFF],
    )?;
    Ok(cut_off)
}

/// The largest run id in the file; lines may be there without their run's row.
pub(super) fn last_id(tx: &Tx<'_>) -> Result<i64> {
    let sql = "SELECT max(coalesce((SELECT max(id) FROM invocation), 0),
                          coalesce((SELECT max(invocation_id) FROM log), 0))";
    Ok(tx.query_row(sql, [], |row| row.get(0))?)
}

fn state_number(state: State) -> i64 {
    match state {
        State::Running => 0,
        State::Succeeded => 1,
        State::Failed => 2,
        State::Queued => 3,
        State::Retrying => 4,
        State::Expired => 5,
        State::Dead => 6,
        State::Aborted => 7,
    }
}

pub(super) fn state_of(number: i64) -> rusqlite::Result<State> {
    match number {
        0 => Ok(State::Running),
        1 => Ok(State::Succeeded),
        2 => Ok(State::Failed),
        3 => Ok(State::Queued),
        4 => Ok(State::Retrying),
        5 => Ok(State::Expired),
        6 => Ok(State::Dead),
        7 => Ok(State::Aborted),
        _ => Err(rusqlite::Error::IntegralValueOutOfRange(7, number)),
    }
}

pub(super) fn whole_row(from: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record { event: from.get(21)?, result: from.get(22)?, ..row(from)? })
}

pub(super) fn row(row: &Row<'_>) -> rusqlite::Result<Record> {
    let memory_used_kb: i64 = row.get(15)?;
    Ok(Record {
        id: row.get(0)?,
        request_id: request_id(row.get_ref(1)?.as_str()?, 1)?,
        function_id: row.get(2)?,
        namespace: row.get(3)?,
        function: row.get(4)?,
        qualifier: row.get(5)?,
        source: row.get(6)?,
        trigger_id: 0,
        state: state_of(row.get(7)?)?,
        status: row.get(8)?,
        created_us: row.get(9)?,
        started_us: row.get(10)?,
        ended_us: row.get(11)?,
        duration_us: row.get(12)?,
        init_us: row.get(13)?,
        memory_mb: row.get(14)?,
        memory_used_kb: u64::try_from(memory_used_kb).unwrap_or(0),
        error: row.get(16)?,
        retry_num: row.get(17)?,
        due_us: row.get::<_, Option<i64>>(18)?.unwrap_or(0),
        alias: row.get(19)?,
        is_event: row.get(20)?,
        event: Vec::new(),
        result: Vec::new(),
    })
}

/// A stored request id, of column `column`.
pub(super) fn request_id(text: &str, column: usize) -> rusqlite::Result<RequestId> {
    RequestId::parse(text)
        .ok_or_else(|| rusqlite::Error::InvalidColumnType(column, "request_id".to_owned(), Type::Text))
}
