//! The object storage's rows: buckets, objects, uploads in parts. The bytes are in files (`files`).
//!
//! What must stay true: a row is written only once its file is on the disk, and a file is removed only once no row names it,
//! so a crash leaves files too many and never one too few. What comes of an upload is queued in the transaction that writes
//! the object: there is no object without its events, and no event without its object.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Row, params};

use crate::error::{About, Error, Kind, Result};
use crate::model::invocation::Record;
use crate::model::object::{Bucket, BucketName, Content, FileId, Object, ObjectKey, Said};
use crate::store::{Store, Tx, fault};

pub mod backup;
pub mod files;
mod listing;
mod uploads;

/// An object to write.
#[derive(Debug)]
pub struct Putting {
    /// Where to.
    pub bucket: BucketName,
    /// The object, its bytes on the disk.
    pub object: Object,
    /// The upload in parts that ends with it.
    pub upload: Option<Joined>,
    /// Whether another object of that key may be there.
    pub may_replace: bool,
    /// What comes of it.
    pub events: Vec<Record>,
}

/// An upload in parts, and the parts that were joined.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The upload's id.
    pub upload_id: String,
    /// Those parts' numbers and files.
    pub parts: Vec<(u32, FileId)>,
}

impl Store {
    /// Makes a bucket. Fails with `Conflict` where there is one of that name.
    pub fn create_bucket(&self, name: &BucketName) -> Result<()> {
        let name = name.clone();
        self.write_durably(move |tx| {
            let sql = "INSERT OR IGNORE INTO bucket (name, created_us) VALUES (?1, ?2)";
            match tx.execute(sql, params![name.as_str(), tx.now_us])? {
                0 => Err(Error::new(Kind::Conflict, format!("there is a bucket {name} already"))
                    .about(About::Bucket)),
                _ => Ok(()),
            }
        })
    }

    /// Deletes a bucket. Fails with `NotFound`, and with `Conflict` where objects or uploads are in it.
    pub fn delete_bucket(&self, name: &BucketName) -> Result<()> {
        let name = name.clone();
        self.write_durably(move |tx| {
            let id = bucket_id(tx, &name)?;
            let sql = "SELECT EXISTS (SELECT 1 FROM object WHERE bucket_id = ?1)
                           OR EXISTS (SELECT 1 FROM upload WHERE bucket_id = ?1)";
            if tx.query_row(sql, [id], |row| row.get(0))? {
                let sentence = format!("{name} has objects or unfinished uploads; delete them first");
                return Err(Error::new(Kind::Conflict, sentence).about(About::Object));
            }
            tx.execute("DELETE FROM bucket WHERE id = ?1", [id])?;
            Ok(())
        })
    }

    /// Every bucket by name.
    pub fn buckets(&self) -> Result<Vec<Bucket>> {
        self.read(|tx| {
            let mut statement = tx.prepare_cached("SELECT name, created_us FROM bucket ORDER BY name")?;
            let mut rows = statement.query([])?;
            let mut buckets = Vec::new();
            while let Some(row) = rows.next()? {
                let name: String = row.get(0)?;
                buckets.push(Bucket { name: BucketName::parse(&name)?, created_us: row.get(1)? });
            }
            Ok(buckets)
        })
    }

    /// Fails with `NotFound` where there is no such bucket.
    pub fn check_bucket(&self, name: &BucketName) -> Result<()> {
        self.read(|tx| bucket_id(tx, name).map(drop))
    }

    /// The object of that key. Fails with `NotFound`.
    pub fn object(&self, bucket: &BucketName, key: &ObjectKey) -> Result<Object> {
        self.read(|tx| {
            let id = bucket_id(tx, bucket)?;
            let sql = format!("SELECT {COLUMNS} FROM object o WHERE bucket_id = ?1 AND key = ?2");
            let mut statement = tx.prepare_cached(&sql)?;
            let mut rows = statement.query(params![id, key.as_str().as_bytes()])?;
            rows.next()?.map(object).transpose()?.ok_or_else(|| no_object(key))
        })
    }

    /// Writes an object, in place of one of its key, with the events that come of it; in a commit that survives a power cut. The
    /// files that no row names from then on.
    ///
    /// Fails with `NotFound` (the bucket, the upload), and with `Conflict` where the key is taken and may not be, or where
    /// parts were replaced since they were joined.
    pub fn put_object(&self, putting: Putting) -> Result<Vec<FileId>> {
        self.write_events(move |tx, queue| {
            let Putting { bucket, object, upload, may_replace, events } = &putting;
            let id = bucket_id(tx, bucket)?;
            let mut left_over = Vec::new();
            if let Some(joined) = upload {
                left_over = uploads::end(tx, id, &object.key, joined)?;
            }
            let replaced = file_of(tx, id, &object.key)?;
            if replaced.is_some() && !may_replace {
                let sentence = format!("there is an object {} already", object.key);
                return Err(Error::new(Kind::Conflict, sentence).about(About::ObjectKey));
            }
            left_over.extend(replaced);
            write(tx, id, object)?;
            queue.events(tx, events)?;
            Ok(left_over)
        })
    }

    /// Deletes objects, with the events that come of each that was there; in one commit that survives a power cut. What their
    /// files were, in the same order; none for one that was not there. Fails with `NotFound` (the bucket).
    pub fn delete_objects(
        &self,
        bucket: &BucketName,
        deletions: Vec<(ObjectKey, Vec<Record>)>,
    ) -> Result<Vec<Option<FileId>>> {
        let bucket = bucket.clone();
        self.write_events(move |tx, queue| {
            let id = bucket_id(tx, &bucket)?;
            let mut files = Vec::new();
            for (key, events) in &deletions {
                let file = file_of(tx, id, key)?;
                if file.is_some() {
                    let sql = "DELETE FROM object WHERE bucket_id = ?1 AND key = ?2";
                    tx.prepare_cached(sql)?.execute(params![id, key.as_str().as_bytes()])?;
                    queue.events(tx, events)?;
                }
                files.push(file);
            }
            Ok(files)
        })
    }
}

/// The columns of an object, which [`object`] reads.
const COLUMNS: &str = "file, size_bytes, etag, crc64, content_type, headers, class, key, modified_us";

fn object(row: &Row<'_>) -> Result<Object> {
    Ok(Object { content: content(row, 0)?, said: said(row, 4)?, key: key(row, 7)?, modified_us: row.get(8)? })
}

fn key(row: &Row<'_>, at: usize) -> Result<ObjectKey> {
    let bytes: Vec<u8> = row.get(at)?;
    let text = String::from_utf8(bytes).map_err(|_| fault::unreadable("key"))?;
    ObjectKey::parse(&text).map_err(|_| fault::unreadable("key"))
}

/// File, size, ETag and checksum in columns from `at` on.
fn content(row: &Row<'_>, at: usize) -> Result<Content> {
    let file: String = row.get(at)?;
    Ok(Content {
        file: FileId::parse(&file).ok_or_else(|| fault::unreadable("file name"))?,
        size: u64::try_from(row.get::<_, i64>(at + 1)?).unwrap_or(0),
        etag: row.get(at + 2)?,
        crc64: row.get::<_, i64>(at + 3)?.cast_unsigned(),
    })
}

/// Media type, headers and class in columns from `at` on.
fn said(row: &Row<'_>, at: usize) -> Result<Said> {
    let headers: String = row.get(at + 1)?;
    let headers: BTreeMap<String, String> =
        serde_json::from_str(&headers).map_err(|_| fault::unreadable("object's headers"))?;
    Ok(Said { content_type: row.get(at)?, headers, class: row.get(at + 2)? })
}

fn text_of(headers: &BTreeMap<String, String>) -> String {
    serde_json::to_string(headers).expect("texts always become JSON")
}

fn bucket_id(tx: &Tx<'_>, name: &BucketName) -> Result<i64> {
    let mut statement = tx.prepare_cached("SELECT id FROM bucket WHERE name = ?1")?;
    let found = statement.query_row([name.as_str()], |row| row.get(0)).optional()?;
    found.ok_or_else(|| Error::not_found(format!("there is no bucket {name}")).about(About::Bucket))
}

fn file_of(tx: &Tx<'_>, bucket_id: i64, key: &ObjectKey) -> Result<Option<FileId>> {
    let sql = "SELECT file FROM object WHERE bucket_id = ?1 AND key = ?2";
    let values = params![bucket_id, key.as_str().as_bytes()];
    let file: Option<String> = tx.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?;
    Ok(file.as_deref().and_then(FileId::parse))
}

fn write(tx: &Tx<'_>, bucket_id: i64, object: &Object) -> Result<()> {
    let sql = "INSERT INTO object (bucket_id, key, file, size_bytes, etag, crc64, content_type, headers, class, modified_us)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
               ON CONFLICT (bucket_id, key) DO UPDATE SET file = ?3, size_bytes = ?4, etag = ?5, crc64 = ?6,
                   content_type = ?7, headers = ?8, class = ?9, modified_us = ?10";
    let Object { key, content, said, modified_us } = object;
    tx.prepare_cached(sql)?.execute(params![
        bucket_id,
        key.as_str().as_bytes(),
        content.file.as_str(),
        i64::try_from(content.size).unwrap_or(i64::MAX),
        content.etag,
        content.crc64.cast_signed(),
        said.content_type,
        text_of(&said.headers),
        said.class,
        modified_us,
    ])?;
    Ok(())
}

fn no_object(key: &ObjectKey) -> Error {
    Error::not_found(format!("there is no object {key}")).about(About::Object)
}
