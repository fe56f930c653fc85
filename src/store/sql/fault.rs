//! Why a statement was not answered, in SQLite's own sentence where it has one, with the place of the mistake.

use std::sync::{Arc, OnceLock};

use rusqlite::{ErrorCode, ffi};

use crate::error::{Error, Kind};
use crate::model::{limits, views};
use crate::store::sql::watch::Stop;

/// What ended a statement early.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite says no.
    Sqlite(rusqlite::Error),
    /// We do; the sentence is ready.
    Ours(Error),
    /// It is not allowed; why was noted.
    Denied,
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        Fault::Sqlite(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Ours(error)
    }
}

/// What was noted while SQLite only says that it was told to stop, or not to go on.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    denied: OnceLock<String>,
    pub(super) stopped: Arc<OnceLock<Stop>>,
}

impl Refusals {
    /// Notes what is not allowed; the first thing counts.
    pub(super) fn note(&self, what: String) {
        self.denied.get_or_init(|| what);
    }

    /// The error for the caller.
    pub(super) fn tell(&self, fault: Fault, sql: &str) -> Error {
        if let Some(stop) = self.stopped.get() {
            return stopped(*stop);
        }
        match (fault, self.denied.get()) {
            (Fault::Ours(error), _) => error,
            (_, Some(what)) => denied(what),
            (Fault::Denied, None) => denied("this"),
            (Fault::Sqlite(error), None) => told(error, sql),
        }
    }
}

fn stopped(stop: Stop) -> Error {
    match stop {
        Stop::Time => Error::invalid(format!(
            "the statement was stopped after {} s; narrow it, for example by created_us, ts_us or id",
            limits::SQL_TIME_S
        )),
        Stop::Memory => Error::invalid(format!(
            "the statement was stopped when it took more than {} MiB of memory; sort and gather less",
            limits::SQL_MEMORY_MIB
        )),
        Stop::Closing => Error::new(Kind::Busy, "the server is stopping"),
    }
}

fn denied(what: &str) -> Error {
    let views: Vec<&str> = views::VIEWS.iter().map(|view| view.name).collect();
    Error::invalid(format!(
        "{what} is not allowed here; a statement may read the views {}, with the functions that `fnlite sql --schema` lists",
        views.join(", ")
    ))
}

fn told(error: rusqlite::Error, sql: &str) -> Error {
    match error {
        rusqlite::Error::SqlInputError { msg, sql: part, offset, .. } => {
            // The part is the text from the statement on that is wrong.
            let offset = sql.len() - part.len().min(sql.len()) + usize::try_from(offset).unwrap_or(0);
            Error::invalid(format!("{} ({})", brief(&msg), place(sql, offset)))
        }
        rusqlite::Error::Empty => Error::invalid("sql holds no statement"),
        rusqlite::Error::MultipleStatement => Error::invalid("sql must hold one statement, not several"),
        rusqlite::Error::SqliteFailure(ffi::Error { code: ErrorCode::TooBig, .. }, _) => {
            Error::invalid(format!(
                "string or blob too big: a value has at most {} bytes here; leave out event and result where they may be larger",
                limits::SQL_VALUE_BYTES_MAX
            ))
        }
        rusqlite::Error::SqliteFailure(ffi::Error { code, .. }, Some(message)) if is_callers(code) => {
            Error::invalid(brief(&message))
        }
        rusqlite::Error::SqliteFailure(ffi::Error { code: ErrorCode::OutOfMemory, .. }, _) => {
            Error::invalid("the statement is too large once it is compiled")
        }
        error => error.into(),
    }
}

/// A sentence may quote a name of the statement, which may be long.
fn brief(said: &str) -> String {
    const CHARS_MAX: usize = 300;
    match said.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &said[..end]),
        None => said.to_owned(),
    }
}

/// Whether an error tells of the statement rather than of the file or the host.
fn is_callers(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::Unknown
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch
            | ErrorCode::ApiMisuse
            | ErrorCode::ParameterOutOfRange
            | ErrorCode::ReadOnly
            | ErrorCode::AuthorizationForStatementDenied
    )
}

/// A byte of the text as people count: line and column from 1, and no line where there is only one.
fn place(sql: &str, offset: usize) -> String {
    let before = (0..=offset.min(sql.len())).rev().find_map(|end| sql.get(..end)).unwrap_or_default();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    if sql.trim_end().contains('\n') {
        format!("line {}, column {column}", before.matches('\n').count() + 1)
    } else {
        format!("column {column}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_as_people_count() {
        assert_eq!(place("SELECT é, x", 11), "column 11");
        assert_eq!(place("SELECT x\n", 7), "column 8");
        assert_eq!(place("SELECT a,\n  b", 12), "line 2, column 3");
        assert_eq!(place("é", 1), "column 1", "within a character is at it");
        assert_eq!(place("x", 99), "column 2");
    }
}
