//! Whether the file is sound: what SQLite says of it, and what must hold between our tables; and how much is in it.
//!
//! All of it is told of one moment, on a connection of its own. A file that no server uses is looked at without changing
//! it: where no write-ahead log was left behind, SQLite is told that nobody changes it, and makes no files of its own.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use crate::error::{Error, Kind, Result};
use crate::model::invocation::State;
use crate::model::object::FileId;
use crate::store::objects::files;
use crate::store::{Store, Tx, connection, migrate, records, words};

/// Longest look at a file that is in use: its log cannot be begun anew meanwhile.
const LOOK_MAX: Duration = Duration::from_secs(60);
/// Virtual machine steps between two looks at the clock: some milliseconds.
const STEPS: i32 = 500_000;
/// Most faults of one kind that are told.
const FAULTS_MAX: usize = 20;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What SQLite finds wrong with the file, in its words.
    pub integrity: Vec<String>,
    /// Rows that name others which are not there, in words.
    pub foreign_keys: Vec<String>,
    /// Rules that do not hold, with how many rows break each.
    pub broken: Vec<(Rule, u64)>,
    /// What is in it.
    pub counts: Counts,
}

/// What must hold between tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// What is in the queue is an invocation that waits.
    QueuedWaits,
    /// An invocation that waits is in the queue.
    WaitingIsQueued,
    /// A dead letter is an invocation that was given up.
    DeadLetterIsDead,
    /// An attempt is one of an invocation.
    AttemptHasInvocation,
    /// The file of an object, or of a part, is there and as long as it was.
    ObjectHasFile,
    /// The words of a block of lines can be read, and find its newest line.
    WordsFindLines,
}

/// How much there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Functions that are deployed.
    pub functions: u64,
    /// Invocations by state; states without any are left out.
    pub invocations: Vec<(State, u64)>,
    /// Log lines.
    pub lines: u64,
    /// Of them, those whose words are indexed.
    pub indexed_lines: u64,
    /// Events in the queue.
    pub queued: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// The size of the database, bytes.
    pub bytes: u64,
    /// Of them, those that are free for new rows.
    pub free_bytes: u64,
}

/// Each rule with the query that counts what breaks it.
const RULES: [(Rule, &str); 4] = [
    (
        Rule::QueuedWaits,
        "SELECT count(*) FROM queued q LEFT JOIN invocation i ON i.id = q.invocation_id
         WHERE coalesce(i.state, -1) NOT IN (3, 4)",
    ),
    (
        Rule::WaitingIsQueued,
        "SELECT count(*) FROM invocation i WHERE i.state IN (3, 4)
         AND NOT EXISTS (SELECT 1 FROM queued q WHERE q.invocation_id = i.id)",
    ),
    (
        Rule::DeadLetterIsDead,
        "SELECT count(*) FROM dead_letter d LEFT JOIN invocation i ON i.id = d.invocation_id
         WHERE coalesce(i.state, -1) NOT IN (5, 6)",
    ),
    (
        Rule::AttemptHasInvocation,
        "SELECT count(*) FROM attempt a WHERE NOT EXISTS (SELECT 1 FROM invocation i WHERE i.id = a.invocation_id)",
    ),
];

impl Store {
    /// Looks at everything, which reads all of the file. Fails with `Busy` when that takes longer than a minute.
    pub fn check(&self) -> Result<Found> {
        let conn = self.patient_reader()?;
        let mut found = look(&conn)?;
        if found.integrity.is_empty() {
            let mut missing = files::missing(&conn, &files::folder_beside(self.path())).map_err(in_time)?;
            // What was deleted since the look began is not missed.
            missing.retain(|file| self.names_file(file).unwrap_or(true));
            found.miss(&missing);
        }
        Ok(found)
    }

    /// What SQLite finds wrong with the file; nothing when it is sound. Reads all of it, a minute at most.
    pub fn integrity(&self) -> Result<Vec<String>> {
        integrity(&self.patient_reader()?)
    }

    fn patient_reader(&self) -> Result<Connection> {
        let mut conn = connection::reader(self.path())?;
        let (clock, until) = (self.clock().clone(), self.clock().now() + LOOK_MAX);
        conn.progress_handler(STEPS, Some(move || clock.now() > until))?;
        Ok(conn)
    }
}

/// Looks at a file that no server uses, without changing it. Fails with `Conflict` when a server does use it, and with
/// `Invalid` when it is not a database of this release.
pub fn check_file(path: &Path) -> Result<Found> {
    let _no_server_starts = connection::Lock::look(path)?;
    let conn = connection::untouched(path)?;
    if !migrate::is_current(&conn)? {
        return Err(Error::invalid(format!(
            "{} was written by an older release; a start of this one brings it up to date",
            path.display()
        )));
    }
    let mut found = look(&conn)?;
    if found.integrity.is_empty() {
        found.miss(&files::missing(&conn, &files::folder_beside(path))?);
    }
    Ok(found)
}

impl Found {
    fn miss(&mut self, files: &[FileId]) {
        if !files.is_empty() {
            self.broken.push((Rule::ObjectHasFile, u64::try_from(files.len()).unwrap_or(u64::MAX)));
        }
    }
}

fn look(conn: &Connection) -> Result<Found> {
    conn.execute_batch("BEGIN")?;
    // Nothing was written, and in a damaged file not even the end of this works: it goes with the connection.
    all(conn).map_err(in_time)
}

/// The store's own sentence for a query that takes too long does not fit here.
fn in_time(error: Error) -> Error {
    let interrupted = |cause: &rusqlite::Error| {
        cause.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted)
    };
    match error.cause.as_ref().and_then(|cause| cause.downcast_ref()).is_some_and(interrupted) {
        true => Error::new(
            Kind::Busy,
            "the check took longer than a minute; check the file while no server uses it",
        ),
        false => error,
    }
}

fn all(conn: &Connection) -> Result<Found> {
    let integrity = integrity(conn)?;
    if !integrity.is_empty() {
        // What is counted in a damaged file means nothing, and may not even be readable.
        return Ok(Found { integrity, ..Found::default() });
    }
    Ok(Found { integrity, foreign_keys: foreign_keys(conn)?, broken: broken(conn)?, counts: counts(conn)? })
}

fn integrity(conn: &Connection) -> Result<Vec<String>> {
    let mut statement = conn.prepare(&format!("PRAGMA integrity_check({FAULTS_MAX})"))?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut found = Vec::new();
    for row in rows {
        match row {
            // Damage can be such that looking for it ends early.
            Err(cause) if cause.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt) => {
                found.push(cause.to_string());
                break;
            }
            row => found.push(row?),
        }
    }
    found.retain(|line| line != "ok");
    Ok(found)
}

fn foreign_keys(conn: &Connection) -> Result<Vec<String>> {
    let mut statement = conn.prepare("PRAGMA foreign_key_check")?;
    let row = |row: &rusqlite::Row<'_>| {
        let (table, id, other): (String, Option<i64>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(format!("row {} of {table} names a row of {other} that is not there", id.unwrap_or_default()))
    };
    let rows = statement.query_map([], row)?.take(FAULTS_MAX);
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn broken(conn: &Connection) -> Result<Vec<(Rule, u64)>> {
    let mut broken = Vec::new();
    for (rule, sql) in RULES {
        let rows = number(conn, sql)?;
        if rows > 0 {
            broken.push((rule, rows));
        }
    }
    let blocks = words::blocks_that_fail(&Tx::new(conn, 0))?;
    if blocks > 0 {
        broken.push((Rule::WordsFindLines, blocks));
    }
    Ok(broken)
}

fn counts(conn: &Connection) -> Result<Counts> {
    let pragma = |name: &str| number(conn, &format!("PRAGMA {name}"));
    let page_bytes = pragma("page_size")?;
    Ok(Counts {
        functions: number(conn, "SELECT count(*) FROM function WHERE deleted_us IS NULL")?,
        invocations: by_state(conn)?,
        lines: number(conn, "SELECT count(*) FROM log")?,
        indexed_lines: words::count_indexed(&Tx::new(conn, 0))?,
        queued: number(conn, "SELECT count(*) FROM queued")?,
        dead_letters: number(conn, "SELECT count(*) FROM dead_letter")?,
        bytes: pragma("page_count")? * page_bytes,
        free_bytes: pragma("freelist_count")? * page_bytes,
    })
}

fn by_state(conn: &Connection) -> Result<Vec<(State, u64)>> {
    let mut statement =
        conn.prepare("SELECT state, count(*) FROM invocation GROUP BY state ORDER BY state")?;
    let rows = statement.query_map([], |row| Ok((records::state_of(row.get(0)?)?, count(row.get(1)?))))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn number(conn: &Connection, sql: &str) -> Result<u64> {
    Ok(conn.query_row(sql, [], |row| row.get(0).map(count))?)
}

/// SQLite knows no unsigned numbers.
pub(super) fn count(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}
