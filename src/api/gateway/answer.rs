//! Answers of the gateway and of function URLs, each in its own words.

use std::time::Duration;

use serde_json::json;

use crate::base::id::RequestId;
use crate::error::{Error, Kind as Failure};
use crate::http::response::Response;
use crate::model::trigger::Kind;
use crate::trigger::http::reply::Reply;

/// What the gateway says of a function that returned no response (triggers 1.3).
pub(super) const MALFORMED: &str = "Invalid scf response format. please check your scf response format.";

/// What becomes of a function's return value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// A response, or the body of one, as it looks.
    Url,
    /// A response.
    Integrated,
    /// The body of one.
    PassedThrough,
}

impl Manner {
    /// The kind of trigger.
    pub(super) fn kind(self) -> Kind {
        if self == Manner::Url { Kind::Http } else { Kind::Apigw }
    }
}

/// Why there is no answer of a function's.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    pub(super) sentence: String,
    header: Option<(&'static str, String)>,
    /// For the log.
    error: Option<Error>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        let status = match error.kind {
            Failure::NotFound => 404,
            Failure::Invalid => 400,
            Failure::Limit => 413,
            Failure::Denied => 403,
            Failure::Full => 429,
            Failure::Conflict | Failure::Busy => 503,
            Failure::Internal => 500,
        };
        let header = matches!(status, 429 | 503).then(|| ("Retry-After", "1".to_owned()));
        Refusal { status, sentence: error.message.clone(), header, error: Some(error) }
    }
}

impl Refusal {
    fn new(status: u16, sentence: impl Into<String>) -> Refusal {
        Refusal { status, sentence: sentence.into(), header: None, error: None }
    }

    pub(super) fn nothing() -> Refusal {
        Refusal::new(404, "there is no function behind this address")
    }

    pub(super) fn method(methods: &[&str]) -> Refusal {
        let allow = methods.join(", ");
        Refusal {
            header: Some(("Allow", allow.clone())),
            ..Refusal::new(405, format!("this path answers to {allow}"))
        }
    }

    pub(super) fn elsewhere() -> Refusal {
        Refusal::new(403, "this URL is for other networks")
    }

    /// The gateway's own status for it; of a URL it is the function's fault like any other (triggers 1.3, 1.6).
    pub(super) fn malformed(kind: Kind) -> Refusal {
        Refusal::new(if kind == Kind::Apigw { 403 } else { 502 }, MALFORMED)
    }

    pub(super) fn too_slow(patience: Duration) -> Refusal {
        let seconds = patience.as_secs_f64();
        Refusal::new(504, format!("the function did not answer within {seconds} s; its run goes on"))
    }

    pub(super) fn unsigned(sentence: impl Into<String>) -> Refusal {
        Refusal::new(401, sentence)
    }

    pub(super) fn scope() -> Refusal {
        Refusal::new(403, "the key may not invoke functions")
    }

    pub(super) fn too_many(wait_s: u64) -> Refusal {
        let header = Some(("Retry-After", wait_s.to_string()));
        Refusal { header, ..Refusal::new(429, "too many wrong signatures; try again later") }
    }

    /// Tells the log what lies underneath, once.
    pub(super) fn log(mut self, id: &RequestId) -> Refusal {
        if let Some(error) = self.error.take().filter(|error| error.kind == Failure::Internal) {
            log::error!("request {id} failed: {error:#}");
        }
        self
    }

    /// The answer, in the words of that kind of trigger.
    pub(super) fn answer(self, kind: Kind, id: &RequestId) -> Response {
        let body = match kind {
            Kind::Apigw => json!({ "errno": self.status, "error": self.sentence }),
            _ => {
                json!({ "errorCode": -1, "errorMessage": self.sentence, "requestId": id.as_str(), "statusCode": self.status })
            }
        };
        let mut answer = Response::new(self.status)
            .with_header("Content-Type", "application/json")
            .with_bytes(body.to_string().into_bytes());
        if kind == Kind::Http {
            answer = answer.with_header("X-Scf-Error-Type", error_type(self.status));
        }
        match self.header {
            Some((name, value)) => answer.with_header(name, value),
            None => answer,
        }
    }
}

/// The answer that a run's end became.
pub(super) fn of(manner: Manner, status: u16, reply: Reply) -> Response {
    let Reply { headers, body, .. } = reply;
    let status = http_status(manner, status, reply.status);
    let mut answer = Response::new(status).with_bytes(body);
    for (name, value) in headers {
        answer = answer.with_header(name, value);
    }
    if manner == Manner::Url && status >= 429 && reply.status == 200 {
        answer = answer.with_header("X-Scf-Error-Type", error_type(status));
    }
    answer
}

/// What the function did wrong is, where values are passed through, a value like any other (triggers 1.3).
fn http_status(manner: Manner, status: u16, replied: u16) -> u16 {
    match (status, manner) {
        (200, _) => replied,
        (432, _) => 429,
        (500, _) => 500,
        (_, Manner::PassedThrough) => 200,
        (433, _) => 504,
        _ => 502,
    }
}

/// Whose fault it was (triggers 1.6).
fn error_type(status: u16) -> &'static str {
    match status {
        500 | 503 => "ScfSysError",
        502 | 504 => "UnhandledInvocationErr",
        _ => "ScfCommonError",
    }
}

/// The same answer with the id under which the run is found again.
pub(super) fn named(kind: Kind, answer: Response, id: &RequestId) -> Response {
    let name = if kind == Kind::Apigw { "X-Api-RequestId" } else { "X-Scf-Request-Id" };
    // Which run it was is not up to the function.
    let mut answer = answer;
    answer.headers.retain(|header| !header.name.eq_ignore_ascii_case(name));
    answer.with_header(name, id.as_str().to_owned())
}
