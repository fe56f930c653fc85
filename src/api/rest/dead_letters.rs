//! `/v1/dead-letters`: events that were given up.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::rest::Rest;
use crate::api::rest::answer;
use crate::api::rest::call::Call;
use crate::api::rest::invocations::{RunBody, parse_id, raw};
use crate::api::rest::invoke::Accepted;
use crate::error::Result;
use crate::http::response::Response;
use crate::model::event::DeadLetter;
use crate::service::dead_letters::Asked;

#[derive(Serialize)]
struct LetterBody<'a> {
    #[serde(flatten)]
    run: RunBody<'a>,
    died_us: i64,
    reason: &'a str,
}

#[derive(Serialize)]
struct WholeLetterBody<'a> {
    #[serde(flatten)]
    letter: LetterBody<'a>,
    event: Box<RawValue>,
    result: Box<RawValue>,
}

#[derive(Serialize)]
struct LettersBody<'a> {
    dead_letters: Vec<LetterBody<'a>>,
    next_cursor: Option<String>,
}

pub(super) fn list(rest: &Rest, call: Call) -> Result<Response> {
    let now_us = rest.parts.clock.wall_us();
    let asked = Asked {
        namespace: call.namespace()?,
        function: call.function_asked()?,
        since_us: call.instant("since", now_us)?,
        until_us: call.instant("until", now_us)?,
        before: call.cursor()?,
        limit: call.limit()?,
    };
    let page = rest.parts.dead_letters.list(&asked)?;
    let dead_letters = page.rows.iter().map(body_of).collect();
    Ok(answer::json(200, &LettersBody { dead_letters, next_cursor: page.next.map(|id| id.to_string()) }))
}

pub(super) fn get(rest: &Rest, call: Call) -> Result<Response> {
    let letter = rest.parts.dead_letters.find(&parse_id("the request id", &call.part)?)?;
    let (event, result) = (raw(&letter.record.event), raw(&letter.record.result));
    Ok(answer::json(200, &WholeLetterBody { letter: body_of(&letter), event, result }))
}

pub(super) fn replay(rest: &Rest, call: Call) -> Result<Response> {
    let request_id = rest.parts.dead_letters.replay(&parse_id("the request id", &call.part)?)?;
    Ok(answer::json(202, &Accepted { request_id: request_id.as_str() }))
}

pub(super) fn delete(rest: &Rest, call: Call) -> Result<Response> {
    rest.parts.dead_letters.drop(&parse_id("the request id", &call.part)?)?;
    Ok(Response::new(204))
}

fn body_of(letter: &DeadLetter) -> LetterBody<'_> {
    LetterBody { run: RunBody::of(&letter.record), died_us: letter.died_us, reason: &letter.reason }
}
