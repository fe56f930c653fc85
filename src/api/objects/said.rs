//! What a request's headers say of an object, and what they may not promise.

use std::collections::BTreeMap;

use crate::api::objects::fault::Fault;
use crate::http::head::Head;
use crate::model::limits;
use crate::model::object::{CLASS_STANDARD, Said};

/// Headers that come back with an object as they were, beside its media type.
const KEPT: [&str; 5] =
    ["cache-control", "content-disposition", "content-encoding", "content-language", "expires"];
/// What is between an object and whoever uploaded it.
const META: &str = "x-cos-meta-";

/// Headers that would change what an object is, or who may see it, and do not here.
const NOT_SERVED: [&str; 8] = [
    "x-cos-grant-",
    "x-cos-server-side-encryption",
    "x-cos-tagging",
    "x-cos-object-lock-",
    "x-cos-website-redirect-location",
    "x-cos-callback",
    "x-cos-traffic-limit",
    "pic-operations",
];

/// Storage classes, all of which are the same here.
const CLASSES: [&str; 7] = [
    CLASS_STANDARD,
    "STANDARD_IA",
    "INTELLIGENT_TIERING",
    "MAZ_STANDARD",
    "MAZ_STANDARD_IA",
    "MAZ_INTELLIGENT_TIERING",
    "COLD",
];

/// A header's name as it goes out: `Cache-Control`, since the Python SDK looks for it so; those of COS stay as they are.
pub(super) fn written(name: &str) -> String {
    if name.starts_with("x-") {
        return name.to_owned();
    }
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}

/// What the headers of an upload say of the object.
pub(super) fn read(head: &Head) -> Result<Said, Fault> {
    check_promises(head)?;
    let class = head.header_text("x-cos-storage-class").unwrap_or(CLASS_STANDARD);
    if !CLASSES.contains(&class) {
        let sentence = format!("x-cos-storage-class must be one of {}", CLASSES.join(", "));
        return Err(Fault::new(400, "InvalidStorageClass", sentence));
    }
    let content_type = head.header_text("content-type").filter(|text| !text.is_empty());
    Ok(Said {
        content_type: content_type.unwrap_or("application/octet-stream").to_owned(),
        headers: headers(head)?,
        class: class.to_owned(),
    })
}

fn headers(head: &Head) -> Result<BTreeMap<String, String>, Fault> {
    let (mut headers, mut meta_bytes) = (BTreeMap::new(), 0);
    for (name, value) in head.headers() {
        let name = name.to_ascii_lowercase();
        let is_meta = name.starts_with(META);
        if !is_meta && !KEPT.contains(&name.as_str()) {
            continue;
        }
        let Ok(value) = std::str::from_utf8(value) else {
            return Err(Fault::argument(format!("the header {name} must be UTF-8")));
        };
        meta_bytes += if is_meta { name.len() + value.len() } else { 0 };
        if headers.insert(name.clone(), value.to_owned()).is_some() {
            return Err(Fault::argument(format!("the header {name} is given twice")));
        }
    }
    if meta_bytes > limits::OBJECT_META_BYTES_MAX {
        let sentence = format!("{META}* must be at most {} bytes", limits::OBJECT_META_BYTES_MAX);
        return Err(Fault::new(400, "MetadataTooLarge", sentence));
    }
    Ok(headers)
}

/// Refuses what would be taken and left undone.
pub(super) fn check_promises(head: &Head) -> Result<(), Fault> {
    let acl = head.header_text("x-cos-acl").unwrap_or("private");
    if !matches!(acl, "private" | "default" | "") {
        return Err(Fault::not_served(&format!("the access list {acl}: whoever reads has a key, so it")));
    }
    for (name, _) in head.headers() {
        let name = name.to_ascii_lowercase();
        if NOT_SERVED.iter().any(|beginning| name.starts_with(beginning)) {
            return Err(Fault::not_served(&format!("the header {name}")));
        }
    }
    Ok(())
}
