//! Lists of a bucket's objects and of its unfinished uploads.

use crate::api::objects::call::Call;
use crate::api::objects::fault::Fault;
use crate::api::objects::one::quoted;
use crate::api::objects::times::iso;
use crate::api::objects::xml::Xml;
use crate::base::percent;
use crate::http::response::Response;
use crate::model::limits;
use crate::model::object::Listing;

/// How a list writes keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// With escapes, as the SDK always asks for.
    is_escaped: bool,
}

impl Written {
    pub(super) fn of(call: &Call<'_>) -> Result<Written, Fault> {
        match call.asked.param("encoding-type") {
            None | Some("") => Ok(Written { is_escaped: false }),
            Some("url") => Ok(Written { is_escaped: true }),
            Some(_) => Err(Fault::argument("encoding-type must be url")),
        }
    }

    pub(super) fn key(self, text: &str) -> String {
        if self.is_escaped { percent::encode(text) } else { text.to_owned() }
    }

    pub(super) fn tell(self, xml: &mut Xml) {
        if self.is_escaped {
            xml.text("EncodingType", "url");
        }
    }
}

pub(super) fn objects(call: Call<'_>) -> Result<Response, Fault> {
    let (bucket, written) = (call.bucket()?, Written::of(&call)?);
    let listing = listing(&call, "marker", "max-keys")?;
    let page = call.objects.list(bucket, &listing)?;
    let owner = call.objects.appid();
    let mut xml = Xml::new();
    xml.within("ListBucketResult", |xml| {
        xml.text("Name", bucket.as_str());
        written.tell(xml);
        xml.text("Prefix", &written.key(&listing.prefix));
        xml.text("Marker", &written.key(&listing.marker));
        xml.text("MaxKeys", &listing.most.to_string());
        xml.text("Delimiter", &written.key(&listing.delimiter));
        xml.text("IsTruncated", truth(page.next.is_some()));
        if let Some(next) = &page.next {
            xml.text("NextMarker", &written.key(next));
        }
        for object in &page.found {
            xml.within("Contents", |xml| {
                xml.text("Key", &written.key(object.key.as_str()));
                xml.text("LastModified", &iso(object.modified_us));
                xml.text("ETag", &quoted(&object.content.etag));
                xml.text("Size", &object.content.size.to_string());
                tell_of(xml, "Owner", owner);
                xml.text("StorageClass", &object.said.class);
            });
        }
        common(xml, &page.prefixes, written);
    });
    Ok(xml.answer(200))
}

pub(super) fn uploads(call: Call<'_>) -> Result<Response, Fault> {
    let (bucket, written) = (call.bucket()?, Written::of(&call)?);
    let listing = listing(&call, "key-marker", "max-uploads")?;
    let page = call.objects.list_uploads(bucket, &listing)?;
    let owner = call.objects.appid();
    let mut xml = Xml::new();
    xml.within("ListMultipartUploadsResult", |xml| {
        xml.text("Bucket", bucket.as_str());
        written.tell(xml);
        xml.text("KeyMarker", &written.key(&listing.marker));
        xml.text("UploadIdMarker", &listing.id_marker);
        xml.text("MaxUploads", &listing.most.to_string());
        xml.text("Prefix", &written.key(&listing.prefix));
        xml.text("Delimiter", &written.key(&listing.delimiter));
        xml.text("IsTruncated", truth(page.next.is_some()));
        if let Some(next) = &page.next {
            let last = page.found.last().filter(|upload| upload.key.as_str() == next);
            xml.text("NextKeyMarker", &written.key(next));
            xml.text("NextUploadIdMarker", last.map_or("", |upload| &upload.id));
        }
        for upload in &page.found {
            xml.within("Upload", |xml| {
                xml.text("Key", &written.key(upload.key.as_str()));
                xml.text("UploadId", &upload.id);
                xml.text("StorageClass", &upload.said.class);
                tell_of(xml, "Initiator", owner);
                tell_of(xml, "Owner", owner);
                xml.text("Initiated", &iso(upload.created_us));
            });
        }
        common(xml, &page.prefixes, written);
    });
    Ok(xml.answer(200))
}

fn listing(call: &Call<'_>, marker: &str, most: &str) -> Result<Listing, Fault> {
    let text = |name: &str| call.asked.param(name).unwrap_or_default().to_owned();
    let most_of_all = limits::OBJECTS_PER_REQUEST_MAX;
    Ok(Listing {
        prefix: text("prefix"),
        delimiter: text("delimiter"),
        marker: text(marker),
        id_marker: text("upload-id-marker"),
        most: call.number(most)?.unwrap_or(most_of_all).min(most_of_all),
    })
}

fn common(xml: &mut Xml, prefixes: &[String], written: Written) {
    for prefix in prefixes {
        xml.within("CommonPrefixes", |xml| xml.text("Prefix", &written.key(prefix)));
    }
}

/// Leaves of `rows` as many as a page has; whether there were more.
pub(super) fn cut<T>(rows: &mut Vec<T>, most: u32) -> bool {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let is_cut = rows.len() > most;
    rows.truncate(most);
    is_cut
}

/// Whoever owns, or began, something: the account.
pub(super) fn tell_of(xml: &mut Xml, role: &str, id: &str) {
    xml.within(role, |xml| {
        xml.text("ID", id);
        xml.text("DisplayName", id);
    });
}

pub(super) fn truth(truth: bool) -> &'static str {
    if truth { "true" } else { "false" }
}
