//! `/v1/logs`: lines by run, function and time.

use serde::Serialize;

use crate::api::rest::Rest;
use crate::api::rest::answer;
use crate::api::rest::call::Call;
use crate::api::rest::invocations::parse_id;
use crate::base::id::RequestId;
use crate::error::Result;
use crate::http::response::Response;
use crate::model::query::{Order, StoredLine};
use crate::service::logs::LinesAsked;

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

#[derive(Serialize)]
struct LinesBody<'a> {
    lines: Vec<LineBody<'a>>,
    next_cursor: Option<String>,
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

pub(super) fn list(rest: &Rest, call: Call) -> Result<Response> {
    let now_us = rest.parts.clock.wall_us();
    let request_id = call.query.text("request_id").map(|text| parse_id("request_id", text)).transpose()?;
    // One run is read from its beginning, everything else from its end.
    let order = if request_id.is_some() { Order::Ascending } else { Order::Descending };
    let asked = LinesAsked {
        namespace: call.namespace()?,
        request_id,
        function: call.function_asked()?,
        since_us: call.instant("since", now_us)?,
        until_us: call.instant("until", now_us)?,
        order: call.query.text("order").map_or(Ok(order), Order::parse)?,
        after: call.cursor()?,
        limit: call.limit()?,
    };
    let page = rest.parts.logs.lines(&asked)?;
    let lines = page.rows.iter().map(LineBody::of).collect();
    Ok(answer::json(200, &LinesBody { lines, next_cursor: page.next.map(|id| id.to_string()) }))
}
