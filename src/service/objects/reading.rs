//! An object with its bytes.

use crate::error::{Error, Kind, Result};
use crate::model::object::{BucketName, Object, ObjectKey};
use crate::service::objects::Objects;
use crate::store::objects::files::ObjectBytes;

/// How often an object is looked for that was replaced or deleted between its row and its file.
pub(super) const TRIES: u32 = 10;

/// An object, and its bytes for as long as the value lives, whatever becomes of it meanwhile.
#[derive(Debug)]
pub struct Opened {
    /// The object.
    pub object: Object,
    /// Its bytes, from the beginning.
    pub file: ObjectBytes,
}

impl Objects {
    /// The object of that key. Fails with `NotFound`.
    pub fn open(&self, bucket: &BucketName, key: &ObjectKey) -> Result<Opened> {
        for _ in 0..TRIES {
            let object = self.store.object(bucket, key)?;
            if let Some(file) = self.files.read(&object.content.file)? {
                return Ok(Opened { object, file });
            }
            // Replaced or deleted meanwhile, so another look finds that; or lost, and none does.
        }
        Err(Error::new(Kind::Internal, "the file of an object is missing"))
    }
}
