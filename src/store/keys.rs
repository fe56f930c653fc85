//! Callers' keys. Only hashes are stored; what a secret is worth is decided above.

use rusqlite::{ErrorCode, Row, params};

use crate::error::{Error, Kind, Result};
use crate::model::key::{Key, Scope};
use crate::store::{Store, Tx, fault};

impl Store {
    /// Keeps a key. Fails with `Conflict` when the name is taken.
    pub fn create_key(&self, name: &str, scope: Scope, secret_sha256: [u8; 32]) -> Result<Key> {
        let name = name.to_owned();
        self.write_durably(move |tx| create(tx, name, scope, secret_sha256))
    }

    /// Whether a key was ever made, revoked ones included.
    pub fn had_keys(&self) -> Result<bool> {
        self.read(|tx| {
            let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'key')";
            Ok(tx.query_row(sql, [], |row| row.get(0))?)
        })
    }

    /// All keys, oldest first.
    pub fn keys(&self) -> Result<Vec<Key>> {
        self.read(|tx| {
            let sql = "SELECT id, name, scope, secret_sha256, created_us FROM key ORDER BY id";
            let mut statement = tx.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut keys = Vec::new();
            while let Some(row) = rows.next()? {
                keys.push(key(row)?);
            }
            Ok(keys)
        })
    }

    /// Removes a key. Fails with `NotFound`.
    pub fn revoke_key(&self, id: i64) -> Result<()> {
        self.write_durably(move |tx| match tx.execute("DELETE FROM key WHERE id = ?1", [id])? {
            0 => Err(Error::not_found(format!("no key {id}"))),
            _ => Ok(()),
        })
    }
}

fn create(tx: &Tx<'_>, name: String, scope: Scope, secret_sha256: [u8; 32]) -> Result<Key> {
    let inserted = tx.execute(
        "INSERT INTO key (name, scope, secret_sha256, created_us) VALUES (?1, ?2, ?3, ?4)",
        params![name, scope.as_str(), secret_sha256, tx.now_us],
    );
    match inserted {
        Err(cause) if cause.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            Err(Error::new(Kind::Conflict, format!("a key named {name} exists")).because(cause))
        }
        Err(cause) => Err(cause.into()),
        Ok(_) => Ok(Key { id: tx.last_insert_rowid(), name, scope, secret_sha256, created_us: tx.now_us }),
    }
}

fn key(row: &Row<'_>) -> Result<Key> {
    let scope: String = row.get(2)?;
    Ok(Key {
        id: row.get(0)?,
        name: row.get(1)?,
        scope: Scope::parse(&scope).ok_or_else(|| fault::unreadable("scope"))?,
        secret_sha256: row.get(3)?,
        created_us: row.get(4)?,
    })
}
