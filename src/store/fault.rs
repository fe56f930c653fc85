//! What SQLite complains about, as an [`Error`] a caller can act on. SQLite's own words go to the log only.

use rusqlite::ErrorCode;

use crate::error::{Error, Kind};

impl From<rusqlite::Error> for Error {
    fn from(cause: rusqlite::Error) -> Error {
        let (kind, message) = match cause.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                (Kind::Busy, "another program has locked the database; try again")
            }
            _ if is_full(&cause) => (Kind::Busy, "the disk that holds the database is full"),
            Some(ErrorCode::OperationInterrupted) => (
                Kind::Invalid,
                "the query took longer than it may; narrow it by function, request id or time",
            ),
            Some(ErrorCode::DatabaseCorrupt) => (Kind::Internal, "the database file is damaged"),
            Some(ErrorCode::NotADatabase) => (Kind::Invalid, "the file is not a database"),
            _ => (Kind::Internal, "the database refused an operation"),
        };
        Error::new(kind, message).because(cause)
    }
}

/// Whether it failed because the disk is full.
pub(super) fn found_full(error: &Error) -> bool {
    let cause = error.cause.as_ref().and_then(|cause| cause.downcast_ref());
    cause.is_some_and(is_full)
}

/// The file that readers and writers share could not grow (SQLITE_IOERR_SHMSIZE) for want of space, too.
fn is_full(cause: &rusqlite::Error) -> bool {
    let shared = |error: &rusqlite::ffi::Error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
    cause.sqlite_error_code() == Some(ErrorCode::DiskFull) || cause.sqlite_error().is_some_and(shared)
}

/// An error for stored bytes that this release cannot have written.
pub(super) fn unreadable(what: &str) -> Error {
    Error::internal(format!("a stored {what} cannot be read"))
}

/// The same error for another caller who shares its fate, without the cause.
pub(super) fn again(error: &Error) -> Error {
    Error::new(error.kind, error.message.clone()).about(error.about)
}
