//! GetFunctionLogs and GetRequestStatus: runs as the API lists them. The two differ in units and in their code for a run that goes
//! on (contract 5.3).

use serde_json::{Value, json};

use crate::api::tencent::call::{Call, Reply};
use crate::api::tencent::fault::Fault;
use crate::api::tencent::invoke::{megabytes, milliseconds};
use crate::api::tencent::times;
use crate::base::id::RequestId;
use crate::model::function::{FunctionName, Namespace};
use crate::model::invocation::{Record, State};
use crate::store::listing::{Ending, RunQuery, RunSort};

/// The last row that can be asked for (contract 8.3).
const ROWS_MAX: usize = 10_000;
/// Most rows of a page: old tools ask for a thousand (contract 6.14).
const LIMIT_MAX: u32 = 1000;
/// Bytes of all logs in one answer, after which records come without: a page of long runs must not be hundreds of megabytes.
const LOGS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of one run's return value and log in a list.
const ONE_BYTES_MAX: usize = 64 * 1024;
const DAY_US: i64 = 24 * 3600 * 1_000_000;
/// How far back the status of a request is looked for unless said otherwise (contract 5.3).
const RECENT_US: i64 = 15 * 60 * 1_000_000;

pub(super) fn list(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let window = call.window(LIMIT_MAX)?;
    if window.offset + window.limit > ROWS_MAX {
        let sentence = format!("Offset and Limit together must be at most {ROWS_MAX}");
        return Err(Fault::new("LimitExceeded.Offset", sentence));
    }
    let (since_us, before_us) = period(call)?;
    let query = RunQuery {
        function_id: function_id(call, &namespace, &name)?,
        request_id: request_id(call)?.map(|id| id.as_str().to_owned()),
        qualifier: call.params.said("Qualifier")?.map(str::to_owned),
        ending: ending(call)?,
        events_only: false,
        since_us,
        before_us,
        ended_us: (None, None),
        sort: sort(call)?,
        goes_down: call.goes_down(true)?,
        offset: window.offset,
        limit: window.limit,
    };
    let (records, total) = call.parts.store.listed_runs(&query)?;
    let mut left = LOGS_BYTES_MAX;
    let data = records.iter().map(|record| full(call, record, &mut left)).collect::<Result<Vec<_>, _>>()?;
    let context = json!({ "Offset": "", "Limit": window.limit, "Keyword": "", "Type": "" });
    Ok(Reply::of(json!({ "TotalCount": total, "Data": data, "SearchContext": context })))
}

pub(super) fn status(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    call.params.needed("FunctionRequestId")?;
    let id = request_id(call)?;
    let now_us = call.parts.clock.wall_us();
    let (since_us, before_us) = match (at(call, "StartTime")?, at(call, "EndTime")?) {
        (None, None) => (now_us - RECENT_US, now_us),
        (Some(since_us), Some(before_us)) if since_us < before_us => (since_us, before_us),
        (Some(_), None) => {
            let sentence = "with StartTime, EndTime is needed too";
            return Err(Fault::new("InvalidParameterValue.StartTimeOrEndTime", sentence));
        }
        _ => return Err(Fault::new("InvalidParameterValue.StartTime", "StartTime must be before EndTime")),
    };
    let function_id = function_id(call, &namespace, &name)?;
    let found = id.and_then(|id| call.parts.logs.run(&id).ok());
    let asked = |record: &Record| {
        record.function_id == function_id && record.created_us >= since_us && record.created_us <= before_us
    };
    let data: Vec<Value> = found.iter().filter(|record| asked(record)).map(brief).collect();
    Ok(Reply::of(json!({ "TotalCount": data.len(), "Data": data })))
}

/// The stretch of time asked for: both ends or none, at most a day apart (contract 5.3); without any, the last day.
fn period(call: &Call<'_>) -> Result<(Option<i64>, Option<i64>), Fault> {
    match (at(call, "StartTime")?, at(call, "EndTime")?) {
        (None, None) => {
            let now_us = call.parts.clock.wall_us();
            Ok((Some(now_us - DAY_US), None))
        }
        // The second named is meant whole.
        (Some(since_us), Some(until_us)) if since_us <= until_us && until_us - since_us <= DAY_US => {
            Ok((Some(since_us), Some(until_us + 1_000_000)))
        }
        _ => Err(Fault::new(
            "InvalidParameterValue.StartTimeOrEndTime",
            "StartTime and EndTime come together, in order, at most a day apart",
        )),
    }
}

fn at(call: &Call<'_>, name: &str) -> Result<Option<i64>, Fault> {
    call.params.said(name)?.map(|text| times::read(name, text)).transpose()
}

fn ending(call: &Call<'_>) -> Result<Ending, Fault> {
    let Some(filter) = call.params.object("Filter")? else { return Ok(Ending::Any) };
    match filter.said("RetCode")? {
        None => Ok(Ending::Any),
        Some("is0") => Ok(Ending::Returned),
        Some("not0") => Ok(Ending::Failed),
        Some("TimeLimitExceeded") => Ok(Ending::Code(433)),
        Some("ResourceLimitExceeded") => Ok(Ending::Code(434)),
        Some("UserCodeException") => Ok(Ending::Code(430)),
        Some(_) => Err(Fault::new(
            "InvalidParameterValue.RetCode",
            "RetCode must be not0, is0, TimeLimitExceeded, ResourceLimitExceeded or UserCodeException",
        )),
    }
}

fn sort(call: &Call<'_>) -> Result<RunSort, Fault> {
    match call.params.said("OrderBy")? {
        // All rows are of one function.
        None | Some("start_time" | "startTime" | "function_name" | "functionName" | "requestId") => {
            Ok(RunSort::Start)
        }
        Some("duration") => Ok(RunSort::Duration),
        Some("mem_usage" | "memUsage") => Ok(RunSort::Memory),
        Some(_) => Err(Fault::new(
            "InvalidParameterValue.OrderBy",
            "OrderBy must be function_name, duration, mem_usage or start_time",
        )),
    }
}

fn request_id(call: &Call<'_>) -> Result<Option<RequestId>, Fault> {
    let Some(text) = call.params.said("FunctionRequestId")? else { return Ok(None) };
    let wrong = || {
        let sentence = "FunctionRequestId must be a UUID or 32 hexadecimal digits";
        Fault::new("InvalidParameterValue.FunctionRequestId", sentence)
    };
    RequestId::parse(text).ok_or_else(wrong).map(Some)
}

/// The function's id, also of a deleted one: its runs are there.
fn function_id(call: &Call<'_>, namespace: &Namespace, name: &FunctionName) -> Result<i64, Fault> {
    let missing = || Fault::new("ResourceNotFound.FunctionName", format!("Function not found: [{name}]"));
    call.parts.store.function_id(namespace, name)?.ok_or_else(missing)
}

/// A row of GetFunctionLogs: bytes, and 2 for a run that goes on.
fn full(call: &Call<'_>, record: &Record, left: &mut usize) -> Result<Value, Fault> {
    let result = call.parts.store.result_beginning(record.id, ONE_BYTES_MAX.min(*left))?;
    let log = if *left > 0 { log_of(call, record)? } else { String::new() };
    *left = left.saturating_sub(result.len() + log.len());
    let ret_code = match record.state {
        State::Succeeded => 0,
        State::Running | State::Queued | State::Retrying => 2,
        State::Aborted => 3,
        State::Failed | State::Expired | State::Dead => i32::from(record.status),
    };
    Ok(json!({
        "FunctionName": record.function,
        "RetMsg": String::from_utf8_lossy(&result),
        "RequestId": record.request_id.as_str(),
        "StartTime": times::of(record.created_us),
        "RetCode": ret_code,
        "InvokeFinished": i32::from(record.state.is_over()),
        "Duration": milliseconds(record.duration_us),
        "BillDuration": record.duration_us.max(0).unsigned_abs().div_ceil(1000),
        "MemUsage": record.memory_used_kb * 1024,
        "Log": log,
        "Level": "",
        "Source": "",
        "RetryNum": record.retry_num,
    }))
}

fn log_of(call: &Call<'_>, record: &Record) -> Result<String, Fault> {
    let page = call.parts.logs.lines_of(record)?;
    let mut text = String::new();
    for line in page.rows {
        if text.len() + line.line.message.len() > ONE_BYTES_MAX {
            break;
        }
        text.push_str(&line.line.message);
        text.push('\n');
    }
    Ok(text)
}

/// A row of GetRequestStatus: megabytes, and 1 for a run that goes on.
fn brief(record: &Record) -> Value {
    let ret_code = match record.state {
        State::Succeeded => 0,
        State::Running | State::Queued | State::Retrying => 1,
        State::Failed | State::Expired | State::Dead | State::Aborted => -1,
    };
    json!({
        "FunctionName": record.function,
        "RetMsg": String::from_utf8_lossy(&record.result[..record.result.len().min(ONE_BYTES_MAX)]),
        "RequestId": record.request_id.as_str(),
        "StartTime": times::of(record.created_us),
        "RetCode": ret_code,
        "Duration": milliseconds(record.duration_us),
        "MemUsage": megabytes(record.memory_used_kb),
        "RetryNum": record.retry_num,
    })
}
