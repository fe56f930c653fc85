//! The server's REST API as the commands see it: a request in, an answer or a failure with its exit code out.

use std::io::{self, Read, Write};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cli::exit::{Exit, Failure};
use crate::cli::transport::{Head, exchange};
use crate::config::{Client, Reach};

/// Parameters of a query; none is sent for a `None`.
pub(super) type Query = Vec<(&'static str, Option<String>)>;

/// A server that answers.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    /// HTTP status.
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    /// Body.
    pub(super) body: Vec<u8>,
}

/// The body of an error (every 4xx and 5xx of the API itself).
#[derive(Debug, Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Debug, Deserialize)]
struct ErrorDetail {
    message: String,
    request_id: Option<String>,
}

impl Api {
    pub(super) fn new(client: Client) -> Api {
        Api { client }
    }

    /// Asks for `path`.
    pub(super) fn get(&self, path: &str, query: Query) -> Result<Answer, Failure> {
        self.send("GET", path, query, "application/json", b"")?.accepted()
    }

    /// Sends `body`; the answer may have any status.
    pub(super) fn send(
        &self,
        method: &str,
        path: &str,
        query: Query,
        content_type: &str,
        body: &[u8],
    ) -> Result<Answer, Failure> {
        let (head, source) = self.exchange(method, &self.target(path, query), content_type, body)?;
        read(head, source)
    }

    /// Asks for `path` by POST and gives what comes to `sink` while it comes; nothing, if the server says no.
    pub(super) fn download(&self, path: &str, sink: &mut dyn Write) -> Result<u64, Failure> {
        let (head, mut source) =
            self.exchange("POST", &self.target(path, Vec::new()), "application/json", b"")?;
        if !(200..300).contains(&head.status) {
            return read(head, source)?.accepted().map(|_| 0);
        }
        Ok(io::copy(&mut source, sink)?)
    }

    fn target(&self, path: &str, mut query: Query) -> String {
        if self.client.namespace != "default" {
            query.push(("namespace", Some(self.client.namespace.clone())));
        }
        let given =
            query.iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value.as_ref()?))));
        let query = given.collect::<Vec<_>>().join("&");
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }

    fn exchange(
        &self,
        method: &str,
        target: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<(Head, Box<dyn Read>), Failure> {
        exchange(&self.client.reach, method, target, content_type, body)
            .map_err(|cause| self.unreachable(&cause))
    }

    fn unreachable(&self, cause: &io::Error) -> Failure {
        let message = match &self.client.reach {
            Reach::Socket(path) => format!(
                "no server answers at {}: {cause}; start one with `fnlite serve`, or name one with --db, --socket or --url",
                path.display()
            ),
            Reach::Url { url, .. } => format!("no server answers at {url}: {cause}"),
        };
        Failure::new(Exit::Error, message)
    }
}

fn read(head: Head, mut source: Box<dyn Read>) -> Result<Answer, Failure> {
    let mut body = Vec::new();
    source.read_to_end(&mut body)?;
    Ok(Answer { status: head.status, headers: head.headers, body })
}

impl Answer {
    /// A header's value, by its lower-case name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// This answer if it is one of success, otherwise what the server said against it.
    pub(super) fn accepted(self) -> Result<Answer, Failure> {
        let exit = match self.status {
            200..=299 => return Ok(self),
            401 | 403 => Exit::Denied,
            404 => Exit::NotFound,
            _ => Exit::Error,
        };
        let message = match serde_json::from_slice::<ErrorBody>(&self.body) {
            Ok(ErrorBody { error: ErrorDetail { message, request_id: Some(id) } }) if self.status >= 500 => {
                format!("{message} (request {id})")
            }
            Ok(ErrorBody { error }) => error.message,
            Err(_) => format!("the server answered with status {}", self.status),
        };
        Err(Failure::new(exit, message))
    }

    /// The body as `T`.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|cause| {
            Failure::new(
                Exit::Error,
                format!("the server's answer is not understood: {cause}; is it of another version?"),
            )
        })
    }
}

/// The path of a function, or of something below it (`/invoke`).
pub(super) fn function_path(name: &str, below: &str) -> String {
    format!("/v1/functions/{}{below}", encoded(name))
}

/// `text` as one part of a path or query (RFC 3986: what is not unreserved is escaped).
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
    }

    #[test]
    fn what_the_server_says_decides_the_exit_code() {
        let body = r#"{"error":{"code":"NotFound","message":"no function x","request_id":"1"}}"#;
        for (status, exit) in
            [(404, Exit::NotFound), (401, Exit::Denied), (403, Exit::Denied), (400, Exit::Error)]
        {
            let failure = answer(status, body).accepted().unwrap_err();
            assert_eq!((failure.exit, failure.message.as_str()), (exit, "no function x"));
        }
        assert_eq!(answer(500, body).accepted().unwrap_err().message, "no function x (request 1)");
        assert_eq!(
            answer(502, "<html>").accepted().unwrap_err().message,
            "the server answered with status 502"
        );
    }

    #[test]
    fn targets_are_escaped() {
        let reach = Reach::Socket("x".into());
        let api = Api::new(Client { reach, namespace: "a b".to_owned() });
        let query = vec![("since", Some("1&2".to_owned())), ("until", None)];
        assert_eq!(
            api.target(&function_path("../é", "/code"), query),
            "/v1/functions/..%2F%C3%A9/code?since=1%262&namespace=a%20b"
        );
    }
}
