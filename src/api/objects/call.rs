//! One request that was let in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::api::objects::asked::Asked;
use crate::api::objects::fault::Fault;
use crate::base::hex;
use crate::http::body::Body;
use crate::http::head::Head;
use crate::model::object::{BucketName, ObjectKey};
use crate::service::objects::Objects;
use crate::service::objects::event::Asker;
use crate::service::objects::uploads::UploadRef;

/// What an operation's function is given.
pub(super) struct Call<'a> {
    pub(super) objects: &'a Objects,
    pub(super) head: &'a Head,
    pub(super) asked: Asked,
    pub(super) body: Body,
    pub(super) asker: Asker,
}

impl Call<'_> {
    /// The bucket; the table leads nobody here without one who needs it.
    pub(super) fn bucket(&self) -> Result<&BucketName, Fault> {
        self.asked.bucket.as_ref().ok_or_else(|| Fault::new(404, "NoSuchBucket", "the host names no bucket"))
    }

    /// The body, which nobody gets after this.
    pub(super) fn take_body(&mut self) -> Body {
        std::mem::replace(&mut self.body, Body::new(Vec::new()))
    }

    /// Bucket and key.
    pub(super) fn object(&self) -> Result<(&BucketName, &ObjectKey), Fault> {
        let key = self.asked.key.as_ref();
        Ok((self.bucket()?, key.ok_or_else(|| Fault::new(404, "NoSuchKey", "the path names no key"))?))
    }

    /// The upload named by the parameters.
    pub(super) fn upload(&self) -> Result<UploadRef<'_>, Fault> {
        let (bucket, key) = self.object()?;
        Ok(UploadRef { bucket, key, id: self.asked.param("uploadId").unwrap_or_default() })
    }

    /// A parameter that is a number, if it is there and not empty.
    pub(super) fn number(&self, name: &str) -> Result<Option<u32>, Fault> {
        let text = self.asked.param(name).filter(|text| !text.is_empty());
        let wrong = |_| Fault::argument(format!("{name} must be a whole number"));
        text.map(|text| text.parse().map_err(wrong)).transpose()
    }

    /// The MD5 that the body must have, hexadecimal, if one was sent.
    pub(super) fn md5(&self) -> Result<Option<String>, Fault> {
        let Some(text) = self.head.header_text("content-md5").filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let bytes = STANDARD.decode(text).ok().filter(|bytes| bytes.len() == 16);
        let wrong = || Fault::new(400, "InvalidDigest", "Content-MD5 must be the base64 of 16 bytes");
        let bytes = bytes.ok_or_else(wrong)?;
        Ok(Some(hex::encode(&bytes)))
    }
}
