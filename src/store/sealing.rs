//! Environments of functions, and what keys sign with, as they are stored: as they are, or sealed with a key from a file outside
//! the database.
//!
//! Everything sealed begins with [`SEALED`], or with [`UNSWEPT`] where plain texts that
//! it took the place of may still be found in free space of the file. The key is bound to nothing but what it sealed: a
//! database without functions opens with any.
//!
//! What must stay true: the key file is on disk before the first row is sealed with it, because whoever loses it loses those
//! rows. A key is made only where nothing is sealed yet. No row is marked as swept before the file is.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior, params};

use crate::base::seal::{Seal, SealKey};
use crate::error::{Error, Kind, Result};
use crate::store::{backup, connection};

/// What the texts of sealed environments begin with.
const SEALED: &str = "sealed:";
/// The same, of those that were plain before and whose traces have not been removed yet.
const UNSWEPT: &str = "sealing:";
/// What an environment is authenticated with, beside its function's id.
const ENVIRONMENT: &str = "environment";
/// What a key's secret is authenticated with, beside the key's id.
const KEY: &str = "key";
/// Permissions that a key file of ours may give nobody.
const OTHERS: u32 = 0o077;
/// The same for one that somebody hands to us, who may do so by our group or an access list (systemd's credentials).
const STRANGERS: u32 = 0o007;

/// How secrets are stored.
#[derive(Clone, Debug)]
pub(super) struct Sealing(Option<Arc<Seal>>);

/// A stored secret.
struct Row {
    place: Place,
    text: String,
}

/// Where a secret is stored.
enum Place {
    Environment { version_id: i64, function_id: i64 },
    Key { id: i64 },
}

impl Place {
    /// What it is authenticated with.
    fn binding(&self) -> (&'static str, i64) {
        match self {
            Place::Environment { function_id, .. } => (ENVIRONMENT, *function_id),
            Place::Key { id } => (KEY, *id),
        }
    }

    fn write(&self, conn: &Connection, text: &str) -> Result<()> {
        let (sql, id) = match self {
            Place::Environment { version_id, .. } => {
                ("UPDATE version SET env = ?2 WHERE id = ?1", *version_id)
            }
            Place::Key { id } => ("UPDATE key SET secret_key = ?2 WHERE id = ?1", *id),
        };
        conn.execute(sql, params![id, text])?;
        Ok(())
    }
}

impl Sealing {
    /// Reads or makes the key, finds out whether it is the one, and seals what is plain so far.
    ///
    /// Fails with `Invalid` where what is sealed cannot be opened or the key file cannot be used, and with `Busy` where the
    /// disk is too full, or another program keeps the file from being swept.
    pub(super) fn prepare(
        writer: &mut Connection,
        key_file: Option<&Path>,
        may_checkpoint: bool,
    ) -> Result<Sealing> {
        let rows = rows(writer)?;
        let has_sealed = rows.iter().any(Row::is_sealed);
        let Some(path) = key_file else {
            return if has_sealed { Err(key_missing()) } else { Ok(Sealing(None)) };
        };
        let key = match read_key(path)? {
            Some(key) => key,
            None if has_sealed => return Err(key_lost(path)),
            None => {
                // Functions that are gone have no row to mark, so the file is swept before there is a key.
                if rows.is_empty() && had_functions(writer)? {
                    sweep(writer, may_checkpoint)?;
                }
                make_key(path)?
            }
        };
        let seal = Arc::new(Seal::new(&key));
        check(&seal, path, &rows)?;
        seal_plain(writer, &seal, &rows)?;
        if !rows.iter().all(Row::is_swept) {
            sweep(writer, may_checkpoint)?;
        }
        Ok(Sealing(Some(seal)))
    }

    /// Whether there is a key.
    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The text to store for a function's environment.
    pub(super) fn close(&self, function_id: i64, plain: String) -> String {
        self.close_as((ENVIRONMENT, function_id), plain)
    }

    /// The environment that was stored for a function.
    pub(super) fn open(&self, function_id: i64, stored: String) -> Result<String> {
        self.open_as((ENVIRONMENT, function_id), stored).ok_or_else(|| {
            Error::internal(
                "the function's environment does not open: it was sealed for another one, or damaged",
            )
        })
    }

    /// The text to store for what a key signs with.
    pub(super) fn close_key(&self, key_id: i64, plain: String) -> String {
        self.close_as((KEY, key_id), plain)
    }

    /// What a key signs with; none where it does not open.
    pub(super) fn open_key(&self, key_id: i64, stored: String) -> Option<String> {
        self.open_as((KEY, key_id), stored)
    }

    fn close_as(&self, (purpose, id): (&str, i64), plain: String) -> String {
        match &self.0 {
            Some(seal) => format!("{SEALED}{}", seal.seal(purpose, id, plain.as_bytes())),
            None => plain,
        }
    }

    fn open_as(&self, binding: (&str, i64), stored: String) -> Option<String> {
        let Some(sealed) = sealed_part(&stored) else { return Some(stored) };
        self.0.as_ref().and_then(|seal| opened(seal, binding, sealed))
    }
}

impl Row {
    fn is_sealed(&self) -> bool {
        sealed_part(&self.text).is_some()
    }

    fn is_swept(&self) -> bool {
        self.text.starts_with(SEALED)
    }

    fn opens(&self, seal: &Seal) -> bool {
        sealed_part(&self.text).is_none_or(|sealed| opened(seal, self.place.binding(), sealed).is_some())
    }
}

fn sealed_part(text: &str) -> Option<&str> {
    text.strip_prefix(SEALED).or_else(|| text.strip_prefix(UNSWEPT))
}

fn opened(seal: &Seal, (purpose, id): (&str, i64), sealed: &str) -> Option<String> {
    seal.open(purpose, id, sealed).and_then(|bytes| String::from_utf8(bytes).ok())
}

fn rows(conn: &Connection) -> Result<Vec<Row>> {
    let mut statement = conn.prepare("SELECT id, function_id, env FROM version")?;
    let row = |row: &rusqlite::Row<'_>| {
        let place = Place::Environment { version_id: row.get(0)?, function_id: row.get(1)? };
        Ok(Row { place, text: row.get(2)? })
    };
    let mut rows: Vec<Row> = statement.query_map([], row)?.collect::<rusqlite::Result<_>>()?;
    let mut statement = conn.prepare("SELECT id, secret_key FROM key WHERE secret_key IS NOT NULL")?;
    let row = |row: &rusqlite::Row<'_>| Ok(Row { place: Place::Key { id: row.get(0)? }, text: row.get(1)? });
    for key in statement.query_map([], row)? {
        rows.push(key?);
    }
    Ok(rows)
}

/// Whether there ever was one.
fn had_functions(conn: &Connection) -> Result<bool> {
    Ok(conn.query_row("SELECT EXISTS (SELECT 1 FROM function)", [], |row| row.get(0))?)
}

/// A key that opens nothing is the wrong one. Where it opens some, the others were tampered with: that is told, and costs
/// only those functions.
fn check(seal: &Seal, path: &Path, rows: &[Row]) -> Result<()> {
    let sealed = || rows.iter().filter(|row| row.is_sealed());
    let closed = sealed().filter(|row| !row.opens(seal)).count();
    if closed > 0 && closed == sealed().count() {
        return Err(Error::invalid(format!(
            "the secrets in the database are sealed with another key than that in {}",
            path.display()
        )));
    }
    if closed > 0 {
        log::error!("{closed} environments or keys do not open: they were sealed for others, or damaged");
    }
    Ok(())
}

fn seal_plain(writer: &mut Connection, seal: &Seal, rows: &[Row]) -> Result<()> {
    let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for row in rows.iter().filter(|row| !row.is_sealed()) {
        let (purpose, id) = row.place.binding();
        let sealed = seal.seal(purpose, id, row.text.as_bytes());
        row.place.write(&tx, &format!("{UNSWEPT}{sealed}"))?;
    }
    Ok(tx.commit()?)
}

/// Writes the whole file anew and empties the write-ahead log, so that nothing is left of what was plain. Deleting securely
/// would not do: it spares what was left in free space before.
fn sweep(writer: &Connection, may_checkpoint: bool) -> Result<()> {
    log::info!("the database is written anew, so that nothing is left of what was not sealed");
    // In memory the copy could be larger than the host's.
    writer.execute_batch("PRAGMA temp_store = FILE; VACUUM; PRAGMA temp_store = MEMORY;")?;
    if may_checkpoint {
        let is_busy: bool = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if is_busy {
            return Err(Error::new(
                Kind::Busy,
                "another program is reading the database, which keeps traces of what was not sealed; end it",
            ));
        }
    }
    // Base64 has no colon, so the word is found at the beginning only.
    writer.execute("UPDATE version SET env = replace(env, ?1, ?2)", [UNSWEPT, SEALED])?;
    writer.execute("UPDATE key SET secret_key = replace(secret_key, ?1, ?2)", [UNSWEPT, SEALED])?;
    Ok(())
}

/// The key in that file, if there is one.
fn read_key(path: &Path) -> Result<Option<SealKey>> {
    let meta = match fs::metadata(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        meta => meta.map_err(|cause| unusable(path, &cause.to_string()))?,
    };
    let mode = meta.permissions().mode();
    let is_ours = meta.uid() == rustix::process::geteuid().as_raw();
    if mode & (if is_ours { OTHERS } else { STRANGERS }) != 0 {
        let why = format!("others may read it (mode {:03o}); chmod 600 it", mode & 0o777);
        return Err(unusable(path, &why));
    }
    let text = fs::read_to_string(path).map_err(|cause| unusable(path, &cause.to_string()))?;
    let key =
        SealKey::parse(&text).ok_or_else(|| unusable(path, "it does not hold 64 hexadecimal digits"))?;
    Ok(Some(key))
}

/// A new key, on disk.
fn make_key(path: &Path) -> Result<SealKey> {
    let key = SealKey::random();
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{}", key.digits())?;
        file.sync_all()
    };
    write().map_err(|cause| unusable(path, &cause.to_string()))?;
    backup::sync(connection::folder_of(path))?;
    log::info!("{} is new; what is sealed with it is lost without it", path.display());
    Ok(key)
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::invalid(format!("the seal key {} cannot be used: {why}", path.display()))
}

fn key_missing() -> Error {
    Error::invalid("the environments in the database are sealed; --seal-key FILE names the key")
}

fn key_lost(path: &Path) -> Error {
    Error::invalid(format!(
        "the environments in the database are sealed, and there is no key at {}",
        path.display()
    ))
}
