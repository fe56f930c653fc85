//! Finds where a request head ends, however it is cut into pieces.
//!
//! Each byte is looked at once: parsing again from the start with every piece would let a client that sends single
//! bytes cost us the square of its head. Line ends are CRLF and nothing else, because a proxy before us that reads a
//! lone LF otherwise than we do is a way to smuggle requests.

use super::limits;
use super::refusal::Refusal;

/// The request line is the target, the longest method we know and the version.
const REQUEST_LINE_BYTES_MAX: usize = limits::TARGET_BYTES_MAX + 64;

/// What is known of a head so far. Offsets count from the first byte given, which must stay the same.
#[derive(Debug, Default)]
pub(super) struct HeadScan {
    /// Bytes looked at.
    seen: usize,
    /// Where the line now being read begins.
    line: usize,
    /// Where the request line begins: empty lines before it are skipped (RFC 9112 section 2.2).
    start: usize,
    /// Whether the request line has ended.
    has_request_line: bool,
}

/// Where a whole head lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeadSpan {
    /// Offset of the request line.
    pub start: usize,
    /// Offset of the first byte behind the empty line.
    pub end: usize,
}

impl HeadScan {
    /// Goes on in `bytes`, all that has come of the head; `None` while its end has not.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<Option<HeadSpan>, Refusal> {
        self.check_start(bytes)?;
        while let Some(length) = bytes[self.seen..].iter().position(|byte| *byte == b'\n') {
            let end = self.seen + length + 1;
            self.seen = end;
            if end < 2 || bytes[end - 2] != b'\r' {
                return Err(Refusal::Malformed("a line of the head does not end with CR LF"));
            }
            if let Some(span) = self.line_ended(end)? {
                return Ok(Some(span));
            }
            self.check_start(bytes)?;
        }
        self.seen = bytes.len();
        self.check_size().map(|()| None)
    }

    /// What can be told by its first byte is told at once: a TLS handshake, for one, has no line end to wait for.
    fn check_start(&self, bytes: &[u8]) -> Result<(), Refusal> {
        match bytes.get(self.start) {
            Some(byte) if !byte.is_ascii_graphic() && !matches!(byte, b'\r' | b'\n') => {
                Err(Refusal::Malformed("this is no HTTP request; TLS is for a proxy before this server"))
            }
            _ => Ok(()),
        }
    }

    fn line_ended(&mut self, end: usize) -> Result<Option<HeadSpan>, Refusal> {
        let is_empty = end - self.line == 2;
        self.check_size()?;
        self.line = end;
        match (is_empty, self.has_request_line) {
            (true, true) => return Ok(Some(HeadSpan { start: self.start, end })),
            (true, false) => self.start = end,
            (false, _) => self.has_request_line = true,
        }
        Ok(None)
    }

    fn check_size(&self) -> Result<(), Refusal> {
        if !self.has_request_line && self.seen - self.start > REQUEST_LINE_BYTES_MAX {
            return Err(Refusal::TargetTooLong);
        }
        if self.seen > limits::HEAD_BYTES_MAX {
            return Err(Refusal::HeadTooLarge);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `text` in pieces of `piece` bytes.
    fn scan(text: &[u8], piece: usize) -> Result<Option<HeadSpan>, Refusal> {
        let mut scan = HeadScan::default();
        for end in (piece..text.len()).step_by(piece) {
            if let Some(span) = scan.advance(&text[..end])? {
                return Ok(Some(span));
            }
        }
        scan.advance(text)
    }

    #[test]
    fn the_end_is_found_in_pieces_of_any_size() {
        let text = b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        for piece in 1..text.len() {
            assert_eq!(scan(text, piece), Ok(Some(HeadSpan { start: 4, end: 31 })), "{piece}");
        }
    }

    #[test]
    fn a_lone_line_feed_is_refused() {
        for text in ["GET / HTTP/1.1\nHost: a\r\n\r\n", "\n", "GET / HTTP/1.1\r\nHost: a\n\n"] {
            assert!(matches!(scan(text.as_bytes(), 3), Err(Refusal::Malformed(_))), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused_at_its_first_byte() {
        for text in [&b"\x16\x03\x01"[..], b"\r\n\x16", b" GET", b"\xffGET"] {
            assert!(matches!(scan(text, 1), Err(Refusal::Malformed(_))), "{text:?}");
        }
    }

    #[test]
    fn size_is_refused_before_the_end_has_come() {
        let line = format!("GET /{}", "a".repeat(REQUEST_LINE_BYTES_MAX));
        assert_eq!(scan(line.as_bytes(), 1000), Err(Refusal::TargetTooLong));
        let head = format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(limits::HEAD_BYTES_MAX));
        assert_eq!(scan(head.as_bytes(), 1000), Err(Refusal::HeadTooLarge));
        assert_eq!(scan(&b"\r\n".repeat(limits::HEAD_BYTES_MAX), 1000), Err(Refusal::HeadTooLarge));
    }
}
