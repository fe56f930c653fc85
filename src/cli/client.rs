//! The command line's own HTTP/1.1 client: TCP and socket files, one request at a time, connections kept alive.
//!
//! A client of our own because the socket file is the usual way to a local server, and common clients speak TCP only.
//! It knows nothing of the API; commands build on [`Client::send`] and [`Client::send_to`].

use std::fmt;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::reply::{ReplyHead, ReplyReader};
use crate::error::{Error, Kind, Result};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the server may take nothing of a request.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer kept in memory, bytes; larger ones are for [`Client::send_to`].
const REPLY_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host name or IP address and a port.
    Tcp {
        /// As typed, without the brackets of IPv6.
        host: String,
        /// 80 unless the URL says otherwise.
        port: u16,
    },
    /// A socket file.
    Unix(PathBuf),
}

impl Address {
    /// The address in `http://HOST[:PORT][/]`.
    pub fn from_url(url: &str) -> Result<Address> {
        let invalid =
            |why: &str| Error::invalid(format!("the URL {url:?} {why}; it has the form http://HOST:PORT"));
        if url.starts_with("https://") {
            return Err(invalid("asks for TLS, which is a reverse proxy's job"));
        }
        let rest = url.strip_prefix("http://").ok_or_else(|| invalid("does not begin with http://"))?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (authority, "80"),
        };
        let port = port.parse().map_err(|_| invalid("has no port between 0 and 65535"))?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if bare.is_empty() || bare.contains(['/', '?', '#', '@', ' ']) || (bare == host && host.contains(':'))
        {
            return Err(invalid("has no plain host"));
        }
        Ok(Address::Tcp { host: bare.to_owned(), port })
    }

    /// The value of the Host header.
    pub fn host(&self) -> String {
        match self {
            Address::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Address::Tcp { host, port } => format!("{host}:{port}"),
            Address::Unix(_) => "localhost".to_owned(),
        }
    }

    /// A new connection. `read_timeout` is how long one read may wait.
    pub fn connect(&self, read_timeout: Duration) -> Result<Stream> {
        let unreachable =
            |cause| Error::new(Kind::Busy, format!("no server answers at {self}")).because(cause);
        let stream = match self {
            Address::Tcp { host, port } => connect_tcp(host, *port).map(Stream::Tcp),
            Address::Unix(path) => UnixStream::connect(path).map(Stream::Unix),
        };
        let stream = stream.map_err(unreachable)?;
        stream.prepare(read_timeout)?;
        Ok(stream)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { .. } => write!(f, "http://{}", self.host()),
            Address::Unix(path) => write!(f, "socket {}", path.display()),
        }
    }
}

/// Tries all addresses of a name; the last one's failure is told.
fn connect_tcp(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let mut failure = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(cause) => failure = cause,
        }
    }
    Err(failure)
}

/// A connection of either kind.
#[derive(Debug)]
pub enum Stream {
    /// TCP, without delay.
    Tcp(TcpStream),
    /// A socket file.
    Unix(UnixStream),
}

impl Stream {
    fn prepare(&self, read_timeout: Duration) -> Result<()> {
        match self {
            Stream::Tcp(stream) => {
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
                stream.set_read_timeout(Some(read_timeout))?;
            }
            Stream::Unix(stream) => {
                stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
                stream.set_read_timeout(Some(read_timeout))?;
            }
        }
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A request. Values must hold no line breaks; targets are given escaped.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// `GET`, `PUT`, …
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Names and values beside Host and Content-Length.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body; none is sent for GET, HEAD and DELETE when it is empty.
    pub body: &'a [u8],
}

impl Call<'_> {
    /// The head as bytes, for a server at `address`.
    pub fn encode_head(&self, address: &Address) -> Result<Vec<u8>> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.target, address.host());
        for (name, value) in self.headers {
            if name.contains(['\r', '\n', ':']) || value.contains(['\r', '\n', '\0']) {
                return Err(Error::invalid(format!("the header {name:?} holds characters it must not")));
            }
            head.extend([name, ": ", value, "\r\n"]);
        }
        if self.target.bytes().any(|byte| !(0x21..=0x7e).contains(&byte)) {
            return Err(Error::invalid(format!("the target {:?} must be escaped", self.target)));
        }
        if !self.body.is_empty() || matches!(self.method, "POST" | "PUT" | "PATCH") {
            head.extend(["Content-Length: ", &self.body.len().to_string(), "\r\n"]);
        }
        head.push_str("\r\n");
        Ok(head.into_bytes())
    }

    /// Whether sending it twice is like sending it once (RFC 9110 section 9.2.2).
    fn is_idempotent(&self) -> bool {
        matches!(self.method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS")
    }
}

/// An answer with its body.
#[derive(Debug)]
pub struct Reply {
    /// Status and headers.
    pub head: ReplyHead,
    /// The body; empty where it went to a sink.
    pub body: Vec<u8>,
}

/// A client of one server.
#[derive(Debug)]
pub struct Client {
    address: Address,
    timeout: Duration,
    /// Kept from the request before.
    kept: Option<ReplyReader<Stream>>,
}

impl Client {
    /// A client that waits up to `timeout` for each piece of an answer, so longer than the longest run it asks for.
    pub fn new(address: Address, timeout: Duration) -> Client {
        Client { address, timeout, kept: None }
    }

    /// Where the server is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Sends a request and returns the whole answer, whatever its status.
    pub fn send(&mut self, call: &Call<'_>) -> Result<Reply> {
        self.exchange(call, None)
    }

    /// The same, but the body of a 2xx answer goes to `sink` as it comes.
    pub fn send_to(&mut self, call: &Call<'_>, sink: &mut dyn Write) -> Result<Reply> {
        self.exchange(call, Some(sink))
    }

    fn exchange(&mut self, call: &Call<'_>, sink: Option<&mut dyn Write>) -> Result<Reply> {
        let (mut connection, head) = self.begin(call)?;
        let mut body = Bounded(Vec::new());
        match sink {
            Some(sink) if (200..300).contains(&head.status) => connection.body(&head, sink)?,
            _ => connection.body(&head, &mut body)?,
        }
        if !head.closes() {
            self.kept = Some(connection);
        }
        Ok(Reply { head, body: body.0 })
    }

    /// Sends the request and reads the head. A kept connection may have been closed by the server meanwhile; then a
    /// request that may be sent twice is.
    fn begin(&mut self, call: &Call<'_>) -> Result<(ReplyReader<Stream>, ReplyHead)> {
        let request = call.encode_head(&self.address)?;
        if let Some(mut kept) = self.kept.take() {
            match ask(&mut kept, &request, call) {
                Ok(head) => return Ok((kept, head)),
                Err(error) if error.kind == Kind::Busy || !call.is_idempotent() => return Err(error),
                Err(_) => {}
            }
        }
        let mut fresh = ReplyReader::new(self.address.connect(self.timeout)?);
        ask(&mut fresh, &request, call).map(|head| (fresh, head))
    }
}

fn ask(connection: &mut ReplyReader<Stream>, request: &[u8], call: &Call<'_>) -> Result<ReplyHead> {
    let stream = connection.source();
    let written = stream.write_all(request).and_then(|()| stream.write_all(call.body));
    // A server that refuses a body answers before it has read all of it: its answer tells more than our failed write.
    match (connection.head(call.method == "HEAD"), written) {
        (Ok(Some(head)), _) => Ok(head),
        (_, Err(cause)) => Err(Error::internal("the server did not take the request").because(cause)),
        (Ok(None), Ok(())) => Err(Error::internal("the server closed the connection without an answer")),
        (Err(error), Ok(())) => Err(error),
    }
}

/// A body in memory, up to a bound.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > REPLY_BYTES_MAX {
            return Err(std::io::Error::other("the answer is larger than 128 MiB"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_host_and_a_port() {
        for (url, expected) in [
            ("http://127.0.0.1:9980", Some(("127.0.0.1:9980", 9980))),
            ("http://box/", Some(("box:80", 80))),
            ("http://[::1]:9980", Some(("[::1]:9980", 9980))),
            ("http://[::1]", Some(("[::1]:80", 80))),
            ("https://box", None),
            ("box:1", None),
            ("http://", None),
            ("http://:80", None),
            ("http://box:99999", None),
            ("http://box/path", None),
            ("http://::1", None),
            ("http://me@box", None),
        ] {
            let address = Address::from_url(url);
            let seen = address.as_ref().ok().map(|address| match address {
                Address::Tcp { port, .. } => (address.host(), *port),
                Address::Unix(_) => unreachable!("URLs name no files"),
            });
            assert_eq!(seen, expected.map(|(host, port)| (host.to_owned(), port)), "{url}");
        }
    }

    #[test]
    fn requests_that_would_break_the_framing_are_not_sent() {
        let address = Address::Unix("x".into());
        let call = Call { method: "POST", target: "/a", headers: &[("X", "y")], body: b"1" };
        assert_eq!(
            call.encode_head(&address).unwrap(),
            b"POST /a HTTP/1.1\r\nHost: localhost\r\nX: y\r\nContent-Length: 1\r\n\r\n"
        );
        assert!(Call { headers: &[("X", "a\r\nb")], ..call }.encode_head(&address).is_err());
        assert!(Call { target: "/a b", ..call }.encode_head(&address).is_err());
    }
}
