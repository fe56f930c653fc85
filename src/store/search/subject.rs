//! A line while it is looked at: its row, and what of its run and its function is asked for.
//!
//! Lines of one run mostly lie together, so the run seen last is remembered, and read only when a query asks for it.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use rusqlite::{OptionalExtension, Row, params};

use crate::base::id::RequestId;
use crate::error::{Error, Result};
use crate::model::log::{Level, LogLine, Stream};
use crate::model::query::StoredLine;
use crate::search::Subject;
use crate::search::field::{Field, Value};
use crate::store::Tx;
use crate::store::logs::{level_of, stream_of};
use crate::store::records::request_id;

/// Of a line whose attempt goes on (contract 5.2).
const STATUS_RUNNING: u16 = 202;

/// What lines have in common, read once.
pub(in crate::store) struct Facts<'t, 'c> {
    tx: &'t Tx<'c>,
    /// Only functions of that namespace are meant; of every one where there is none.
    namespace: Option<String>,
    functions: RefCell<HashMap<i64, Rc<Named>>>,
    /// The last run asked about.
    run: RefCell<Option<Rc<Run>>>,
    /// Why something could not be read: a subject cannot say so.
    failure: RefCell<Option<Error>>,
}

/// A function's names; empty where there is none, which cannot be.
#[derive(Debug, Default)]
struct Named {
    namespace: String,
    name: String,
    is_meant: bool,
}

/// An attempt of a run.
#[derive(Debug)]
struct Run {
    id: i64,
    retry_num: u32,
    /// None while the run goes on and has not been announced.
    row: Option<RunRow>,
}

#[derive(Debug)]
struct RunRow {
    request_id: RequestId,
    qualifier: String,
    alias: String,
    started_us: i64,
    duration_us: i64,
    memory_used_kb: i64,
    status: u16,
}

/// A line.
pub struct Found<'f> {
    /// Its id.
    pub id: i64,
    /// When it was read, microseconds since the epoch.
    pub ts_us: i64,
    /// Its function's id.
    pub function_id: i64,
    /// How grave it is.
    pub level: Level,
    stream: Stream,
    run_id: i64,
    retry_num: u32,
    message: &'f str,
    facts: &'f Facts<'f, 'f>,
    run: OnceCell<Rc<Run>>,
    named: OnceCell<Rc<Named>>,
}

impl fmt::Debug for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").field("id", &self.id).field("message", &self.message).finish_non_exhaustive()
    }
}

impl<'t, 'c> Facts<'t, 'c> {
    /// Of lines of that namespace; of all where there is none.
    pub(super) fn new(tx: &'t Tx<'c>, namespace: Option<&str>) -> Facts<'t, 'c> {
        Facts {
            tx,
            namespace: namespace.map(str::to_owned),
            functions: RefCell::default(),
            run: RefCell::default(),
            failure: RefCell::default(),
        }
    }

    /// Whether a function is of the namespace that is meant.
    pub(super) fn is_meant(&self, function_id: i64) -> bool {
        self.namespace.is_none() || self.named(function_id).is_meant
    }

    /// Fails where reading about a run or a function has failed.
    pub(super) fn check(&self) -> Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }

    fn named(&self, id: i64) -> Rc<Named> {
        let known = self.functions.borrow().get(&id).cloned();
        known.unwrap_or_else(|| {
            let named = Rc::new(self.noted(self.function_row(id)).unwrap_or_default());
            self.functions.borrow_mut().insert(id, Rc::clone(&named));
            named
        })
    }

    fn function_row(&self, id: i64) -> Result<Option<Named>> {
        let mut statement = self.tx.prepare_cached("SELECT namespace, name FROM function WHERE id = ?1")?;
        let row = |row: &Row<'_>| {
            let namespace: String = row.get(0)?;
            let is_meant = self.namespace.as_ref().is_none_or(|meant| *meant == namespace);
            Ok(Named { namespace, name: row.get(1)?, is_meant })
        };
        Ok(statement.query_row([id], row).optional()?)
    }

    /// What was read; where that failed, the failure is kept for [`check`](Facts::check).
    fn noted<T>(&self, read: Result<Option<T>>) -> Option<T> {
        read.unwrap_or_else(|error| {
            self.failure.replace(Some(error));
            None
        })
    }

    fn run(&self, id: i64, retry_num: u32) -> Rc<Run> {
        let known = self.run.borrow().clone().filter(|run| (run.id, run.retry_num) == (id, retry_num));
        known.unwrap_or_else(|| {
            let row = self.noted(self.run_row(id, retry_num));
            let run = Rc::new(Run { id, retry_num, row });
            self.run.replace(Some(Rc::clone(&run)));
            run
        })
    }

    /// An earlier attempt has a row of its own, the last one the run's; one that is neither goes on.
    fn run_row(&self, id: i64, retry_num: u32) -> Result<Option<RunRow>> {
        let mut statement = self.tx.prepare_cached(
            "SELECT i.request_id, i.qualifier,
                    coalesce(a.started_us, iif(i.retry_num = ?2, i.started_us, 0)),
                    coalesce(a.duration_us, iif(i.retry_num = ?2, i.duration_us, 0)),
                    coalesce(a.memory_used_kb, iif(i.retry_num = ?2, i.memory_used_kb, 0)),
                    coalesce(a.status, iif(i.retry_num = ?2, i.status, ?3)), i.alias
             FROM invocation i LEFT JOIN attempt a ON a.invocation_id = i.id AND a.retry_num = ?2 WHERE i.id = ?1",
        )?;
        let row = |row: &Row<'_>| {
            Ok(RunRow {
                request_id: request_id(row.get_ref(0)?.as_str()?, 0)?,
                qualifier: row.get(1)?,
                started_us: row.get(2)?,
                duration_us: row.get(3)?,
                memory_used_kb: row.get(4)?,
                status: row.get(5)?,
                alias: row.get(6)?,
            })
        };
        Ok(statement.query_row(params![id, retry_num, STATUS_RUNNING], row).optional()?)
    }
}

impl<'f> Found<'f> {
    /// The line of a row of [`COLUMNS`](super::COLUMNS).
    pub(super) fn of(row: &'f Row<'_>, facts: &'f Facts<'_, '_>) -> Result<Found<'f>> {
        Ok(Found {
            id: row.get(0)?,
            ts_us: row.get(1)?,
            run_id: row.get(2)?,
            function_id: row.get(3)?,
            level: level_of(row.get(4)?)?,
            stream: stream_of(row.get(5)?)?,
            message: row.get_ref(6)?.as_str().map_err(rusqlite::Error::from)?,
            retry_num: row.get(7)?,
            facts,
            run: OnceCell::new(),
            named: OnceCell::new(),
        })
    }

    /// The line, to be kept.
    pub fn stored(&self) -> Result<StoredLine> {
        let Named { namespace, name, .. } = self.named();
        let request_id = self.run().row.as_ref().map(|row| row.request_id.clone());
        self.facts.check()?;
        Ok(StoredLine {
            id: self.id,
            run_id: self.run_id,
            request_id,
            namespace: namespace.clone(),
            function: name.clone(),
            retry_num: self.retry_num,
            line: LogLine {
                ts_us: self.ts_us,
                stream: self.stream,
                level: self.level,
                message: self.message.to_owned(),
            },
        })
    }

    /// The function's name.
    pub fn function(&self) -> &str {
        &self.named().name
    }

    /// The version that ran; empty while that is not known.
    pub fn qualifier(&self) -> &str {
        self.run().row.as_ref().map_or("", |row| &row.qualifier)
    }

    /// The status code of the attempt, 202 while it goes on.
    pub fn status(&self) -> u16 {
        self.run().row.as_ref().map_or(STATUS_RUNNING, |row| row.status)
    }

    fn named(&self) -> &Named {
        self.named.get_or_init(|| self.facts.named(self.function_id))
    }

    fn run(&self) -> &Run {
        self.run.get_or_init(|| self.facts.run(self.run_id, self.retry_num))
    }
}

impl Subject for Found<'_> {
    fn message(&self) -> &str {
        self.message
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds and kilobytes stay far below 2^53")]
    fn field(&self, field: Field) -> Value<'_> {
        let number = |of: fn(&RunRow) -> f64| Value::Number(self.run().row.as_ref().map_or(0.0, of));
        match field {
            Field::FunctionName => Value::Text(self.function()),
            Field::Namespace => Value::Text(&self.named().namespace),
            Field::RequestId => {
                Value::Text(self.run().row.as_ref().map_or("", |row| row.request_id.as_str()))
            }
            Field::Alias => Value::Text(self.run().row.as_ref().map_or("", |row| &row.alias)),
            Field::Qualifier => Value::Text(self.qualifier()),
            Field::StartTime => number(|row| (row.started_us / 1000) as f64),
            Field::LogTime => Value::Number((self.ts_us / 1000) as f64),
            Field::Duration => number(|row| row.duration_us as f64 / 1000.0),
            Field::MemUsage => number(|row| row.memory_used_kb as f64 / 1024.0),
            Field::Level => Value::Text(self.level.as_str()),
            Field::Message => Value::Text(self.message),
            Field::Type => Value::Text(if self.stream == Stream::Platform { "Platform" } else { "Custom" }),
            Field::StatusCode => Value::Number(f64::from(self.status())),
            Field::RetryNum => Value::Number(f64::from(self.retry_num)),
        }
    }
}
