//! `/v1/invocations`: what ran and what runs.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::rest::Rest;
use crate::api::rest::answer;
use crate::api::rest::call::Call;
use crate::api::rest::instant;
use crate::api::rest::logs::LineBody;
use crate::base::id::RequestId;
use crate::error::{Error, Result};
use crate::http::response::Response;
use crate::model::invocation::Record;
use crate::model::query::StatusFilter;
use crate::service::logs::RunsAsked;

#[derive(Serialize)]
struct RunBody<'a> {
    request_id: &'a str,
    namespace: &'a str,
    function: &'a str,
    qualifier: &'a str,
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
    log: Vec<LineBody<'a>>,
    log_next_cursor: Option<String>,
}

#[derive(Serialize)]
struct RunsBody<'a> {
    invocations: Vec<RunBody<'a>>,
    next_cursor: Option<String>,
}

pub(super) fn list(rest: &Rest, call: Call) -> Result<Response> {
    let now_us = rest.parts.clock.wall_us();
    let at = |field| call.query.text(field).map(|text| instant::parse(field, text, now_us)).transpose();
    let asked = RunsAsked {
        namespace: call.namespace()?,
        function: call.function_asked()?,
        status: call.query.text("status").map(StatusFilter::parse).transpose()?,
        since_us: at("since")?,
        until_us: at("until")?,
        before: call.cursor()?,
        limit: call.limit()?,
    };
    let page = rest.parts.logs.runs(&asked)?;
    let invocations = page.rows.iter().map(body_of).collect();
    Ok(answer::json(200, &RunsBody { invocations, next_cursor: page.next.map(|id| id.to_string()) }))
}

pub(super) fn get(rest: &Rest, call: Call) -> Result<Response> {
    let request_id = parse_id("the request id", &call.part)?;
    let record = rest.parts.logs.run(&request_id)?;
    let lines = rest.parts.logs.lines_of(&record)?;
    Ok(answer::json(
        200,
        &WholeRunBody {
            run: body_of(&record),
            event: raw(&record.event),
            result: record.state.is_over().then(|| raw(&record.result)),
            log: lines.rows.iter().map(LineBody::of).collect(),
            log_next_cursor: lines.next.map(|id| id.to_string()),
        },
    ))
}

/// A request id as a caller wrote it.
pub(super) fn parse_id(field: &str, text: &str) -> Result<RequestId> {
    RequestId::parse(text)
        .ok_or_else(|| Error::invalid(format!("{field} must be a UUID with dashes or 32 hexadecimal digits")))
}

fn body_of(record: &Record) -> RunBody<'_> {
    RunBody {
        request_id: record.request_id.as_str(),
        namespace: &record.namespace,
        function: &record.function,
        qualifier: &record.qualifier,
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

/// Stored bytes as the JSON they are; what is none, in spite of every check on the way in, is shown as a string.
fn raw(bytes: &[u8]) -> Box<RawValue> {
    let text = String::from_utf8_lossy(bytes);
    RawValue::from_string(text.clone().into_owned())
        .or_else(|_| serde_json::value::to_raw_value(&text))
        .expect("a string always becomes JSON")
}
