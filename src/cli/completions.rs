//! `fnlite completions`: completion scripts, made from the definitions of the commands.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::exit::{Exit, Failure};
use crate::cli::{Cli, Context};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "fnlite", &mut script);
    context.out.data(&script)?;
    Ok(Exit::Done)
}
