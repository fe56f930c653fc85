//! `fnlite delete`.

use crate::cli::Context;
use crate::cli::api::function_path;
use crate::cli::exit::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The function's name
    name: String,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let path = function_path(&args.name, "");
    let answer = context.api()?.send("DELETE", &path, Vec::new(), b"")?.accepted()?;
    context.done(&answer, &format!("deleted {}; its runs and logs stay", args.name))
}
