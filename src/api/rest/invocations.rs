//! `/v1/invocations`: what ran and what runs.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::rest::Rest;
use crate::api::rest::answer;
use crate::api::rest::call::Call;
use crate::api::rest::logs::LineBody;
use crate::base::id::RequestId;
use crate::base::length::Length;
use crate::error::{Error, Result};
use crate::http::head::Head;
use crate::http::request::LineWatch;
use crate::http::response::Response;
use crate::model::event::{Attempt, Death};
use crate::model::invocation::{Record, Source, State};
use crate::model::query::StatusFilter;
use crate::service::logs::RunsAsked;

pub(super) mod counts;

/// What the path of one invocation begins with.
pub(super) const PATH: &str = "/v1/invocations/";

/// Longest wait for an end.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// A record as it is shown.
#[derive(Serialize)]
pub(super) struct RunBody<'a> {
    request_id: &'a str,
    namespace: &'a str,
    function: &'a str,
    qualifier: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    alias: &'a str,
    #[serde(skip_serializing_if = "is_not")]
    is_event: bool,
    source: &'a str,
    state: &'static str,
    status: u16,
    retry_num: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_us: Option<i64>,
    created_us: i64,
    started_us: i64,
    ended_us: i64,
    duration_us: i64,
    init_us: i64,
    memory_mb: u32,
    memory_used_kb: u64,
    error: &'a str,
}

#[derive(Serialize)]
struct WholeRunBody<'a> {
    #[serde(flatten)]
    run: RunBody<'a>,
    event: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    /// When and why it was given up, while its dead letter is there.
    #[serde(flatten)]
    given_up: Option<GivenUp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<AttemptBody<'a>>,
    log: Vec<LineBody<'a>>,
    log_next_cursor: Option<String>,
}

/// That an event was given up.
#[derive(Serialize)]
struct GivenUp {
    died_us: i64,
    reason: String,
}

/// An attempt that was followed by another one.
#[derive(Serialize)]
struct AttemptBody<'a> {
    retry_num: u32,
    status: u16,
    started_us: i64,
    ended_us: i64,
    duration_us: i64,
    init_us: i64,
    memory_used_kb: u64,
    error: &'a str,
    result: Box<RawValue>,
}

#[derive(Serialize)]
struct RunsBody<'a> {
    invocations: Vec<RunBody<'a>>,
    next_cursor: Option<String>,
}

pub(super) fn list(rest: &Rest, call: Call) -> Result<Response> {
    let now_us = rest.parts.clock.wall_us();
    let asked = RunsAsked {
        namespace: call.namespace()?,
        function: call.function_asked()?,
        status: call.query.text("status").map(StatusFilter::parse).transpose()?,
        source: call.query.text("source").map(Source::asked).transpose()?,
        since_us: call.instant("since", now_us)?,
        until_us: call.instant("until", now_us)?,
        before: call.cursor()?,
        limit: call.limit()?,
    };
    let page = rest.parts.logs.runs(&asked)?;
    let invocations = page.rows.iter().map(RunBody::of).collect();
    Ok(answer::json(200, &RunsBody { invocations, next_cursor: page.next.map(|id| id.to_string()) }))
}

pub(super) fn get(rest: &Rest, call: Call) -> Result<Response> {
    let request_id = parse_id("the request id", &call.part)?;
    let record = match wait(&call)? {
        Some(patience) => {
            let is_gone = || call.line.as_ref().is_some_and(LineWatch::is_dead);
            rest.parts.logs.run_when_over(&request_id, patience, &is_gone)?
        }
        None => rest.parts.logs.run(&request_id)?,
    };
    let is_dead = matches!(record.state, State::Dead | State::Expired);
    let death = if is_dead { rest.parts.dead_letters.death(&record)? } else { None };
    let given_up = death.map(|Death { died_us, reason }| GivenUp { died_us, reason });
    let attempts = rest.parts.logs.attempts(&record)?;
    let lines = rest.parts.logs.lines_of(&record)?;
    Ok(answer::json(
        200,
        &WholeRunBody {
            run: RunBody::of(&record),
            event: raw(&record.event),
            result: record.state.is_over().then(|| raw(&record.result)),
            given_up,
            attempts: attempts.iter().map(AttemptBody::of).collect(),
            log: lines.rows.iter().map(LineBody::of).collect(),
            log_next_cursor: lines.next.map(|id| id.to_string()),
        },
    ))
}

/// What is the usual is left out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_not(truth: &bool) -> bool {
    !*truth
}

/// Ends an event.
pub(super) fn terminate(rest: &Rest, call: Call) -> Result<Response> {
    let record = rest.parts.logs.run(&parse_id("the request id", &call.part)?)?;
    if !record.is_event {
        return Err(Error::not_found(format!("{} is no asynchronous event", record.request_id)));
    }
    rest.parts.events.terminate(&record, call.query.truth("graceful")?.unwrap_or_default())?;
    Ok(Response::new(204))
}

/// Whether a request waits for an end.
pub(super) fn waits(head: &Head) -> bool {
    let is_wait = |query: &str| query.split('&').any(|part| part.starts_with("wait="));
    head.path().starts_with(PATH) && head.query().is_some_and(is_wait)
}

/// How long the caller waits for the end.
fn wait(call: &Call) -> Result<Option<Duration>> {
    let Some(text) = call.query.text("wait") else { return Ok(None) };

    let wrong =
        || Error::invalid(format!("wait must be a length of time such as 30s, at most {}", Length(WAIT_MAX)));
    let Length(length) = text.parse().map_err(|_| wrong())?;
    if !waits(&call.head) {
        // It would hold a thread that is not meant for it.
        return Err(Error::invalid("wait must be written without escapes"));
    }
    if length > WAIT_MAX { Err(wrong()) } else { Ok(Some(length)) }
}

/// A request id as a caller wrote it.
pub(super) fn parse_id(field: &str, text: &str) -> Result<RequestId> {
    RequestId::parse(text)
        .ok_or_else(|| Error::invalid(format!("{field} must be a UUID with dashes or 32 hexadecimal digits")))
}

impl RunBody<'_> {
    /// The record's body.
    pub(super) fn of(record: &Record) -> RunBody<'_> {
        RunBody {
            request_id: record.request_id.as_str(),
            namespace: &record.namespace,
            function: &record.function,
            qualifier: &record.qualifier,
            alias: &record.alias,
            is_event: record.is_event,
            source: &record.source,
            state: record.state.as_str(),
            status: record.status,
            retry_num: record.retry_num,
            due_us: (record.due_us > 0).then_some(record.due_us),
            created_us: record.created_us,
            started_us: record.started_us,
            ended_us: record.ended_us,
            duration_us: record.duration_us,
            init_us: record.init_us,
            memory_mb: record.memory_mb,
            memory_used_kb: record.memory_used_kb,
            error: &record.error,
        }
    }
}

impl AttemptBody<'_> {
    fn of(attempt: &Attempt) -> AttemptBody<'_> {
        AttemptBody {
            retry_num: attempt.retry_num,
            status: attempt.status,
            started_us: attempt.started_us,
            ended_us: attempt.ended_us,
            duration_us: attempt.duration_us,
            init_us: attempt.init_us,
            memory_used_kb: attempt.memory_used_kb,
            error: &attempt.error,
            result: raw(&attempt.result),
        }
    }
}

/// Stored bytes as the JSON they are; what is none, in spite of every check on the way in, is shown as a string.
pub(super) fn raw(bytes: &[u8]) -> Box<RawValue> {
    let text = String::from_utf8_lossy(bytes);
    RawValue::from_string(text.clone().into_owned())
        .or_else(|_| serde_json::value::to_raw_value(&text))
        .expect("a string always becomes JSON")
}
