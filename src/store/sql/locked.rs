//! A connection that can do nothing but read what [`allowed`] names, within bounds.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;

use crate::base::clock::Clock;
use crate::error::{Error, Result};
use crate::model::limits;
use crate::model::sql::{Answer, Statement};
use crate::store::sql::fault::{Fault, Refusals};
use crate::store::sql::program::Trees;
use crate::store::sql::watch::{self, Deadline, Watch};
use crate::store::sql::{aggregates, allowed, bounded, functions, params, rows};

/// The largest number is for people, the others are what a statement that a person writes stays far below, and what keeps
/// SQLite's compiler from recursing deep, planning long or growing large. The compiler's stack is that of a thread of ours.
const LIMITS: &[(Limit, usize)] = &[
    (Limit::SQLITE_LIMIT_LENGTH, limits::SQL_VALUE_BYTES_MAX),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, limits::SQL_BYTES_MAX + "EXPLAIN ".len()),
    (Limit::SQLITE_LIMIT_COLUMN, 200),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 50),
    (Limit::SQLITE_LIMIT_PARSER_DEPTH, 200),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 20),
    (Limit::SQLITE_LIMIT_VDBE_OP, 50_000),
    // json_array writes a byte as six, all of them before anybody can look.
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 24),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 1000),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 0),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];

/// The connection, within a read transaction.
#[derive(Debug)]
pub(super) struct Locked {
    conn: Connection,
    trees: Trees,
    refusals: Arc<Refusals>,
}

impl Locked {
    /// Takes a read-only connection; its time begins now.
    pub(super) fn new(
        mut conn: Connection,
        clock: &Arc<dyn Clock>,
        closed: Arc<AtomicBool>,
        refusals: &Arc<Refusals>,
    ) -> Result<Locked> {
        // What is gathered in memory is counted by the watch; in files it would fill a disk instead.
        conn.execute_batch("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -4096;")?;
        harden(&conn)?;
        let deadline = Arc::new(Deadline::new(Arc::clone(clock), Arc::clone(&refusals.stopped)));
        aggregates::add(&conn)?;
        bounded::add(&conn, &deadline)?;
        functions::add(&conn, &deadline)?;
        conn.execute_batch("BEGIN")?;
        let trees = Trees::of(&conn)?;
        conn.flush_prepared_statement_cache();
        let mut watch = Watch::new(deadline, closed)?;
        conn.progress_handler(watch::STEPS, Some(move || watch.says_stop()))?;
        let noted = Arc::clone(refusals);
        conn.authorizer(Some(move |context: rusqlite::hooks::AuthContext<'_>| {
            let answer = allowed::authorize(&context);
            allowed::verdict(answer.map_err(|what| noted.note(what)).is_ok())
        }))?;
        Ok(Locked { conn, trees, refusals: Arc::clone(refusals) })
    }

    /// Runs a statement.
    pub(super) fn read(&self, asked: &Statement) -> std::result::Result<Answer, Fault> {
        let mut statement = self.conn.prepare(&asked.sql)?;
        if !statement.readonly() {
            self.refusals.note("a statement that changes something".to_owned());
            return Err(Fault::Denied);
        }
        // What only explains reads nothing.
        if statement.is_explain() == 0
            && let Err(what) = self.trees.check(&self.conn, &asked.sql)?
        {
            self.refusals.note(what);
            return Err(Fault::Denied);
        }
        params::bind(&mut statement, &asked.params)?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut found = statement.raw_query();
        let (rows, truncated) = rows::take(&mut found, columns.len(), asked.limit)?;
        Ok(Answer { columns, rows, truncated, took_us: 0 })
    }
}

fn harden(conn: &Connection) -> Result<()> {
    for (what, is_on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
        (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
        // A name that is misspelt is a mistake and no text.
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true),
    ] {
        if conn.set_db_config(what, is_on)? != is_on {
            return Err(Error::internal(format!("SQLite did not take {what:?}")));
        }
    }
    for (what, most) in LIMITS {
        conn.set_limit(*what, i32::try_from(*most).unwrap_or(i32::MAX))?;
    }
    Ok(())
}
