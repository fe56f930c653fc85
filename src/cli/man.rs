//! `fnlite man`: the manual page (`fnlite man | man -l -`), made from the definitions of the commands.

use clap::CommandFactory;

use crate::cli::exit::{Exit, Failure};
use crate::cli::{Cli, Context};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A command, for its own page
    command: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let mut all = Cli::command();
    all.build();
    let command = match &args.command {
        None => all,
        Some(name) => {
            let found = all.find_subcommand(name).cloned();
            found.ok_or_else(|| Failure::usage(format!("there is no command {name}")))?
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    context.out.data(&page)?;
    Ok(Exit::Done)
}
