//! The schema by `user_version`: each file of `migrations/` once, in order, all in one transaction.
//!
//! A file this release did not write is refused before anything is changed: by its `application_id`, and by a
//! `user_version` above ours, because an older program cannot know what a newer schema promises.

use rusqlite::{Connection, TransactionBehavior};

use crate::error::{Error, Result};

/// "FNLT", in the file's header, so that `file` and we know whose it is.
const APPLICATION_ID: i64 = 0x464e_4c54;

/// Every migration; its place in the list, counted from 1, is its `user_version`.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_heart.sql"),
    include_str!("../../migrations/0002_network.sql"),
    include_str!("../../migrations/0003_events.sql"),
    include_str!("../../migrations/0004_search.sql"),
    include_str!("../../migrations/0005_processes.sql"),
    include_str!("../../migrations/0006_versions.sql"),
    include_str!("../../migrations/0007_triggers.sql"),
    include_str!("../../migrations/0008_objects.sql"),
];

/// Brings the schema to this release's version, or says why the file is not for us (`Invalid`).
pub(super) fn migrate(conn: &mut Connection) -> Result<()> {
    if version(conn)? == MIGRATIONS.len() {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = version(&tx)?;
    for (number, sql) in (1i64..).zip(MIGRATIONS).skip(done) {
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", number)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.commit()?;
    Ok(())
}

/// Refuses a file that is not ours or is newer than we are, without changing it.
pub(super) fn check(conn: &Connection) -> Result<()> {
    version(conn).map(drop)
}

/// Whether the schema is this release's. Fails as [`check`] does.
pub(super) fn is_current(conn: &Connection) -> Result<bool> {
    Ok(version(conn)? == MIGRATIONS.len())
}

fn version(conn: &Connection) -> Result<usize> {
    let application_id: i64 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && application_id != APPLICATION_ID {
        return Err(Error::invalid("the file is a database of another program"));
    }
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match usize::try_from(version) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(Error::invalid(format!(
            "the database has version {version}, this release reads up to {}; use a newer release",
            MIGRATIONS.len()
        ))),
    }
}
