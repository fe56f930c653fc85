//! What a request asks for, before it is known who asks: bucket and key out of host and path, and the parameters.

use crate::api::objects::fault::Fault;
use crate::api::signing::Host;
use crate::base::percent;
use crate::http::head::Head;
use crate::model::object::{BucketName, ObjectKey};

/// The first label of the host that stands for all buckets.
const SERVICE: &str = "service";

/// A request, read.
#[derive(Debug)]
pub(super) struct Asked {
    /// The bucket; none where all of them are meant.
    pub(super) bucket: Option<BucketName>,
    /// The key; none where the bucket itself is meant.
    pub(super) key: Option<ObjectKey>,
    /// The path with its escapes resolved, which is what is signed.
    pub(super) path: String,
    /// Names and values of the query.
    pub(super) params: Vec<(String, String)>,
}

impl Asked {
    /// Reads host and target.
    pub(super) fn read(head: &Head, is_alone: bool) -> Result<Asked, Fault> {
        let malformed = || {
            let sentence = "a percent escape in the target is malformed or is not UTF-8";
            Fault::new(400, "InvalidURI", sentence)
        };
        let path = percent::decode(head.path()).ok_or_else(malformed)?;
        let mut params = Vec::new();
        for pair in head.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let read = |text: &str| percent::decode(&text.replace('+', " ")).ok_or_else(malformed);
            let name = read(name)?;
            if params.iter().any(|(known, _)| *known == name) {
                return Err(Fault::new(400, "InvalidArgument", format!("{name} is given twice")));
            }
            params.push((name, read(value)?));
        }
        let bucket = bucket(host(head), is_alone)?;
        let key = match path.strip_prefix('/').unwrap_or_default() {
            "" => None,
            key => Some(ObjectKey::parse(key)?),
        };
        Ok(Asked { bucket, key, path, params })
    }

    /// The value of a parameter.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The host that is asked, without its port, as it was sent.
pub(super) fn host(head: &Head) -> &str {
    Host::of(head).portless
}

/// Whether a host that others share is the storage's: a bucket's, or that of all of them. What only looks like it may be this host's.
pub(super) fn is_meant(host: &str) -> bool {
    let label = host.split('.').next().unwrap_or_default().to_ascii_lowercase();
    is_storage(host) && (label == SERVICE || BucketName::parse(&label).is_ok())
}

/// Whether a host is one of object storage: its second label says so.
fn is_storage(host: &str) -> bool {
    host.split('.').nth(1).is_some_and(|label| label.eq_ignore_ascii_case("cos"))
}

/// The bucket that a host names, if it names one.
fn bucket(host: &str, is_alone: bool) -> Result<Option<BucketName>, Fault> {
    let label = host.split('.').next().unwrap_or_default().to_ascii_lowercase();
    if is_storage(host) {
        return match label.as_str() {
            SERVICE => Ok(None),
            label => Ok(Some(BucketName::parse(label)?)),
        };
    }
    // An endpoint of the caller's own: `<bucket>.edge.lan`. What is no bucket's name is this host's.
    Ok(BucketName::parse(&label).ok().filter(|_| is_alone && host.contains('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: &str, host: &str, is_alone: bool) -> Result<Asked, Fault> {
        let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        Asked::read(&Head::parse(head.as_bytes()).unwrap(), is_alone)
    }

    #[test]
    fn a_host_names_a_bucket_or_all_of_them() {
        let storage = "photos-1300000001.cos.ap-guangzhou.myqcloud.com";
        for (host, is_alone, expected) in [
            (storage, false, Some("photos-1300000001")),
            ("Photos-1300000001.COS.ap-guangzhou.myqcloud.com:9500", false, Some("photos-1300000001")),
            ("http://photos-1300000001.cos.ap-guangzhou.myqcloud.com/", true, Some("photos-1300000001")),
            ("service.cos.myqcloud.com", false, None),
            ("photos-1300000001.edge.lan:9500", true, Some("photos-1300000001")),
            ("photos-1300000001.edge.lan", false, None),
            ("photos-1300000001", true, None),
            ("127.0.0.1:9500", true, None),
            ("[::1]:9500", true, None),
        ] {
            let found = asked("/", host, is_alone).unwrap().bucket;
            assert_eq!(found.as_ref().map(BucketName::as_str), expected, "{host}");
        }
        assert_eq!(asked("/", "photos.cos.x", false).unwrap_err().code, "InvalidBucketName");
        for (host, expected) in
            [(storage, true), ("service.cos.x", true), ("edge.cos.company.com", false), ("edge.lan", false)]
        {
            assert_eq!(is_meant(host), expected, "{host}");
        }
        for (host, expected) in [(storage, true), ("cos.x.y", false), ("scf.tencentcloudapi.com", false)] {
            assert_eq!(is_storage(host), expected, "{host}");
        }
    }

    #[test]
    fn paths_are_keys_and_queries_parameters() {
        let found = asked("/in/cat%2001.jpg?a=b+c&uploads", "b-1.cos.x", false).unwrap();
        assert_eq!(found.key.as_ref().map(ObjectKey::as_str), Some("in/cat 01.jpg"));
        assert_eq!(
            (found.path.as_str(), found.param("a"), found.param("uploads")),
            ("/in/cat 01.jpg", Some("b c"), Some(""))
        );
        assert_eq!(asked("/?a=1&%61=2", "b-1.cos.x", false).unwrap_err().code, "InvalidArgument");
        assert_eq!(asked("/%zz", "b-1.cos.x", false).unwrap_err().code, "InvalidURI");
        assert_eq!(asked("//a", "b-1.cos.x", false).unwrap().key.unwrap().as_str(), "/a");
    }
}
