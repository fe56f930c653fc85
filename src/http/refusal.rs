//! Requests that no handler gets to see, and the answer each is given.

use tiny_http::StatusCode;

/// Why the front itself answers a request. After any of these the connection closes, because where the next request
/// would begin is no longer certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It breaks RFC 9112; the phrase says where.
    Malformed(&'static str),
    /// The body or the head did not come in time.
    TooSlow,
    /// The body is longer than this request may carry.
    BodyTooLarge,
    /// The target is longer than [`TARGET_BYTES_MAX`](super::limits::TARGET_BYTES_MAX).
    TargetTooLong,
    /// An `Expect` other than `100-continue`.
    Expectation,
    /// The head has too many bytes or lines.
    HeadTooLarge,
    /// A handler asked about a body panicked.
    Broken,
    /// CONNECT: we are no proxy.
    NotAProxy,
    /// No room for it now.
    Busy(&'static str),
    /// A protocol other than HTTP/1.0 and HTTP/1.1.
    Version,
}

impl Refusal {
    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        StatusCode(match self {
            Refusal::Malformed(_) => 400,
            Refusal::TooSlow => 408,
            Refusal::BodyTooLarge => 413,
            Refusal::TargetTooLong => 414,
            Refusal::Expectation => 417,
            Refusal::HeadTooLarge => 431,
            Refusal::Broken => 500,
            Refusal::NotAProxy => 501,
            Refusal::Busy(_) => 503,
            Refusal::Version => 505,
        })
    }

    /// One sentence for the caller.
    pub fn sentence(self) -> &'static str {
        match self {
            Refusal::Malformed(where_) | Refusal::Busy(where_) => where_,
            Refusal::TooSlow => "the request did not arrive in time",
            Refusal::BodyTooLarge => "the body is larger than this request may carry",
            Refusal::TargetTooLong => "the target is longer than 8 KiB",
            Refusal::Expectation => "the only expectation known is 100-continue",
            Refusal::HeadTooLarge => "the head is larger than 64 KiB or 100 headers",
            Refusal::Broken => "the server failed; its log says why",
            Refusal::NotAProxy => "this server is no proxy",
            Refusal::Version => "the versions spoken are HTTP/1.1 and HTTP/1.0",
        }
    }
}
