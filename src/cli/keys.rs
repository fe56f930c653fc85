//! `fnlite keys`: who may call the API.

use clap::{Subcommand, ValueEnum};

use crate::api::wire::{Key, Keys};
use crate::base::text;
use crate::cli::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::table::Table;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key; its secret is printed once and kept nowhere
    Create {
        /// What it is for
        name: String,
        /// What it may do: read looks at functions, runs, logs and objects; invoke also runs functions and writes objects; admin
        /// does everything, deploys and keys included
        #[arg(long, value_enum, default_value_t = Scope::Admin)]
        scope: Scope,
        /// One that signs requests of the TencentCloud API: a SecretId and a SecretKey
        #[arg(long)]
        tencent: bool,
    },
    /// List the keys, without their secrets
    List,
    /// Revoke a key, at once
    Revoke {
        /// Its number, from the list
        id: u32,
    },
}

/// What a key may do; each includes the ones before it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scope {
    /// Look at functions, runs, logs and objects
    Read,
    /// Also run functions and write objects
    Invoke,
    /// Everything
    Admin,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.action {
        Action::Create { name, scope, tencent } => create(name, *scope, *tencent, context),
        Action::List => list(context),
        Action::Revoke { id } => revoke(*id, context),
    }
}

fn create(name: &str, scope: Scope, tencent: bool, context: &Context) -> Result<Exit, Failure> {
    let scope = scope.to_possible_value().expect("no scope is hidden").get_name().to_owned();
    let mut body = serde_json::json!({ "name": name, "scope": scope });
    if tencent {
        body["tencent"] = true.into();
    }
    let body = body.to_string();
    let answer = context.api()?.send("POST", "/v1/keys", Vec::new(), body.as_bytes())?.accepted()?;
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let key: Key = answer.json()?;
    match (&key.secret_id, &key.secret_key) {
        (Some(id), Some(secret)) => {
            context.out.data(format!("SecretId: {id}\nSecretKey: {secret}\n").as_bytes())?;
        }
        _ => context.out.data(key.key.unwrap_or_default().as_bytes())?,
    }
    context.out.note(&format!("key {} ({}) may do: {}; it is not shown again", key.id, key.name, key.scope));
    Ok(Exit::Done)
}

fn list(context: &Context) -> Result<Exit, Failure> {
    let answer = context.api()?.get("/v1/keys", Vec::new())?;
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let mut table = Table::new(&["ID", "SCOPE", "MADE", "NAME"]);
    for key in answer.json::<Keys>()?.keys {
        let made = context.times().past(key.created_us);
        table.row([key.id.to_string(), key.scope, made, text::first_line(&key.name)]);
    }
    context.out.data(table.render(&context.out).as_bytes())?;
    Ok(Exit::Done)
}

fn revoke(id: u32, context: &Context) -> Result<Exit, Failure> {
    let path = format!("/v1/keys/{id}");
    let answer = context.api()?.send("DELETE", &path, Vec::new(), b"")?.accepted()?;
    context.done(&answer, &format!("key {id} is revoked"))
}
