//! `fnlite list`: what is deployed.

use crate::api::wire::{Function, Functions};
use crate::base::text;
use crate::cli::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::table::Table;
use crate::cli::times::Times;

/// Functions of one page: as many as the server gives at once.
const PAGE: &str = "1000";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Go on where a page of --json ended
    #[arg(long)]
    cursor: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let query = vec![("limit", Some(PAGE.to_owned())), ("cursor", args.cursor.clone())];
    let answer = context.api()?.get("/v1/functions", query)?;
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let page: Functions = answer.json()?;
    if page.functions.is_empty() {
        context.out.note("no functions yet; deploy one with `fnlite deploy NAME FOLDER`");
        return Ok(Exit::Done);
    }
    context.out.data(table(&page.functions, context.times()).render(&context.out).as_bytes())?;
    if let Some(cursor) = page.next_cursor {
        context.out.note(&format!("there are more; go on with --cursor {cursor}"));
    }
    Ok(Exit::Done)
}

fn table(functions: &[Function], times: Times) -> Table {
    let mut table = Table::new(&[
        "NAME",
        "RUNTIME",
        "HANDLER",
        "MEMORY",
        "TIMEOUT",
        "NETWORK",
        "CODE",
        "DEPLOYED",
        "DESCRIPTION",
    ]);
    for function in functions {
        table.row([
            function.name.clone(),
            function.runtime.clone(),
            function.handler.clone(),
            format!("{} MB", function.memory_mb),
            format!("{} s", function.timeout_s),
            function.network.clone(),
            text::size(function.code_bytes),
            times.past(function.modified_us),
            text::first_line(&function.description),
        ]);
    }
    table
}
