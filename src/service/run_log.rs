//! The log of one run as the platform writes it (contract 5.1): START, what loading printed, Init Report, the user's lines,
//! ERROR, Response, END, Report; in the spaced style (decisions, "Endings"). And the body of a failed run (4.2).

use std::time::Duration;

use serde_json::json;

use crate::base::id::RequestId;
use crate::instance::run::{Init, Listener};
use crate::model::invocation::Outcome;
use crate::model::limits;
use crate::model::log::{Level, LogLine, Stream};

/// Where lines of a run that lasts go before it has ended.
pub(crate) type Early<'a> = &'a mut dyn FnMut(Vec<LogLine>);

/// The log of one run while it grows.
pub(crate) struct RunLog<'a> {
    request_id: &'a RequestId,
    memory_mb: u32,
    wall_us: &'a dyn Fn() -> i64,
    early: Early<'a>,
    /// Lines that nobody has yet.
    pending: Vec<LogLine>,
    pub(crate) init: Option<Duration>,
    pub(crate) memory_kb: u64,
}

/// What the end of a log tells.
#[derive(Debug)]
pub(crate) struct End<'a> {
    pub(crate) outcome: &'a Outcome,
    /// What the caller is given.
    pub(crate) result: &'a [u8],
    pub(crate) duration: Duration,
    pub(crate) memory_kb: u64,
}

impl<'a> RunLog<'a> {
    /// Begins with START at `created_us`.
    pub(crate) fn start(
        request_id: &'a RequestId,
        memory_mb: u32,
        created_us: i64,
        wall_us: &'a dyn Fn() -> i64,
        early: Early<'a>,
    ) -> RunLog<'a> {
        let pending = vec![platform(created_us, Level::Info, format!("START RequestId: {request_id}"))];
        RunLog { request_id, memory_mb, wall_us, early, pending, init: None, memory_kb: 0 }
    }

    /// Ends with Report and gives the lines that were not handed on early.
    pub(crate) fn end(mut self, lines: Vec<LogLine>, end: &End<'_>, ended_us: i64) -> Vec<LogLine> {
        self.pending.extend(lines);
        let id = self.request_id;
        let mut say = |level, message| self.pending.push(platform(ended_us, level, message));
        if !matches!(end.outcome, Outcome::Returned(_)) {
            let trace = end.outcome.stack_trace();
            let reason = if trace.is_empty() { end.outcome.error_message() } else { trace.to_owned() };
            say(Level::Error, cut(format!("ERROR RequestId: {id} Result: {reason}")));
        }
        let shown = &end.result[..end.result.len().min(limits::RESPONSE_LOG_BYTES_MAX)];
        say(Level::Info, cut(format!("Response RequestId: {id} RetMsg: {}", String::from_utf8_lossy(shown))));
        say(Level::Info, format!("END RequestId: {id}"));
        let (ms, memory_mb, used_mb) = (whole_ms(end.duration), self.memory_mb, megabytes(end.memory_kb));
        say(
            Level::Info,
            format!("Report RequestId: {id} Duration: {ms}ms Memory: {memory_mb}MB MemUsage: {used_mb:.2}MB"),
        );
        self.pending
    }

    fn init_report(&self, init: &Init) -> String {
        let (id, ms) = (self.request_id, whole_ms(init.took));
        let parts = match init.function {
            Some(function) => {
                let runtime_ms = whole_ms(init.took.saturating_sub(function));
                format!("InitRuntime: {runtime_ms}ms InitFunction: {}ms", whole_ms(function))
            }
            None => format!("InitFunction: {ms}ms"),
        };
        let (memory_mb, used_mb) = (self.memory_mb, megabytes(init.memory_kb));
        format!(
            "Init Report RequestId: {id} Coldstart: {ms}ms ({parts}) Memory: {memory_mb}MB MemUsage: {used_mb:.2}MB"
        )
    }
}

impl Listener for RunLog<'_> {
    fn loaded(&mut self, init: Init, first: bool) {
        if first {
            let report = self.init_report(&init);
            self.pending.extend(init.lines);
            self.pending.push(platform((self.wall_us)(), Level::Info, report));
        } else {
            self.pending.extend(init.lines);
        }
        self.init = Some(init.took);
        self.memory_kb = self.memory_kb.max(init.memory_kb);
    }

    fn lines(&mut self, lines: Vec<LogLine>) {
        self.pending.extend(lines);
        (self.early)(std::mem::take(&mut self.pending));
    }
}

/// The one line of an event that is given up without another attempt.
pub(crate) fn given_up(request_id: &RequestId, reason: &str, at_us: i64) -> LogLine {
    platform(at_us, Level::Error, format!("ERROR RequestId: {request_id} Result: {reason}"))
}

/// What the caller is given: the value's own bytes, or the contract's error body.
pub(crate) fn result(outcome: &Outcome, request_id: &RequestId) -> Vec<u8> {
    if let Outcome::Returned(value) = outcome {
        return value.clone();
    }
    error_body(request_id, &outcome.error_message(), outcome.stack_trace(), outcome.status())
}

/// The contract's error body (4.2).
pub(crate) fn error_body(request_id: &RequestId, message: &str, trace: &str, status: u16) -> Vec<u8> {
    let body = json!({
        "errorCode": -1,
        "errorMessage": message,
        "requestId": request_id.as_str(),
        "stackTrace": trace,
        "statusCode": status,
    });
    body.to_string().into_bytes()
}

fn platform(ts_us: i64, level: Level, message: String) -> LogLine {
    LogLine { ts_us, stream: Stream::Platform, level, message }
}

fn cut(mut message: String) -> String {
    if message.len() > limits::LOG_LINE_BYTES_MAX {
        let mut end = limits::LOG_LINE_BYTES_MAX;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
    }
    message
}

/// Whole milliseconds, begun ones counting.
fn whole_ms(duration: Duration) -> u128 {
    duration.as_micros().div_ceil(1000)
}

#[expect(clippy::cast_precision_loss, reason = "shown with two decimals")]
fn megabytes(kb: u64) -> f64 {
    kb as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4ca7089c-3bb0-48cf-bcdb-26d130fed2ae";

    fn line(message: &str) -> LogLine {
        LogLine { ts_us: 5, stream: Stream::Stdout, level: Level::Info, message: message.to_owned() }
    }

    fn log_of(outcome: &Outcome, init: bool) -> Vec<String> {
        let id = RequestId::parse(ID).unwrap();
        let (clock, mut early) = (|| 4, |_| panic!("a short run hands nothing on early"));
        let mut log = RunLog::start(&id, 128, 1, &clock, &mut early);
        if init {
            let (took, function) = (Duration::from_millis(23), Some(Duration::from_micros(500)));
            log.loaded(Init { lines: vec![line("importing")], took, function, memory_kb: 10240 }, true);
        }
        let result = result(outcome, &id);
        let end = End { outcome, result: &result, duration: Duration::from_micros(826), memory_kb: 10_496 };
        log.end(vec![line("hello")], &end, 9).into_iter().map(|line| line.message.replace(ID, "ID")).collect()
    }

    #[test]
    fn a_first_run_that_returns() {
        let expected = [
            "START RequestId: ID",
            "importing",
            "Init Report RequestId: ID Coldstart: 23ms (InitRuntime: 23ms InitFunction: 1ms) Memory: 128MB MemUsage: 10.00MB",
            "hello",
            "Response RequestId: ID RetMsg: \"Hello World\"",
            "END RequestId: ID",
            "Report RequestId: ID Duration: 1ms Memory: 128MB MemUsage: 10.25MB",
        ];
        assert_eq!(log_of(&Outcome::Returned(b"\"Hello World\"".to_vec()), true), expected);
    }

    #[test]
    fn a_run_that_times_out() {
        let body = r#"{"errorCode":-1,"errorMessage":"Invoking task timed out after 3 seconds","requestId":"ID","stackTrace":"","statusCode":433}"#;
        let expected = [
            "START RequestId: ID",
            "hello",
            "ERROR RequestId: ID Result: Invoking task timed out after 3 seconds",
            &format!("Response RequestId: ID RetMsg: {body}"),
            "END RequestId: ID",
            "Report RequestId: ID Duration: 1ms Memory: 128MB MemUsage: 10.25MB",
        ];
        assert_eq!(log_of(&Outcome::TimedOut { timeout_s: 3 }, false), expected);
    }
}
