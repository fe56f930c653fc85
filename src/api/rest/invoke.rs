//! `POST /v1/functions/{name}/invoke`: the event in, the return value's own bytes out; or, with `type=event`, its request id
//! as soon as it is kept.

use serde::Serialize;

use crate::api::rest::Rest;
use crate::api::rest::answer;
use crate::api::rest::call::Call;
use crate::api::routing;
use crate::base::json;
use crate::error::{Error, Result};
use crate::http::response::Response;
use crate::model::alias::RoutingKey;
use crate::model::invocation::{Record, Source};
use crate::model::limits;
use crate::service::invoke::Order;

/// The answer to an event that was accepted.
#[derive(Serialize)]
pub(super) struct Accepted<'a> {
    pub(super) request_id: &'a str,
}

pub(super) fn post(rest: &Rest, call: Call) -> Result<Response> {
    let mut keys = call.head.headers().filter(|(name, _)| name.eq_ignore_ascii_case("x-idempotency-key"));
    let key = keys.next().map(|(_, key)| String::from_utf8_lossy(key).into_owned());
    if keys.next().is_some() {
        return Err(Error::invalid("X-Idempotency-Key is given twice"));
    }
    drop(keys);
    match call.query.text("type") {
        Some("event") => accept(rest, call, key),
        None | Some("sync") if key.is_none() => run(rest, call),
        None | Some("sync") => {
            Err(Error::invalid("X-Idempotency-Key goes with type=event; a run whose caller waits has none"))
        }
        Some(_) => Err(Error::invalid("type must be sync or event")),
    }
}

fn accept(rest: &Rest, call: Call, key: Option<String>) -> Result<Response> {
    if let Some(key) = &key {
        check_key(key)?;
    }
    let request_id = rest.parts.events.accept(order(call)?, key.as_deref())?;
    Ok(answer::json(202, &Accepted { request_id: request_id.as_str() })
        .with_header("X-Fnlite-Request-Id", request_id.as_str().to_owned()))
}

fn check_key(key: &str) -> Result<()> {
    let chars_max = limits::IDEMPOTENCY_KEY_CHARS_MAX;
    if !(1..=chars_max).contains(&key.len()) || !key.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(Error::invalid(format!(
            "X-Idempotency-Key must be 1 to {chars_max} characters of ASCII"
        )));
    }
    Ok(())
}

fn order(call: Call) -> Result<Order> {
    Ok(Order {
        namespace: call.namespace()?,
        name: call.function()?,
        qualifier: call.query.text("qualifier").map(str::to_owned),
        routing_key: routing_key(&call)?,
        event: call.body.into_bytes()?,
        source: Source::Rest,
    })
}

fn routing_key(call: &Call) -> Result<RoutingKey> {
    call.query.text("routing_key").map_or_else(|| Ok(RoutingKey::default()), routing::parse)
}

fn run(rest: &Rest, call: Call) -> Result<Response> {
    let finished = rest.parts.invoker.invoke(order(call)?)?;
    let after = finished.after;
    Ok(answer_of(finished.record).with_after(after))
}

fn answer_of(mut record: Record) -> Response {
    let result = std::mem::take(&mut record.result);
    // What a Custom Runtime gave is passed on as it is (contract 3.1).
    let kind =
        if json::check_any_depth(&result).is_ok() { "application/json" } else { "application/octet-stream" };
    Response::new(http_status(record.status))
        .with_header("Content-Type", kind)
        .with_bytes(result)
        .with_header("X-Fnlite-Request-Id", record.request_id.as_str().to_owned())
        .with_header("X-Fnlite-Status", record.status.to_string())
        .with_header("X-Fnlite-Duration-Ms", thousandths(record.duration_us))
        .with_header("X-Fnlite-Memory-Mb", mb(record.memory_used_kb))
}

/// The HTTP status of an ending (decisions, "Endings"): the function's failure is a bad gateway, not our error.
fn http_status(status: u16) -> u16 {
    match status {
        200 => 200,
        432 => 429,
        433 => 504,
        _ => 502,
    }
}

/// Microseconds as milliseconds.
fn thousandths(us: i64) -> String {
    format!("{}.{:03}", us / 1000, us % 1000)
}

/// KiB as MB, two decimals.
fn mb(kb: u64) -> String {
    let hundredths = kb * 100 / 1024;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_headers_are_exact() {
        assert_eq!((thousandths(0), thousandths(1_234_567)), ("0.000".to_owned(), "1234.567".to_owned()));
        assert_eq!((mb(0), mb(9000), mb(1024)), ("0.00".to_owned(), "8.78".to_owned(), "1.00".to_owned()));
    }
}
