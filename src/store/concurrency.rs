//! What functions may use at once beyond what they reserve: Instances kept parked for a version, and the total that was set
//! while the server ran.

use rusqlite::{OptionalExtension, params};

use crate::error::Result;
use crate::store::Store;

/// The setting that says what may run at once, MB.
const TOTAL: &str = "total_concurrency_mb";

/// Instances that stay parked for a published version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provisioned {
    /// The function's row id.
    pub function_id: i64,
    /// The version's number.
    pub qualifier: String,
    /// How many.
    pub instances: u32,
}

impl Store {
    /// What is kept parked, by function and version.
    pub fn provisioned(&self) -> Result<Vec<Provisioned>> {
        self.read(|tx| {
            let sql =
                "SELECT function_id, qualifier, instances FROM provisioned ORDER BY function_id, qualifier";
            let mut statement = tx.prepare_cached(sql)?;
            let row = |row: &rusqlite::Row<'_>| {
                Ok(Provisioned { function_id: row.get(0)?, qualifier: row.get(1)?, instances: row.get(2)? })
            };
            let rows = statement.query_map([], row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Keeps so many parked for a version from now on; none for 0.
    pub fn provision(&self, provisioned: Provisioned) -> Result<()> {
        self.write_durably(move |tx| {
            let Provisioned { function_id, qualifier, instances } = provisioned;
            if instances == 0 {
                let sql = "DELETE FROM provisioned WHERE function_id = ?1 AND qualifier = ?2";
                tx.execute(sql, params![function_id, qualifier])?;
            } else {
                let sql = "INSERT OR REPLACE INTO provisioned (function_id, qualifier, instances) VALUES (?1, ?2, ?3)";
                tx.execute(sql, params![function_id, qualifier, instances])?;
            }
            Ok(())
        })
    }

    /// The total that was set while a server ran, MB.
    pub fn total_concurrency_mb(&self) -> Result<Option<u32>> {
        self.read(|tx| {
            let sql = "SELECT value FROM setting WHERE name = ?1";
            Ok(tx.prepare_cached(sql)?.query_row([TOTAL], |row| row.get(0)).optional()?)
        })
    }

    /// Sets the total, MB.
    pub fn set_total_concurrency_mb(&self, total_mb: u32) -> Result<()> {
        self.write_durably(move |tx| {
            let sql = "INSERT OR REPLACE INTO setting (name, value) VALUES (?1, ?2)";
            tx.execute(sql, params![TOTAL, total_mb])?;
            Ok(())
        })
    }
}
