//! `fnlite publish` and `fnlite version`: a function's published versions.

use clap::Subcommand;
use serde_json::json;

use crate::api::wire::{FunctionVersion, FunctionVersions};
use crate::base::text;
use crate::cli::Context;
use crate::cli::api::{encoded, function_path};
use crate::cli::exit::{Exit, Failure};
use crate::cli::table::Table;

#[derive(Debug, clap::Args)]
pub(super) struct PublishArgs {
    /// The function's name
    name: String,
    /// A line about the version [default: the function's own]
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List a function's versions
    List {
        /// The function's name
        name: String,
    },
    /// Delete a version that no alias means
    Delete {
        /// The function's name
        name: String,
        /// The version's number
        version: String,
    },
}

/// Prints the number of the new version.
pub(super) fn publish(args: &PublishArgs, context: &Context) -> Result<Exit, Failure> {
    let body = args.description.as_ref().map(|text| json!({ "description": text }).to_string());
    let path = function_path(&args.name, "/versions");
    let body = body.unwrap_or_default();
    let answer = context.api()?.send("POST", &path, Vec::new(), body.as_bytes())?.accepted()?;
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let version: FunctionVersion = answer.json()?;
    context.out.data(version.version.as_bytes())?;
    context.out.note(&format!("{} has version {} now", args.name, version.version));
    Ok(Exit::Done)
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.action {
        Action::List { name } => list(name, context),
        Action::Delete { name, version } => {
            let path = function_path(name, &format!("/versions/{}", encoded(version)));
            context.change("DELETE", &path, None, &format!("version {version} of {name} is deleted"))
        }
    }
}

fn list(name: &str, context: &Context) -> Result<Exit, Failure> {
    let answer = context.api()?.get(&function_path(name, "/versions"), Vec::new())?;
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let mut table = Table::new(&["VERSION", "RUNTIME", "MEMORY", "TIMEOUT", "CODE", "MADE", "DESCRIPTION"]);
    for version in answer.json::<FunctionVersions>()?.versions {
        table.row([
            version.version,
            version.runtime,
            format!("{} MB", version.memory_mb),
            format!("{} s", version.timeout_s),
            text::size(version.code_bytes),
            context.times().past(version.created_us),
            text::first_line(&version.description),
        ]);
    }
    context.out.data(table.render(&context.out).as_bytes())?;
    Ok(Exit::Done)
}
