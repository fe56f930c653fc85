//! Uploads in parts: begun, filled, ended or given up.

use rusqlite::{OptionalExtension, Row, params};

use crate::error::{About, Error, Kind, Result};
use crate::model::object::{BucketName, FileId, ObjectKey, Part, Upload};
use crate::store::objects::{self, Joined};
use crate::store::{Store, Tx};

impl Store {
    /// Begins an upload. Fails with `NotFound` (the bucket).
    pub fn begin_upload(&self, bucket: &BucketName, upload: Upload) -> Result<()> {
        let bucket = bucket.clone();
        self.write_durably(move |tx| {
            let id = objects::bucket_id(tx, &bucket)?;
            let sql =
                "INSERT INTO upload (bucket_id, key, upload_id, content_type, headers, class, created_us)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let Upload { id: upload_id, key, said, created_us } = &upload;
            let headers = objects::text_of(&said.headers);
            let key = key.as_str().as_bytes();
            tx.execute(sql, params![id, key, upload_id, said.content_type, headers, said.class, created_us])?;
            Ok(())
        })
    }

    /// An upload with all its parts in order. Fails with `NotFound`.
    pub fn upload_of(&self, bucket: &BucketName, key: &ObjectKey, id: &str) -> Result<(Upload, Vec<Part>)> {
        self.read(|tx| {
            let bucket_id = objects::bucket_id(tx, bucket)?;
            let row_id = find(tx, bucket_id, key, id)?;
            let sql = format!("SELECT {COLUMNS} FROM upload WHERE id = ?1");
            let mut statement = tx.prepare_cached(&sql)?;
            let mut rows = statement.query([row_id])?;
            let upload = rows.next()?.map(upload).transpose()?.ok_or_else(|| no_upload(id))?;
            Ok((upload, parts(tx, row_id)?))
        })
    }

    /// Writes a part, in place of one of its number, in a commit that survives a power cut: the file of the one before is removed
    /// then. The file that no row names from then on. Fails with `NotFound`.
    pub fn put_part(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload_id: &str,
        part: Part,
    ) -> Result<Option<FileId>> {
        let (bucket, key, upload_id) = (bucket.clone(), key.clone(), upload_id.to_owned());
        self.write_durably(move |tx| {
            let upload = find(tx, objects::bucket_id(tx, &bucket)?, &key, &upload_id)?;
            let sql = "SELECT file FROM upload_part WHERE upload = ?1 AND number = ?2";
            let values = params![upload, part.number];
            let before: Option<String> =
                tx.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?;
            let sql = "INSERT OR REPLACE INTO upload_part (upload, number, file, size_bytes, etag, crc64, modified_us)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let Part { number, content, modified_us } = &part;
            tx.prepare_cached(sql)?.execute(params![
                upload,
                number,
                content.file.as_str(),
                i64::try_from(content.size).unwrap_or(i64::MAX),
                content.etag,
                content.crc64.cast_signed(),
                modified_us,
            ])?;
            Ok(before.as_deref().and_then(FileId::parse))
        })
    }

    /// Gives an upload up. The files that no row names from then on. Fails with `NotFound`.
    pub fn abort_upload(&self, bucket: &BucketName, key: &ObjectKey, id: &str) -> Result<Vec<FileId>> {
        let (bucket, key, id) = (bucket.clone(), key.clone(), id.to_owned());
        self.write_durably(move |tx| {
            let row_id = find(tx, objects::bucket_id(tx, &bucket)?, &key, &id)?;
            remove(tx, row_id)
        })
    }
}

/// The columns of an upload, which [`upload`] reads.
pub(super) const COLUMNS: &str = "upload_id, key, content_type, headers, class, created_us";

pub(super) fn upload(row: &Row<'_>) -> Result<Upload> {
    Ok(Upload {
        id: row.get(0)?,
        key: objects::key(row, 1)?,
        said: objects::said(row, 2)?,
        created_us: row.get(5)?,
    })
}

/// Ends an upload whose parts were joined. The files that no row names from then on.
pub(super) fn end(tx: &Tx<'_>, bucket_id: i64, key: &ObjectKey, joined: &Joined) -> Result<Vec<FileId>> {
    let row_id = find(tx, bucket_id, key, &joined.upload_id)?;
    let there = parts(tx, row_id)?;
    let is_there = |(number, file): &(u32, FileId)| {
        there.iter().any(|part| part.number == *number && part.content.file == *file)
    };
    if !joined.parts.iter().all(is_there) {
        let sentence = "a part was replaced while the upload was completed; complete it again";
        return Err(Error::new(Kind::Conflict, sentence).about(About::Upload));
    }
    remove(tx, row_id)
}

fn remove(tx: &Tx<'_>, row_id: i64) -> Result<Vec<FileId>> {
    let files = parts(tx, row_id)?.into_iter().map(|part| part.content.file).collect();
    tx.execute("DELETE FROM upload WHERE id = ?1", [row_id])?;
    Ok(files)
}

fn find(tx: &Tx<'_>, bucket_id: i64, key: &ObjectKey, id: &str) -> Result<i64> {
    let sql = "SELECT id FROM upload WHERE bucket_id = ?1 AND key = ?2 AND upload_id = ?3";
    let values = params![bucket_id, key.as_str().as_bytes(), id];
    let found = tx.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?;
    found.ok_or_else(|| no_upload(id))
}

fn parts(tx: &Tx<'_>, row_id: i64) -> Result<Vec<Part>> {
    let sql = "SELECT file, size_bytes, etag, crc64, number, modified_us FROM upload_part WHERE upload = ?1
               ORDER BY number";
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query([row_id])?;
    let mut parts = Vec::new();
    while let Some(row) = rows.next()? {
        let content = objects::content(row, 0)?;
        parts.push(Part { number: row.get(4)?, content, modified_us: row.get(5)? });
    }
    Ok(parts)
}

fn no_upload(id: &str) -> Error {
    Error::not_found(format!("there is no upload {id} of that key")).about(About::Upload)
}
