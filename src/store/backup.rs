//! A copy of the whole database while it is in use.
//!
//! `VACUUM INTO` reads one moment and writes a compact file; SQLite's backup API would start again at each write. The
//! copy appears under its name only when it is complete and on disk. It stops before it fills the disk.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::error::{Error, Kind, Result};
use crate::store::{Store, connection};

/// Free space that a copy leaves, bytes.
const LEAVE_BYTES: u64 = 64 * 1024 * 1024;
/// What the names of unfinished copies end with.
const SUFFIX: &str = ".tmp";
/// Virtual machine steps between two looks at the disk: some milliseconds.
const STEPS: i32 = 500_000;

impl Store {
    /// Writes a copy to `path`, replacing what is there, readable by its owner only. Fails with `Busy` when the disk
    /// has no room for it.
    pub fn backup_to(&self, path: &Path) -> Result<()> {
        let unfinished = connection::beside(path, ".tmp");
        let copied = self.copy(&unfinished).and_then(|()| Ok(std::fs::rename(&unfinished, path)?));
        if copied.is_err() {
            // What is left of a failed copy is of no use; if it cannot be removed, the next one replaces it.
            let _ = std::fs::remove_file(&unfinished);
        }
        copied?;
        sync(connection::folder_of(path))
    }

    /// A copy in an unnamed file beside the database, to be streamed; the space is free again when it is closed.
    pub fn backup_file(&self) -> Result<File> {
        let path = self.path();
        let folder = connection::folder_of(path);
        let unfinished = tempfile::Builder::new()
            .prefix(&prefix(path))
            .suffix(SUFFIX)
            .tempfile_in(folder)?
            .into_temp_path();
        self.copy(&unfinished)?;
        Ok(File::open(&unfinished)?)
    }

    fn copy(&self, to: &Path) -> Result<()> {
        let Ok(_one_at_a_time) = self.copying().try_lock() else {
            return Err(Error::new(Kind::Busy, "another backup is being made; try again when it is done"));
        };
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)?;
        let folder = connection::folder_of(to).to_owned();
        let needed = self.sizes()?.db_bytes;
        if free(&folder)? < needed + LEAVE_BYTES {
            return Err(no_room());
        }
        let mut conn = connection::copier(self.path())?;
        stop_before_full(&mut conn, folder)?;
        let name = to.to_str().ok_or_else(|| Error::invalid("the backup's path must be UTF-8"))?;
        match conn.execute("VACUUM INTO ?1", [name]) {
            Err(cause) if cause.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => {
                Err(no_room().because(cause))
            }
            copied => Ok(copied.map(drop)?),
        }?;
        file.sync_all()?;
        Ok(())
    }
}

/// What the names of copies beside the database at `path` begin with.
fn prefix(path: &Path) -> String {
    format!(".{}-backup-", path.file_name().unwrap_or_default().to_string_lossy())
}

/// Removes copies that a crash left beside the database. Only for the one server that has it.
pub(super) fn sweep(path: &Path) -> Result<()> {
    let prefix = prefix(path);
    for entry in std::fs::read_dir(connection::folder_of(path))? {
        let entry = entry?;
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|name| name.starts_with(&prefix) && name.ends_with(SUFFIX));
        if is_ours {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn stop_before_full(conn: &mut Connection, folder: PathBuf) -> Result<()> {
    conn.progress_handler(STEPS, Some(move || free(&folder).is_ok_and(|bytes| bytes < LEAVE_BYTES)))?;
    Ok(())
}

fn no_room() -> Error {
    Error::new(Kind::Busy, "the disk has no room for a copy of the database")
}

/// Bytes that an ordinary user may still write to the disk of `folder`.
pub(super) fn free(folder: &Path) -> Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

pub(super) fn sync(folder: &Path) -> Result<()> {
    File::open(folder)?.sync_all()?;
    Ok(())
}
