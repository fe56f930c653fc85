//! Objects: uploaded, copied, read, deleted.

use md5::{Digest as _, Md5};

use crate::api::objects::call::Call;
use crate::api::objects::conditions::{self, Stretch, Verdict};
use crate::api::objects::fault::Fault;
use crate::api::objects::said;
use crate::api::objects::times;
use crate::api::objects::xml::{self, Xml};
use crate::base::{hex, percent};
use crate::error::{About, Error, Kind};
use crate::http::head::Head;
use crate::http::response::Response;
use crate::model::limits;
use crate::model::object::{BucketName, CLASS_STANDARD, Object, ObjectKey};
use crate::service::objects::{From, Manner, Opened};

pub(super) fn put(mut call: Call<'_>) -> Result<Response, Fault> {
    if call.head.header("x-cos-copy-source").is_some() {
        return copy(call);
    }
    let manner = Manner { said: said::read(call.head)?, md5: call.md5()?, may_replace: may_replace(&call) };
    let size = call.body.length();
    let mut body = call.take_body();
    let object = call.objects.upload(call.object()?, (body.reader()?, size), manner, &call.asker)?;
    Ok(Response::new(200)
        .with_header("ETag", quoted(&object.content.etag))
        .with_header("x-cos-hash-crc64ecma", object.content.crc64.to_string()))
}

/// Uploads by a form in a browser sign a policy, not a request.
pub(super) fn post(_call: Call<'_>) -> Result<Response, Fault> {
    Err(Fault::not_served("an upload by a form"))
}

fn copy(call: Call<'_>) -> Result<Response, Fault> {
    let (bucket, key) = source(call.head.header_text("x-cos-copy-source").unwrap_or_default())?;
    let directive = call.head.header_text("x-cos-metadata-directive").unwrap_or("Copy");
    let is_replaced = directive.eq_ignore_ascii_case("Replaced");
    let headers = said::read(call.head)?;
    if !is_replaced && !directive.eq_ignore_ascii_case("Copy") {
        return Err(Fault::argument("x-cos-metadata-directive must be Copy or Replaced"));
    }
    if !is_replaced && call.object()? == (&bucket, &key) {
        return Err(Fault::argument("a copy onto itself must replace what is said of it"));
    }
    let from = From { bucket, key, said: is_replaced.then_some(headers) };
    let check = |original: &Object| check_source(call.head, original);
    let copied = call.objects.copy(call.object()?, &from, may_replace(&call), &call.asker, check);
    let object = copied.map_err(source_fault)?;
    let mut xml = Xml::new();
    xml.within("CopyObjectResult", |xml| {
        xml.text("ETag", &quoted(&object.content.etag));
        xml.text("CRC64", &object.content.crc64.to_string());
        xml.text("LastModified", &times::iso(object.modified_us));
    });
    Ok(xml.answer(200).with_header("x-cos-hash-crc64ecma", object.content.crc64.to_string()))
}

/// Bucket and key of `<bucket>.<endpoint>/<escaped key>`.
pub(super) fn source(text: &str) -> Result<(BucketName, ObjectKey), Fault> {
    let wrong = || Fault::argument("x-cos-copy-source must be BUCKET-APPID.cos.REGION.myqcloud.com/KEY");
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    if !matches!(query, "" | "versionId=" | "versionId=null") {
        return Err(Fault::new(404, "NoSuchVersion", "there are no versions here"));
    }
    let (host, key) = path.trim_start_matches('/').split_once('/').ok_or_else(wrong)?;
    let bucket = host.split('.').next().unwrap_or_default();
    let key = percent::decode(key).ok_or_else(wrong)?;
    Ok((BucketName::parse(bucket)?, ObjectKey::parse(&key)?))
}

/// Whether the original is the one that is meant.
pub(super) fn check_source(head: &Head, original: &Object) -> Result<(), Error> {
    match conditions::judge(head, "x-cos-copy-source-", original) {
        Verdict::Go => Ok(()),
        _ => {
            Err(Error::new(Kind::Conflict, "a condition on the original does not hold").about(About::Status))
        }
    }
}

/// A condition that failed has a status of its own.
pub(super) fn source_fault(error: Error) -> Fault {
    match (error.kind, error.about) {
        (Kind::Conflict, About::Status) => Fault::new(412, "PreconditionFailed", error.message),
        _ => Fault::from(error),
    }
}

pub(super) fn get(call: Call<'_>) -> Result<Response, Fault> {
    let (bucket, key) = call.object()?;
    let opened = call.objects.open(bucket, key)?;
    match conditions::judge(call.head, "", &opened.object) {
        Verdict::Go => whole_or_part(&call, opened),
        Verdict::NotModified => Ok(described(Response::new(304), &opened.object)),
        Verdict::Failed => Err(Fault::new(412, "PreconditionFailed", "a condition does not hold")),
    }
}

fn whole_or_part(call: &Call<'_>, opened: Opened) -> Result<Response, Fault> {
    let Opened { object, file } = opened;
    let size = object.content.size;
    let is_same = call
        .head
        .header_text("if-range")
        .is_none_or(|tag| tag == quoted(&object.content.etag) || tag == times::http(object.modified_us));
    let range = call.head.header_text("range").filter(|_| is_same);
    let response = match conditions::stretch(range, size)? {
        Some(Stretch { from, length }) => {
            let last = from + length - 1;
            Response::new(206)
                .with_header("Content-Range", format!("bytes {from}-{last}/{size}"))
                .with_stretch(file, from, length)
        }
        None => Response::new(200).with_file(file, size),
    };
    overruled(call, described(response.with_header("Accept-Ranges", "bytes"), &object))
}

/// The same answer with the headers that tell of the object.
fn described(response: Response, object: &Object) -> Response {
    let Object { content, said, modified_us, .. } = object;
    let mut response = response
        .with_header("Content-Type", said.content_type.clone())
        .with_header("ETag", quoted(&content.etag))
        .with_header("Last-Modified", times::http(*modified_us))
        .with_header("x-cos-hash-crc64ecma", content.crc64.to_string());
    if said.class != CLASS_STANDARD {
        response = response.with_header("x-cos-storage-class", said.class.clone());
    }
    for (name, value) in &said.headers {
        response = response.with_header(said::written(name), value.clone());
    }
    response
}

/// What a request wants said in place of what was said of the object: `response-content-type` and its like.
fn overruled(call: &Call<'_>, mut response: Response) -> Result<Response, Fault> {
    for (name, value) in &call.asked.params {
        let Some(header) = name.strip_prefix("response-") else { continue };
        if value.chars().any(char::is_control) {
            return Err(Fault::argument(format!("{name} must have no control characters")));
        }
        response.headers.retain(|known| !known.name.eq_ignore_ascii_case(header));
        response = response.with_header(said::written(header), value.clone());
    }
    Ok(response)
}

pub(super) fn delete(call: Call<'_>) -> Result<Response, Fault> {
    let (bucket, key) = call.object()?;
    call.objects.delete(bucket, vec![key.clone()], &call.asker)?;
    Ok(Response::new(204))
}

/// Deletes what a body lists, and says of each what became of it.
pub(super) fn delete_several(mut call: Call<'_>) -> Result<Response, Fault> {
    let md5 = call.md5()?;
    let body = call.take_body().into_bytes()?;
    check_md5(&body, md5)?;
    let asked = xml::read(&body, "Delete")?;
    let is_quiet = asked.child_text("Quiet").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let (mut keys, mut refused) = (Vec::new(), Vec::new());
    for object in asked.all("Object") {
        let text = object.children.iter().find(|child| child.name == "Key").map_or("", |key| &key.text);
        let version = object.child_text("VersionId").unwrap_or_default();
        match ObjectKey::parse(text) {
            Ok(key) if matches!(version, "" | "null") => keys.push(key),
            Ok(_) => refused.push((text, "NoSuchVersion", "there are no versions here".to_owned())),
            Err(error) => refused.push((text, "InvalidURI", error.message)),
        }
    }
    let most = limits::OBJECTS_PER_REQUEST_MAX;
    if (keys.len() + refused.len()) == 0 || keys.len() + refused.len() > usize::try_from(most).unwrap_or(0) {
        return Err(Fault::new(400, "MalformedXML", format!("Delete must have 1 to {most} elements Object")));
    }
    call.objects.delete(call.bucket()?, keys.clone(), &call.asker)?;
    let mut xml = Xml::new();
    xml.within("DeleteResult", |xml| {
        for key in keys.iter().filter(|_| !is_quiet) {
            xml.within("Deleted", |xml| xml.text("Key", key.as_str()));
        }
        for (key, code, message) in &refused {
            xml.within("Error", |xml| {
                xml.text("Key", key);
                xml.text("Code", code);
                xml.text("Message", message);
            });
        }
    });
    Ok(xml.answer(200))
}

fn check_md5(body: &[u8], md5: Option<String>) -> Result<(), Fault> {
    if md5.is_none_or(|md5| md5 == hex::encode(&Md5::digest(body))) {
        return Ok(());
    }
    Err(Fault::new(400, "BadDigest", "the body is not the one that Content-MD5 was made of"))
}

fn may_replace(call: &Call<'_>) -> bool {
    !call.head.header_text("x-cos-forbid-overwrite").is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

/// An ETag as headers and documents have it.
pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_names_bucket_and_key() {
        for (text, expected) in [
            ("b-1.cos.ap-guangzhou.myqcloud.com/in/cat%2001.jpg", Ok(("b-1", "in/cat 01.jpg"))),
            ("/b-1.cos.x/a?versionId=", Ok(("b-1", "a"))),
            ("b-1/a", Ok(("b-1", "a"))),
            ("b-1.cos.x/a?versionId=x", Err("NoSuchVersion")),
            ("b-1.cos.x/", Err("InvalidURI")),
            ("b-1.cos.x", Err("InvalidArgument")),
            ("b.cos.x/a", Err("InvalidBucketName")),
        ] {
            let found = source(text);
            let found = found.as_ref().map(|(bucket, key)| (bucket.as_str(), key.as_str()));
            assert_eq!(found.map_err(|fault| fault.code), expected, "{text}");
        }
    }
}
