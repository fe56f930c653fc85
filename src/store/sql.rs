//! The SQL door: statements that others wrote, read-only, bounded in every direction.
//!
//! A statement has a connection of its own, made harmless (`locked`) and closed behind it, so that nothing of one is left for
//! the next. Few run at once (`turns`); each is watched for time and memory (`watch`), and its answer is bounded (`rows`).
//!
//! # What must stay true
//!
//! * Nothing is changed: the file is opened read-only, the connection is `query_only`, the authorizer refuses whatever is no
//!   read, and what SQLite itself calls a writing statement is refused (`VACUUM INTO` passes all authorizers).
//! * Nothing is read but what [`allowed`] names. The authorizer alone does not see to that: SQLite does not ask it about the
//!   columns of `USING` and `NATURAL JOIN`, nor about tables of which only those are used. So what a statement was compiled
//!   to is looked at as well (`program`), in the same read transaction.
//! * No single call of a function takes long: between two instructions nobody can stop a statement. SQLite's own functions
//!   whose time is the product of two lengths are replaced (`bounded`) or not there.
//! * Everything above holds for a file that no server uses as well ([`SqlFile`]).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::Connection;

use crate::base::clock::Clock;
use crate::base::sys;
use crate::error::{Error, Kind, Result};
use crate::model::sql::{Answer, Statement};
use crate::store::sql::fault::Refusals;
use crate::store::sql::locked::Locked;
use crate::store::sql::watch::Memory;
use crate::store::{Store, connection, migrate};

mod aggregates;
mod allowed;
mod bounded;
mod fault;
mod functions;
mod json_log;
mod like;
mod locked;
mod params;
mod program;
mod regexp;
mod rows;
#[cfg(test)]
mod tests;
mod text;
pub(super) mod turns;
mod watch;

/// Growth after which the allocator is told to let go: it would keep it for ever otherwise, in a process that promises to be
/// small.
const LARGE_BYTES: u64 = 8 << 20;

impl Store {
    /// Reads by a statement of somebody else's. Fails with `Invalid` where it is wrong, is not allowed, or was stopped, and
    /// with `Busy` where too many wait already.
    pub fn sql(&self, statement: &Statement) -> Result<Answer> {
        let turns = &self.0.turns;
        let _turn = turns.take()?;
        answer(connection::reader(self.path())?, statement, self.clock(), turns.closed())
    }
}

/// A database file, for reading by SQL without a server.
#[derive(Debug)]
pub struct SqlFile {
    conn: Connection,
    /// Keeps servers away while it is read as a file that does not change.
    _lock: Option<connection::Lock>,
}

impl SqlFile {
    /// Opens the file at `path` without changing it, while a server uses it as well. Fails with `Invalid` when it is no
    /// database of this release.
    pub fn open(path: &Path) -> Result<SqlFile> {
        let (conn, lock) = match connection::Lock::look(path) {
            Ok(lock) => (connection::untouched(path)?, lock),
            Err(Error { kind: Kind::Conflict, .. }) => (connection::reader(path)?, None),
            Err(error) => return Err(error),
        };
        if !migrate::is_current(&conn)? {
            return Err(Error::invalid(format!(
                "{} was written by an older release; a start of this one brings it up to date",
                path.display()
            )));
        }
        Ok(SqlFile { conn, _lock: lock })
    }

    /// Reads by a statement, as [`Store::sql`] does.
    pub fn answer(self, statement: &Statement, clock: &Arc<dyn Clock>) -> Result<Answer> {
        answer(self.conn, statement, clock, Arc::default())
    }
}

fn answer(
    conn: Connection,
    statement: &Statement,
    clock: &Arc<dyn Clock>,
    closed: Arc<AtomicBool>,
) -> Result<Answer> {
    let began = clock.now();
    let memory = Memory::open()?;
    let before_bytes = memory.bytes()?;
    let refusals = Arc::new(Refusals::default());
    let locked = Locked::new(conn, clock, closed, &refusals)?;
    let answer = locked.read(statement).map_err(|fault| refusals.tell(fault, &statement.sql));
    drop(locked);
    if memory.bytes()? > before_bytes + LARGE_BYTES {
        sys::give_back_freed_memory();
    }
    let took_us = i64::try_from((clock.now() - began).as_micros()).unwrap_or(i64::MAX);
    answer.map(|answer| Answer { took_us, ..answer })
}
