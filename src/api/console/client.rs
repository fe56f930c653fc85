//! `/v1` as pages use it: requests made here, answered without a socket, with the right of whoever is signed in.

use std::fmt::Write;

use serde::de::DeserializeOwned;

use crate::api::auth::Caller;
use crate::api::console::problem::Problem;
use crate::api::rest::Rest;
use crate::base::clock::Clock;
use crate::base::percent;
use crate::http::body::Body;
use crate::http::head::Head;
use crate::http::request::{Peer, Request};
use crate::http::response::{Content, Response};

/// What bodies of ours are.
pub(super) const JSON: &str = "application/json";

/// What no session may ask for: it would have another begin that does not end with its key.
const LINKS: &str = "/v1/sign-in-links";

/// `/v1` for one visit.
#[derive(Debug)]
pub(super) struct V1<'a> {
    pub(super) rest: &'a Rest,
    pub(super) caller: Caller,
    pub(super) peer: Peer,
    pub(super) clock: &'a dyn Clock,
}

/// An answer, whatever it says.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) bytes: Vec<u8>,
    headers: Vec<(String, String)>,
}

impl V1<'_> {
    /// What is at `target`.
    pub(super) fn get<T: DeserializeOwned>(&self, target: &Target) -> Result<T, Problem> {
        self.send("GET", target, JSON, Vec::new())?.json()
    }

    /// Does something with JSON.
    pub(super) fn put_json(
        &self,
        method: &str,
        target: &Target,
        body: &impl serde::Serialize,
    ) -> Result<Answer, Problem> {
        self.send(method, target, JSON, json_of(body))
    }

    /// Puts JSON where it is as a header says.
    pub(super) fn put_only(
        &self,
        target: &Target,
        only: (&str, &str),
        body: &impl serde::Serialize,
    ) -> Result<Answer, Problem> {
        self.request("PUT", target, &[("Content-Type", JSON), only], json_of(body))?.accepted()
    }

    /// Does something; what is refused is a problem.
    pub(super) fn send(
        &self,
        method: &str,
        target: &Target,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<Answer, Problem> {
        self.ask(method, target, kind, body)?.accepted()
    }

    /// Does something and takes whatever is answered: a run that failed is an answer, too.
    pub(super) fn ask(
        &self,
        method: &str,
        target: &Target,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<Answer, Problem> {
        self.request(method, target, &[("Content-Type", kind)], body)
    }

    fn request(
        &self,
        method: &str,
        target: &Target,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, Problem> {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("{method} {} HTTP/1.1\r\nHost: console\r\n{headers}\r\n", target.0);
        let head = Head::parse(head.as_bytes())
            .map_err(|_| Problem::new(414, "That is too much for one request."))?;
        let began = self.clock.now();
        let request = Request { head, body: Body::new(body), peer: self.peer, began, line: None };
        Answer::of(self.rest.answer_as(self.caller.clone(), request))
    }
}

impl Answer {
    fn of(response: Response) -> Result<Answer, Problem> {
        let Response { status, headers, content, after } = response;
        // What is left to do there waits for an answer to be on its way; this one has arrived.
        if let Some(after) = after {
            after();
        }
        let Content::Bytes(bytes) = content else {
            return Err(Problem::new(500, "The answer is a file, which no page shows."));
        };
        let headers = headers.into_iter().map(|header| (header.name.into_owned(), header.value.into_owned()));
        Ok(Answer { status: status.0, bytes: bytes.into_owned(), headers: headers.collect() })
    }

    /// The same, unless it is a refusal.
    fn accepted(self) -> Result<Answer, Problem> {
        if self.status < 400 { Ok(self) } else { Err(self.problem()) }
    }

    /// What it says.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.bytes).map_err(|cause| {
            log::error!("an answer of /v1 was not understood by the console: {cause}");
            Problem::new(500, "An answer of the server was not understood.")
        })
    }

    /// A header's value; empty where it is not there.
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// A refusal.
    pub(super) fn problem(&self) -> Problem {
        let told: serde_json::Value = serde_json::from_slice(&self.bytes).unwrap_or_default();
        let sentence =
            told["error"]["message"].as_str().unwrap_or("The server refused this without saying why.");
        Problem::new(self.status, sentence)
    }
}

fn json_of(body: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("names, numbers and checked JSON always become JSON")
}

/// Where something is: a path whose parts are escaped, and parameters that say something.
#[derive(Clone, Debug)]
pub(super) struct Target(String);

impl Target {
    /// The path made of `parts`.
    pub(super) fn of(parts: &[&str]) -> Target {
        let mut text = String::new();
        for part in parts {
            write!(text, "/{}", percent::encode(part)).expect("a String takes everything");
        }
        Target(text)
    }

    /// The same with a parameter, unless its value is empty.
    pub(super) fn with(mut self, name: &str, value: &str) -> Target {
        if !value.is_empty() {
            let mark = if self.0.contains('?') { '&' } else { '?' };
            write!(self.0, "{mark}{name}={}", percent::encode(value)).expect("a String takes everything");
        }
        self
    }

    /// The same with a parameter that is there and empty.
    pub(super) fn with_empty(mut self, name: &str) -> Target {
        let mark = if self.0.contains('?') { '&' } else { '?' };
        write!(self.0, "{mark}{name}=").expect("a String takes everything");
        self
    }

    /// As text, for a link.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

/// The head of a request to `/console/v1/…` as `/v1/…` is to see it: the same but for the path, and without the cookie.
pub(super) fn inside(head: &Head) -> Result<Head, Problem> {
    let target = head.path().strip_prefix("/console").unwrap_or_default();
    if target == LINKS {
        return Err(Problem::new(403, "Links are made with a key, or on this host: `fnlite console`."));
    }
    let query = head.query().map_or_else(String::new, |query| format!("?{query}"));
    let mut bytes = format!("{} {target}{query} HTTP/1.1\r\n", head.method()).into_bytes();
    let known = |name: &str| {
        let framing =
            ["content-length", "transfer-encoding", "connection", "expect", "cookie", "authorization"];
        !framing.iter().any(|other| name.eq_ignore_ascii_case(other))
    };
    for (name, value) in head.headers().filter(|(name, _)| known(name)) {
        bytes.extend(name.bytes());
        bytes.extend(b": ");
        bytes.extend(value);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"\r\n");
    Head::parse(&bytes).map_err(|_| Problem::new(400, "The request cannot be passed on."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_escaped() {
        let target = Target::of(&["v1", "functions", "a/b ?"]).with("namespace", "").with("q", "a&b=\"函\"");
        assert_eq!(target.text(), "/v1/functions/a%2Fb%20%3F?q=a%26b%3D%22%E5%87%BD%22");
    }

    #[test]
    fn a_request_is_passed_on_without_its_session() {
        let head = "POST /console/v1/sql?a=%20 HTTP/1.1\r\nHost: x\r\nCookie: fnlite=y\r\nContent-Length: 2\r\nLast-Event-ID: 7\r\nAuthorization: Bearer z\r\n\r\n";
        let inner = inside(&Head::parse(head.as_bytes()).unwrap()).unwrap();
        assert_eq!(inner.target(), "/v1/sql?a=%20");
        let names: Vec<&str> = inner.headers().map(|(name, _)| name).collect();
        assert_eq!(names, ["Host", "Last-Event-ID"]);
    }
}
