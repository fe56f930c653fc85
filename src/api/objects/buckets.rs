//! Buckets: listed, made, looked for, deleted.

use crate::api::objects::call::Call;
use crate::api::objects::fault::Fault;
use crate::api::objects::listing::{cut, tell_of, truth};
use crate::api::objects::said;
use crate::api::objects::times::iso;
use crate::api::objects::xml::Xml;
use crate::http::response::Response;

/// Most buckets of one list, as in the cloud.
const MOST: u32 = 2000;

pub(super) fn list(call: Call<'_>) -> Result<Response, Fault> {
    let (appid, region) = (call.objects.appid(), call.objects.region());
    let marker = call.asked.param("marker").unwrap_or_default();
    let most = call.number("max-keys")?.unwrap_or(MOST).min(MOST);
    let mut buckets = call.objects.buckets()?;
    buckets.retain(|bucket| bucket.name.as_str() > marker);
    let is_cut = cut(&mut buckets, most);
    let mut xml = Xml::new();
    xml.within("ListAllMyBucketsResult", |xml| {
        tell_of(xml, "Owner", appid);
        xml.text("Marker", marker);
        xml.text("MaxKeys", &most.to_string());
        xml.text("IsTruncated", truth(is_cut));
        if let Some(last) = buckets.last().filter(|_| is_cut) {
            xml.text("NextMarker", last.name.as_str());
        }
        xml.within("Buckets", |xml| {
            for bucket in &buckets {
                xml.within("Bucket", |xml| {
                    xml.text("Name", bucket.name.as_str());
                    xml.text("Location", region);
                    xml.text("CreationDate", &iso(bucket.created_us));
                    xml.text("BucketType", "cos");
                });
            }
        });
    });
    Ok(xml.answer(200))
}

pub(super) fn create(call: Call<'_>) -> Result<Response, Fault> {
    said::check_promises(call.head)?;
    if call.body.length() > 0 {
        return Err(Fault::not_served("a configuration of a bucket"));
    }
    let bucket = call.bucket()?;
    call.objects.create_bucket(bucket)?;
    Ok(Response::new(200).with_header("Location", format!("/{bucket}")))
}

pub(super) fn head(call: Call<'_>) -> Result<Response, Fault> {
    call.objects.check_bucket(call.bucket()?)?;
    Ok(Response::new(200).with_header("x-cos-bucket-region", call.objects.region().to_owned()))
}

pub(super) fn delete(call: Call<'_>) -> Result<Response, Fault> {
    call.objects.delete_bucket(call.bucket()?)?;
    Ok(Response::new(204))
}
