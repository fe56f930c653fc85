//! Answers: JSON, and refusals in one shape.

use serde::Serialize;

use crate::base::id::RequestId;
use crate::error::{About, Error, Kind};
use crate::http::response::Response;
use crate::model::key::Scope;

/// An answer with `body` as JSON.
pub(super) fn json(status: u16, body: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(body).expect("names, numbers and checked JSON always become JSON");
    json_bytes(status, bytes)
}

/// An answer whose body is JSON already.
pub(super) fn json_bytes(status: u16, bytes: Vec<u8>) -> Response {
    Response::new(status).with_header("Content-Type", "application/json").with_bytes(bytes)
}

/// Why a request is not served: an error with its status, and what the protocol wants said beside it.
#[derive(Debug)]
pub(super) struct Refused {
    status: u16,
    code: &'static str,
    header: Option<(&'static str, String)>,
    error: Error,
}

#[derive(Serialize)]
struct Body<'a> {
    error: Detail<'a>,
}

#[derive(Serialize)]
struct Detail<'a> {
    code: &'a str,
    message: &'a str,
    request_id: &'a str,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        let (status, code) = match error.kind {
            Kind::NotFound => (404, "NotFound"),
            Kind::Conflict if error.about == About::Precondition => (412, "PreconditionFailed"),
            Kind::Conflict => (409, "Conflict"),
            Kind::Invalid => (400, "Invalid"),
            Kind::Limit => (413, "Limit"),
            Kind::Denied => (403, "Denied"),
            Kind::Full => (429, "Busy"),
            Kind::Busy => (503, "Busy"),
            Kind::Internal => (500, "Internal"),
        };
        let header = matches!(error.kind, Kind::Busy | Kind::Full).then(|| ("Retry-After", "1".to_owned()));
        Refused { status, code, header, error }
    }
}

impl Refused {
    /// The transport could not take the request, or not serve it.
    pub(super) fn by_the_front(status: u16, sentence: &'static str) -> Refused {
        let code = match status {
            408 | 413 | 414 | 431 => "Limit",
            429 | 503 => "Busy",
            500 => "Internal",
            _ => "Invalid",
        };
        // Whatever it is: what is worth a line in the log, the front has said.
        Refused { status, code, header: None, error: Error::invalid(sentence) }
    }

    /// The path has other methods.
    pub(super) fn method(allow: String) -> Refused {
        let error = Error::invalid(format!("this path answers to {allow}"));
        Refused { status: 405, code: "MethodNotAllowed", header: Some(("Allow", allow)), error }
    }

    /// Nothing is at the path.
    pub(super) fn no_such_path() -> Refused {
        Refused::from(Error::not_found("nothing is at this path; /openapi.json lists what is"))
    }

    /// No key was shown.
    pub(super) fn no_key() -> Refused {
        Refused::unknown("a key is needed: Authorization: Bearer KEY")
    }

    /// The key shown is no key.
    pub(super) fn wrong_key() -> Refused {
        Refused::unknown("the key is not known; it may have been revoked")
    }

    /// Too many wrong keys came from there.
    pub(super) fn too_many(retry_after_s: u64) -> Refused {
        let error = Error::new(Kind::Denied, "too many wrong keys came from this address; try again later");
        Refused {
            status: 429,
            code: "Denied",
            header: Some(("Retry-After", retry_after_s.to_string())),
            error,
        }
    }

    /// The key does not suffice.
    pub(super) fn scope(needed: Scope) -> Refused {
        Refused::from(Error::new(Kind::Denied, format!("this needs a key of scope {}", needed.as_str())))
    }

    fn unknown(message: &str) -> Refused {
        let header = Some(("WWW-Authenticate", "Bearer".to_owned()));
        Refused { status: 401, code: "Denied", header, error: Error::new(Kind::Denied, message) }
    }

    /// The answer; here, once, an error that is not the caller's goes to the log.
    pub(super) fn answer(self, request_id: &RequestId) -> Response {
        match self.error.kind {
            Kind::Internal => log::error!("request {request_id} failed: {:#}", self.error),
            // A disk that is nearly full, or a lock that is held, is told once where it is noticed.
            Kind::Busy => log::debug!("request {request_id} was put off: {:#}", self.error),
            _ => {}
        }
        let (code, request_id) = (self.code, request_id.as_str());
        let body = Body { error: Detail { code, message: &self.error.message, request_id } };
        let answer = json(self.status, &body);
        match self.header {
            Some((name, value)) => answer.with_header(name, value),
            None => answer,
        }
    }
}
