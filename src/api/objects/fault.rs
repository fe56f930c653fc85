//! Refusals in the words of COS, and how errors of ours become them.

use crate::api::objects::xml::Xml;
use crate::error::{About, Error, Kind};
use crate::http::response::Response;

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Fault {
    /// The HTTP status.
    pub(super) status: u16,
    /// The code that clients branch on.
    pub(super) code: &'static str,
    /// A sentence for people.
    pub(super) message: String,
    /// What lies underneath, for the log.
    cause: Option<Error>,
}

impl Fault {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Fault {
        Fault { status, code, message: message.into(), cause: None }
    }

    /// An argument that cannot be used.
    pub(super) fn argument(message: impl Into<String>) -> Fault {
        Fault::new(400, "InvalidArgument", message)
    }

    /// Something of the cloud's that is not here.
    pub(super) fn not_served(what: &str) -> Fault {
        Fault::new(501, "NotImplemented", format!("{what} is not served here"))
    }

    /// The answer; here, once, an error that is not the caller's goes to the log.
    pub(super) fn answer(self, resource: &str, request_id: &str) -> Response {
        match &self.cause {
            Some(error) if error.kind == Kind::Internal => {
                log::error!("request {request_id} failed: {error:#}")
            }
            Some(error) if error.kind == Kind::Busy => {
                log::debug!("request {request_id} was put off: {error:#}")
            }
            _ => {}
        }
        let mut xml = Xml::new();
        xml.within("Error", |xml| {
            xml.text("Code", self.code);
            xml.text("Message", &self.message);
            xml.text("Resource", resource);
            xml.text("RequestId", request_id);
            xml.text("TraceId", request_id);
        });
        // An answer to HEAD has no body, and the SDK asks the header then.
        let answer = xml.answer(self.status).with_header("x-cos-trace-id", request_id.to_owned());
        match self.status {
            429 | 503 => answer.with_header("Retry-After", "1"),
            _ => answer,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let (status, code) = code(&error);
        Fault { status, code, message: error.message.clone(), cause: Some(error) }
    }
}

fn code(error: &Error) -> (u16, &'static str) {
    match (error.kind, error.about) {
        (Kind::NotFound, About::Bucket) => (404, "NoSuchBucket"),
        (Kind::NotFound, About::Upload) => (404, "NoSuchUpload"),
        (Kind::NotFound, _) => (404, "NoSuchKey"),
        (Kind::Conflict, About::Bucket) => (409, "BucketAlreadyOwnedByYou"),
        (Kind::Conflict, About::Object) => (409, "BucketNotEmpty"),
        (Kind::Conflict, About::ObjectKey) => (409, "FileAlreadyExists"),
        (Kind::Conflict, _) => (409, "OperationAborted"),
        (Kind::Invalid, About::Bucket) => (400, "InvalidBucketName"),
        (Kind::Invalid, About::ObjectKey) => (400, "InvalidURI"),
        (Kind::Invalid, About::Checksum) => (400, "BadDigest"),
        (Kind::Invalid, About::Part) => (400, "InvalidPart"),
        (Kind::Invalid, _) => (400, "InvalidArgument"),
        (Kind::Limit, About::Part) => (400, "EntityTooSmall"),
        (Kind::Limit, _) => (400, "EntityTooLarge"),
        (Kind::Denied, _) => (403, "AccessDenied"),
        // The SDK tries again what is answered so.
        (Kind::Full, _) => (503, "SlowDown"),
        (Kind::Busy, _) => (503, "ServiceUnavailable"),
        (Kind::Internal, _) => (500, "InternalError"),
    }
}
