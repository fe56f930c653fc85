//! Asynchronous events: how they are tried, which there are, and ending one (contract 6.10). The cloud has the lists for
//! asynchronous execution only; here they are of every event.

use serde_json::{Value, json};

use crate::api::tencent::call::{Call, Reply};
use crate::api::tencent::fault::Fault;
use crate::api::tencent::params::Params;
use crate::api::tencent::times;
use crate::base::id::RequestId;
use crate::model::function::EventConfig;
use crate::model::invocation::{Record, State};
use crate::model::limits;
use crate::store::listing::{Ending, RunQuery, RunSort};

/// Most rows of a page of events.
const LIMIT_MAX: u32 = 100;

pub(super) fn get_config(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let found = call.parts.versions.find(&namespace, &name, call.params.said("Qualifier")?);
    // What counts for a version is what the function says.
    let (function, _) = found.map_err(|error| {
        Fault::from(error).renamed("ResourceNotFound.Qualifier", "ResourceNotFound.FunctionVersion")
    })?;
    let event = &function.version.config.event;
    let config = json!({ "RetryConfig": [{ "RetryNum": event.retry_num }], "MsgTTL": event.msg_ttl_s });
    Ok(Reply::of(json!({ "AsyncTriggerConfig": config })))
}

pub(super) fn update_config(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let config = call.params.object("AsyncTriggerConfig")?;
    let config = config.ok_or_else(|| Fault::missing("MissingParameter", "AsyncTriggerConfig"))?;
    let retries = config.objects("RetryConfig")?.unwrap_or_default();
    let retry_num = match retries.first() {
        Some(retry) => bounded(retry, "RetryNum", "LimitExceeded.RetryNum", (0, limits::RETRY_NUM_MAX))?,
        None => None,
    };
    let ttl = (limits::MSG_TTL_S_MIN, limits::MSG_TTL_S_MAX);
    let msg_ttl_s = bounded(&config, "MsgTTL", "LimitExceeded.MsgTTL", ttl)?;
    call.parts.functions.change(&namespace, &name, |config| {
        let before = config.event.clone();
        config.event = EventConfig {
            retry_num: retry_num.unwrap_or(before.retry_num),
            msg_ttl_s: msg_ttl_s.unwrap_or(before.msg_ttl_s),
            ..before
        };
    })?;
    Ok(Reply::done())
}

fn bounded(
    params: &Params,
    name: &str,
    code: &'static str,
    (min, max): (u32, u32),
) -> Result<Option<u32>, Fault> {
    let fits = |number: i64| match u32::try_from(number) {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(Fault::new(code, format!("{name} must be {min} to {max}, not {number}"))),
    };
    params.whole(name)?.map(fits).transpose()
}

pub(super) fn list(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let function = call.parts.functions.find(&namespace, &name)?;
    let window = call.window(LIMIT_MAX)?;
    let sort = match call.params.said("Orderby")? {
        None | Some("StartTime") => RunSort::Start,
        Some("EndTime") => RunSort::End,
        Some(_) => {
            return Err(Fault::new("InvalidParameterValue.OrderBy", "Orderby must be StartTime or EndTime"));
        }
    };
    let (since_us, before_us) = interval(call, "StartTimeInterval")?;
    let query = RunQuery {
        function_id: function.id,
        request_id: call.params.said("InvokeRequestId")?.map(|id| id.to_ascii_lowercase()),
        qualifier: call.params.said("Qualifier")?.map(str::to_owned),
        ending: states(call)?,
        events_only: true,
        since_us,
        before_us,
        ended_us: interval(call, "EndTimeInterval")?,
        sort,
        goes_down: call.goes_down(true)?,
        offset: window.offset,
        limit: window.limit,
    };
    let (records, total) = call.parts.store.listed_runs(&query)?;
    let rows: Vec<Value> = records.iter().map(described).collect();
    Ok(Reply::of(json!({ "TotalCount": total, "EventList": rows })))
}

pub(super) fn status(call: &Call<'_>) -> Result<Reply, Fault> {
    let record = find(call)?;
    Ok(Reply::of(json!({ "Result": {
        "Status": word(&record),
        "StatusCode": record.status,
        "InvokeRequestId": record.request_id.as_str(),
    } })))
}

/// Ends an event: one that waits is not run any more, one that runs is killed, or told to end where that is asked for.
pub(super) fn terminate(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let function = call.parts.functions.find(&namespace, &name)?;
    let record = find(call)?;
    if record.function_id != function.id {
        return Err(missing());
    }
    let is_graceful = call.params.truth("GraceShutdown")?.unwrap_or_default();
    call.parts.events.terminate(&record, is_graceful)?;
    Ok(Reply::done())
}

fn find(call: &Call<'_>) -> Result<Record, Fault> {
    let id = RequestId::parse(call.params.needed("InvokeRequestId")?).ok_or_else(missing)?;
    let record = call.parts.logs.run(&id).map_err(|_| missing())?;
    if record.is_event { Ok(record) } else { Err(missing()) }
}

fn missing() -> Fault {
    Fault::new("ResourceNotFound.AsyncEvent", "there is no asynchronous event of that InvokeRequestId")
}

/// Numbers of states in the table that the words stand for.
fn states(call: &Call<'_>) -> Result<Ending, Fault> {
    let words = call.params.texts("Status")?.unwrap_or_default();
    if words.is_empty() {
        return Ok(Ending::Any);
    }
    let mut states = Vec::new();
    for asked in words {
        states.extend_from_slice(match asked {
            "RUNNING" => &[0, 3, 4],
            "FINISHED" => &[1],
            "FAILED" => &[2, 5, 6],
            "ABORTED" => &[7],
            _ => {
                let sentence = "Status must be RUNNING, FINISHED, ABORTED or FAILED";
                return Err(Fault::new("InvalidParameterValue.Status", sentence));
            }
        });
    }
    Ok(Ending::States(states))
}

fn interval(call: &Call<'_>, name: &str) -> Result<(Option<i64>, Option<i64>), Fault> {
    let Some(interval) = call.params.object(name)? else { return Ok((None, None)) };
    let at = |end: &str| interval.said(end)?.map(|text| times::read(end, text)).transpose();
    Ok((at("Start")?, at("End")?))
}

fn described(record: &Record) -> Value {
    json!({
        "InvokeRequestId": record.request_id.as_str(),
        "InvokeType": record.source,
        "Qualifier": if record.alias.is_empty() { &record.qualifier } else { &record.alias },
        "Status": word(record),
        "StartTime": times::with_micros(record.created_us),
        "EndTime": times::with_micros(if record.state.is_over() { record.ended_us } else { 0 }),
    })
}

fn word(record: &Record) -> &'static str {
    match record.state {
        State::Queued | State::Running | State::Retrying => "RUNNING",
        State::Succeeded => "FINISHED",
        State::Aborted => "ABORTED",
        State::Failed | State::Expired | State::Dead => "FAILED",
    }
}
