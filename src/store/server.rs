//! What is written down about the server that has the file, for those who only have the file.

use rusqlite::params;

use crate::error::Result;
use crate::store::{Store, sqlite_version};

impl Store {
    /// Notes that a server of that release has started on the file.
    pub fn note_server(&self, release: &'static str, isolation_level: u8) -> Result<()> {
        self.write(move |tx| {
            tx.execute(
                "INSERT OR REPLACE INTO server (id, release, sqlite, isolation_level, started_us)
                 VALUES (1, ?1, ?2, ?3, ?4)",
                params![release, sqlite_version(), isolation_level, tx.now_us],
            )?;
            Ok(())
        })
    }
}
