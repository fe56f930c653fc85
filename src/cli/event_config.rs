//! `fnlite event-config`: how a function's asynchronous events are tried; shown, or changed.

use serde_json::{Map, Value};

use crate::api::wire::EventConfig;
use crate::base::length::Length;
use crate::cli::Context;
use crate::cli::api::function_path;
use crate::cli::exit::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The function's name
    name: String,
    /// How often an event is tried again after the function failed, 0 to 2
    #[arg(long, value_name = "N")]
    retry_num: Option<u32>,
    /// How old an event may get before it is given up, 1m to 6h
    #[arg(long, value_name = "TIME")]
    msg_ttl: Option<Length>,
    /// The function of the same namespace that is sent the events given up; an empty name for none
    #[arg(long, value_name = "NAME")]
    dead_letter: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let path = function_path(&args.name, "/event-config");
    let changes = changes(args);
    let answer = if changes.is_empty() {
        context.api()?.get(&path, Vec::new())?
    } else {
        let body = Value::Object(changes).to_string();
        context.api()?.send("PUT", &path, Vec::new(), body.as_bytes())?.accepted()?
    };
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let config: EventConfig = answer.json()?;
    let told = config.dead_letter.as_deref().unwrap_or("nobody");
    let said = format!(
        "tried again  {} times after the function failed\ngiven up     when {} s old\ntold of it   {told}\n",
        config.retry_num, config.msg_ttl_s
    );
    context.out.data(said.as_bytes())?;
    Ok(Exit::Done)
}

fn changes(args: &Args) -> Map<String, Value> {
    let mut changes = Map::new();
    if let Some(retry_num) = args.retry_num {
        changes.insert("retry_num".to_owned(), retry_num.into());
    }
    if let Some(Length(ttl)) = args.msg_ttl {
        changes.insert("msg_ttl_s".to_owned(), ttl.as_secs().into());
    }
    if let Some(name) = &args.dead_letter {
        changes.insert("dead_letter".to_owned(), name.as_str().into());
    }
    changes
}
