//! What a function is told of something that happened to an object (triggers 2.1). Pure.
//!
//! What must stay true: every field is there, in the order and with the words of the cloud's own events, its spelling mistakes
//! included; a test holds them against the samples.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::base::percent;
use crate::model::object::{BucketName, CLASS_STANDARD, Object};
use crate::model::trigger::Placed;

/// Something that happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// The event's name: `cos:ObjectCreated:Put` and others.
    pub name: String,
    /// The bucket.
    pub bucket: BucketName,
    /// The object's key.
    pub key: String,
    /// Its size, bytes; 0 where it is gone.
    pub size: u64,
    /// What is told of it: media type, ETag, class, `x-cos-meta-*`, and the request's id.
    pub meta: BTreeMap<String, String>,
    /// The version, where another storage that has versions tells of it; else empty.
    pub version: String,
    /// When, microseconds since the epoch.
    pub at_us: i64,
    /// Who did it.
    pub asker: Asker,
}

/// Who asked for something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asker {
    /// The id of the request.
    pub request_id: String,
    /// The address it came from.
    pub source_ip: String,
    /// Who signed it and when, without the signature; empty where that is not known.
    pub authorization: String,
}

/// Whose storage it is.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The region.
    pub region: String,
    /// The application's id, digits.
    pub appid: String,
}

/// What is told of an object that was written.
pub(super) fn meta(object: &Object, asker: &Asker) -> BTreeMap<String, String> {
    let said = &object.said;
    // The cloud writes the usual class in another way here than anywhere else.
    let class = if said.class == CLASS_STANDARD { "Standard" } else { &said.class };
    let mut meta = request_id(asker);
    meta.insert("Content-Type".to_owned(), said.content_type.clone());
    meta.insert("ETag".to_owned(), format!("\"{}\"", object.content.etag));
    meta.insert("x-cos-storage-class".to_owned(), class.to_owned());
    let own = said.headers.iter().filter(|(name, _)| name.starts_with("x-cos-meta-"));
    meta.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    meta
}

/// What is told of an object that is gone.
pub(super) fn request_id(asker: &Asker) -> BTreeMap<String, String> {
    BTreeMap::from([("x-cos-request-id".to_owned(), asker.request_id.clone())])
}

/// The event that `trigger` is given.
pub(super) fn event(happened: &Happened, owner: &Owner, trigger: &Placed) -> Vec<u8> {
    let Happened { name, bucket, key, size, meta, version, at_us, asker } = happened;
    let region = &owner.region;
    let (namespace, function) = (trigger.namespace.as_str(), trigger.function.as_str());
    let queue = format!("appid/{}:{namespace}.{function}.{}", owner.appid, trigger.trigger.qualifier);
    let record = json!({
        "cos": {
            "cosSchemaVersion": "1.0",
            "cosObject": {
                "url": format!("http://{bucket}.cos.{region}.myqcloud.com/{}", percent::encode_path(key)),
                "meta": meta,
                "vid": version,
                "key": format!("/{}/{}/{key}", bucket.appid(), bucket.name()),
                "size": size,
            },
            "cosBucket": {
                "region": short(region),
                "cosRegion": region,
                "s3Region": region,
                "name": bucket.name(),
                "appid": bucket.appid(),
            },
            "cosNotificationId": "unkown",
        },
        "event": {
            "eventName": name,
            "eventVersion": "1.0",
            "eventTime": at_us.div_euclid(1_000_000),
            "eventSource": "qcs::cos",
            "requestParameters": {
                "requestSourceIP": asker.source_ip,
                "requestHeaders": { "Authorization": asker.authorization },
            },
            "eventQueue": format!("qcs:0:scf:{region}:{queue}"),
            "reservedInfo": "",
            "reqid": 0,
        },
    });
    Value::Object([("Records".to_owned(), json!([record]))].into_iter().collect()).to_string().into_bytes()
}

/// The short code of a region, where it has one (triggers 2.1).
fn short(region: &str) -> &str {
    match region {
        "ap-guangzhou" => "gz",
        "ap-shanghai" => "sh",
        "ap-beijing" => "bj",
        "ap-chengdu" => "cd",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::function::{FunctionName, Namespace};
    use crate::model::object::{Content, FileId, ObjectKey, Said};
    use crate::model::trigger::{Cos, Spec, State, Trigger};

    const AUTHORIZATION: &str =
        "q-sign-algorithm=sha1&q-ak=AKIDedgeexample&q-sign-time=1763949940;1763960000";

    fn placed() -> Placed {
        let spec = Spec::Cos(Cos {
            event: "cos:ObjectCreated:*".into(),
            prefix: String::new(),
            suffix: String::new(),
        });
        let trigger = Trigger {
            name: "photos-1300000001.cos.ap-guangzhou.myqcloud.com".into(),
            spec,
            qualifier: "$DEFAULT".into(),
            enabled: true,
            custom_argument: String::new(),
            description: String::new(),
            created_us: 0,
            modified_us: 0,
        };
        Placed {
            id: 1,
            namespace: Namespace::default(),
            function: FunctionName::parse("thumbnailer").unwrap(),
            function_id: 1,
            trigger,
            state: State::default(),
        }
    }

    fn told(name: &str, key: &str, meta: BTreeMap<String, String>, size: u64, asker: Asker) -> String {
        let owner = Owner { region: "ap-guangzhou".into(), appid: "1300000001".into() };
        let happened = Happened {
            name: name.into(),
            bucket: BucketName::parse("photos-1300000001").unwrap(),
            key: key.into(),
            size,
            meta,
            version: String::new(),
            at_us: 1_763_950_000_999_999,
            asker,
        };
        String::from_utf8(event(&happened, &owner, &placed())).unwrap()
    }

    fn asker(request_id: &str) -> Asker {
        let source_ip = "192.0.2.10".to_owned();
        Asker { request_id: request_id.into(), source_ip, authorization: AUTHORIZATION.into() }
    }

    /// Field by field as the cloud's, in its order.
    #[test]
    fn an_upload_is_told_as_in_the_cloud() {
        let asker = asker("NjczMmU4ZjBfZWRnZV8wMDAx");
        let headers = [("x-cos-meta-site", "plant-2"), ("cache-control", "no-cache")];
        let object = Object {
            key: ObjectKey::parse("in/cat 01.jpg").unwrap(),
            content: Content {
                file: FileId::of([0; 32]),
                size: 20481,
                etag: "9b2cf535f27731c974343645a3985328".into(),
                crc64: 1,
            },
            said: Said {
                content_type: "image/jpeg".into(),
                headers: headers.map(|(name, value)| (name.into(), value.into())).into(),
                class: CLASS_STANDARD.into(),
            },
            modified_us: 0,
        };
        let found = told("cos:ObjectCreated:Put", "in/cat 01.jpg", meta(&object, &asker), 20481, asker);
        let expected = r#"{"Records":[{"cos":{"cosSchemaVersion":"1.0","cosObject":{
            "url":"http://photos-1300000001.cos.ap-guangzhou.myqcloud.com/in/cat%2001.jpg",
            "meta":{"Content-Type":"image/jpeg","ETag":"\"9b2cf535f27731c974343645a3985328\"","x-cos-meta-site":"plant-2",
                "x-cos-request-id":"NjczMmU4ZjBfZWRnZV8wMDAx","x-cos-storage-class":"Standard"},
            "vid":"","key":"/1300000001/photos/in/cat 01.jpg","size":20481},
            "cosBucket":{"region":"gz","cosRegion":"ap-guangzhou","s3Region":"ap-guangzhou","name":"photos","appid":"1300000001"},
            "cosNotificationId":"unkown"},
            "event":{"eventName":"cos:ObjectCreated:Put","eventVersion":"1.0","eventTime":1763950000,"eventSource":"qcs::cos",
            "requestParameters":{"requestSourceIP":"192.0.2.10","requestHeaders":{"Authorization":
                "q-sign-algorithm=sha1&q-ak=AKIDedgeexample&q-sign-time=1763949940;1763960000"}},
            "eventQueue":"qcs:0:scf:ap-guangzhou:appid/1300000001:default.thumbnailer.$DEFAULT","reservedInfo":"","reqid":0}}]}"#;
        let expected: Vec<&str> = expected.lines().map(str::trim).collect();
        assert_eq!(found, expected.concat());
    }

    #[test]
    fn a_deletion_tells_of_nothing_but_the_request() {
        let asker = asker("id");
        let found = told("cos:ObjectRemove:Delete", "a", request_id(&asker), 0, asker);
        assert!(
            found.contains(
                r#""meta":{"x-cos-request-id":"id"},"vid":"","key":"/1300000001/photos/a","size":0}"#
            )
        );
    }
}
