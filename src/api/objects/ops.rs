//! The table: every operation, what it is asked by, the scope it needs, and the largest body it takes. What is in no row is not
//! served.

use tiny_http::Method;

use crate::api::objects::asked::Asked;
use crate::api::objects::call::Call;
use crate::api::objects::fault::Fault;
use crate::api::objects::{buckets, listing, one, uploads};
use crate::http::response::Response;
use crate::model::key::Scope;
use crate::model::limits;

/// The methods of this API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Get,
    Head,
    Put,
    Post,
    Delete,
}

impl Verb {
    fn of(method: &Method) -> Option<Verb> {
        match method {
            Method::Get => Some(Verb::Get),
            Method::Head => Some(Verb::Head),
            Method::Put => Some(Verb::Put),
            Method::Post => Some(Verb::Post),
            Method::Delete => Some(Verb::Delete),
            _ => None,
        }
    }
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Service,
    Bucket,
    Object,
}

/// An operation.
#[derive(Debug)]
pub(super) struct Op {
    verb: Verb,
    of: Of,
    /// The parameter that tells it from others of that method.
    by: Option<&'static str>,
    /// Further parameters it knows.
    params: &'static [&'static str],
    /// What a key must be able to do. Who may run functions may write objects, which run them; buckets are the administrator's.
    pub(super) scope: Scope,
    pub(super) body_max: u64,
    pub(super) serve: fn(Call<'_>) -> Result<Response, Fault>,
}

/// A body of XML: a thousand keys of which every byte is written as a reference, or ten thousand parts.
const XML_BYTES: u64 = 8 * 1024 * 1024;
const NO_BODY_BYTES: u64 = 64 * 1024;

/// How a page of a list is asked for.
const PAGE: &[&str] = &["prefix", "delimiter", "marker", "max-keys", "encoding-type"];
const UPLOADS_PAGE: &[&str] =
    &["prefix", "delimiter", "key-marker", "upload-id-marker", "max-uploads", "encoding-type"];
const PARTS_PAGE: &[&str] = &["max-parts", "part-number-marker", "encoding-type"];
const RESPONSE: &[&str] = &[
    "response-content-type",
    "response-content-language",
    "response-expires",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
];

const fn op(
    (verb, of, by): (Verb, Of, Option<&'static str>),
    scope: Scope,
    params: &'static [&'static str],
    serve: fn(Call<'_>) -> Result<Response, Fault>,
) -> Op {
    Op { verb, of, by, params, scope, body_max: NO_BODY_BYTES, serve }
}

/// Every operation; of one method and thing those come first that a parameter tells from others.
static OPS: [Op; 18] = [
    op((Verb::Get, Of::Service, None), Scope::Read, &["marker", "max-keys"], buckets::list),
    op((Verb::Put, Of::Bucket, None), Scope::Admin, &[], buckets::create),
    op((Verb::Head, Of::Bucket, None), Scope::Read, &[], buckets::head),
    op((Verb::Delete, Of::Bucket, None), Scope::Admin, &[], buckets::delete),
    op((Verb::Get, Of::Bucket, Some("uploads")), Scope::Read, UPLOADS_PAGE, listing::uploads),
    op((Verb::Get, Of::Bucket, None), Scope::Read, PAGE, listing::objects),
    Op {
        body_max: XML_BYTES,
        ..op((Verb::Post, Of::Bucket, Some("delete")), Scope::Invoke, &[], one::delete_several)
    },
    Op {
        body_max: limits::OBJECT_BYTES_MAX,
        ..op((Verb::Put, Of::Object, Some("uploadId")), Scope::Invoke, &["partNumber"], uploads::put_part)
    },
    Op {
        body_max: limits::OBJECT_BYTES_MAX,
        ..op((Verb::Put, Of::Object, None), Scope::Invoke, &[], one::put)
    },
    op((Verb::Get, Of::Object, Some("uploadId")), Scope::Read, PARTS_PAGE, uploads::list_parts),
    op((Verb::Get, Of::Object, None), Scope::Read, RESPONSE, one::get),
    op((Verb::Head, Of::Object, None), Scope::Read, RESPONSE, one::get),
    op((Verb::Delete, Of::Object, Some("uploadId")), Scope::Invoke, &[], uploads::abort),
    op((Verb::Delete, Of::Object, None), Scope::Invoke, &[], one::delete),
    op((Verb::Post, Of::Object, Some("uploads")), Scope::Invoke, &[], uploads::begin),
    Op {
        body_max: XML_BYTES,
        ..op((Verb::Post, Of::Object, Some("uploadId")), Scope::Invoke, &[], uploads::complete)
    },
    op((Verb::Head, Of::Service, None), Scope::Read, &["marker", "max-keys"], buckets::list),
    op((Verb::Post, Of::Object, None), Scope::Invoke, &[], one::post),
];

/// Looks a request up in the table.
pub(super) fn find(method: &Method, asked: &Asked) -> Result<&'static Op, Fault> {
    let of = match (&asked.bucket, &asked.key) {
        (None, None) => Of::Service,
        (None, Some(_)) => {
            let sentence = "the host names no bucket: it must be BUCKET-APPID.cos.REGION.myqcloud.com, or begin with BUCKET-APPID";
            return Err(Fault::new(404, "NoSuchBucket", sentence));
        }
        (Some(_), None) => Of::Bucket,
        (Some(_), Some(_)) => Of::Object,
    };
    let verb = Verb::of(method);
    let is_meant = |op: &&Op| {
        Some(op.verb) == verb && op.of == of && op.by.is_none_or(|param| asked.param(param).is_some())
    };
    let op = OPS.iter().find(is_meant).ok_or_else(|| {
        Fault::new(405, "MethodNotAllowed", "this method is not allowed against this resource")
    })?;
    match asked.params.iter().find(|(name, value)| !op.knows(name, value)) {
        Some((name, _)) => Err(Fault::not_served(&format!("the parameter {name}, with this method,"))),
        None => Ok(op),
    }
}

impl Op {
    fn knows(&self, name: &str, value: &str) -> bool {
        // There are no versions: one that is not named is the one there is.
        let says_nothing = name == "versionId" && matches!(value, "" | "null");
        name.starts_with("q-") || says_nothing || self.by == Some(name) || self.params.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::Head;

    fn check(line: &str, host: &str, expected: Result<(Scope, Option<&str>), &str>) {
        let head = Head::parse(format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
        let asked = Asked::read(&head, true).unwrap();
        let found = find(head.method(), &asked).map(|op| (op.scope, op.by)).map_err(|fault| fault.code);
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn a_request_leads_to_one_operation() {
        let host = "b-1.cos.x";
        check("GET /", "service.cos.x", Ok((Scope::Read, None)));
        check("GET /a", "127.0.0.1", Err("NoSuchBucket"));
        check("PUT /", host, Ok((Scope::Admin, None)));
        check("GET /?prefix=a&q-ak=b", host, Ok((Scope::Read, None)));
        check("GET /?uploads&prefix=a", host, Ok((Scope::Read, Some("uploads"))));
        check("POST /?delete=", host, Ok((Scope::Invoke, Some("delete"))));
        check("PUT /a?uploadId=1&partNumber=1", host, Ok((Scope::Invoke, Some("uploadId"))));
        check("PUT /a", host, Ok((Scope::Invoke, None)));
        check("POST /a?uploads", host, Ok((Scope::Invoke, Some("uploads"))));
        check("HEAD /a?versionId=", host, Ok((Scope::Read, None)));
        check("PATCH /a", host, Err("MethodNotAllowed"));
        for line in ["GET /?acl", "PUT /?versioning", "GET /a?versionId=x", "PUT /a?acl", "GET /?list-type=2"]
        {
            check(line, host, Err("NotImplemented"));
        }
    }
}
