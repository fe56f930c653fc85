//! Reading by SQL, from the database of this server or from a file.

use std::path::Path;
use std::sync::Arc;

use crate::base::clock::Clock;
use crate::error::Result;
use crate::model::sql::{Answer, Statement};
use crate::store::Store;
use crate::store::sql::SqlFile;

/// Reads from the database of this server. Fails with `Invalid` where the statement is wrong, is not allowed, or was stopped,
/// and with `Busy` where too many wait already.
pub fn of_store(store: &Store, statement: &Statement) -> Result<Answer> {
    store.sql(statement)
}

/// A database file, with a server or without; it is not changed.
#[derive(Debug)]
pub struct File(SqlFile);

impl File {
    /// Opens it; fails with `Invalid` when it is no database of this release.
    pub fn open(path: &Path) -> Result<File> {
        SqlFile::open(path).map(File)
    }

    /// Reads from it, as [`of_store`] does.
    pub fn answer(self, statement: &Statement, clock: &Arc<dyn Clock>) -> Result<Answer> {
        self.0.answer(statement, clock)
    }
}
