//! Callers' keys. Only hashes are stored; what a secret is worth is decided above.

use rusqlite::{ErrorCode, Row, params};

use crate::error::{Error, Kind, Result};
use crate::model::key::{Key, Scope, SigningKey};
use crate::store::sealing::Sealing;
use crate::store::{Store, Tx, fault};

impl Store {
    /// Keeps a key. Fails with `Conflict` when the name is taken.
    pub fn create_key(
        &self,
        name: &str,
        scope: Scope,
        secret_sha256: [u8; 32],
        signs: Option<SigningKey>,
    ) -> Result<Key> {
        let (name, sealing) = (name.to_owned(), self.sealing().clone());
        self.write_durably(move |tx| {
            let key = create(tx, name, scope, secret_sha256)?;
            if let Some(pair) = &signs {
                let sealed = sealing.close_key(key.id, pair.secret_key.clone());
                let sql = "UPDATE key SET secret_id = ?2, secret_key = ?3 WHERE id = ?1";
                tx.execute(sql, params![key.id, pair.secret_id, sealed])?;
            }
            Ok(Key { signs, ..key })
        })
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
            let sql = "SELECT id, name, scope, secret_sha256, created_us, secret_id, secret_key FROM key
                       ORDER BY id";
            let mut statement = tx.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut keys = Vec::new();
            while let Some(row) = rows.next()? {
                keys.push(key(row, self.sealing())?);
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
        Ok(_) => Ok(Key {
            id: tx.last_insert_rowid(),
            name,
            scope,
            secret_sha256,
            signs: None,
            created_us: tx.now_us,
        }),
    }
}

fn key(row: &Row<'_>, sealing: &Sealing) -> Result<Key> {
    let scope: String = row.get(2)?;
    let id = row.get(0)?;
    let pair: (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
    let signs = match pair {
        // One that does not open signs nothing, and can be revoked.
        (Some(secret_id), Some(stored)) => {
            sealing.open_key(id, stored).map(|secret_key| SigningKey { secret_id, secret_key })
        }
        _ => None,
    };
    Ok(Key {
        id,
        name: row.get(1)?,
        scope: Scope::parse(&scope).ok_or_else(|| fault::unreadable("scope"))?,
        secret_sha256: row.get(3)?,
        signs,
        created_us: row.get(4)?,
    })
}
