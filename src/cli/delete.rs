//! `fnlite delete`.

use crate::api::wire::Triggers;
use crate::cli::Context;
use crate::cli::api::function_path;
use crate::cli::exit::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The function's name
    name: String,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let mut api = context.api()?;
    // They go along, which should not go unsaid.
    let triggers =
        api.get(&function_path(&args.name, "/triggers"), Vec::new())?.json::<Triggers>()?.triggers.len();
    let answer = api.send("DELETE", &function_path(&args.name, ""), Vec::new(), b"")?.accepted()?;
    let along = match triggers {
        0 => String::new(),
        1 => " and its trigger".to_owned(),
        count => format!(" and its {count} triggers"),
    };
    context.done(&answer, &format!("deleted {}{along}; its runs and logs stay", args.name))
}
