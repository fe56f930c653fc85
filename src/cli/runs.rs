//! `fnlite runs`: which runs there were, newest first.

use crate::api::wire::{Run, Runs};
use crate::base::text;
use crate::cli::Context;
use crate::cli::api::Query;
use crate::cli::exit::{Exit, Failure};
use crate::cli::moment::Moment;
use crate::cli::state;
use crate::cli::table::Table;
use crate::cli::times::Times;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Of that function only
    function: Option<String>,
    /// With that ending only: queued, running, retrying, succeeded, failed, expired, dead, aborted, unsuccessful
    /// (failed, expired or dead), or a status code such as 433
    #[arg(long)]
    pub(super) status: Option<String>,
    /// Caused by that only: timer, http, apigw, cos or ckafka (triggers), rest, api, replay or dead-letter
    #[arg(long)]
    source: Option<String>,
    /// Not older than that: 15m, 2h, 7d, or a time such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Not newer than that, written the same way
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// At most that many, 1 to 1000
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Go on where a page of --json ended
    #[arg(long)]
    cursor: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let times = context.times();
    let answer = context.api()?.get("/v1/invocations", query(args, times.now_us))?;
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let page: Runs = answer.json()?;
    if page.invocations.is_empty() {
        context.out.note("no such runs");
        return Ok(Exit::Done);
    }
    context.out.data(table(&page.invocations, times).render(&context.out).as_bytes())?;
    if page.next_cursor.is_some() {
        context.out.note(&format!("there are more than {}; see --limit, --since and --status", args.limit));
    }
    Ok(Exit::Done)
}

fn query(args: &Args, now_us: i64) -> Query {
    vec![
        ("function", args.function.clone()),
        ("status", args.status.clone()),
        ("source", args.source.clone()),
        ("since", args.since.as_ref().map(|moment| moment.asked(now_us))),
        ("until", args.until.as_ref().map(|moment| moment.asked(now_us))),
        ("limit", Some(args.limit.to_string())),
        ("cursor", args.cursor.clone()),
    ]
}

fn table(runs: &[Run], times: Times) -> Table {
    let mut table =
        Table::new(&["REQUEST", "FUNCTION", "STATUS", "RETRY", "ACCEPTED", "DURATION", "MEMORY", "ERROR"]);
    for run in runs {
        table.row([
            run.request_id.clone(),
            run.function.clone(),
            state::brief(run),
            state::retry_cell(run),
            times.past(run.created_us),
            if run.ended_us > 0 { text::length(run.duration_us) } else { "-".to_owned() },
            text::memory(run.memory_used_kb).unwrap_or_else(|| "-".to_owned()),
            text::first_line(&run.error),
        ]);
        table.style(2, state::style(run));
    }
    table
}
