//! Uploads in parts: begun, filled, listed, completed, given up.

use std::io::{Read, Seek, SeekFrom};

use crate::api::objects::call::Call;
use crate::api::objects::conditions::{self, Stretch};
use crate::api::objects::fault::Fault;
use crate::api::objects::listing::{Written, cut, tell_of, truth};
use crate::api::objects::one::{check_source, quoted, source, source_fault};
use crate::api::objects::said;
use crate::api::objects::times::iso;
use crate::api::objects::xml::{self, Xml};
use crate::base::percent;
use crate::error::Error;
use crate::http::response::Response;
use crate::model::limits;
use crate::service::objects::Opened;

pub(super) fn begin(call: Call<'_>) -> Result<Response, Fault> {
    let (bucket, key) = call.object()?;
    let id = call.objects.begin_upload(bucket, key, said::read(call.head)?)?;
    let mut xml = Xml::new();
    xml.within("InitiateMultipartUploadResult", |xml| {
        xml.text("Bucket", bucket.as_str());
        xml.text("Key", key.as_str());
        xml.text("UploadId", &id);
    });
    Ok(xml.answer(200))
}

pub(super) fn put_part(mut call: Call<'_>) -> Result<Response, Fault> {
    let number = call.number("partNumber")?.filter(|number| (1..=limits::PARTS_MAX).contains(number));
    let number =
        number.ok_or_else(|| Fault::argument(format!("partNumber must be 1 to {}", limits::PARTS_MAX)))?;
    said::check_promises(call.head)?;
    if call.head.header("x-cos-copy-source").is_some() {
        return copy_part(call, number);
    }
    let (size, md5) = (call.body.length(), call.md5()?);
    let mut body = call.take_body();
    let part = call.objects.put_part(call.upload()?, number, (body.reader()?, size), md5.as_deref())?;
    Ok(Response::new(200)
        .with_header("ETag", quoted(&part.content.etag))
        .with_header("x-cos-hash-crc64ecma", part.content.crc64.to_string()))
}

/// A part that is a stretch of an object.
fn copy_part(call: Call<'_>, number: u32) -> Result<Response, Fault> {
    let (bucket, key) = source(call.head.header_text("x-cos-copy-source").unwrap_or_default())?;
    let Opened { object, mut file } = call.objects.open(&bucket, &key)?;
    check_source(call.head, &object).map_err(source_fault)?;
    let range = call.head.header_text("x-cos-copy-source-range");
    let size = object.content.size;
    let whole = Stretch { from: 0, length: size };
    let Stretch { from, length } = conditions::stretch(range, size)?.unwrap_or(whole);
    file.seek(SeekFrom::Start(from)).map_err(Error::from)?;
    let part = call.objects.put_part(call.upload()?, number, (file.take(length), length), None)?;
    let mut xml = Xml::new();
    xml.within("CopyPartResult", |xml| {
        xml.text("ETag", &quoted(&part.content.etag));
        xml.text("LastModified", &iso(part.modified_us));
    });
    Ok(xml.answer(200))
}

pub(super) fn complete(mut call: Call<'_>) -> Result<Response, Fault> {
    let body = call.take_body().into_bytes()?;
    let named = named(&body)?;
    let (bucket, key) = call.object()?;
    let object = call.objects.complete_upload(call.upload()?, &named, &call.asker)?;
    let region = call.objects.region();
    let path = percent::encode_path(key.as_str());
    let mut xml = Xml::new();
    xml.within("CompleteMultipartUploadResult", |xml| {
        xml.text("Location", &format!("http://{bucket}.cos.{region}.myqcloud.com/{path}"));
        xml.text("Bucket", bucket.as_str());
        xml.text("Key", key.as_str());
        xml.text("ETag", &quoted(&object.content.etag));
    });
    Ok(xml.answer(200).with_header("x-cos-hash-crc64ecma", object.content.crc64.to_string()))
}

/// Numbers and ETags of the parts that a body names, in their order.
fn named(body: &[u8]) -> Result<Vec<(u32, String)>, Fault> {
    let asked = xml::read(body, "CompleteMultipartUpload")?;
    let wrong = || Fault::new(400, "MalformedXML", "every Part must have a PartNumber and an ETag");
    let mut parts = Vec::new();
    for part in asked.all("Part") {
        let number = part.child_text("PartNumber").and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
        let etag = part.child_text("ETag").ok_or_else(wrong)?;
        parts.push((number, etag.trim_matches('"').to_owned()));
    }
    if parts.is_empty() {
        return Err(wrong());
    }
    if !parts.is_sorted_by(|(before, _), (after, _)| before < after) {
        return Err(Fault::new(400, "InvalidPartOrder", "the parts must be named by rising numbers"));
    }
    Ok(parts)
}

pub(super) fn abort(call: Call<'_>) -> Result<Response, Fault> {
    call.objects.abort_upload(call.upload()?)?;
    Ok(Response::new(204))
}

pub(super) fn list_parts(call: Call<'_>) -> Result<Response, Fault> {
    let written = Written::of(&call)?;
    let most = call.number("max-parts")?.unwrap_or(limits::OBJECTS_PER_REQUEST_MAX);
    let most = most.clamp(1, limits::OBJECTS_PER_REQUEST_MAX);
    let after = call.number("part-number-marker")?.unwrap_or(0);
    let upload = call.upload()?;
    let (begun, mut parts) = call.objects.parts(upload)?;
    parts.retain(|part| part.number > after);
    let is_cut = cut(&mut parts, most);
    let owner = call.objects.appid();
    let mut xml = Xml::new();
    xml.within("ListPartsResult", |xml| {
        xml.text("Bucket", upload.bucket.as_str());
        written.tell(xml);
        xml.text("Key", &written.key(upload.key.as_str()));
        xml.text("UploadId", upload.id);
        tell_of(xml, "Owner", owner);
        tell_of(xml, "Initiator", owner);
        xml.text("PartNumberMarker", &after.to_string());
        if let Some(last) = parts.last().filter(|_| is_cut) {
            xml.text("NextPartNumberMarker", &last.number.to_string());
        }
        xml.text("MaxParts", &most.to_string());
        xml.text("IsTruncated", truth(is_cut));
        xml.text("StorageClass", &begun.said.class);
        for part in &parts {
            xml.within("Part", |xml| {
                xml.text("PartNumber", &part.number.to_string());
                xml.text("LastModified", &iso(part.modified_us));
                xml.text("ETag", &quoted(&part.content.etag));
                xml.text("Size", &part.content.size.to_string());
            });
        }
    });
    Ok(xml.answer(200))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_names_parts_in_order() {
        let part = |number: &str, etag: &str| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
        };
        let body = |parts: &str| format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        let good = body(&(part("1", "\"a\"") + &part("3", "b")));
        assert_eq!(named(good.as_bytes()).unwrap(), [(1, "a".to_owned()), (3, "b".to_owned())]);
        for (parts, expected) in [
            (part("2", "a") + &part("1", "b"), "InvalidPartOrder"),
            (part("1", "a") + &part("1", "b"), "InvalidPartOrder"),
            (part("x", "a"), "MalformedXML"),
            ("<Part/>".to_owned(), "MalformedXML"),
            (String::new(), "MalformedXML"),
        ] {
            assert_eq!(named(body(&parts).as_bytes()).unwrap_err().code, expected, "{parts}");
        }
    }
}
