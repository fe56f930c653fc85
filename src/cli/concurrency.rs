//! `fnlite concurrency`: what functions may use at once, and what is kept parked for them.

use clap::Subcommand;
use serde_json::json;

use crate::api::wire::{Concurrency, TotalConcurrency};
use crate::cli::Context;
use crate::cli::api::{encoded, function_path};
use crate::cli::exit::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show what a function has, or what all have together
    Show {
        /// The function's name
        name: Option<String>,
    },
    /// Reserve memory for a function's runs, which is also the most they may take; `none` gives it back
    Reserve {
        /// The function's name
        name: String,
        /// MB, 0 to switch it off, or none
        mb: String,
    },
    /// Keep processes of a published version parked, whether it is used or not
    Provision {
        /// The function's name
        name: String,
        /// The version's number
        version: String,
        /// How many, 0 for none
        instances: u32,
    },
    /// Set what all functions together may use at once
    Total {
        /// MB, at most what the server was started for
        mb: u32,
    },
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.action {
        Action::Show { name: Some(name) } => show(name, context),
        Action::Show { name: None } => show_total(context),
        Action::Reserve { name, mb } => reserve(name, mb, context),
        Action::Provision { name, version, instances } => {
            let path = function_path(name, &format!("/versions/{}/provisioned", encoded(version)));
            let done = format!("{instances} processes of version {version} of {name} stay parked");
            context.change("PUT", &path, Some(&json!({ "instances": instances })), &done)
        }
        Action::Total { mb } => {
            let done = format!("all functions together may use {mb} MB at once");
            context.change("PUT", "/v1/concurrency", Some(&json!({ "total_mb": mb })), &done)
        }
    }
}

fn reserve(name: &str, mb: &str, context: &Context) -> Result<Exit, Failure> {
    let wanted: Option<u32> = match mb {
        "none" => None,
        number => {
            Some(number.parse().map_err(|_| Failure::new(Exit::Usage, "write a number of MB, or none"))?)
        }
    };
    let done = match wanted {
        None => format!("nothing is reserved for {name}"),
        Some(0) => format!("{name} is switched off"),
        Some(mb) => format!("{mb} MB are reserved for {name}"),
    };
    let body = json!({ "reserved_mb": wanted });
    context.change("PUT", &function_path(name, "/concurrency"), Some(&body), &done)
}

fn show(name: &str, context: &Context) -> Result<Exit, Failure> {
    let answer = context.api()?.get(&function_path(name, "/concurrency"), Vec::new())?;
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let found: Concurrency = answer.json()?;
    let reserved = found.reserved_mb.map_or_else(|| "nothing".to_owned(), |mb| format!("{mb} MB"));
    let mut said = format!("reserved  {reserved}\n");
    for kept in found.provisioned {
        said.push_str(&format!(
            "parked    {} of {} of version {}\n",
            kept.parked, kept.instances, kept.version
        ));
    }
    context.out.data(said.as_bytes())?;
    Ok(Exit::Done)
}

fn show_total(context: &Context) -> Result<Exit, Failure> {
    let answer = context.api()?.get("/v1/concurrency", Vec::new())?;
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let found: TotalConcurrency = answer.json()?;
    let said = format!(
        "together  {} MB, of {} MB at most\nreserved  {} MB of it\n",
        found.total_mb, found.total_mb_max, found.reserved_mb
    );
    context.out.data(said.as_bytes())?;
    Ok(Exit::Done)
}
