//! `POST /v1/events/s3/{bucket}`: what MinIO and its like notify of becomes the object storage's events (triggers 2.3).
//!
//! What must stay true: the answer leaves once every event is kept; then, and only then, the sender may forget what it told. A
//! notification that comes twice is one.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::rest::Rest;
use crate::api::rest::answer;
use crate::api::rest::call::Call;
use crate::base::percent;
use crate::error::{Error, Result};
use crate::http::response::Response;
use crate::model::limits;
use crate::model::object::{BucketName, ObjectKey};
use crate::service::objects::event::{Asker, Happened};

/// The body; what is not needed is passed over, since every store and release adds to it.
#[derive(Deserialize)]
struct Notification {
    #[serde(default, rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    event_time: String,
    #[serde(default)]
    request_parameters: BTreeMap<String, String>,
    #[serde(default)]
    response_elements: BTreeMap<String, String>,
    s3: S3,
}

#[derive(Deserialize)]
struct S3 {
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    key: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    e_tag: String,
    #[serde(default)]
    content_type: String,
    /// Older releases call it `userDefined`.
    #[serde(default, alias = "userDefined")]
    user_metadata: BTreeMap<String, String>,
    #[serde(default)]
    version_id: String,
    #[serde(default)]
    sequencer: String,
}

#[derive(Serialize)]
struct Told {
    /// Events that were queued; those of a notification that came before are not again.
    accepted: u32,
    /// Records that are of another bucket, or of a kind that is no event here.
    ignored: u32,
}

pub(super) fn post(rest: &Rest, call: Call) -> Result<Response> {
    let objects = &rest.parts.objects;
    let bucket = bucket(&call.part, objects.appid())?;
    let notification: Notification = serde_json::from_slice(&call.body.into_bytes()?)
        .map_err(|cause| Error::invalid(format!("the body must be a notification of S3: {cause}")))?;
    if notification.records.len() > usize::try_from(limits::OBJECTS_PER_REQUEST_MAX).unwrap_or(usize::MAX) {
        let sentence = format!("Records must be at most {}", limits::OBJECTS_PER_REQUEST_MAX);
        return Err(Error::invalid(sentence));
    }
    let mut told = Told { accepted: 0, ignored: 0 };
    // All are read before the first is queued: what is refused leaves nothing behind.
    let read: Vec<_> =
        notification.records.iter().map(|record| record.read(&bucket)).collect::<Result<_>>()?;
    for happened in read {
        match happened {
            Some((happened, key)) => told.accepted += objects.tell(&happened, key.as_deref())?,
            None => told.ignored += 1,
        }
    }
    Ok(answer::json(200, &told))
}

/// The bucket of that name, which may come without the application's id.
fn bucket(text: &str, appid: &str) -> Result<BucketName> {
    BucketName::parse(text).or_else(|_| BucketName::parse(&format!("{text}-{appid}")))
}

impl Record {
    /// What happened, and what tells it from all else that did; none where it is nothing here.
    fn read(&self, bucket: &BucketName) -> Result<Option<(Happened, Option<String>)>> {
        let S3 { bucket: of, object } = &self.s3;
        let wrong = |what: &str| Error::invalid(format!("{what} of a record cannot be read"));
        // Also of what is passed over: a sender that writes times in another way should hear of it at once.
        let at: Timestamp = self.event_time.parse().map_err(|_| wrong("eventTime"))?;
        let (Some(name), true) = (self.name(), of.name == bucket.as_str() || of.name == bucket.name()) else {
            return Ok(None);
        };
        let key = percent::decode(&object.key.replace('+', " ")).ok_or_else(|| wrong("s3.object.key"))?;
        let key = ObjectKey::parse(&key)?;
        let happened = Happened {
            meta: self.meta(&name),
            size: if name.starts_with("cos:ObjectRemove") { 0 } else { object.size },
            name,
            bucket: bucket.clone(),
            key: key.as_str().to_owned(),
            version: object.version_id.clone(),
            at_us: at.as_microsecond(),
            asker: Asker {
                request_id: self.request_id(),
                source_ip: self.source_ip(),
                authorization: String::new(),
            },
        };
        let which = format!("{bucket}/{key} {} {}", object.sequencer, self.event_name);
        Ok(Some((happened, (!object.sequencer.is_empty()).then_some(which))))
    }

    /// The event's name here, if it is one.
    fn name(&self) -> Option<String> {
        let name = self.event_name.strip_prefix("s3:").unwrap_or(&self.event_name);
        let (family, member) = name.split_once(':')?;
        let (family, members): (_, &[&str]) = match family {
            "ObjectCreated" => ("ObjectCreated", &["Put", "Post", "Copy", "CompleteMultipartUpload"]),
            "ObjectRemoved" => ("ObjectRemove", &["Delete", "DeleteMarkerCreated"]),
            "ObjectRestore" => ("ObjectRestore", &["Post", "Completed"]),
            _ => return None,
        };
        members.contains(&member).then(|| format!("cos:{family}:{member}"))
    }

    fn meta(&self, name: &str) -> BTreeMap<String, String> {
        let object = &self.s3.object;
        let mut meta = BTreeMap::from([("x-cos-request-id".to_owned(), self.request_id())]);
        if name.starts_with("cos:ObjectRemove") {
            return meta;
        }
        if !object.e_tag.is_empty() {
            meta.insert("ETag".to_owned(), format!("\"{}\"", object.e_tag.trim_matches('"')));
        }
        if !object.content_type.is_empty() {
            meta.insert("Content-Type".to_owned(), object.content_type.clone());
        }
        for (name, value) in &object.user_metadata {
            if let Some(own) = name.to_ascii_lowercase().strip_prefix("x-amz-meta-") {
                meta.insert(format!("x-cos-meta-{own}"), value.clone());
            }
        }
        meta
    }

    fn request_id(&self) -> String {
        self.response_elements.get("x-amz-request-id").cloned().unwrap_or_default()
    }

    /// Old releases append the port.
    fn source_ip(&self) -> String {
        let sent = self.request_parameters.get("sourceIPAddress").cloned().unwrap_or_default();
        sent.parse::<SocketAddr>().map_or(sent, |address| address.ip().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(event_name: &str, bucket: &str, key: &str) -> Record {
        let text = serde_json::json!({
            "eventName": event_name, "eventTime": "2025-11-24T02:06:40.123Z",
            "requestParameters": { "sourceIPAddress": "192.0.2.10:4711" },
            "responseElements": { "x-amz-request-id": "18A5EDGE0001" },
            "s3": {
                "bucket": { "name": bucket },
                "object": {
                    "key": key, "size": 20481, "eTag": "9b2c", "contentType": "image/jpeg", "sequencer": "18A5",
                    "userMetadata": { "X-Amz-Meta-Site": "plant-2", "content-type": "image/jpeg" },
                },
            },
        });
        serde_json::from_value(text).unwrap()
    }

    fn read(record: &Record) -> Option<(Happened, Option<String>)> {
        record.read(&BucketName::parse("photos-1300000001").unwrap()).unwrap()
    }

    #[test]
    fn a_notification_becomes_an_event() {
        let (happened, key) = read(&record("s3:ObjectCreated:Put", "photos", "in%2Fcat+01.jpg")).unwrap();
        assert_eq!(
            (happened.name.as_str(), happened.key.as_str()),
            ("cos:ObjectCreated:Put", "in/cat 01.jpg")
        );
        assert_eq!((happened.size, happened.at_us), (20481, 1_763_950_000_123_000));
        assert_eq!(
            (happened.asker.source_ip.as_str(), happened.asker.authorization.as_str()),
            ("192.0.2.10", "")
        );
        let meta: Vec<String> = happened.meta.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected = [
            "Content-Type=image/jpeg",
            "ETag=\"9b2c\"",
            "x-cos-meta-site=plant-2",
            "x-cos-request-id=18A5EDGE0001",
        ];
        assert_eq!(meta, expected);
        assert_eq!(key.as_deref(), Some("photos-1300000001/in/cat 01.jpg 18A5 s3:ObjectCreated:Put"));
        let (gone, _) = read(&record("ObjectRemoved:Delete", "photos-1300000001", "a")).unwrap();
        assert_eq!((gone.name.as_str(), gone.size, gone.meta.len()), ("cos:ObjectRemove:Delete", 0, 1));
    }

    #[test]
    fn what_is_nothing_here_is_ignored() {
        for (name, bucket) in [
            ("s3:ObjectAccessed:Get", "photos"),
            ("s3:ObjectCreated:PutTagging", "photos"),
            ("s3:TestEvent", "photos"),
            ("s3:ObjectCreated:Put", "others"),
        ] {
            assert!(read(&record(name, bucket, "a")).is_none(), "{name} {bucket}");
        }
        assert_eq!(bucket("photos", "1").unwrap().as_str(), "photos-1");
        assert_eq!(bucket("photos-2", "1").unwrap().as_str(), "photos-2");
        assert!(bucket("Photos", "1").is_err());
    }
}
