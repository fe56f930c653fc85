//! Making and opening connections: who may open the file, with which pragmas, and that only one server does.
//!
//! What must stay true: nothing in this process opens the database file but SQLite (closing any other descriptor of it
//! would drop SQLite's POSIX locks), so the lock against a second server is a file beside it, and creation happens
//! before the first connection. `busy_timeout` comes before `journal_mode`, and `auto_vacuum` before both, since
//! neither can be set once the first page is written.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, Kind, Result};
use crate::store::migrate;

/// A page of the database.
pub(super) const PAGE_BYTES: u64 = 4096;
/// How long SQLite waits for a lock another program holds.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The file descriptor that keeps a second server away for as long as it is open.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Locks the database at `path` for this process, or says who has it.
    pub(super) fn take(path: &Path) -> Result<Lock> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            // In a folder that others may write to, a link here would lead the number below into any file of ours.
            .custom_flags(libc::O_NOFOLLOW)
            .open(beside(&real(path), ".lock"))
            .map_err(|cause| cannot_open(path, cause))?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(taken(path, &mut file)),
            Err(errno) => return Err(cannot_open(path, errno)),
        }
        // The number is for people only: a full disk, which has no room for it, is not to keep the server from starting.
        let told = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        told.unwrap_or_else(|cause| log::warn!("the lock's file does not name this process: {cause}"));
        Ok(Lock { _file: file })
    }
}

impl Lock {
    /// Keeps servers away from the database at `path` without writing anything, or says who has it. There is no lock where
    /// no server has ever been.
    pub(super) fn look(path: &Path) -> Result<Option<Lock>> {
        let mut file = match File::open(beside(&real(path), ".lock")) {
            Ok(file) => file,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(cannot_open(path, cause)),
        };
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(taken(path, &mut file)),
            Err(errno) => Err(cannot_open(path, errno)),
        }
    }
}

/// The file itself: whoever comes by another link or name of its folder must meet the same lock.
fn real(path: &Path) -> PathBuf {
    // A file that is not there yet has no links.
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn taken(path: &Path, file: &mut File) -> Error {
    let mut pid = String::new();
    // The owner may be writing its number just now; then the sentence does without.
    let known = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
    let owner = if known { format!(" (process {})", pid.trim()) } else { String::new() };
    Error::new(Kind::Conflict, format!("another server{owner} is using {}", path.display()))
}

fn cannot_open(path: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::invalid(format!("{} cannot be opened", path.display())).because(cause)
}

/// `path` with `suffix` after its whole name: `fnlite.db` and `-wal` give `fnlite.db-wal`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The folder of a file.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Creates the file if it is missing, readable by its owner only; SQLite gives -wal and -shm the same mode.
pub(super) fn create(path: &Path) -> Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(cause) => Err(cannot_open(path, cause)),
    }
}

/// The one connection that writes rows. A file that is not for us is refused before it is changed.
pub(super) fn writer(path: &Path, external_checkpointer: bool) -> Result<Connection> {
    let conn = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    migrate::check(&conn)
        .map_err(|error| Error { message: format!("{}: {}", path.display(), error.message), ..error })?;
    conn.execute_batch(
        "PRAGMA page_size = 4096;
         PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = NORMAL;
         PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA mmap_size = 0;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = 67108864;",
    )?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, external_checkpointer)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

/// A connection that only copies the write-ahead log into the file.
pub(super) fn checkpointer(path: &Path) -> Result<Connection> {
    let conn = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // The read makes it open the write-ahead log: on a connection that has not, a checkpoint does nothing and says so
    // to nobody.
    conn.execute_batch(
        "PRAGMA query_only = ON;
         PRAGMA mmap_size = 0;
         PRAGMA wal_autocheckpoint = 0;
         SELECT count(*) FROM sqlite_schema;",
    )?;
    Ok(conn)
}

/// A connection that reads. Its cache is small, because several of them idle in a process that promises to be small.
pub(super) fn reader(path: &Path) -> Result<Connection> {
    let conn = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    conn.execute_batch(
        "PRAGMA query_only = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA mmap_size = 0;
         PRAGMA cache_size = -512;",
    )?;
    conn.set_prepared_statement_cache_capacity(32);
    Ok(conn)
}

/// A read-only connection that may still write the file of a `VACUUM INTO`, which `query_only` would forbid.
pub(super) fn copier(path: &Path) -> Result<Connection> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// A connection to a file that nobody uses, which leaves file and folder as they are. A write-ahead log that a crash left
/// is read, too.
pub(super) fn untouched(path: &Path) -> Result<Connection> {
    let has_log = std::fs::metadata(beside(&real(path), "-wal")).is_ok_and(|meta| meta.len() > 0);
    let conn = if has_log {
        open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?
    } else {
        open(&immutable(path)?, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)
            .map_err(|error| Error { message: format!("{} cannot be opened", path.display()), ..error })?
    };
    conn.execute_batch("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;")?;
    Ok(conn)
}

/// The file's name as an address that says it does not change.
fn immutable(path: &Path) -> Result<PathBuf> {
    let mut address = String::from("file:");
    for byte in std::path::absolute(path)?.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                address.push(char::from(*byte))
            }
            _ => address.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(PathBuf::from(address + "?immutable=1"))
}

fn open(path: &Path, access: OpenFlags) -> Result<Connection> {
    let conn = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|cause| cannot_open(path, cause))?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    Ok(conn)
}
