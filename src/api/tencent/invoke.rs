//! Invoke and InvokeFunction (contract 6.2, 6.3): the event as a string of JSON, and the run's result in one object.

use serde_json::{Value, json};

use crate::api::routing;
use crate::api::tencent::call::{Call, Reply};
use crate::api::tencent::fault::Fault;
use crate::api::tencent::params::Params;
use crate::error::{About, Error, Kind};
use crate::model::alias::{DEFAULT, RoutingKey};
use crate::model::invocation::{Record, Source};
use crate::model::log::Stream;
use crate::service::invoke::Order;

/// Bytes of a log's end that an answer brings (contract 8.3).
const TAIL_BYTES: usize = 4096;

pub(super) fn invoke(call: &Call<'_>) -> Result<Reply, Fault> {
    refuse_other(call.params, "Event", "ClientContext")?;
    let order = order(call, "ClientContext", None)?;
    match call.params.said("InvocationType")? {
        None => run(call, order, "InvalidParameterValue"),
        Some(kind) if kind.eq_ignore_ascii_case("RequestResponse") => {
            run(call, order, "InvalidParameterValue")
        }
        Some(kind) if kind.eq_ignore_ascii_case("Event") => accept(call, order),
        Some(_) => {
            let sentence = "InvocationType must be RequestResponse or Event";
            Err(Fault::new("InvalidParameterValue", sentence))
        }
    }
}

pub(super) fn invoke_function(call: &Call<'_>) -> Result<Reply, Fault> {
    refuse_other(call.params, "ClientContext", "Event")?;
    run(call, order(call, "Event", Some(DEFAULT))?, "InvalidParameter.RequestTooLarge")
}

/// What is mostly mixed up is told; other fields that nobody asks for are left alone (contract 12.1).
fn refuse_other(params: &Params, other: &str, own: &str) -> Result<(), Fault> {
    if !params.has(other) {
        return Ok(());
    }
    let sentence = format!("The parameter `{other}` is not recognized. The event goes into `{own}`.");
    Err(Fault::new("UnknownParameter", sentence))
}

fn order(call: &Call<'_>, event: &str, qualifier: Option<&str>) -> Result<Order, Fault> {
    let name = call.function().map_err(|fault| {
        fault.renamed("InvalidParameterValue.FunctionName", "InvalidParameter.FunctionName")
    })?;
    let key = call.params.said("RoutingKey")?;
    Ok(Order {
        namespace: call.namespace()?,
        name,
        qualifier: call.params.said("Qualifier")?.or(qualifier).map(str::to_owned),
        routing_key: key.map_or_else(|| Ok(RoutingKey::default()), routing::parse)?,
        event: call.params.text(event)?.unwrap_or_default().as_bytes().to_vec(),
        source: Source::Api,
    })
}

fn accept(call: &Call<'_>, order: Order) -> Result<Reply, Fault> {
    let request_id =
        call.parts.events.accept(order, None).map_err(|error| fault_of(error, "InvalidParameterValue"))?;
    let fields = json!({ "Result": {
        "Log": "", "RetMsg": "", "ErrMsg": "", "MemUsage": 0, "Duration": 0, "BillDuration": 0,
        "FunctionRequestId": request_id.as_str(), "InvokeResult": 0,
    } });
    Ok(Reply { request_id: Some(request_id), ..Reply::of(fields) })
}

fn run(call: &Call<'_>, order: Order, too_large: &'static str) -> Result<Reply, Fault> {
    let wants_tail = match call.params.said("LogType")? {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("None") => false,
        Some(word) if word.eq_ignore_ascii_case("Tail") => true,
        Some(_) => return Err(Fault::new("InvalidParameterValue", "LogType must be None or Tail")),
    };
    let finished = call.parts.invoker.invoke(order).map_err(|error| fault_of(error, too_large))?;
    let record = &finished.record;
    let log = if wants_tail { tail(call, record)? } else { String::new() };
    let fields = json!({ "Result": result(record, log) });
    Ok(Reply {
        request_id: Some(record.request_id.clone()),
        after: Some(finished.after),
        ..Reply::of(fields)
    })
}

/// An event that is too large has a code of its own in one of the two actions.
fn fault_of(error: Error, too_large: &'static str) -> Fault {
    if error.kind == Kind::Limit && error.about == About::Event {
        return Fault::new(too_large, error.message);
    }
    Fault::from(error)
}

/// How a run ended, in the units of this action: bytes and milliseconds.
fn result(record: &Record, log: String) -> Value {
    json!({
        "Log": log,
        "RetMsg": String::from_utf8_lossy(&record.result),
        "ErrMsg": record.error,
        "MemUsage": record.memory_used_kb * 1024,
        "Duration": milliseconds(record.duration_us),
        "BillDuration": record.duration_us.max(0).unsigned_abs().div_ceil(1000),
        "FunctionRequestId": record.request_id.as_str(),
        "InvokeResult": invoke_result(record.status),
    })
}

/// 0 it returned, 1 the function failed, -1 the platform did.
pub(super) fn invoke_result(status: u16) -> i32 {
    match status {
        200 => 0,
        432 | 500 => -1,
        _ => 1,
    }
}

/// Microseconds as milliseconds with their fraction.
#[expect(clippy::cast_precision_loss, reason = "no run lasts 285 years")]
pub(super) fn milliseconds(us: i64) -> f64 {
    us as f64 / 1000.0
}

/// The end of a run's log in the form that an answer brings (contract 5.1).
fn tail(call: &Call<'_>, record: &Record) -> Result<String, Fault> {
    let id = record.request_id.as_str();
    let lines = call.parts.logs.last_lines(record)?;
    let mut text = format!("START RequestId: {id}\nEvent RequestId: {id}\n");
    let is_framing = |message: &str| {
        [
            "START RequestId:",
            "Init Report RequestId:",
            "Response RequestId:",
            "END RequestId:",
            "Report RequestId:",
        ]
        .iter()
        .any(|start| message.starts_with(start))
    };
    for line in &lines {
        if line.stream == Stream::Platform && is_framing(&line.message) {
            continue;
        }
        text.push_str(&line.message);
        text.push('\n');
    }
    let ms = record.duration_us.max(0).unsigned_abs().div_ceil(1000);
    let (memory_mb, used_mb) = (record.memory_mb, megabytes(record.memory_used_kb));
    text.push_str(&format!(
        "\nEND RequestId: {id}\nReport RequestId: {id} Duration:{ms}ms Memory:{memory_mb}MB MemUsage:{used_mb:.4}MB"
    ));
    Ok(end_of(&text, TAIL_BYTES).to_owned())
}

#[expect(clippy::cast_precision_loss, reason = "shown with four decimals")]
pub(super) fn megabytes(kb: u64) -> f64 {
    kb as f64 / 1024.0
}

/// The last `bytes` of a text, or less, so that no character is cut.
fn end_of(text: &str, bytes: usize) -> &str {
    let mut from = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_text_cuts_no_character() {
        assert_eq!(end_of("abc", 4096), "abc");
        assert_eq!(end_of("aéé", 3), "é");
        assert_eq!(end_of("", 3), "");
    }

    #[test]
    fn whose_fault_it_is() {
        assert_eq!([200, 430, 433, 432, 500].map(invoke_result), [0, 1, 1, -1, -1]);
    }
}
