//! `fnlite terminate`: ends an asynchronous event.

use crate::cli::Context;
use crate::cli::api::encoded;
use crate::cli::exit::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Its request ID
    id: String,
    /// Only tell its process to end (SIGTERM), after which it may go on
    #[arg(long)]
    graceful: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let path = format!("/v1/invocations/{}/terminate", encoded(&args.id));
    let query = vec![("graceful", args.graceful.then(|| "true".to_owned()))];
    let answer = context.api()?.send("POST", &path, query, b"")?.accepted()?;
    context.done(&answer, &format!("{} is ended", args.id))
}
