//! A program built with the platform's Go library (contract 10.1): it is the server of `net/rpc` over gob, we are the client of
//! its one connection. `Function.Ping` is answered once it is loaded, `Function.Invoke` with what the handler came to.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags};
use serde::Deserialize;

use crate::base::json;
use crate::instance::run::Task;
use crate::instance::talk::Talk;
use crate::instance::talk::gob::{self, Decoder, Fields, Malformed, Value, kinds};
use crate::model::invocation::Outcome;
use crate::model::limits;

/// Ids of the types we define, from the first that is free.
const REQUEST: i64 = 65;
const EMPTY: i64 = 66;
const INVOKE: i64 = 67;
const DEADLINE: i64 = 68;

/// Longest text of an error and its frames, bytes.
const TRACE_BYTES_MAX: usize = 64 * 1024;

/// Reads before the outputs are looked at again.
const READS_MAX: usize = 64;

/// What the program is told of its function with each call: of the context (contract 2.2).
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Told {
    namespace: String,
    function_name: String,
    function_version: String,
    environment: String,
    tencentcloud_region: String,
    tencentcloud_appid: String,
    tencentcloud_uin: String,
}

/// Our side.
#[derive(Debug)]
pub(crate) struct GoTalk {
    stream: UnixStream,
    told: Told,
    sending: Vec<u8>,
    sent: usize,
    decoder: Decoder,
    /// The header of the answer whose body comes next.
    header: Option<Value>,
    is_loaded: bool,
    outcome: Option<Outcome>,
}

impl GoTalk {
    /// Over that connection, on which nothing was said yet; asks whether the program is there.
    pub(crate) fn new(stream: OwnedFd, told: Told) -> io::Result<GoTalk> {
        let stream = UnixStream::from(stream);
        stream.set_nonblocking(true)?;
        let mut talk = GoTalk {
            stream,
            told,
            sending: ping(),
            sent: 0,
            decoder: Decoder::default(),
            header: None,
            is_loaded: false,
            outcome: None,
        };
        talk.write();
        Ok(talk)
    }

    /// False once the program has closed it.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 64 * 1024];
        for _ in 0..READS_MAX {
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(length) => self.decoder.push(&buffer[..length]),
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return true,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
            self.understand();
        }
        true
    }

    fn write(&mut self) {
        while self.sent < self.sending.len() {
            match self.stream.write(&self.sending[self.sent..]) {
                Ok(length) => self.sent += length,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                // Full: poll tells when there is room. Closed: reading tells.
                Err(_) => return,
            }
        }
    }

    fn understand(&mut self) {
        while self.outcome.is_none() {
            match self.decoder.next() {
                Ok(None) => return,
                Ok(Some(value)) => self.take(value),
                Err(Malformed("a message is too long")) => self.outcome = Some(Outcome::AnswerTooLarge),
                Err(Malformed(why)) => {
                    let trace = format!("the program's answer is no net/rpc: {why}");
                    self.outcome = Some(Outcome::Raised { trace });
                }
            }
        }
    }

    /// A header, or the body that belongs to the last one.
    fn take(&mut self, value: Value) {
        let Some(header) = self.header.take() else {
            self.header = Some(value);
            return;
        };
        let error = header.text("Error");
        if !error.is_empty() {
            self.outcome = Some(Outcome::Raised { trace: cut(error) });
        } else if header.text("ServiceMethod") == "Function.Ping" {
            self.is_loaded = true;
        } else {
            self.outcome = Some(outcome(&value));
        }
    }
}

impl Talk for GoTalk {
    fn wait_for<'a>(&'a self, waits: &mut Vec<PollFd<'a>>) {
        let writes = self.sent < self.sending.len();
        let interest = if writes { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        waits.push(PollFd::new(&self.stream, interest));
    }

    fn attend(&mut self) -> bool {
        self.write();
        self.read()
    }

    fn is_loaded(&self) -> bool {
        self.is_loaded
    }

    fn give(&mut self, task: &Task<'_>, began_us: i64) {
        self.sending = invoke(&self.told, task, began_us);
        self.sent = 0;
    }

    fn outcome(&mut self) -> Option<Outcome> {
        self.outcome.take()
    }
}

/// The header of a call. Zero is left out, so the first call has no number.
fn header(method: &str, number: u64) -> Vec<u8> {
    Fields::of(REQUEST).bytes(method.as_bytes()).uint(number).into_message()
}

fn ping() -> Vec<u8> {
    [
        gob::define(REQUEST, "Request", &[("ServiceMethod", kinds::STRING), ("Seq", kinds::UINT)]),
        header("Function.Ping", 0),
        gob::define(EMPTY, "PingRequest", &[]),
        Fields::of(EMPTY).into_message(),
    ]
    .concat()
}

/// The call, by contract 10.1: fields are known by their names, and what has nothing in it is left out.
fn invoke(told: &Told, task: &Task<'_>, began_us: i64) -> Vec<u8> {
    let fields = [
        ("Payload", kinds::BYTES),
        ("RequestId", kinds::STRING),
        ("Deadline", DEADLINE),
        ("Namespace", kinds::STRING),
        ("FunctionName", kinds::STRING),
        ("FunctionVersion", kinds::STRING),
        ("MemoryLimitInMb", kinds::INT),
        ("TimeLimitInMs", kinds::INT),
        ("Environment", kinds::STRING),
        ("TencentcloudRegion", kinds::STRING),
        ("TencentcloudAppID", kinds::STRING),
        ("TencentcloudUin", kinds::STRING),
    ];
    let deadline_us = began_us + i64::from(task.timeout_s) * 1_000_000;
    let value = Fields::of(INVOKE)
        .bytes(task.event)
        .bytes(task.request_id.as_bytes())
        .pair(deadline_us / 1_000_000, deadline_us % 1_000_000 * 1000)
        .bytes(told.namespace.as_bytes())
        .bytes(told.function_name.as_bytes())
        .bytes(told.function_version.as_bytes())
        .int(task.memory_mb.into())
        .int(i64::from(task.timeout_s) * 1000)
        .bytes(told.environment.as_bytes())
        .bytes(told.tencentcloud_region.as_bytes())
        .bytes(told.tencentcloud_appid.as_bytes())
        .bytes(told.tencentcloud_uin.as_bytes());
    [
        header("Function.Invoke", 1),
        gob::define(INVOKE, "InvokeRequest", &fields),
        gob::define(DEADLINE, "Timestamp", &[("Seconds", kinds::INT), ("Nanos", kinds::INT)]),
        value.into_message(),
    ]
    .concat()
}

fn outcome(response: &Value) -> Outcome {
    if let Some(error) = response.field("Error") {
        return Outcome::Raised { trace: cut(trace(error)) };
    }
    let payload = response.bytes("Payload");
    if payload.len() > limits::ANSWER_BYTES_MAX {
        return Outcome::AnswerTooLarge;
    }
    match json::check_any_depth(payload) {
        Ok(()) => Outcome::Returned(payload.to_vec()),
        Err(why) => Outcome::Raised { trace: format!("the function's answer is not JSON: {why}") },
    }
}

/// As the language would show it: type and message, and of a panic its frames, innermost first.
fn trace(error: &Value) -> String {
    let (kind, message) = (error.text("Type"), error.text("Message"));
    let mut text = if kind.is_empty() { message } else { format!("{kind}: {message}") };
    if let Some(Value::List(frames)) = error.field("StackTrace") {
        for frame in frames {
            let line = match frame.field("Line") {
                Some(Value::Int(line)) => *line,
                _ => 0,
            };
            text.push_str(&format!("\n\tat {} ({}:{line})", frame.text("Label"), frame.text("Path")));
        }
    }
    text
}

fn cut(mut text: String) -> String {
    if text.len() > TRACE_BYTES_MAX {
        let end = (0..=TRACE_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
    }
    if text.trim().is_empty() { "an error without a text".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<char> = text.chars().filter(char::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|two| u8::from_str_radix(&two.iter().collect::<String>(), 16).unwrap()).collect()
    }

    #[test]
    fn the_first_call_is_the_one_of_the_contract() {
        // As it was recorded, but for the name of the empty type, which may be any.
        let recorded = "2fff81030101075265717565737401ff82000102010d536572766963654d6574686f64010c0001035365710106000000\
                        12ff82010d46756e6374696f6e2e50696e6700";
        assert!(ping().starts_with(&hex(recorded)), "{:02x?}", ping());
        assert!(ping().ends_with(&hex("03ff8400")));
        assert_eq!(header("Function.Invoke", 1), hex("16ff82010f46756e6374696f6e2e496e766f6b65010100"));
    }

    #[test]
    fn answers_are_outcomes() {
        let types = "29ff8b030101045265737001ff8c000102010750 61796c6f6164010a0001054572726f7201ff8e000000\
                     46ff8d030101045245727201ff8e00010401074d657373616765010c00010454797065010c00010a537461636b547261636501ff92\
                     00010a53686f756c64457869740102000000\
                     1cff910201010d5b5d2a6d61696e2e4672616d6501ff920001ff900000\
                     28ff8f03010 2ff9000010301045061 7468010c0001044c696e65010400010 54c6162656c010c000000";
        for (value, expected) in [
            ("09ff8c0104226f6b2200", Outcome::Returned(b"\"ok\"".to_vec())),
            (
                "18ff8c020104626f6f6d010b6572726f72537472696e670000",
                Outcome::Raised { trace: "errorString: boom".to_owned() },
            ),
            (
                "36ff8c0201017001 06737472696e6701 0201076d61696e2e676f010e010568656c6c6f000104782e676f011201046d61696e0001010000",
                Outcome::Raised { trace: "string: p\n\tat hello (main.go:7)\n\tat main (x.go:9)".to_owned() },
            ),
        ] {
            let mut decoder = Decoder::default();
            decoder.push(&hex(types));
            decoder.push(&hex(value));
            assert_eq!(outcome(&decoder.next().unwrap().unwrap()), expected);
        }
    }
}
