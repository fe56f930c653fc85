//! Objects written at once: uploaded, or copied.

use std::io::Read;

use crate::error::{About, Error, Kind, Result};
use crate::model::object::{BucketName, Happening, Object, ObjectKey, Said};
use crate::service::objects::event::Asker;
use crate::service::objects::reading::TRIES;
use crate::service::objects::{Objects, Place};
use crate::store::objects::files::Staged;

/// How an object is written.
#[derive(Clone, Debug)]
pub struct Manner {
    /// What is said of it.
    pub said: Said,
    /// What its MD5 must be, hexadecimal, if that was said.
    pub md5: Option<String>,
    /// Whether another object of that key may be there.
    pub may_replace: bool,
}

/// What an object is copied from.
#[derive(Clone, Debug)]
pub struct From {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// What is said of the copy; none for what was said of the original.
    pub said: Option<Said>,
}

impl Objects {
    /// Writes an object of what `bytes` gives, `size` bytes.
    ///
    /// Fails with `NotFound` (the bucket), `Invalid` (other bytes than their MD5 says), `Conflict` (the key is taken and may not
    /// be), `Full` (the queue of events takes no more for now) and `Busy` (the disk is nearly full, or too slow).
    pub fn upload(
        &self,
        (bucket, key): (&BucketName, &ObjectKey),
        (bytes, size): (impl Read, u64),
        manner: Manner,
        asker: &Asker,
    ) -> Result<Object> {
        self.store.check_bucket(bucket)?;
        self.store.check_room_for_event()?;
        let staged = self.files.write(bytes, size)?;
        check_md5(&staged, manner.md5.as_deref())?;
        let object = self.object(key, &staged, manner.said);
        let place =
            Place { bucket, happening: Happening::Put, upload: None, may_replace: manner.may_replace };
        self.put(place, staged, object, asker)
    }

    /// Writes an object of another one's bytes, if `check` lets it. Fails as [`upload`](Objects::upload), and with `NotFound`
    /// where the original is not there.
    pub fn copy(
        &self,
        (bucket, key): (&BucketName, &ObjectKey),
        from: &From,
        may_replace: bool,
        asker: &Asker,
        check: impl Fn(&Object) -> Result<()>,
    ) -> Result<Object> {
        self.store.check_bucket(bucket)?;
        self.store.check_room_for_event()?;
        let (original, staged) = self.second_name(from, check)?;
        let said = from.said.clone().unwrap_or(original.said);
        let object = self.object(key, &staged, said);
        let place = Place { bucket, happening: Happening::Copy, upload: None, may_replace };
        self.put(place, staged, object, asker)
    }

    /// The original, and its bytes under another name.
    fn second_name(&self, from: &From, check: impl Fn(&Object) -> Result<()>) -> Result<(Object, Staged)> {
        let mut last = Error::new(Kind::Internal, "the file of an object is missing");
        for _ in 0..TRIES {
            let original = self.store.object(&from.bucket, &from.key)?;
            check(&original)?;
            match self.files.link(&original.content) {
                Ok(staged) => return Ok((original, staged)),
                // It was replaced between its row and its file.
                Err(error) if error.kind == Kind::Conflict => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    fn object(&self, key: &ObjectKey, staged: &Staged, said: Said) -> Object {
        let (content, modified_us) = (staged.content.clone(), self.clock.wall_us());
        Object { key: key.clone(), content, said, modified_us }
    }
}

/// Whether the bytes are those that were meant.
pub(super) fn check_md5(staged: &Staged, md5: Option<&str>) -> Result<()> {
    if md5.is_none_or(|md5| md5 == staged.content.etag) {
        return Ok(());
    }
    Err(Error::invalid("the bytes that came are not those that Content-MD5 was made of")
        .about(About::Checksum))
}
