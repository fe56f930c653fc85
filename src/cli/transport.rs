//! One HTTP exchange over the socket file or TCP.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::config::Reach;

/// Longest time the server may stay silent: the longest run, and some.
const SILENCE_MAX: Duration = Duration::from_secs(1000);
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Status and headers of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
}

/// Sends one request; the answer's body is still to be read.
pub(super) fn exchange(
    reach: &Reach,
    method: &str,
    target: &str,
    content_type: &str,
    body: &[u8],
) -> io::Result<(Head, Box<dyn Read>)> {
    let (mut stream, host, key): (Box<dyn Stream>, &str, Option<&str>) = match reach {
        Reach::Socket(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(SILENCE_MAX))?;
            (Box::new(stream), "localhost", None)
        }
        Reach::Url { url, key } => {
            let host = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
            let stream = TcpStream::connect(host)?;
            stream.set_read_timeout(Some(SILENCE_MAX))?;
            (Box::new(stream), host, key.as_deref())
        }
    };
    let mut head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n",
        body.len()
    );
    if let Some(key) = key {
        head += &format!("Authorization: Bearer {key}\r\n");
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    stream.write_all(body)?;
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 16 * 1024];
        let count = stream.read(&mut chunk)?;
        bytes.extend(&chunk[..count]);
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&bytes).map_err(io::Error::other)? {
            httparse::Status::Partial if count == 0 || bytes.len() > HEAD_BYTES_MAX => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            httparse::Status::Partial => {}
            httparse::Status::Complete(length) => {
                let head = Head {
                    status: response.code.unwrap_or(0),
                    headers: response
                        .headers
                        .iter()
                        .map(|h| (h.name.to_ascii_lowercase(), String::from_utf8_lossy(h.value).into_owned()))
                        .collect(),
                };
                let rest = io::Cursor::new(bytes.split_off(length));
                return Ok((head, Box::new(rest.chain(stream))));
            }
        }
    }
}

trait Stream: Read + Write {}
impl Stream for UnixStream {}
impl Stream for TcpStream {}
