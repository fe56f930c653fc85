//! Uploads in parts. A part is a file of its own; at the end they are joined into one, outside any transaction, so that however
//! large it is, nobody else waits for it.

use std::io::Read;

use crate::error::{About, Error, Result};
use crate::model::limits;
use crate::model::object::{
    BucketName, Content, Happening, Listed, Listing, Object, ObjectKey, Part, Said, Upload,
};
use crate::service::objects::event::Asker;
use crate::service::objects::writing::check_md5;
use crate::service::objects::{Objects, Place};
use crate::store::objects::Joined;
use crate::store::objects::files::joined_etag;

/// An upload as requests name it.
#[derive(Clone, Copy, Debug)]
pub struct UploadRef<'a> {
    /// Its bucket.
    pub bucket: &'a BucketName,
    /// Its key.
    pub key: &'a ObjectKey,
    /// Its id.
    pub id: &'a str,
}

impl Objects {
    /// Begins an upload; its id. Fails with `NotFound` (the bucket).
    pub fn begin_upload(&self, bucket: &BucketName, key: &ObjectKey, said: Said) -> Result<String> {
        self.store.check_room_for_event()?;
        // In the order they were begun, as ids of the cloud are.
        let created_us = self.clock.wall_us();
        let id = format!("{:012x}{}", created_us / 1000, self.new_file_id().as_str());
        let upload = Upload { id: id.clone(), key: key.clone(), said, created_us };
        self.store.begin_upload(bucket, upload)?;
        Ok(id)
    }

    /// Writes a part of what `bytes` gives, `size` bytes. Fails with `NotFound` (the upload), `Invalid` (other bytes than their
    /// MD5 says) and `Busy`.
    pub fn put_part(
        &self,
        upload: UploadRef<'_>,
        number: u32,
        (bytes, size): (impl Read, u64),
        md5: Option<&str>,
    ) -> Result<Part> {
        self.store.check_room_for_event()?;
        // Asked first, so that nothing is written for an upload that is not there.
        self.store.upload_of(upload.bucket, upload.key, upload.id)?;
        let staged = self.files.write(bytes, size)?;
        check_md5(&staged, md5)?;
        let part = Part { number, content: staged.content.clone(), modified_us: self.clock.wall_us() };
        let put = self.store.put_part(upload.bucket, upload.key, upload.id, part.clone());
        if put.as_ref().is_ok() || put.as_ref().is_err_and(super::is_doubtful) {
            staged.keep();
        }
        if let Some(before) = put? {
            self.files.remove(&before);
        }
        Ok(part)
    }

    /// An upload and all its parts in order. Fails with `NotFound`.
    pub fn parts(&self, upload: UploadRef<'_>) -> Result<(Upload, Vec<Part>)> {
        self.store.upload_of(upload.bucket, upload.key, upload.id)
    }

    /// A page of a bucket's uploads that have not ended. Fails with `NotFound` (the bucket).
    pub fn list_uploads(&self, bucket: &BucketName, listing: &Listing) -> Result<Listed<Upload>> {
        self.store.list_uploads(bucket, listing)
    }

    /// Gives an upload up, and its parts. Fails with `NotFound`.
    pub fn abort_upload(&self, upload: UploadRef<'_>) -> Result<()> {
        let files = self.store.abort_upload(upload.bucket, upload.key, upload.id)?;
        files.iter().for_each(|file| self.files.remove(file));
        Ok(())
    }

    /// Writes the object that an upload's parts are, those named by number and ETag, in that order.
    ///
    /// Fails with `NotFound` (the upload), `Invalid` (a part that is not there or is another), `Limit` (a part but the last is
    /// too small), and as [`upload`](Objects::upload).
    pub fn complete_upload(
        &self,
        upload: UploadRef<'_>,
        named: &[(u32, String)],
        asker: &Asker,
    ) -> Result<Object> {
        self.store.check_room_for_event()?;
        let (begun, parts) = self.parts(upload)?;
        let chosen = choose(&parts, named)?;
        let contents: Vec<&Content> = chosen.iter().map(|part| &part.content).collect();
        let staged = self.files.join(&contents, joined_etag(&contents))?;
        let joined = Joined {
            upload_id: upload.id.to_owned(),
            parts: chosen.iter().map(|part| (part.number, part.content.file.clone())).collect(),
        };
        let object = Object {
            key: upload.key.clone(),
            content: staged.content.clone(),
            said: begun.said,
            modified_us: self.clock.wall_us(),
        };
        let place = Place {
            bucket: upload.bucket,
            happening: Happening::Complete,
            upload: Some(joined),
            may_replace: true,
        };
        self.put(place, staged, object, asker)
    }
}

/// The parts that are meant.
fn choose<'a>(parts: &'a [Part], named: &[(u32, String)]) -> Result<Vec<&'a Part>> {
    let chosen = named.iter().map(|(number, etag)| {
        let part = parts.iter().find(|part| part.number == *number && part.content.etag == *etag);
        part.ok_or_else(|| {
            Error::invalid(format!("there is no part {number} with the ETag {etag}")).about(About::Part)
        })
    });
    let chosen: Vec<&Part> = chosen.collect::<Result<_>>()?;
    let all_but_last = chosen.split_last().map_or(&[][..], |(_, before)| before);
    match all_but_last.iter().find(|part| part.content.size < limits::PART_BYTES_MIN) {
        Some(part) => {
            let sentence = format!(
                "part {} has {} bytes; every part but the last has at least {}",
                part.number,
                part.content.size,
                limits::PART_BYTES_MIN
            );
            Err(Error::limit(sentence).about(About::Part))
        }
        None => Ok(chosen),
    }
}
