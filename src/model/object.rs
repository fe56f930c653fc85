//! Objects of the embedded object storage: what buckets and keys may be called, what is kept of an object, what may happen to
//! one (triggers 2).

use std::collections::BTreeMap;
use std::fmt;

use crate::base::hex;
use crate::error::{About, Error, Result};
use crate::model::limits;

/// What the storage class of an object is called unless its owner says otherwise.
pub const CLASS_STANDARD: &str = "STANDARD";

/// A bucket's name as requests have it: `<name>-<appid>`, where the name is up to 50 lower-case letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketName(String);

impl BucketName {
    /// Checks the grammar.
    pub fn parse(text: &str) -> Result<BucketName> {
        let is_good = text.rsplit_once('-').is_some_and(|(name, appid)| {
            let is_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            (1..=limits::BUCKET_CHARS_MAX).contains(&name.len())
                && name.bytes().all(is_byte)
                && !name.starts_with('-')
                && !name.ends_with('-')
                && (1..=20).contains(&appid.len())
                && appid.bytes().all(|byte| byte.is_ascii_digit())
        });
        if is_good {
            return Ok(BucketName(text.to_owned()));
        }
        let sentence = format!(
            "a bucket is named NAME-APPID, NAME being 1 to {} lower-case letters, digits and inner hyphens",
            limits::BUCKET_CHARS_MAX
        );
        Err(Error::invalid(sentence).about(About::Bucket))
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without the application's id.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('-').map_or(&self.0, |(name, _)| name)
    }

    /// The application's id.
    pub fn appid(&self) -> &str {
        self.0.rsplit_once('-').map_or("", |(_, appid)| appid)
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An object's key: 1 to 850 bytes of UTF-8 without control characters, which XML could not tell of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// Checks the grammar.
    pub fn parse(text: &str) -> Result<ObjectKey> {
        let is_good = (1..=limits::OBJECT_KEY_BYTES_MAX).contains(&text.len());
        if is_good && !text.chars().any(char::is_control) {
            return Ok(ObjectKey(text.to_owned()));
        }
        let sentence = format!(
            "a key must be 1 to {} bytes of UTF-8 without control characters",
            limits::OBJECT_KEY_BYTES_MAX
        );
        Err(Error::invalid(sentence).about(About::ObjectKey))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of the file that holds the bytes of an object or of a part: 32 hexadecimal digits that nobody can guess. It is never
/// given again, and what it holds never changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(String);

impl FileId {
    /// The name that is made of that secret.
    pub fn of(secret: [u8; 32]) -> FileId {
        FileId(hex::encode(&secret[..16]))
    }

    /// Checks the grammar.
    pub fn parse(text: &str) -> Option<FileId> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 32 && text.bytes().all(is_digit)).then(|| FileId(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder it lies in.
    pub fn folder(&self) -> &str {
        &self.0[..2]
    }
}

/// Bytes that are on the disk, and what was counted while they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Where they are.
    pub file: FileId,
    /// How many.
    pub size: u64,
    /// Their MD5, hexadecimal; of an upload in parts that of the parts' ones, a hyphen, and how many there were.
    pub etag: String,
    /// Their CRC-64/XZ.
    pub crc64: u64,
}

/// What whoever uploads an object says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The media type.
    pub content_type: String,
    /// Further headers that come back with it, by their names in lower case: `cache-control` and its like, `x-cos-meta-*`.
    pub headers: BTreeMap<String, String>,
    /// The storage class, which changes nothing here.
    pub class: String,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: ObjectKey,
    /// Its bytes.
    pub content: Content,
    /// What was said of it.
    pub said: Said,
    /// When it was written, microseconds since the epoch.
    pub modified_us: i64,
}

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: BucketName,
    /// When it was made, microseconds since the epoch.
    pub created_us: i64,
}

/// An upload in parts that has neither been completed nor given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub id: String,
    /// The key of what it is to be.
    pub key: ObjectKey,
    /// What was said of it.
    pub said: Said,
    /// When it was begun, microseconds since the epoch.
    pub created_us: i64,
}

/// A part of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number, 1 to 10,000.
    pub number: u32,
    /// Its bytes.
    pub content: Content,
    /// When it was written, microseconds since the epoch.
    pub modified_us: i64,
}

/// Which objects, or uploads, are to be listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// How their keys begin.
    pub prefix: String,
    /// What ends the common beginning of those that are told as one; empty for none.
    pub delimiter: String,
    /// After which key.
    pub marker: String,
    /// Of uploads of that very key, after which id; empty for none of them.
    pub id_marker: String,
    /// How many at most, both of objects and of common beginnings.
    pub most: u32,
}

/// A page of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// What is there.
    pub found: Vec<T>,
    /// Common beginnings of keys, the delimiter included.
    pub prefixes: Vec<String>,
    /// After which key it goes on, where that was not all.
    pub next: Option<String>,
}

/// What can happen to an object here. There are no versions, so what is deleted is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// It was uploaded at once.
    Put,
    /// It was copied from another.
    Copy,
    /// It was uploaded in parts.
    Complete,
    /// It was deleted.
    Delete,
}

impl Happening {
    /// The event's name (triggers 2.2).
    pub fn as_str(self) -> &'static str {
        match self {
            Happening::Put => "cos:ObjectCreated:Put",
            Happening::Copy => "cos:ObjectCreated:Copy",
            Happening::Complete => "cos:ObjectCreated:CompleteMultipartUpload",
            Happening::Delete => "cos:ObjectRemove:Delete",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_named_as_in_the_cloud() {
        let long = format!("{}-1", "x".repeat(50));
        for good in ["photos-1300000001", "a-1", "a-b-1", "1-1", &long] {
            assert!(BucketName::parse(good).is_ok(), "{good}");
        }
        let longer = format!("{}-1", "x".repeat(51));
        for wrong in ["photos", "-1", "Photos-1", "a_b-1", "-a-1", "a--1", "a-", "a-1x", "a.b-1", &longer] {
            assert_eq!(BucketName::parse(wrong).unwrap_err().about, About::Bucket, "{wrong}");
        }
        let bucket = BucketName::parse("a-b-12").unwrap();
        assert_eq!((bucket.name(), bucket.appid()), ("a-b", "12"));
    }

    #[test]
    fn keys_are_text_of_some_length() {
        let long = "x".repeat(850);
        for good in ["a", "/a", "in/cat 01.jpg", "猫", "..", "a\u{2028}b", &long] {
            assert!(ObjectKey::parse(good).is_ok(), "{good}");
        }
        for wrong in ["", "a\nb", "\u{7f}", "\u{85}", &format!("{long}x")] {
            assert!(ObjectKey::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn files_are_named_by_digits() {
        let id = FileId::of([0xab; 32]);
        assert_eq!((id.as_str().len(), id.folder()), (32, "ab"));
        assert_eq!(FileId::parse(id.as_str()), Some(id));
        assert_eq!(FileId::parse("../../../../../../../etc/passwd."), None);
    }
}
