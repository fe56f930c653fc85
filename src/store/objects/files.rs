//! The object storage's bytes: one file for each object and each part of an upload, in `<database>.d/objects/<2 digits>/<id>`.
//!
//! What must stay true: a file is whole and on the disk, and so is its name in its folder, before a row names it. It is written
//! under its last name at once: until a row names it, it is nothing, and a start removes it. What a file holds never changes,
//! so who copies an object gives its file a second name. Whoever writes a file pins its name until it is known whether there
//! is a row, and the sweep looks at the pins before it looks at the rows, so that neither can miss the other.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use md5::{Digest, Md5};
use rusqlite::{Connection, params};

use crate::base::crc64::{self, Crc64};
use crate::base::hex;
use crate::base::id::IdSource;
use crate::error::{Error, Kind, Result};
use crate::model::object::{Content, FileId};
use crate::store::{Store, backup, connection, fault};

/// Bytes read at a time: so few that they are still in the processor's cache when they have been hashed and are written.
const BUFFER_BYTES: usize = 64 * 1024;
/// Free space that writing leaves in any case, bytes.
const LEAVE_BYTES: u64 = 16 * 1024 * 1024;

/// An object's file, opened for reading.
pub type ObjectBytes = File;

/// The files.
#[derive(Debug)]
pub struct ObjectFiles {
    folder: PathBuf,
    ids: Arc<dyn IdSource>,
    /// Names that are being written, or whose row is on its way.
    pins: Mutex<HashSet<FileId>>,
}

/// A file that is on the disk, removed unless a row comes to name it.
#[derive(Debug)]
pub struct Staged {
    files: Arc<ObjectFiles>,
    /// What it holds.
    pub content: Content,
    is_kept: bool,
}

impl Staged {
    /// Leaves the file where it is: a row names it now, or may.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_kept {
            self.files.remove(&self.content.file);
        }
        self.files.unpin(&self.content.file);
    }
}

impl ObjectFiles {
    /// The files beside that database.
    pub fn open(store: &Store, ids: Arc<dyn IdSource>) -> Result<Arc<ObjectFiles>> {
        let folder = folder_beside(store.path());
        make_folder(&folder)?;
        Ok(Arc::new(ObjectFiles { folder, ids, pins: Mutex::default() }))
    }

    /// Writes what `bytes` gives, of which there are `size`. Fails with `Busy` where the disk has no room for it.
    pub fn write(self: &Arc<ObjectFiles>, mut bytes: impl Read, size: u64) -> Result<Staged> {
        self.check_room(size)?;
        self.stage(|file, content| {
            let (mut md5, mut crc64) = (Md5::new(), Crc64::default());
            let mut buffer = vec![0; BUFFER_BYTES];
            loop {
                let count = match bytes.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => count,
                    Err(cause) if cause.kind() == ErrorKind::Interrupted => continue,
                    Err(cause) => return Err(cause),
                };
                let piece = &buffer[..count];
                md5.update(piece);
                crc64.update(piece);
                file.write_all(piece)?;
                content.size += count as u64;
            }
            (content.etag, content.crc64) = (hex::encode(&md5.finalize()), crc64.value());
            Ok(())
        })
    }

    /// Gives the bytes of an object a second name, which lasts when the first is removed.
    pub fn link(self: &Arc<ObjectFiles>, of: &Content) -> Result<Staged> {
        let file = self.pin();
        let staged =
            Staged { files: Arc::clone(self), content: Content { file, ..of.clone() }, is_kept: false };
        let to = self.place(&staged.content.file)?;
        match fs::hard_link(self.path(&of.file), &to) {
            // Not every file system can; and a file may have some ten thousand names at most.
            Err(cause) if cause.kind() != ErrorKind::NotFound => {
                log::debug!("an object is copied byte by byte: {cause}");
                drop(staged);
                self.join(&[of], of.etag.clone())
            }
            linked => {
                linked.map_err(not_written)?;
                backup::sync(folder_of(&to))?;
                Ok(staged)
            }
        }
    }

    /// Joins contents in that order; their ETag is up to the caller.
    pub fn join(self: &Arc<ObjectFiles>, parts: &[&Content], etag: String) -> Result<Staged> {
        self.check_room(parts.iter().map(|part| part.size).sum())?;
        self.stage(|file, content| {
            for part in parts {
                append(file, &File::open(self.path(&part.file))?, part.size)?;
                content.crc64 = crc64::join(content.crc64, part.crc64, part.size);
                content.size += part.size;
            }
            content.etag = etag;
            Ok(())
        })
    }

    /// The file of that name, opened for reading; none where it was removed.
    pub fn read(&self, file: &FileId) -> Result<Option<ObjectBytes>> {
        match File::open(self.path(file)) {
            Ok(file) => Ok(Some(file)),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Error::internal("an object's file cannot be opened").because(cause)),
        }
    }

    /// Removes a file that no row names any more. Who has it open reads on.
    pub fn remove(&self, file: &FileId) {
        match fs::remove_file(self.path(file)) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => {
                log::warn!("the file of an object that is gone stays until the next start: {cause}");
            }
            _ => {}
        }
    }

    /// Removes files that no row names, which a crash left behind, until `is_over` says that it is to end; how many there were.
    pub fn sweep(&self, store: &Store, is_over: impl Fn() -> bool) -> Result<u64> {
        let mut removed = 0;
        for folder in entries(&self.folder)?.into_iter().take_while(|_| !is_over()) {
            for path in entries(&folder)? {
                let name = path.file_name().and_then(|name| name.to_str()).and_then(FileId::parse);
                // What has another name is not ours.
                let Some(file) = name else { continue };
                if !self.lock().contains(&file) && !store.names_file(&file)? {
                    self.remove(&file);
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    /// Writes a file by `fill`, which is on the disk when this returns.
    fn stage(
        self: &Arc<ObjectFiles>,
        fill: impl FnOnce(&mut File, &mut Content) -> io::Result<()>,
    ) -> Result<Staged> {
        let content = Content { file: self.pin(), size: 0, etag: String::new(), crc64: 0 };
        let mut staged = Staged { files: Arc::clone(self), content, is_kept: false };
        let path = self.place(&staged.content.file)?;
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            fill(&mut file, &mut staged.content)?;
            file.sync_data()
        };
        write().map_err(not_written)?;
        backup::sync(folder_of(&path))?;
        Ok(staged)
    }

    /// A new name that is not swept before it is unpinned.
    fn pin(&self) -> FileId {
        let file = FileId::of(self.ids.secret());
        self.lock().insert(file.clone());
        file
    }

    fn unpin(&self, file: &FileId) {
        self.lock().remove(file);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<FileId>> {
        self.pins.lock().expect("no holder of this lock can panic")
    }

    fn path(&self, file: &FileId) -> PathBuf {
        place_in(&self.folder, file)
    }

    /// Where a new file goes; its folder is there.
    fn place(&self, file: &FileId) -> Result<PathBuf> {
        let path = self.path(file);
        let folder = folder_of(&path);
        if !folder.exists() {
            make_folder(folder)?;
            backup::sync(&self.folder)?;
        }
        Ok(path)
    }

    fn check_room(&self, size: u64) -> Result<()> {
        if backup::free(&self.folder)? >= size.saturating_add(LEAVE_BYTES) {
            return Ok(());
        }
        Err(Error::new(Kind::Busy, "the disk has no room for the object"))
    }
}

impl Store {
    /// Whether a row names that file.
    pub(in crate::store) fn names_file(&self, file: &FileId) -> Result<bool> {
        self.read(|tx| {
            let sql = "SELECT EXISTS (SELECT 1 FROM object WHERE file = ?1)
                           OR EXISTS (SELECT 1 FROM upload_part WHERE file = ?1)";
            Ok(tx.prepare_cached(sql)?.query_row(params![file.as_str()], |row| row.get(0))?)
        })
    }
}

/// Every file that a row names, with its size in bytes.
pub(super) fn named(conn: &Connection) -> Result<Vec<(FileId, u64)>> {
    let sql = "SELECT file, size_bytes FROM object UNION ALL SELECT file, size_bytes FROM upload_part";
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut named = Vec::new();
    while let Some(row) = rows.next()? {
        let (name, size): (String, i64) = (row.get(0)?, row.get(1)?);
        let file = FileId::parse(&name).ok_or_else(|| fault::unreadable("file name"))?;
        named.push((file, u64::try_from(size).map_err(|_| fault::unreadable("file size"))?));
    }
    Ok(named)
}

/// Where a file of that name is within a folder of such files.
pub(super) fn place_in(folder: &Path, file: &FileId) -> PathBuf {
    folder.join(file.folder()).join(file.as_str())
}

/// The files that rows name and that are not there, or not as long as they were.
pub(in crate::store) fn missing(conn: &Connection, folder: &Path) -> Result<Vec<FileId>> {
    let mut named = named(conn)?;
    named.retain(|(file, size)| !is_whole(&place_in(folder, file), *size));
    Ok(named.into_iter().map(|(file, _)| file).collect())
}

/// Whether a file is there, and as long as it is to be.
pub(super) fn is_whole(path: &Path, size: u64) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.len() == size)
}

/// Where the files of the database at `path` are.
pub fn folder_beside(path: &Path) -> PathBuf {
    connection::beside(path, ".d").join("objects")
}

/// For its owner only: functions run as users of their own, on the same host.
pub(super) fn make_folder(folder: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(not_written)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    Ok(fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?)
}

/// Appends `size` bytes from the beginning of `from`, within the kernel where it can.
fn append(to: &mut File, from: &File, size: u64) -> io::Result<()> {
    // The standard library has the kernel copy between files, and falls back to reading and writing by itself.
    let copied = io::copy(&mut from.take(size), to)?;
    if copied == size { Ok(()) } else { Err(io::Error::from(ErrorKind::UnexpectedEof)) }
}

fn not_written(cause: io::Error) -> Error {
    match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Error::new(Kind::Busy, "the disk that holds the objects is full").because(cause)
        }
        // Whose bytes were to be copied was replaced or deleted meanwhile.
        ErrorKind::NotFound => Error::new(Kind::Conflict, "what was to be copied has changed; try again"),
        _ => Error::internal("an object's file cannot be written").because(cause),
    }
}

/// The ETag of parts joined: the MD5 of their MD5s, a hyphen, and how many there are (triggers 2.4).
pub fn joined_etag(parts: &[&Content]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(unhex(&part.etag));
    }
    format!("{}-{}", hex::encode(&md5.finalize()), parts.len())
}

fn unhex(text: &str) -> Vec<u8> {
    let digit =
        |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
