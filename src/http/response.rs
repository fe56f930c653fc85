//! What a handler gives back.
//!
//! `tiny_http::Header` is not used here: it holds ASCII only, but functions may send any text, and it costs two
//! allocations for names and values that are mostly constants.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::Read;

use tiny_http::StatusCode;

/// An answer.
pub struct Response {
    /// 200 to 599; anything else is answered as 500.
    pub status: StatusCode,
    /// Names and values; checked when they are sent, and a bad one turns the answer into a 500. Those that
    /// belong to the transport (Connection, Content-Length, Transfer-Encoding and their kin) are left out.
    pub headers: Vec<Header>,
    /// The body.
    pub content: Content,
    /// Runs on the worker's thread as soon as the answer is on its way.
    pub after: Option<After>,
}

/// Work for after the answer.
pub type After = Box<dyn FnOnce() + Send>;

/// Name and value of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// A token (RFC 9110 section 5.6.2).
    pub name: Cow<'static, str>,
    /// Text without control characters; what is not ASCII goes out as UTF-8.
    pub value: Cow<'static, str>,
}

/// A response body.
pub enum Content {
    /// Bytes.
    Bytes(Cow<'static, [u8]>),
    /// `length` bytes of a file, whatever its position.
    File {
        /// Opened for reading.
        file: File,
        /// Where the first of them is.
        from: u64,
        /// How many bytes to send; the connection breaks off if the file has fewer.
        length: u64,
    },
    /// What a reader gives until it ends; sent chunked, each read at once. It runs on a thread of its own, of which
    /// there are few, and a read must end by itself within some seconds. An error breaks the connection off, so
    /// the client sees that the body is not whole.
    Stream(Box<dyn Read + Send>),
}

impl Response {
    /// An answer without headers and body.
    pub fn new(status: u16) -> Response {
        Response {
            status: StatusCode(status),
            headers: Vec::new(),
            content: Content::Bytes(Cow::Borrowed(&[])),
            after: None,
        }
    }

    /// A line of plain text.
    pub fn text(status: u16, text: impl Into<String>) -> Response {
        let mut text = text.into();
        text.push('\n');
        Response::new(status)
            .with_header("Content-Type", "text/plain; charset=utf-8")
            .with_bytes(text.into_bytes())
    }

    /// The same answer with one header more.
    pub fn with_header(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Response {
        self.headers.push(Header { name: name.into(), value: value.into() });
        self
    }

    /// The same answer with these bytes as its body.
    pub fn with_bytes(mut self, bytes: impl Into<Cow<'static, [u8]>>) -> Response {
        self.content = Content::Bytes(bytes.into());
        self
    }

    /// The same answer with the first `length` bytes of `file` as its body.
    pub fn with_file(self, file: File, length: u64) -> Response {
        self.with_stretch(file, 0, length)
    }

    /// The same answer with `length` bytes of `file` as its body, beginning at byte `from`.
    pub fn with_stretch(mut self, file: File, from: u64, length: u64) -> Response {
        self.content = Content::File { file, from, length };
        self
    }

    /// The same answer with all that `reader` gives as its body.
    pub fn with_stream(mut self, reader: impl Read + Send + 'static) -> Response {
        self.content = Content::Stream(Box::new(reader));
        self
    }

    /// The same answer with work to do once it is on its way.
    pub fn with_after(mut self, after: impl FnOnce() + Send + 'static) -> Response {
        self.after = Some(Box::new(after));
        self
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Content::File { length, .. } => write!(f, "{length} bytes of a file"),
            Content::Stream(_) => f.write_str("a stream"),
        }
    }
}
