//! A request head: parsed, checked against RFC 9112, and kept as the bytes that came.
//!
//! Everything that decides where a body ends is decided here and strictly: what two parsers could read in two ways is
//! refused. The value of Host is not parsed, because real clients send a whole URL in it.

use std::ops::Range;
use std::str::FromStr;

use tiny_http::{HTTPVersion, Method};

use super::limits;
use super::refusal::Refusal;

/// A checked request head.
#[derive(Clone, Debug)]
pub struct Head {
    bytes: Box<[u8]>,
    method: Method,
    minor: u8,
    target: Range<usize>,
    path: Range<usize>,
    query: Option<Range<usize>>,
    headers: Vec<(Range<usize>, Range<usize>)>,
    framing: Framing,
}

/// How the body is delimited and what follows the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// How many bytes of body follow.
    pub length: BodyLength,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Whether the client wants the connection to stay open.
    pub keep_alive: bool,
}

/// What the head says of the body's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// That many bytes; 0 where the head says nothing.
    Sized(u64),
    /// As many as the chunks say.
    Chunked,
}

impl Head {
    /// Parses a whole head, from the request line to the empty line.
    pub fn parse(bytes: &[u8]) -> Result<Head, Refusal> {
        let mut slots = [const { std::mem::MaybeUninit::uninit() }; limits::HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut []);
        match parsed.parse_with_uninit_headers(bytes, &mut slots) {
            Ok(httparse::Status::Complete(length)) if length == bytes.len() => Head::check(bytes, &parsed),
            Ok(_) => Err(Refusal::Malformed("the head does not end where it should")),
            Err(error) => Err(refusal_of(error, bytes)),
        }
    }

    fn check(bytes: &[u8], parsed: &httparse::Request<'_, '_>) -> Result<Head, Refusal> {
        let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
        let minor = parsed.version.unwrap_or_default();
        let target_start = offset(bytes, target.as_bytes());
        let (path, query) = split_target(method, target)?;
        let shift = |range: Range<usize>| range.start + target_start..range.end + target_start;
        Ok(Head {
            framing: framing(parsed.headers, minor)?,
            method: Method::from_str(method).map_err(|()| Refusal::Malformed("the method is no token"))?,
            minor,
            target: shift(0..target.len()),
            path: shift(path),
            query: query.map(shift),
            headers: parsed
                .headers
                .iter()
                .map(|header| (span(bytes, header.name.as_bytes()), span(bytes, header.value)))
                .collect(),
            bytes: bytes.into(),
        })
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// HTTP/1.1 or HTTP/1.0.
    pub fn version(&self) -> HTTPVersion {
        HTTPVersion(1, self.minor)
    }

    /// The target as it came: visible ASCII, at most 8 KiB, percent escapes untouched.
    pub fn target(&self) -> &str {
        self.text(&self.target)
    }

    /// The path of the target, percent escapes untouched; begins with `/`, or is `*` for OPTIONS.
    pub fn path(&self) -> &str {
        self.text(&self.path)
    }

    /// What follows the first `?` of the target, undecoded.
    pub fn query(&self) -> Option<&str> {
        self.query.as_ref().map(|range| self.text(range))
    }

    /// All headers in order. A value has no control bytes but tab, no blanks around it, and may hold bytes ≥ 0x80.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (self.text(name), &self.bytes[value.clone()]))
    }

    /// The value of the first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The same as text; `None` also where the value is not UTF-8.
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.header(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Where the body ends and what follows.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    fn text(&self, range: &Range<usize>) -> &str {
        std::str::from_utf8(&self.bytes[range.clone()]).expect("names and targets were checked to be ASCII")
    }
}

/// Where `part` lies in `whole`, which it was cut from.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr() - whole.as_ptr().addr()
}

fn span(whole: &[u8], part: &[u8]) -> Range<usize> {
    match part {
        // An empty value of httparse need not point into the buffer.
        [] => 0..0,
        part => offset(whole, part)..offset(whole, part) + part.len(),
    }
}

/// Path and query within a target in one of the forms of RFC 9112 section 3.2.
fn split_target(method: &str, target: &str) -> Result<(Range<usize>, Option<Range<usize>>), Refusal> {
    if method == "CONNECT" {
        return Err(Refusal::NotAProxy);
    }
    if target.len() > limits::TARGET_BYTES_MAX {
        return Err(Refusal::TargetTooLong);
    }
    if !target.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
        return Err(Refusal::Malformed("the target has bytes outside visible ASCII"));
    }
    let path = match path_start(target) {
        Some(start) => start,
        None if target == "*" && method == "OPTIONS" => 0,
        None => return Err(Refusal::Malformed("the target must begin with a slash")),
    };
    Ok(match target[path..].find('?') {
        Some(mark) => (path..path + mark, Some(path + mark + 1..target.len())),
        None => (path..target.len(), None),
    })
}

/// Where the path begins: at once, or behind `http://authority`, whose authority we ignore like Host's value.
fn path_start(target: &str) -> Option<usize> {
    if target.starts_with('/') {
        return Some(0);
    }
    let scheme = ["http://", "https://"]
        .into_iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))?;
    target[scheme.len()..].find('/').map(|slash| scheme.len() + slash)
}

fn framing(headers: &[httparse::Header<'_>], minor: u8) -> Result<Framing, Refusal> {
    let mut facts = Facts::default();
    for header in headers {
        facts.note(header)?;
    }
    facts.conclude(minor)
}

/// What the headers that matter for framing said.
#[derive(Default)]
struct Facts {
    hosts: usize,
    length: Option<u64>,
    is_chunked: bool,
    expects_continue: bool,
    close: bool,
    keep_alive: bool,
}

impl Facts {
    fn note(&mut self, header: &httparse::Header<'_>) -> Result<(), Refusal> {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        match header.name.len() {
            4 if is("host") => self.hosts += 1,
            6 if is("expect") => self.note_expect(header.value)?,
            10 if is("connection") => self.note_connection(header.value),
            14 if is("content-length") => self.note_length(header.value)?,
            17 if is("transfer-encoding") => self.note_coding(header.value)?,
            _ => {}
        }
        Ok(())
    }

    fn note_expect(&mut self, value: &[u8]) -> Result<(), Refusal> {
        self.expects_continue = true;
        if value.eq_ignore_ascii_case(b"100-continue") { Ok(()) } else { Err(Refusal::Expectation) }
    }

    fn note_connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// Digits only, once: a sign, a list or a second header is how lengths come to be read in two ways.
    fn note_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let is_number = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
        if !is_number || self.length.is_some() {
            return Err(Refusal::Malformed("Content-Length must be one number"));
        }
        self.length = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
        Ok(())
    }

    fn note_coding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::Malformed("the only Transfer-Encoding known is chunked, once"));
        }
        self.is_chunked = true;
        Ok(())
    }

    fn conclude(self, minor: u8) -> Result<Framing, Refusal> {
        if self.hosts > 1 || (self.hosts == 0 && minor == 1) {
            return Err(Refusal::Malformed("exactly one Host header is needed"));
        }
        if self.is_chunked && (self.length.is_some() || minor == 0) {
            return Err(Refusal::Malformed(
                "Transfer-Encoding goes with HTTP/1.1 and without Content-Length",
            ));
        }
        Ok(Framing {
            length: match self.is_chunked {
                true => BodyLength::Chunked,
                false => BodyLength::Sized(self.length.unwrap_or(0)),
            },
            // HTTP/1.0 has no interim answers (RFC 9110 section 10.1.1).
            expects_continue: self.expects_continue && minor == 1,
            keep_alive: !self.close && (minor == 1 || self.keep_alive),
        })
    }
}

fn refusal_of(error: httparse::Error, bytes: &[u8]) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::HeadTooLarge,
        httparse::Error::Version if names_a_version(bytes) => Refusal::Version,
        httparse::Error::HeaderName => Refusal::Malformed("a header name is no token"),
        httparse::Error::HeaderValue => Refusal::Malformed("a header value has control bytes"),
        _ => Refusal::Malformed("the request line is malformed"),
    }
}

/// Whether the request line has three parts and the last is `HTTP/` digit `.` digit.
fn names_a_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut parts = line.split(|byte| *byte == b' ').skip(2);
    match (parts.next(), parts.next()) {
        (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None) => {
            major.is_ascii_digit() && minor.is_ascii_digit()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Head, Refusal> {
        Head::parse(text.as_bytes())
    }

    #[test]
    fn a_head_is_taken_apart() {
        let head =
            parse("POST /a%20b?c=1?2 HTTP/1.1\r\nHost: http://x:1\r\nX-Empty:\r\nx-tail: a b \r\n\r\n");
        let head = head.unwrap();
        assert_eq!((head.method(), head.target()), (&Method::Post, "/a%20b?c=1?2"));
        assert_eq!((head.path(), head.query()), ("/a%20b", Some("c=1?2")));
        assert_eq!(head.header("HOST"), Some(&b"http://x:1"[..]));
        assert_eq!(head.header_text("X-Tail"), Some("a b"));
        assert_eq!(head.header("x-empty"), Some(&b""[..]));
        assert_eq!(head.header("none"), None);
        assert_eq!(
            head.framing(),
            Framing { length: BodyLength::Sized(0), expects_continue: false, keep_alive: true }
        );
    }

    #[test]
    fn all_forms_of_targets_are_known() {
        for (line, path) in [
            ("GET http://h:1/a/b?c HTTP/1.1", Some("/a/b")),
            ("GET HTTPS://h/ HTTP/1.1", Some("/")),
            ("OPTIONS * HTTP/1.1", Some("*")),
            ("GET * HTTP/1.1", None),
            ("GET a HTTP/1.1", None),
            ("GET ftp://h/a HTTP/1.1", None),
            ("GET http://h HTTP/1.1", None),
            ("GET /\u{e9} HTTP/1.1", None),
            ("CONNECT h:443 HTTP/1.1", None),
        ] {
            let head = parse(&format!("{line}\r\nHost: h\r\n\r\n"));
            assert_eq!(head.as_ref().ok().map(Head::path), path, "{line}");
        }
    }

    #[test]
    fn framing_is_read_strictly() {
        let malformed = Err(400);
        for (headers, expected) in [
            ("Content-Length: 5", Ok(BodyLength::Sized(5))),
            ("Content-Length: 005", Ok(BodyLength::Sized(5))),
            ("Content-Length: +5", malformed),
            ("Content-Length: -5", malformed),
            ("Content-Length: 5, 5", malformed),
            ("Content-Length: 0x5", malformed),
            ("Content-Length:", malformed),
            ("Content-Length: 9999999999999999999", malformed),
            ("Content-Length: 5\r\nContent-Length: 5", malformed),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", malformed),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5", malformed),
            ("Transfer-Encoding: Chunked", Ok(BodyLength::Chunked)),
            ("Transfer-Encoding: gzip, chunked", malformed),
            ("Transfer-Encoding: chunked, chunked", malformed),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", malformed),
            ("Transfer-Encoding: xchunked", malformed),
            ("Transfer-Encoding:\u{b}chunked", malformed),
            ("Transfer-Encoding : chunked", malformed),
            ("Content-Length : 5", malformed),
            ("X: a\r\n folded", malformed),
            ("X: a\0b", malformed),
            ("X: a\u{1}b", malformed),
            ("X: a\rb", malformed),
            (": empty", malformed),
            ("no colon", malformed),
            ("Host: second", malformed),
            ("Expect: 100-continue", Ok(BodyLength::Sized(0))),
            ("Expect: 200-ok", Err(417)),
        ] {
            let head = parse(&format!("POST / HTTP/1.1\r\nHost: h\r\n{headers}\r\n\r\n"));
            let seen = head.map(|head| head.framing().length).map_err(|refusal| refusal.status().0);
            assert_eq!(seen, expected, "{headers:?}");
        }
    }

    #[test]
    fn versions_decide_what_is_needed() {
        for (text, expected) in [
            ("GET / HTTP/1.1\r\n\r\n", Err(400)),
            ("GET / HTTP/1.0\r\n\r\n", Ok(false)),
            ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", Ok(true)),
            ("GET / HTTP/1.1\r\nHost: h\r\nConnection: foo, Close\r\n\r\n", Ok(false)),
            ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Err(400)),
            ("PRI * HTTP/2.0\r\n\r\n", Err(505)),
            ("GET / HTTP/1.2\r\nHost: h\r\n\r\n", Err(505)),
            ("GET / HTTP/11\r\nHost: h\r\n\r\n", Err(400)),
            ("GET / http/1.1\r\nHost: h\r\n\r\n", Err(400)),
            ("GET  / HTTP/1.1\r\nHost: h\r\n\r\n", Err(400)),
            ("GET /\r\n\r\n", Err(400)),
        ] {
            let head = parse(text);
            let seen = head.map(|head| head.framing().keep_alive).map_err(|refusal| refusal.status().0);
            assert_eq!(seen, expected, "{text:?}");
        }
    }

    #[test]
    fn too_many_headers_are_told_apart() {
        let many = "A: b\r\n".repeat(limits::HEADERS_MAX);
        assert_eq!(
            parse(&format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n")).unwrap_err(),
            Refusal::HeadTooLarge
        );
    }
}
