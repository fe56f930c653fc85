//! Response heads as bytes. The last check before the wire: names and values may come from functions, and a CR LF let
//! through here would let a function forge whole answers.

use std::io::Write;

use tiny_http::StatusCode;

use super::head::Head;
use super::response::Header;

/// What of the request decides how it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    /// HTTP/1.1; chunks are known.
    pub knows_chunks: bool,
    /// A HEAD request: the head says what a GET would, and no body follows.
    pub head_only: bool,
    /// What becomes of the connection.
    pub ending: Ending,
}

/// What becomes of a connection once an answer has gone out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It waits for the next request.
    KeepAlive,
    /// It closes because the client asked for it, so nothing more will come.
    Close,
    /// It closes although the client may still be sending: we read on for a while, because closing with unread bytes
    /// resets the connection, and a reset can overtake the answer.
    Linger,
}

impl Manner {
    /// For a request whose head was read.
    pub(super) fn of(head: &Head) -> Manner {
        Manner {
            knows_chunks: head.version() == (1, 1),
            head_only: *head.method() == tiny_http::Method::Head,
            ending: if head.framing().keep_alive { Ending::KeepAlive } else { Ending::Close },
        }
    }

    /// For what could not be read as a request.
    pub(super) const UNREADABLE: Manner =
        Manner { knows_chunks: true, head_only: false, ending: Ending::Linger };

    /// The same, but the connection closes.
    pub(super) fn closing(self) -> Manner {
        match self.ending {
            Ending::KeepAlive => Manner { ending: Ending::Linger, ..self },
            Ending::Close | Ending::Linger => self,
        }
    }
}

/// How the receiver knows where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// It is that long.
    Sized(u64),
    /// Chunks say it.
    Chunked,
    /// The connection ends with it (HTTP/1.0 only).
    UntilClose,
}

/// Headers that describe the connection or the framing, which are ours alone.
const OURS: [&str; 7] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a status can have a body at all (RFC 9110 sections 15.3.5 and 15.4.5).
pub(super) fn may_have_body(status: StatusCode) -> bool {
    !matches!(status.0, 204 | 304)
}

/// Whether this head may go out: a final status, names that are tokens, values without control characters.
pub(super) fn check(status: StatusCode, headers: &[Header]) -> Result<(), &'static str> {
    if !(200..=599).contains(&status.0) {
        return Err("the status is not within 200 to 599");
    }
    if !headers.iter().all(|header| !header.name.is_empty() && header.name.bytes().all(is_token_byte)) {
        return Err("a header name is no token");
    }
    let is_value_byte = |byte: u8| byte == b'\t' || (byte >= 0x20 && byte != 0x7f);
    if !headers.iter().all(|header| header.value.bytes().all(is_value_byte)) {
        return Err("a header value has control characters");
    }
    Ok(())
}

/// Writes a checked head behind what is in `out`. `date` is the Date header's value.
pub(super) fn head(
    out: &mut Vec<u8>,
    (status, headers): (StatusCode, &[Header]),
    length: Length,
    manner: Manner,
    date: &str,
) {
    push(out, &["HTTP/1.1 "]);
    number(out, u64::from(status.0));
    push(out, &[" ", status.default_reason_phrase(), "\r\n"]);
    for header in headers.iter().filter(|header| !is_ours(&header.name)) {
        push(out, &[&header.name, ": ", &header.value, "\r\n"]);
    }
    if !headers.iter().any(|header| header.name.eq_ignore_ascii_case("date")) {
        push(out, &["Date: ", date, "\r\n"]);
    }
    match length {
        _ if !may_have_body(status) => {}
        Length::Sized(bytes) => {
            push(out, &["Content-Length: "]);
            number(out, bytes);
            push(out, &["\r\n"]);
        }
        Length::Chunked => push(out, &["Transfer-Encoding: chunked\r\n"]),
        Length::UntilClose => {}
    }
    match (manner.ending, manner.knows_chunks) {
        (Ending::Close | Ending::Linger, _) => push(out, &["Connection: close\r\n"]),
        // HTTP/1.0 clients close unless told otherwise.
        (Ending::KeepAlive, false) => push(out, &["Connection: keep-alive\r\n"]),
        (Ending::KeepAlive, true) => {}
    }
    push(out, &["\r\n"]);
}

fn push(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

fn number(out: &mut Vec<u8>, number: u64) {
    write!(out, "{number}").expect("memory takes all writes");
}

fn is_ours(name: &str) -> bool {
    OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name))
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The Date header, printed once a second.
#[derive(Debug, Default)]
pub(super) struct DateLine {
    second: i64,
    text: String,
}

impl DateLine {
    /// The date at `wall_us` microseconds since the epoch (RFC 9110 section 5.6.7).
    pub(super) fn at(&mut self, wall_us: i64) -> &str {
        let second = wall_us.div_euclid(1_000_000);
        if self.text.is_empty() || self.second != second {
            self.second = second;
            self.text = date(second);
        }
        &self.text
    }
}

fn date(second: i64) -> String {
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    jiff::Timestamp::from_second(second)
        .and_then(|time| printer.timestamp_to_rfc9110_string(&time))
        .unwrap_or_else(|_| "Thu, 01 Jan 1970 00:00:00 GMT".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Manner = Manner { knows_chunks: true, head_only: false, ending: Ending::KeepAlive };

    fn encode(status: u16, headers: &[(&str, &str)], length: Length, manner: Manner) -> String {
        let headers: Vec<Header> = headers
            .iter()
            .map(|(name, value)| Header {
                name: (*name).to_owned().into(),
                value: (*value).to_owned().into(),
            })
            .collect();
        if let Err(reason) = check(StatusCode(status), &headers) {
            return reason.to_owned();
        }
        let mut out = Vec::new();
        head(&mut out, (StatusCode(status), &headers), length, manner, "now");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn heads_are_complete() {
        assert_eq!(
            encode(200, &[("X-Name", "väl\tue")], Length::Sized(5), KEEP),
            "HTTP/1.1 200 OK\r\nX-Name: väl\tue\r\nDate: now\r\nContent-Length: 5\r\n\r\n"
        );
        assert_eq!(
            encode(404, &[("date", "then")], Length::Chunked, KEEP.closing()),
            "HTTP/1.1 404 Not Found\r\ndate: then\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(
            encode(304, &[], Length::Sized(5), Manner { knows_chunks: false, ..KEEP }),
            "HTTP/1.1 304 Not Modified\r\nDate: now\r\nConnection: keep-alive\r\n\r\n"
        );
    }

    #[test]
    fn framing_headers_of_handlers_are_left_out() {
        let forged = [
            ("Content-Length", "9"),
            ("transfer-encoding", "chunked"),
            ("Connection", "x"),
            ("Upgrade", "h2c"),
        ];
        assert_eq!(
            encode(200, &forged, Length::Sized(0), KEEP),
            "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn forged_headers_and_statuses_are_found() {
        for (name, value) in [("X", "a\r\nY: b"), ("X", "a\nb"), ("X", "a\0"), ("X", "\u{7f}")] {
            assert_eq!(
                encode(200, &[(name, value)], Length::Sized(0), KEEP),
                "a header value has control characters"
            );
        }
        for name in ["", "X Y", "X:", "X\r\nY", "é"] {
            assert_eq!(encode(200, &[(name, "")], Length::Sized(0), KEEP), "a header name is no token");
        }
        for status in [0, 100, 101, 199, 600, 999] {
            assert_eq!(encode(status, &[], Length::Sized(0), KEEP), "the status is not within 200 to 599");
        }
    }

    #[test]
    fn dates_are_printed_as_rfc_9110_wants() {
        let mut line = DateLine::default();
        assert_eq!(line.at(784_111_777_000_000), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(line.at(784_111_777_999_999), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(line.at(784_111_778_000_000), "Sun, 06 Nov 1994 08:49:38 GMT");
    }
}
