//! `fnlite namespace`: groups of functions, with names of their own in each.

use clap::Subcommand;
use serde_json::json;

use crate::api::wire::Namespaces;
use crate::base::text;
use crate::cli::Context;
use crate::cli::api::encoded;
use crate::cli::exit::{Exit, Failure};
use crate::cli::table::Table;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List them
    List,
    /// Make one, or change its description; a deploy into one that is not there makes it too
    Create {
        /// Its name
        name: String,
        /// A line about it
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
    },
    /// Delete one that has no functions
    Delete {
        /// Its name
        name: String,
    },
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let path = |name: &str| format!("/v1/namespaces/{}", encoded(name));
    match &args.action {
        Action::List => list(context),
        Action::Create { name, description } => {
            let body = json!({ "description": description });
            context.change("PUT", &path(name), Some(&body), &format!("namespace {name} is there"))
        }
        Action::Delete { name } => {
            context.change("DELETE", &path(name), None, &format!("namespace {name} is deleted"))
        }
    }
}

fn list(context: &Context) -> Result<Exit, Failure> {
    let answer = context.api()?.get("/v1/namespaces", Vec::new())?;
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let mut table = Table::new(&["NAMESPACE", "MADE", "DESCRIPTION"]);
    for namespace in answer.json::<Namespaces>()?.namespaces {
        let made = context.times().past(namespace.created_us);
        table.row([namespace.name, made, text::first_line(&namespace.description)]);
    }
    context.out.data(table.render(&context.out).as_bytes())?;
    Ok(Exit::Done)
}
