//! Code archives: content-addressed, in chunks, each stored once however many functions use it.
//!
//! A package of 50 MB would hold the recorder up for as long as it takes to write, so its chunks come and go one order
//! at a time, and `complete` tells whether all are there. What must stay true: chunks of an address are the same bytes
//! whoever brings them, so two uploads of one digest may interleave; and a sweep takes only what no version names and
//! nobody has pinned. The pin is taken before the upload looks, and the sweep looks at pins on the recorder's thread, so
//! neither can miss the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rusqlite::{OptionalExtension, params};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::model::function::Digest;
use crate::store::{Store, Tx, fault};

/// Bytes of one chunk.
const CHUNK: usize = 1024 * 1024;

/// Digests being uploaded, with how many uploads each.
pub(super) type Pins = Arc<Mutex<BTreeMap<Digest, usize>>>;

/// Keeps a digest from being swept while it lives.
#[derive(Debug)]
pub(super) struct Pin {
    pins: Pins,
    digest: Digest,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = self.pins.lock().expect("no holder of this lock can panic");
        match pins.get_mut(&self.digest) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(pins.remove(&self.digest)),
        }
    }
}

impl Store {
    /// Whether the code of that digest is here, as it is written (64 hex digits).
    pub fn has_package(&self, digest: &str) -> Result<bool> {
        self.read(|tx| {
            let sql = "SELECT EXISTS (SELECT 1 FROM package WHERE complete = 1 AND sha256 = unhex(?1))";
            Ok(tx.prepare_cached(sql)?.query_row([digest], |row| row.get(0))?)
        })
    }

    /// The archive of that digest, checked against it.
    pub fn package(&self, digest: Digest) -> Result<Option<Vec<u8>>> {
        let bytes = self.read(|tx| {
            let sql = "SELECT id, size_bytes FROM package WHERE sha256 = ?1 AND complete = 1";
            let found: Option<(i64, i64)> = tx
                .prepare_cached(sql)?
                .query_row([digest.0], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            found.map(|(id, size_bytes)| whole(tx, id, size_bytes)).transpose()
        })?;
        match bytes {
            Some(bytes) if <[u8; 32]>::from(Sha256::digest(&bytes)) != digest.0 => {
                Err(fault::unreadable("code archive"))
            }
            bytes => Ok(bytes),
        }
    }

    pub(super) fn pin(&self, digest: Digest) -> Pin {
        let pins = self.pins();
        *pins.lock().expect("no holder of this lock can panic").entry(digest).or_insert(0) += 1;
        Pin { pins, digest }
    }

    /// Brings the chunks that are missing. The caller holds a pin.
    pub(super) fn upload(&self, digest: Digest, package: Vec<u8>) -> Result<()> {
        let size_bytes = package.len();
        let (id, complete) = self.write(move |tx| announce(tx, digest, size_bytes))?;
        if complete {
            return Ok(());
        }
        let package = Arc::new(package);
        for (number, start) in (0i64..).zip((0..size_bytes).step_by(CHUNK)) {
            let package = package.clone();
            self.write(move |tx| {
                let chunk = &package[start..size_bytes.min(start + CHUNK)];
                tx.prepare_cached(
                    "INSERT OR IGNORE INTO package_chunk (package_id, number, bytes) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![id, number, chunk])?;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Removes archives that no version names, a chunk at a time.
    pub(super) fn sweep_packages(&self) -> Result<()> {
        let pins = self.pins();
        loop {
            let pins = pins.clone();
            if !self.write(move |tx| sweep_one(tx, &pins))? {
                return Ok(());
            }
        }
    }
}

/// The package's row id and whether all of it is there.
fn announce(tx: &Tx<'_>, digest: Digest, size_bytes: usize) -> Result<(i64, bool)> {
    let size_bytes = i64::try_from(size_bytes).map_err(|_| Error::limit("the code archive is too large"))?;
    let row = tx.query_row(
        "INSERT INTO package (sha256, size_bytes, complete) VALUES (?1, ?2, 0)
         ON CONFLICT (sha256) DO UPDATE SET size_bytes = excluded.size_bytes
         RETURNING id, complete",
        params![digest.0, size_bytes],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(row)
}

/// Says that all chunks are there; the row's id.
pub(super) fn complete(tx: &Tx<'_>, digest: Digest) -> Result<i64> {
    tx.query_row("UPDATE package SET complete = 1 WHERE sha256 = ?1 RETURNING id", [digest.0], |row| {
        row.get(0)
    })
    .optional()?
    .ok_or_else(|| Error::internal("the code archive vanished while it was deployed"))
}

fn whole(tx: &Tx<'_>, id: i64, size_bytes: i64) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(size_bytes).unwrap_or(0));
    let mut statement =
        tx.prepare_cached("SELECT bytes FROM package_chunk WHERE package_id = ?1 ORDER BY number")?;
    let mut rows = statement.query([id])?;
    while let Some(row) = rows.next()? {
        bytes.extend_from_slice(row.get_ref(0)?.as_blob().map_err(|_| fault::unreadable("code archive"))?);
    }
    Ok(bytes)
}

/// Removes one chunk of one unused package, or the row of one that has none left; false when there is nothing to do.
fn sweep_one(tx: &Tx<'_>, pins: &Pins) -> Result<bool> {
    let Some(id) = unused(tx, pins)? else { return Ok(false) };
    tx.execute("UPDATE package SET complete = 0 WHERE id = ?1", [id])?;
    let chunks = tx.execute(
        "DELETE FROM package_chunk WHERE id = (SELECT id FROM package_chunk WHERE package_id = ?1 LIMIT 1)",
        [id],
    )?;
    if chunks == 0 {
        tx.execute("DELETE FROM package WHERE id = ?1", [id])?;
    }
    Ok(true)
}

fn unused(tx: &Tx<'_>, pins: &Pins) -> Result<Option<i64>> {
    let pins = pins.lock().expect("no holder of this lock can panic");
    let mut statement = tx.prepare_cached(
        "SELECT id, sha256 FROM package p WHERE NOT EXISTS (SELECT 1 FROM version v WHERE v.package_id = p.id)
             AND NOT EXISTS (SELECT 1 FROM layer_version l WHERE l.package_id = p.id)",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if !pins.contains_key(&Digest(row.get(1)?)) {
            return Ok(Some(row.get(0)?));
        }
    }
    Ok(None)
}
