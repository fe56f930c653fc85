//! `fnlite check`: is the database sound, and what is in it. A server that answers is asked; where none does, the file itself
//! is looked at, without changing it.

use crate::api::rest::check::body;
use crate::api::wire::Checked;
use crate::base::text;
use crate::cli::Context;
use crate::cli::api::Api;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Out, Style};
use crate::config;
use crate::error::Kind;
use crate::service::check;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Forget the words of log lines first; a server indexes them anew in the background
    #[arg(long)]
    rebuild_index: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let mut api = context.api()?;
    let (json, of) = if api.is_stopped() {
        (offline(args, context)?, "file")
    } else {
        (online(args, &mut api)?, "server")
    };
    let checked: Checked = serde_json::from_slice(&json)
        .map_err(|cause| Failure::new(Exit::Error, format!("the answer is no check: {cause}")))?;
    if context.out.json {
        context.out.data(&json)?;
    } else {
        context.out.data(render(&checked, of, &context.out).as_bytes())?;
    }
    Ok(if checked.sound { Exit::Done } else { Exit::Error })
}

fn online(args: &Args, api: &mut Api) -> Result<Vec<u8>, Failure> {
    let query = vec![("rebuild_index", args.rebuild_index.then(|| "true".to_owned()))];
    Ok(api.send("POST", "/v1/check", query, b"")?.accepted()?.body().to_vec())
}

fn offline(args: &Args, context: &Context) -> Result<Vec<u8>, Failure> {
    let db = config::database(context.place.clone()).map_err(|error| Failure::unusable(&error))?;
    let forgotten = if args.rebuild_index { check::forget_index_of_file(&db) } else { Ok(()) };
    let report = forgotten.and_then(|()| check::of_file(&db)).map_err(|error| match error.kind {
        Kind::Internal => error.into(),
        // It is not there, is in use, or is no database.
        _ => Failure::unusable(&error),
    })?;
    Ok(body(&report))
}

fn render(checked: &Checked, of: &str, out: &Out) -> String {
    let mut said = String::new();
    let verdict = match (checked.sound, of) {
        (true, "file") => {
            out.paint(Style::Good, "sound") + " (no server answers: the file itself was looked at)"
        }
        (true, _) => out.paint(Style::Good, "sound"),
        (false, _) => out.paint(Style::Bad, "not sound"),
    };
    said += &format!("{verdict}\n");
    for problem in &checked.problems {
        said += &format!("  {problem}\n");
    }
    if checked.bytes == 0 {
        // Nothing is counted in a damaged file.
        return said;
    }
    let states: Vec<String> =
        checked.invocations.iter().map(|(state, runs)| format!("{runs} {state}")).collect();
    let invocations = if states.is_empty() { "none".to_owned() } else { states.join(", ") };
    for (name, value) in [
        ("functions", checked.functions.to_string()),
        ("invocations", invocations),
        ("log lines", format!("{}, {} of them indexed by their words", checked.lines, checked.indexed_lines)),
        ("queued", checked.queued.to_string()),
        ("dead letters", checked.dead_letters.to_string()),
        ("size", format!("{}, {} of it free", text::size(checked.bytes), text::size(checked.free_bytes))),
    ] {
        said += &format!("{} {value}\n", out.paint(Style::Dim, &format!("{name:<13}")));
    }
    said
}
