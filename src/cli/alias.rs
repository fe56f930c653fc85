//! `fnlite alias`: names for versions, which may be moved, and which may send a part of the runs elsewhere.

use clap::Subcommand;
use serde_json::json;

use crate::api::wire::{Alias, Aliases};
use crate::base::text;
use crate::cli::Context;
use crate::cli::api::{encoded, function_path};
use crate::cli::exit::{Exit, Failure};
use crate::cli::table::Table;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List a function's aliases
    List {
        /// The function's name
        name: String,
    },
    /// Make an alias, or move it
    Set(SetArgs),
    /// Delete an alias
    Delete {
        /// The function's name
        name: String,
        /// The alias
        alias: String,
    },
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    /// The function's name
    name: String,
    /// The alias; every function has $DEFAULT
    alias: String,
    /// The version that it means: $LATEST or a number
    version: String,
    /// Send a part of the runs to that version
    #[arg(long, value_name = "VERSION")]
    other: Option<String>,
    /// How large that part is, 0 to 1
    #[arg(long, value_name = "PART", requires = "other", conflicts_with = "when")]
    weight: Option<f64>,
    /// Or which runs: those whose routing key has that value (`User=Bob`), or one in that range (`Age=[18,99]`)
    #[arg(long, value_name = "NAME=VALUE", requires = "other")]
    when: Option<String>,
    /// A line about it
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.action {
        Action::List { name } => list(name, context),
        Action::Set(args) => set(args, context),
        Action::Delete { name, alias } => {
            let done = format!("alias {alias} of {name} is deleted");
            context.change("DELETE", &path(name, alias), None, &done)
        }
    }
}

fn path(name: &str, alias: &str) -> String {
    function_path(name, &format!("/aliases/{}", encoded(alias)))
}

fn set(args: &SetArgs, context: &Context) -> Result<Exit, Failure> {
    let mut body = json!({ "version": args.version });
    if let Some(other) = &args.other {
        body["other_version"] = other.as_str().into();
    }
    if let Some(weight) = args.weight {
        body["weight"] = weight.into();
    }
    if let Some(when) = &args.when {
        let (name, value) = when
            .split_once('=')
            .ok_or_else(|| Failure::new(Exit::Usage, "--when takes NAME=VALUE, such as User=Bob"))?;
        let is_range = value.starts_with(['[', '(']) && value.ends_with([']', ')']);
        body["match"] = json!({
            "key": format!("invoke.headers.{name}"),
            "method": if is_range { "range" } else { "exact" },
            "expression": value,
        });
    }
    if let Some(description) = &args.description {
        body["description"] = description.as_str().into();
    }
    let done = format!("alias {} of {} means version {}", args.alias, args.name, args.version);
    context.change("PUT", &path(&args.name, &args.alias), Some(&body), &done)
}

fn list(name: &str, context: &Context) -> Result<Exit, Failure> {
    let answer = context.api()?.get(&function_path(name, "/aliases"), Vec::new())?;
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let mut table = Table::new(&["ALIAS", "VERSION", "OTHER", "MOVED", "DESCRIPTION"]);
    for alias in answer.json::<Aliases>()?.aliases {
        table.row([
            text::first_line(&alias.alias),
            alias.version.clone(),
            text::first_line(&other(&alias)),
            context.times().past(alias.modified_us),
            text::first_line(&alias.description),
        ]);
    }
    context.out.data(table.render(&context.out).as_bytes())?;
    Ok(Exit::Done)
}

/// Which runs go to another version, and to which.
fn other(alias: &Alias) -> String {
    match (&alias.other_version, alias.weight, &alias.rule) {
        (Some(other), Some(weight), _) => format!("{other}: {:.0} %", weight * 100.0),
        (Some(other), None, Some(rule)) => {
            format!("{other}: {} {} {}", rule.key, rule.method, rule.expression)
        }
        _ => String::new(),
    }
}
