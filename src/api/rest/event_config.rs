//! `/v1/functions/{name}/event-config`: how a function's asynchronous events are tried.

use serde::Serialize;

use crate::api::rest::Rest;
use crate::api::rest::answer;
use crate::api::rest::call::{Call, renamed};
use crate::api::rest::fields::Fields;
use crate::error::Result;
use crate::http::response::Response;
use crate::model::function::{EventConfig, FunctionName};

#[derive(Serialize)]
struct Body<'a> {
    retry_num: u32,
    msg_ttl_s: u32,
    dead_letter: Option<&'a str>,
}

pub(super) fn get(rest: &Rest, call: Call) -> Result<Response> {
    let function = rest.parts.functions.find(&call.namespace()?, &call.function()?)?;
    Ok(answer(&function.version.config.event))
}

/// What is not named stays.
pub(super) fn put(rest: &Rest, call: Call) -> Result<Response> {
    let (namespace, name) = (call.namespace()?, call.function()?);
    let body = call.body.into_bytes()?;
    let mut fields = Fields::parse(&body)?;
    let (retry_num, msg_ttl_s) = (fields.number("retry_num")?, fields.number("msg_ttl_s")?);
    let dead_letter = fields.text("dead_letter")?;
    fields.nothing_else(&["retry_num", "msg_ttl_s", "dead_letter"])?;
    // The empty text is how nobody is told any more.
    let dead_letter = dead_letter.map(|text| (!text.is_empty()).then_some(text));
    let parse =
        |text: String| FunctionName::parse(&text).map_err(|error| renamed(error, "name", "dead_letter"));
    let dead_letter = dead_letter.map(|name| name.map(parse).transpose()).transpose()?;
    let function = rest.parts.functions.change(&namespace, &name, |config| {
        let before = config.event.clone();
        config.event = EventConfig {
            retry_num: retry_num.unwrap_or(before.retry_num),
            msg_ttl_s: msg_ttl_s.unwrap_or(before.msg_ttl_s),
            dead_letter: dead_letter.unwrap_or(before.dead_letter),
        };
    })?;
    Ok(answer(&function.version.config.event))
}

fn answer(event: &EventConfig) -> Response {
    let dead_letter = event.dead_letter.as_ref().map(FunctionName::as_str);
    answer::json(200, &Body { retry_num: event.retry_num, msg_ttl_s: event.msg_ttl_s, dead_letter })
}
