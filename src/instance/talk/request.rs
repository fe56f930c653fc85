//! A request of a Custom Runtime out of the bytes that came: pure. Bodies have a length or come in chunks (RFC 9112).

/// Longest head, bytes.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Most header fields.
const FIELDS_MAX: usize = 64;

/// The status of a body that is longer than it may be.
pub(crate) const TOO_LARGE: u16 = 413;

/// A whole request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without a query.
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    /// No other one follows on its connection.
    pub(crate) is_last: bool,
}

/// What the bytes that came so far are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// The beginning of a request, or nothing.
    Partial,
    /// A head whose body is sent only once it is asked for.
    Expects,
    /// A request, and how many bytes it is.
    Whole { request: Request, length: usize },
    /// No request that can be served.
    Wrong { status: u16, why: &'static str },
}

/// How long a body is, as its head says.
enum Extent {
    Length(usize),
    Chunks,
}

/// Looks at what came so far. A body may be as long as `body_bytes_max`.
pub(crate) fn parse(bytes: &[u8], body_bytes_max: usize) -> Parsed {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Request::new(&mut fields);
    let head_length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_BYTES_MAX => length,
        Ok(httparse::Status::Partial) if bytes.len() <= HEAD_BYTES_MAX => return Parsed::Partial,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => {
            return wrong(431, "the head of the request is too long");
        }
        Err(_) => return wrong(400, "this is no HTTP request"),
    };
    let extent = match extent(head.headers) {
        Ok(extent) => extent,
        Err(why) => return wrong(400, why),
    };
    let rest = &bytes[head_length..];
    let body = match extent {
        Extent::Length(length) if length > body_bytes_max => return wrong(TOO_LARGE, "the body is too long"),
        Extent::Length(length) => rest.get(..length).map(|body| (body.to_vec(), length)),
        Extent::Chunks => match unchunk(rest, body_bytes_max) {
            Ok(body) => body,
            Err(wrong) => return wrong,
        },
    };
    let has = |name: &str, word: &str| {
        let named = head.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        named
            .flat_map(|field| field.value.split(|byte| *byte == b','))
            .any(|one| one.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    };
    let Some((body, body_length)) = body else {
        return if has("expect", "100-continue") { Parsed::Expects } else { Parsed::Partial };
    };
    let path = head.path.unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
    let is_old = head.version == Some(0) && !has("connection", "keep-alive");
    let request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        path,
        body,
        is_last: is_old || has("connection", "close"),
    };
    Parsed::Whole { request, length: head_length + body_length }
}

fn wrong(status: u16, why: &'static str) -> Parsed {
    Parsed::Wrong { status, why }
}

/// A request that says its length twice, or in two ways, is no request: two readers could take it for two different ones.
fn extent(fields: &[httparse::Header<'_>]) -> Result<Extent, &'static str> {
    let named = |name: &'static str| fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
    let (mut lengths, mut codings) = (named("content-length"), named("transfer-encoding"));
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(Extent::Length(0)),
        (Some(length), None) if lengths.next().is_none() => {
            let digits = std::str::from_utf8(length.value).unwrap_or_default();
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| is_number).map(Extent::Length).ok_or("Content-Length is no number")
        }
        (None, Some(coding)) if codings.next().is_none() && coding.value.eq_ignore_ascii_case(b"chunked") => {
            Ok(Extent::Chunks)
        }
        (None, Some(_)) => Err("Transfer-Encoding must be chunked"),
        _ => Err("the length of the body is said twice"),
    }
}

/// The body out of its chunks and how many bytes those are, once the last one is there.
fn unchunk(bytes: &[u8], body_bytes_max: usize) -> Result<Option<(Vec<u8>, usize)>, Parsed> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let (line, size) = match httparse::parse_chunk_size(&bytes[at..]) {
            Ok(httparse::Status::Complete(found)) => found,
            // As long as a line with a size may be.
            Ok(httparse::Status::Partial) if bytes.len() - at <= HEAD_BYTES_MAX => return Ok(None),
            _ => return Err(wrong(400, "a chunk has no size")),
        };
        at += line;
        if size == 0 {
            return Ok(trailer_length(&bytes[at..])?.map(|length| (body, at + length)));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > body_bytes_max || body.len() + size > body_bytes_max {
            return Err(wrong(TOO_LARGE, "the body is too long"));
        }
        let Some(chunk) = bytes.get(at..at + size + 2) else { return Ok(None) };
        if !chunk.ends_with(b"\r\n") {
            return Err(wrong(400, "a chunk is longer than its size"));
        }
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
    }
}

/// Fields behind the last chunk, which mean nothing here, up to the empty line.
fn trailer_length(bytes: &[u8]) -> Result<Option<usize>, Parsed> {
    let mut at = 0;
    while let Some(end) = bytes[at..].windows(2).position(|two| two == b"\r\n") {
        at += end + 2;
        if end == 0 {
            return Ok(Some(at));
        }
    }
    if bytes.len() > HEAD_BYTES_MAX {
        Err(wrong(431, "the fields behind the body are too long"))
    } else {
        Ok(None)
    }
}

/// The words that go with a status (RFC 9110, 15).
pub(crate) fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        _ => "Bad Request",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 100;

    fn whole(text: &str) -> (Request, usize) {
        match parse(text.as_bytes(), MAX) {
            Parsed::Whole { request, length } => (request, length),
            other => panic!("{text:?}: {other:?}"),
        }
    }

    fn status(text: &str) -> u16 {
        match parse(text.as_bytes(), MAX) {
            Parsed::Wrong { status, .. } => status,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn a_request_is_whole_only_with_its_last_byte() {
        for (text, body) in [
            ("GET /a HTTP/1.1\r\nHost: x\r\n\r\n", ""),
            ("POST /a?b=c HTTP/1.1\r\nContent-Length: 5\r\n\r\nab\r\nc", "ab\r\nc"),
            (
                "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nZ: z\r\n\r\n",
                "abcde",
            ),
        ] {
            for cut in 0..text.len() {
                assert_eq!(parse(&text.as_bytes()[..cut], MAX), Parsed::Partial, "{text:?} {cut}");
            }
            let (request, length) = whole(&format!("{text}GET /next"));
            assert_eq!(
                (request.path.as_str(), request.body.as_slice(), length),
                ("/a", body.as_bytes(), text.len())
            );
            assert!(!request.is_last);
        }
    }

    #[test]
    fn who_wants_to_be_asked_for_the_body_is() {
        let head = "POST /a HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n";
        assert_eq!(parse(head.as_bytes(), MAX), Parsed::Expects);
        assert_eq!(whole(&format!("{head}ab")).0.body, b"ab");
    }

    #[test]
    fn the_last_request_of_a_connection_is_known() {
        assert!(whole("GET /a HTTP/1.1\r\nConnection: Close\r\n\r\n").0.is_last);
        assert!(whole("GET /a HTTP/1.0\r\n\r\n").0.is_last);
        assert!(!whole("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").0.is_last);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        assert_eq!(status("hello\r\n\r\n"), 400);
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n"), 413);
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n"), 400);
        for length in ["-1", "+1", "1x", "", "0x10", "1, 1"] {
            assert_eq!(
                status(&format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n")),
                400,
                "{length}"
            );
        }
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na"), 400);
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
        assert_eq!(status("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n"), 400);
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(status(&format!("{chunked}zz\r\n")), 400);
        assert_eq!(status(&format!("{chunked}1\r\nabc")), 400);
        assert_eq!(status(&format!("{chunked}ffffffffffffffff\r\na")), 413);
        assert_eq!(status(&format!("{chunked}64\r\n{}\r\n1\r\n", "a".repeat(100))), 413);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65))), 431);
        assert_eq!(status(&format!("GET /{} HTTP/1.1\r\n", "a".repeat(HEAD_BYTES_MAX))), 431);
    }
}
