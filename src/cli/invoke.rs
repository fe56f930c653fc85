//! `fnlite invoke`: one run, its return value on stdout, how it went on stderr; or, with `--async`, an event handed over, its
//! request ID on stdout.

use std::fs;
use std::io::{self, Read};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::wire::{Accepted, Run, RunError};
use crate::base::length::Length;
use crate::base::text;
use crate::cli::api::{Answer, Api, Query, function_path};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Out, Style};
use crate::cli::{Context, follow, state};
use crate::model::limits;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The function's name
    name: String,
    /// The event, JSON: as text, @FILE, or - for standard input [default: {}]
    #[arg(long, short, value_name = "JSON")]
    data: Option<String>,
    /// Run that version or alias [default: $LATEST]
    #[arg(long, short, value_name = "QUALIFIER")]
    qualifier: Option<String>,
    /// What the caller says of himself, for aliases that send by it: {"User":"Bob"}
    #[arg(long, value_name = "JSON")]
    routing_key: Option<String>,
    /// Hand the event over and print its request ID as soon as it is kept; it is run when there is room, and tried again
    #[arg(long = "async")]
    is_async: bool,
    /// With --async: the same key and event within 24 hours are the same run
    #[arg(long, value_name = "KEY", requires = "is_async")]
    idempotency_key: Option<String>,
    /// With --async: wait for the end, at most that long if told, and print it like that of a run waited for
    #[arg(long, value_name = "TIME", require_equals = true, requires = "is_async")]
    wait: Option<Option<Length>>,
}

/// How a run went: from the answer's headers, or from its record.
#[derive(Debug, Serialize)]
struct Went<'a> {
    request_id: String,
    status: u16,
    duration_ms: f64,
    memory_mb: f64,
    result: Option<&'a RawValue>,
    /// The state where it did not return.
    #[serde(skip)]
    state: &'a str,
    #[serde(skip)]
    retry_num: u32,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let event = event(args.data.as_deref())?;
    let mut api = context.api()?;
    if args.is_async {
        return run_later(args, &event, &mut api, &context.out);
    }
    call(&args.name, qualified(args), &event, &mut api, &context.out)
}

/// Runs a function with that event, as `invoke` does.
pub(super) fn once(name: &str, event: &[u8], api: &mut Api, out: &Out) -> Result<Exit, Failure> {
    call(name, Vec::new(), event, api, out)
}

fn call(name: &str, query: Query, event: &[u8], api: &mut Api, out: &Out) -> Result<Exit, Failure> {
    let answer = api.send("POST", &function_path(name, "/invoke"), query, event)?;
    // Only a run that was admitted has a status of its own; anything else is an error of the API.
    let Some(went) = went(&answer) else {
        answer.accepted()?;
        return Err(Failure::new(
            Exit::Error,
            "the server's answer has no run in it; is it a fnlite server?",
        ));
    };
    tell(&went, answer.body(), out)
}

fn qualified(args: &Args) -> Query {
    vec![("qualifier", args.qualifier.clone()), ("routing_key", args.routing_key.clone())]
}

fn run_later(args: &Args, event: &[u8], api: &mut Api, out: &Out) -> Result<Exit, Failure> {
    let key = args.idempotency_key.as_deref().map(|key| ("X-Idempotency-Key", key));
    let mut query = qualified(args);
    query.push(("type", Some("event".to_owned())));
    let path = function_path(&args.name, "/invoke");
    let answer = api.send_with("POST", &path, query, key.as_slice(), event)?.accepted()?;
    let Accepted { request_id } = answer.json()?;
    let Some(patience) = args.wait else {
        return tell_accepted(&request_id, &answer, out);
    };
    // Told before the wait, so that it can be asked for whatever becomes of that.
    out.note(&format!("accepted as request {request_id}"));
    let (_, run) = follow::until_over(api, &request_id, patience.map(|length| length.0))?;
    if !run.is_over() {
        let message = format!("request {request_id} is not over, it is {}; see `fnlite show`", run.state);
        return Err(Failure::new(Exit::Error, message));
    }
    let result = run.result.as_ref().map_or("", |result| result.get());
    tell(&went_later(&run), result.as_bytes(), out)
}

fn tell_accepted(request_id: &str, answer: &Answer, out: &Out) -> Result<Exit, Failure> {
    if out.json {
        return out.data(answer.body()).map(|()| Exit::Done);
    }
    out.data(request_id.as_bytes())?;
    out.note(&format!("accepted; `fnlite show --wait {request_id}` tells how it ends"));
    Ok(Exit::Done)
}

/// The value to stdout, or what went wrong to stderr, and how the run went.
fn tell(went: &Went<'_>, body: &[u8], out: &Out) -> Result<Exit, Failure> {
    let exit = if went.status == 200 { Exit::Done } else { Exit::FunctionFailed };
    if out.json {
        out.data(&serde_json::to_vec(&went).expect("raw JSON and numbers always become JSON"))?;
        return Ok(exit);
    }
    match exit {
        Exit::Done => out.data(out.foreign(&String::from_utf8_lossy(body)).as_bytes())?,
        _ => out.note(&complaint(body, out)),
    }
    out.note(&summary(went, out));
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
        state: "failed",
        retry_num: 0,
    })
}

fn went_later(run: &Run) -> Went<'_> {
    Went {
        request_id: run.request_id.clone(),
        status: run.status,
        duration_ms: run.duration_us as f64 / 1000.0,
        memory_mb: hundredths(run.memory_used_kb as f64 / 1024.0),
        result: run.result.as_deref(),
        state: &run.state,
        retry_num: run.retry_num,
    }
}

/// As exact as the header of a run waited for.
fn hundredths(number: f64) -> f64 {
    (number * 100.0).floor() / 100.0
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
        status => out.paint(Style::Bad, &format!("{} with status {status}", went.state)),
    };
    let length = Duration::try_from_secs_f64(went.duration_ms / 1000.0).unwrap_or_default();
    let length = text::length(i64::try_from(length.as_micros()).unwrap_or(i64::MAX));
    let memory = if went.memory_mb > 0.0 { format!(", {:.1} MB", went.memory_mb) } else { String::new() };
    let retry = match went.retry_num {
        0 => String::new(),
        number => format!(", {}", state::attempt(number)),
    };
    format!("{word} in {length}{memory}{retry}, request {}", went.request_id)
}
