//! `/v1/logs`: lines by run, function and time, and by what they say; a page at a time, or all of them as a stream (`export`),
//! or only their number (`counts`).

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::api::rest::Rest;
use crate::api::rest::answer;
use crate::api::rest::call::Call;
use crate::api::rest::invocations::{RunBody, parse_id};
use crate::api::rest::logs::export::{Written, export};
use crate::base::id::RequestId;
use crate::base::length::Length;
use crate::error::{Error, Result};
use crate::http::head::Head;
use crate::http::response::Response;
use crate::model::limits;
use crate::model::query::{Order, PageLimit, StoredLine};
use crate::search::{Case, Query};
use crate::service::search::{Hit, LinesAsked};

pub(super) mod counts;
mod export;

/// The path of the lines.
pub(super) const PATH: &str = "/v1/logs";
/// The path of their number by time.
pub(super) const HISTOGRAM: &str = "/v1/logs/histogram";
/// The path of their number by what they have in common.
pub(super) const FACETS: &str = "/v1/logs/facets";

/// Most lines shown before and behind one that was looked for.
const CONTEXT_MAX: u32 = 20;
/// How long is looked for lines unless asked otherwise, and at most.
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_MAX: Duration = Duration::from_secs(30);

/// A line as it is shown.
#[derive(Serialize)]
pub(super) struct LineBody<'a> {
    id: i64,
    ts_us: i64,
    request_id: &'a str,
    namespace: &'a str,
    function: &'a str,
    #[serde(skip_serializing_if = "is_first")]
    retry_num: u32,
    stream: &'static str,
    level: &'static str,
    message: &'a str,
}

/// A line that was looked for, as it is shown.
#[derive(Serialize)]
pub(super) struct HitBody<'a> {
    #[serde(flatten)]
    line: LineBody<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    before: Vec<LineBody<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    after: Vec<LineBody<'a>>,
}

#[derive(Serialize)]
struct LinesBody<'a> {
    /// The one run they are of, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    invocation: Option<RunBody<'a>>,
    lines: Vec<HitBody<'a>>,
    next_cursor: Option<String>,
    partial: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's way to ask")]
fn is_first(retry_num: &u32) -> bool {
    *retry_num == 0
}

impl LineBody<'_> {
    /// The line's body. One whose run a crash cut off before it had a row has an empty request id.
    pub(super) fn of(found: &StoredLine) -> LineBody<'_> {
        LineBody {
            id: found.id,
            ts_us: found.line.ts_us,
            request_id: found.request_id.as_ref().map_or("", RequestId::as_str),
            namespace: &found.namespace,
            function: &found.function,
            retry_num: found.retry_num,
            stream: found.line.stream.as_str(),
            level: found.line.level.as_str(),
            message: &found.line.message,
        }
    }
}

impl HitBody<'_> {
    pub(super) fn of(hit: &Hit) -> HitBody<'_> {
        HitBody { line: LineBody::of(&hit.line), before: bodies(&hit.before), after: bodies(&hit.after) }
    }
}

fn bodies(lines: &[StoredLine]) -> Vec<LineBody<'_>> {
    lines.iter().map(LineBody::of).collect()
}

/// What a page of lines is written in.
enum Format {
    Json,
    Export(Written),
}

pub(super) fn list(rest: &Rest, call: Call) -> Result<Response> {
    let asked = asked(rest, &call)?;
    match format(&call)? {
        Format::Json => page(rest, &asked),
        Format::Export(written) => {
            let most = call.query.number("limit")?;
            export(rest.parts.logs.clone(), asked, written, most.map(u64::from), call.line)
        }
    }
}

fn page(rest: &Rest, asked: &LinesAsked) -> Result<Response> {
    let hits = rest.parts.logs.lines(asked)?;
    let run = asked.request_id.as_ref().map(|id| rest.parts.logs.run(id)).transpose()?;
    let body = LinesBody {
        invocation: run.as_ref().map(RunBody::of),
        lines: hits.rows.iter().map(HitBody::of).collect(),
        next_cursor: hits.next.map(|id| id.to_string()),
        partial: hits.is_partial,
    };
    Ok(answer::json(200, &body))
}

fn format(call: &Call) -> Result<Format> {
    match call.query.text("format") {
        None | Some("json") => Ok(Format::Json),
        Some("ndjson") => Ok(Format::Export(Written::Ndjson)),
        Some("csv") if call.query.text("context").is_some() => {
            Err(Error::invalid("context goes with the formats json and ndjson: CSV has no place for it"))
        }
        Some("csv") => Ok(Format::Export(Written::Csv)),
        Some(_) => Err(Error::invalid("format must be json, ndjson or csv")),
    }
}

/// What a request asks for; the parameters that lists, exports and counts share.
pub(super) fn asked(rest: &Rest, call: &Call) -> Result<LinesAsked> {
    let now_us = rest.parts.clock.wall_us();
    let query = query(call)?;
    let named = call.query.text("request_id").map(|text| parse_id("request_id", text)).transpose()?;
    // A query that is a request id asks for that run, as its parameter does.
    let only = query.as_ref().and_then(|query| query.only_request_id()).filter(|_| named.is_none());
    let (request_id, query) = match (named, only) {
        (None, Some(id)) if rest.parts.logs.is_known(&id)? => (Some(id), None),
        (named, _) => (named, query),
    };
    // One run is read from its beginning, everything else from its end.
    let order = if request_id.is_some() { Order::Ascending } else { Order::Descending };
    Ok(LinesAsked {
        namespace: call.namespace()?,
        request_id,
        function: call.function_asked()?,
        query,
        since_us: call.instant("since", now_us)?,
        until_us: call.instant("until", now_us)?,
        order: call.query.text("order").map_or(Ok(order), Order::parse)?,
        after: call.cursor()?,
        limit: limit(call)?,
        context: context(call)?,
        patience: patience(call)?,
    })
}

/// The size of a page; a stream has large ones, unless it is short.
fn limit(call: &Call) -> Result<PageLimit> {
    match format(call)? {
        Format::Json => call.limit(),
        Format::Export(_) => {
            let most = call.query.number("limit")?.unwrap_or(limits::PAGE_MAX);
            PageLimit::new(most.clamp(1, limits::PAGE_MAX))
        }
    }
}

/// The query of `q`; none where it asks for everything.
pub(super) fn query(call: &Call) -> Result<Option<Arc<Query>>> {
    let case = match call.query.text("case") {
        None | Some("ignore") => Case::Ignored,
        Some("match") => Case::Matters,
        Some(_) => return Err(Error::invalid("case must be ignore or match")),
    };
    let parse = |text| Query::parse(text, case).map_err(|mistake| Error::invalid(format!("q: {mistake}")));
    let text = call.query.text("q").map(str::trim).filter(|text| !matches!(*text, "" | "*"));
    if text.is_some() && call.head.path() == PATH && !takes_long(&call.head) {
        // It would hold a thread that is not meant for it.
        return Err(Error::invalid("q must be named without escapes"));
    }
    Ok(text.map(parse).transpose()?.map(Arc::new))
}

fn context(call: &Call) -> Result<u32> {
    match call.query.number("context")?.unwrap_or(0) {
        lines @ 0..=CONTEXT_MAX => Ok(lines),
        lines => Err(Error::invalid(format!("context must be 0 to {CONTEXT_MAX}, not {lines}"))),
    }
}

fn patience(call: &Call) -> Result<Duration> {
    let Some(text) = call.query.text("deadline") else { return Ok(PATIENCE) };
    let wrong = || {
        Error::invalid(format!(
            "deadline must be a length of time such as 5s, at most {}",
            Length(PATIENCE_MAX)
        ))
    };
    match text.parse() {
        // Only where a thread is meant for it may it take longer than usual.
        Ok(Length(length)) if length <= PATIENCE_MAX && takes_long(&call.head) => Ok(length),
        Ok(Length(length)) if length <= PATIENCE_MAX => Ok(length.min(PATIENCE)),
        _ => Err(wrong()),
    }
}

/// Whether a request may look at much, and so is not for an ordinary worker.
pub(super) fn takes_long(head: &Head) -> bool {
    let is_long =
        |query: &str| query.split('&').any(|part| part.starts_with("q=") || part.starts_with("format="));
    match head.path() {
        PATH => head.query().is_some_and(is_long),
        HISTOGRAM | FACETS => true,
        _ => false,
    }
}
