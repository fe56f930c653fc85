//! `/v1/logs/tail`: lines as they are committed, as server-sent events (the WHATWG's HTML standard, section 9.2).
//!
//! Each line is an event of its own, its `id` that of the line and its `data` what `/v1/logs` shows of it. An event with an
//! id and nothing else comes first, and whenever nothing else has come for a while: clients do not hear of it, but go on after
//! that id when they connect again. `missed` tells a client that reads too slowly how many lines it was not sent.
//!
//! What must stay true: the id of an event is only sent once every line up to it was, so that a client which goes on after it
//! has no gap; a read ends within some seconds, so that a stopping server and a client that has left are noticed.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use crate::api::Parts;
use crate::api::auth::Caller;
use crate::api::rest::Rest;
use crate::api::rest::call::Call;
use crate::api::rest::invocations::parse_id;
use crate::api::rest::logs::{self, LineBody};
use crate::error::{Error, Result};
use crate::http::head::Head;
use crate::http::request::LineWatch;
use crate::http::response::Response;
use crate::service::tail::{News, Tail, TailAsked};

/// Where it is.
pub(super) const PATH: &str = "/v1/logs/tail";

/// Longest silence. A client that hears nothing for some times as long may take the connection for dead.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// How often it is looked whether the client is still there: its place is wanted by others.
const GLANCE: Duration = Duration::from_millis(500);

pub(super) fn get(rest: &Rest, call: Call) -> Result<Response> {
    let asked = TailAsked {
        namespace: call.namespace()?,
        request_id: call.query.text("request_id").map(|text| parse_id("request_id", text)).transpose()?,
        function: call.function_asked()?,
        query: logs::query(&call)?,
        after: last_event_id(&call)?,
    };
    let tail = rest.parts.logs.tail(asked)?;
    let events = Events::new(tail, call.line, call.caller, Arc::clone(&rest.parts));
    let answer = Response::new(200)
        .with_header("Content-Type", "text/event-stream")
        .with_header("Cache-Control", "no-cache")
        // nginx would gather events until it has some kilobytes of them.
        .with_header("X-Accel-Buffering", "no");
    Ok(answer.with_stream(events))
}

/// Whether a request is for a tail.
pub(super) fn is_asked(head: &Head) -> bool {
    head.path() == PATH
}

/// The header first: a browser that connects again repeats the query it began with.
fn last_event_id(call: &Call) -> Result<Option<i64>> {
    let in_query = call.query.text("last_event_id");
    let parse = |text: &str| text.parse().ok().filter(|id| *id >= 0);
    match call.head.header_text("Last-Event-ID").or(in_query) {
        None => Ok(None),
        Some(text) => {
            let wrong = || Error::invalid("Last-Event-ID must be the id of an event of this tail");
            parse(text).map(Some).ok_or_else(wrong)
        }
    }
}

/// A tail as the body of an answer.
struct Events {
    tail: Tail,
    /// Whether the client is still there.
    line: Option<LineWatch>,
    /// Whose it is: it ends when he may not read any more.
    caller: Caller,
    parts: Arc<Parts>,
    /// Bytes to send, and how many of them are sent.
    bytes: Vec<u8>,
    sent: usize,
}

impl Events {
    fn new(tail: Tail, line: Option<LineWatch>, caller: Caller, parts: Arc<Parts>) -> Events {
        // At once, so that a client knows where it begins.
        let bytes = id_only(tail.seen());
        Events { tail, line, caller, parts, bytes, sent: 0 }
    }

    /// Waits for something to send; false at the end.
    fn more(&mut self) -> Result<bool> {
        self.bytes.clear();
        self.sent = 0;
        let clock = &self.parts.clock;
        let until = clock.now() + SILENCE_MAX;
        while self.bytes.is_empty() {
            let is_gone = self.line.as_ref().is_some_and(LineWatch::is_dead);
            if is_gone || !self.caller.is_still(&self.parts) {
                return Ok(false);
            }
            let left = until.saturating_duration_since(clock.now());
            if left.is_zero() {
                self.bytes = id_only(self.tail.seen());
                break;
            }
            match self.tail.next(left.min(GLANCE))? {
                Some(news) => write(&mut self.bytes, &news),
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

impl Read for Events {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.sent == self.bytes.len() && !self.more().map_err(broken)? {
            return Ok(0);
        }
        let rest = &self.bytes[self.sent..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.sent += length;
        Ok(length)
    }
}

/// The client sees the body break off and connects again; what went wrong is told here.
fn broken(error: Error) -> io::Error {
    log::error!("a tail broke off: {error:#}");
    io::Error::other("the log cannot be read")
}

fn id_only(id: i64) -> Vec<u8> {
    format!("id: {id}\n\n").into_bytes()
}

fn write(bytes: &mut Vec<u8>, news: &News) {
    if let Some((lines, last_id)) = news.missed {
        bytes.extend(format!("event: missed\nid: {last_id}\ndata: {{\"lines\":{lines}}}\n\n").bytes());
    }
    for line in &news.lines {
        bytes.extend(format!("id: {}\ndata: ", line.id).bytes());
        // JSON has no line ends of its own, so it is one line of data.
        serde_json::to_writer(&mut *bytes, &LineBody::of(line)).expect("text and numbers always become JSON");
        bytes.extend(b"\n\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::RequestId;
    use crate::model::log::{Level, LogLine, Stream};
    use crate::model::query::StoredLine;

    #[test]
    fn a_line_is_one_event_whatever_is_in_it() {
        let message = "a\nid: 9\n\ndata: \u{2028}\r".to_owned();
        let line = StoredLine {
            id: 7,
            run_id: 1,
            request_id: RequestId::parse("4ca7089c-3bb0-48cf-bcdb-26d130fed2ae"),
            namespace: "default".to_owned(),
            function: "hello".to_owned(),
            retry_num: 0,
            line: LogLine { ts_us: 5, stream: Stream::Stdout, level: Level::Info, message },
        };
        let mut bytes = Vec::new();
        write(&mut bytes, &News { missed: Some((3, 6)), lines: vec![line] });
        let expected = "event: missed\nid: 6\ndata: {\"lines\":3}\n\nid: 7\ndata: {\"id\":7,\"ts_us\":5,\
            \"request_id\":\"4ca7089c-3bb0-48cf-bcdb-26d130fed2ae\",\"namespace\":\"default\",\"function\":\"hello\",\
            \"stream\":\"stdout\",\"level\":\"INFO\",\"message\":\"a\\nid: 9\\n\\ndata: \u{2028}\\r\"}\n\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}
