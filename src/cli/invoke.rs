//! `fnlite invoke`: one run, its return value on stdout, how it went on stderr.

use std::fs;
use std::io::{self, Read};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::cli::Context;
use crate::cli::api::{Answer, function_path};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Out, Style};
use crate::cli::text;
use crate::cli::wire::RunError;
use crate::model::limits;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The function's name
    name: String,
    /// The event, JSON: as text, @FILE, or - for standard input [default: {}]
    #[arg(long, short, value_name = "JSON")]
    data: Option<String>,
}

/// How a run went, from the answer's headers.
#[derive(Debug, Serialize)]
struct Went<'a> {
    request_id: String,
    status: u16,
    duration_ms: f64,
    memory_mb: f64,
    result: Option<&'a RawValue>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let event = event(args.data.as_deref())?;
    let path = function_path(&args.name, "/invoke");
    let answer = context.api()?.send("POST", &path, Vec::new(), &event)?;
    // Only a run that was admitted has a status of its own; anything else is an error of the API.
    let Some(went) = went(&answer) else {
        answer.accepted()?;
        return Err(Failure::new(
            Exit::Error,
            "the server's answer has no run in it; is it a fnlite server?",
        ));
    };
    let exit = if went.status == 200 { Exit::Done } else { Exit::FunctionFailed };
    let out = &context.out;
    if out.json {
        out.data(&serde_json::to_vec(&went).expect("raw JSON and numbers always become JSON"))?;
        return Ok(exit);
    }
    match exit {
        Exit::Done => out.data(out.foreign(&String::from_utf8_lossy(answer.body())).as_bytes())?,
        _ => out.note(&complaint(answer.body(), out)),
    }
    out.note(&summary(&went, out));
    Ok(exit)
}

/// The event's bytes, as they are: whether they are JSON is the server's to say.
fn event(typed: Option<&str>) -> Result<Vec<u8>, Failure> {
    // One byte more than allowed, so that the server refuses what is too large.
    let at_most = limits::EVENT_BYTES_MAX as u64 + 1;
    let mut event = Vec::new();
    match typed {
        None => {}
        Some("-") => drop(io::stdin().lock().take(at_most).read_to_end(&mut event)?),
        Some(text) => match text.strip_prefix('@') {
            Some(path) => {
                let file = fs::File::open(path);
                file.and_then(|file| file.take(at_most).read_to_end(&mut event))
                    .map_err(|cause| Failure::usage(format!("{path} cannot be read: {cause}")))?;
            }
            None => event.extend(text.as_bytes()),
        },
    }
    Ok(event)
}

fn went(answer: &Answer) -> Option<Went<'_>> {
    let number = |name| answer.header(name).and_then(|value| value.parse().ok()).unwrap_or_default();
    Some(Went {
        request_id: answer.header("x-fnlite-request-id")?,
        status: answer.header("x-fnlite-status")?.parse().ok()?,
        duration_ms: number("x-fnlite-duration-ms"),
        memory_mb: number("x-fnlite-memory-mb"),
        result: serde_json::from_slice(answer.body()).ok(),
    })
}

/// What a failed run says about itself.
fn complaint(body: &[u8], out: &Out) -> String {
    match serde_json::from_slice::<RunError>(body) {
        Ok(error) if error.trace.is_empty() => out.foreign(&error.message),
        Ok(error) => out.foreign(error.trace.trim_end()),
        Err(_) => out.foreign(&String::from_utf8_lossy(body)),
    }
}

fn summary(went: &Went<'_>, out: &Out) -> String {
    let word = match went.status {
        200 => out.paint(Style::Good, "returned"),
        status => out.paint(Style::Bad, &format!("failed with status {status}")),
    };
    let length = Duration::try_from_secs_f64(went.duration_ms / 1000.0).unwrap_or_default();
    let length = text::length(i64::try_from(length.as_micros()).unwrap_or(i64::MAX));
    let memory = if went.memory_mb > 0.0 { format!(", {:.1} MB", went.memory_mb) } else { String::new() };
    format!("{word} in {length}{memory}, request {}", went.request_id)
}
