//! The server's REST API as the commands see it: a request in, an answer or a failure with its exit code out.

use std::io::Write;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cli::client::{Address, Call, Client, Reply};
use crate::cli::exit::{Exit, Failure};
use crate::config::{self, Reach};
use crate::error::{self, Error, Kind};
use crate::model::function::NAMESPACE_DEFAULT;
use crate::model::limits;

/// Longest time the server may stay silent: loading the code and one run at their longest, and some.
const SILENCE_MAX: Duration =
    Duration::from_secs((limits::INIT_TIMEOUT_S_MAX + limits::TIMEOUT_S_MAX + 60) as u64);

/// Longest wait of a look whether a server answers.
const LOOK: Duration = Duration::from_secs(1);

/// Parameters of a query; none is sent for a `None`.
pub(super) type Query = Vec<(&'static str, Option<String>)>;

/// A server that answers.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    authorization: Option<String>,
    namespace: String,
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(super) struct Answer(Reply);

/// The body of an error (every 4xx and 5xx of the API itself).
#[derive(Debug, Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Debug, Deserialize)]
struct ErrorDetail {
    code: String,
    message: String,
    request_id: Option<String>,
}

impl Api {
    pub(super) fn new(found: config::Client) -> Result<Api, Failure> {
        let (address, key) = match found.reach {
            Reach::Socket(path) => {
                let key = std::fs::read_to_string(config::key_file(&path)).ok();
                (Address::Unix(path), key.map(|key| key.trim().to_owned()))
            }
            Reach::Url { url, key } => {
                (Address::from_url(&url).map_err(|error| Failure::unusable(&error))?, key)
            }
        };
        Ok(Api {
            client: Client::new(address, SILENCE_MAX),
            authorization: key.map(|key| format!("Bearer {key}")),
            namespace: found.namespace,
        })
    }

    /// Whether a server of this host is meant, and none is there.
    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.address(), Address::Unix(_)) && self.address().connect(LOOK).is_err()
    }

    /// Where the server is.
    pub(super) fn address(&self) -> &Address {
        self.client.address()
    }

    /// Asks for `path`.
    pub(super) fn get(&mut self, path: &str, query: Query) -> Result<Answer, Failure> {
        self.send("GET", path, query, b"")?.accepted()
    }

    /// Sends `body`, which is JSON or nothing; the answer may have any status.
    pub(super) fn send(
        &mut self,
        method: &str,
        path: &str,
        query: Query,
        body: &[u8],
    ) -> Result<Answer, Failure> {
        self.send_with(method, path, query, &[], body)
    }

    /// The same with headers of its own.
    pub(super) fn send_with(
        &mut self,
        method: &str,
        path: &str,
        query: Query,
        more: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, Failure> {
        let target = target(path, query, &self.namespace);
        let mut headers = headers(self.authorization.as_deref());
        headers.extend(more);
        let reply = self.client.send(&Call { method, target: &target, headers: &headers, body });
        reply.map(Answer).map_err(|error| self.unreachable(error))
    }

    /// Asks for `path` and gives what comes to `sink` while it comes; nothing, if the server says no.
    pub(super) fn download(
        &mut self,
        method: &str,
        path: &str,
        query: Query,
        sink: &mut dyn Write,
    ) -> Result<(), Failure> {
        let target = target(path, query, &self.namespace);
        let headers = headers(self.authorization.as_deref());
        let call = Call { method, target: &target, headers: &headers, body: b"" };
        let reply = self.client.send_to(&call, sink);
        reply.map(Answer).map_err(|error| self.unreachable(error))?.accepted().map(drop)
    }

    /// Asks for `path` on a connection of its own and gives what comes to `sink` while it comes, for as long as it does; the
    /// server may be silent that long.
    pub(super) fn listen(
        &self,
        path: &str,
        query: Query,
        more: &[(&str, &str)],
        silence_max: Duration,
        sink: &mut dyn Write,
    ) -> error::Result<Answer> {
        let (target, mut headers) = self.prepared(path, query);
        headers.extend(more);
        let call = Call { method: "GET", target: &target, headers: &headers, body: b"" };
        let mut client = Client::new(self.client.address().clone(), silence_max);
        client.send_to(&call, sink).map(Answer)
    }

    /// The target and headers of a request that somebody else sends.
    pub(super) fn prepared<'a>(&'a self, path: &str, query: Query) -> (String, Vec<(&'a str, &'a str)>) {
        (target(path, query, &self.namespace), headers(self.authorization.as_deref()))
    }

    /// A failure with what to do about it, where nobody answers.
    pub(super) fn unreachable(&self, error: Error) -> Failure {
        let is_here = matches!(self.client.address(), Address::Unix(_));
        let advice = match error.kind {
            Kind::Busy if is_here => {
                "\nstart one with `fnlite serve`, or say where it is with --db, --socket or --url"
            }
            _ => "",
        };
        let failure = Failure::from(error);
        Failure::new(failure.exit, failure.message + advice)
    }
}

fn target(path: &str, mut query: Query, namespace: &str) -> String {
    // What is not of the API (`/metrics`) knows no namespaces, and refuses what it does not know.
    if namespace != NAMESPACE_DEFAULT && path.starts_with("/v1/") {
        query.push(("namespace", Some(namespace.to_owned())));
    }
    let given = query.iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value.as_ref()?))));
    let query = given.collect::<Vec<_>>().join("&");
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

fn headers(authorization: Option<&str>) -> Vec<(&str, &str)> {
    let authorization = authorization.map(|value| ("Authorization", value));
    [("Content-Type", "application/json")].into_iter().chain(authorization).collect()
}

impl Answer {
    /// The status of HTTP.
    pub(super) fn status(&self) -> u16 {
        self.0.head.status
    }

    /// A header's value.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.0.head.header(name)
    }

    /// The body.
    pub(super) fn body(&self) -> &[u8] {
        &self.0.body
    }

    /// This answer if it is one of success, otherwise what the server said against it.
    pub(super) fn accepted(self) -> Result<Answer, Failure> {
        match refusal(self.0.head.status, &self.0.body) {
            Some(failure) => Err(failure),
            None => Ok(self),
        }
    }

    /// The body as `T`.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.0.body).map_err(|cause| {
            let message =
                format!("the server's answer is not understood: {cause}; is it of another version?");
            Failure::new(Exit::Error, message)
        })
    }
}

/// What an answer of the API says against a request, if it does.
fn refusal(status: u16, body: &[u8]) -> Option<Failure> {
    if (200..=299).contains(&status) {
        return None;
    }
    let said = serde_json::from_slice::<ErrorBody>(body).map(|body| body.error);
    let exit = match (status, &said) {
        (401 | 403, _) => Exit::Denied,
        (404, _) => Exit::NotFound,
        // Too many wrong keys: still a matter of the key.
        (429, Ok(error)) if error.code == "Denied" => Exit::Denied,
        _ => Exit::Error,
    };
    let message = match said {
        Ok(ErrorDetail { message, request_id: Some(id), .. }) if status >= 500 => {
            format!("{message} (request {id})")
        }
        Ok(error) => error.message,
        Err(_) => format!("the server answered with status {status}"),
    };
    Some(Failure::new(exit, message))
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

    #[test]
    fn what_the_server_says_decides_the_exit_code() {
        let body = br#"{"error":{"code":"NotFound","message":"no function x","request_id":"1"}}"#;
        for (status, exit) in
            [(404, Exit::NotFound), (401, Exit::Denied), (403, Exit::Denied), (400, Exit::Error)]
        {
            assert_eq!(refusal(status, body), Some(Failure::new(exit, "no function x")));
        }
        let denied = br#"{"error":{"code":"Denied","message":"too many wrong keys"}}"#;
        let busy = br#"{"error":{"code":"Busy","message":"not now"}}"#;
        assert_eq!(refusal(429, denied).unwrap().exit, Exit::Denied);
        assert_eq!(refusal(429, busy).unwrap().exit, Exit::Error);
        assert_eq!(refusal(500, body).unwrap().message, "no function x (request 1)");
        assert_eq!(refusal(502, b"<html>").unwrap().message, "the server answered with status 502");
        assert_eq!(refusal(204, b""), None);
    }

    #[test]
    fn targets_are_escaped() {
        let query = vec![("since", Some("1&2".to_owned())), ("until", None)];
        assert_eq!(
            target(&function_path("../é", "/code"), query, "a b"),
            "/v1/functions/..%2F%C3%A9/code?since=1%262&namespace=a%20b"
        );
        assert_eq!(target("/v1/keys", Vec::new(), NAMESPACE_DEFAULT), "/v1/keys");
        assert_eq!(target("/metrics", Vec::new(), "other"), "/metrics");
    }
}
