//! The check of the database. The same body is printed by the command line where it looks at the file itself.

use serde::Serialize;

use crate::api::rest::call::Call;
use crate::api::rest::{Rest, answer};
use crate::error::{Error, Result};
use crate::http::response::Response;
use crate::service::check::{self, Report};

#[derive(Serialize)]
struct Body<'a> {
    sound: bool,
    problems: &'a [String],
    functions: u64,
    invocations: serde_json::Map<String, serde_json::Value>,
    lines: u64,
    indexed_lines: u64,
    queued: u64,
    dead_letters: u64,
    bytes: u64,
    free_bytes: u64,
}

pub(super) fn post(rest: &Rest, call: Call) -> Result<Response> {
    match call.query.text("rebuild_index") {
        None | Some("false") => {}
        Some("true") => check::forget_index(&rest.parts.store)?,
        Some(_) => return Err(Error::invalid("rebuild_index must be true or false")),
    }
    Ok(answer::json_bytes(200, body(&check::of_store(&rest.parts.store)?)))
}

/// What was found, as JSON.
pub fn body(report: &Report) -> Vec<u8> {
    let counts = &report.counts;
    let invocations = counts.invocations.iter();
    let body = Body {
        sound: report.is_sound(),
        problems: &report.problems,
        functions: counts.functions,
        invocations: invocations.map(|(state, runs)| (state.as_str().to_owned(), (*runs).into())).collect(),
        lines: counts.lines,
        indexed_lines: counts.indexed_lines,
        queued: counts.queued,
        dead_letters: counts.dead_letters,
        bytes: counts.bytes,
        free_bytes: counts.free_bytes,
    };
    serde_json::to_vec(&body).expect("words and numbers always become JSON")
}
