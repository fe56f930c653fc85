//! `fnlite deploy`: code and configuration to the server, in one request.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::api::wire::Function;
use crate::base::length::Length;
use crate::base::text;
use crate::cli::Context;
use crate::cli::api::function_path;
use crate::cli::exit::{Exit, Failure};
use crate::cli::folder;
use crate::cli::output::Style;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The function's name
    name: String,
    /// A folder, a single source file, or a zip
    path: PathBuf,
    /// What runs it: Python3.11, Nodejs20.19, Php8.0, Go1, CustomRuntime and others; `fnlite doctor` lists them
    #[arg(long, default_value = "Python3.10")]
    runtime: String,
    /// Where it begins: file.function; in Go the name of the program; for a Custom Runtime what its bootstrap makes of it
    #[arg(long, default_value = "index.main_handler")]
    handler: String,
    /// How long a run may take, seconds, 1 to 900 [default: 3]
    #[arg(long, value_name = "S")]
    timeout: Option<u32>,
    /// How long loading the code may take, seconds, 1 to 300 [default: 65]
    #[arg(long, value_name = "S")]
    init_timeout: Option<u32>,
    /// Memory of one run, MB: 64, or 128 to 3072 in steps of 128 [default: 128]
    #[arg(long, value_name = "MB")]
    memory: Option<u32>,
    /// Memory kept for this function's runs, and the most they may take together, MB; 0 switches it off
    #[arg(long, value_name = "MB")]
    reserved: Option<u32>,
    /// What of the network it reaches: host, none (a loopback of its own alone) or no-local (all but the host's own addresses
    /// and link-local ones) [default: host]
    #[arg(long, value_name = "POLICY")]
    network: Option<String>,
    /// A process that returned runs the next event as well, as in the cloud; without it each run has a fresh one
    #[arg(long)]
    reuse: bool,
    /// Start a process for each run instead of forking one that has the code loaded
    #[arg(long)]
    spawn: bool,
    /// How often an asynchronous event is tried again after the function failed, 0 to 2 [default: 2]
    #[arg(long, value_name = "N")]
    retry_num: Option<u32>,
    /// How old an asynchronous event may get before it is given up, 1m to 6h [default: 6h]
    #[arg(long, value_name = "TIME")]
    msg_ttl: Option<Length>,
    /// The function of the same namespace that is sent the events given up
    #[arg(long, value_name = "NAME")]
    dead_letter: Option<String>,
    /// How long its records and logs are kept [default: as long as `serve --keep` says]
    #[arg(long, value_name = "TIME")]
    keep: Option<Length>,
    /// An environment variable; may be given many times
    #[arg(long, value_name = "KEY=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// A line about it
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A version of a layer, to be found in /opt; may be given up to five times, and what a later one has covers what an
    /// earlier one has
    #[arg(long, value_name = "NAME:VERSION")]
    layer: Vec<String>,
}

/// The body of `PUT /v1/functions/{name}`.
#[derive(Serialize)]
struct Order<'a> {
    runtime: &'a str,
    handler: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_s: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    init_timeout_s: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_mb: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved_mb: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reuse: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    spawn: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_num: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    msg_ttl_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_s: Option<u64>,
    env: serde_json::Map<String, serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    layers: &'a [String],
    code: Code,
}

#[derive(Serialize)]
struct Code {
    zip_base64: String,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let archive = folder::archive(&args.path)?;
    let body = serde_json::to_vec(&order(args, &archive)).expect("strings and numbers always become JSON");
    let path = function_path(&args.name, "");
    let answer = context.api()?.send("PUT", &path, Vec::new(), &body)?.accepted()?;
    let function: Function = answer.json()?;
    for note in &function.notes {
        context.out.note(&format!("note: {note}"));
    }
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let size = text::size(archive.len() as u64);
    let name = context.out.paint(Style::Bold, &function.name);
    let network = match function.network.as_str() {
        "" | "host" => String::new(),
        policy => format!("network {policy}, "),
    };
    let said = format!(
        "deployed {name}: {}, {}, {} MB, {} s, {network}{size} of code",
        function.runtime, function.handler, function.memory_mb, function.timeout_s
    );
    context.out.data(said.as_bytes())?;
    Ok(Exit::Done)
}

fn order<'a>(args: &'a Args, archive: &[u8]) -> Order<'a> {
    let env = args.env.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    Order {
        runtime: &args.runtime,
        handler: &args.handler,
        timeout_s: args.timeout,
        init_timeout_s: args.init_timeout,
        memory_mb: args.memory,
        reserved_mb: args.reserved,
        network: args.network.as_deref(),
        reuse: args.reuse,
        spawn: args.spawn,
        retry_num: args.retry_num,
        msg_ttl_s: args.msg_ttl.map(|length| length.0.as_secs()),
        dead_letter: args.dead_letter.as_deref(),
        keep_s: args.keep.map(|length| length.0.as_secs()),
        env,
        description: args.description.as_deref(),
        layers: &args.layer,
        code: Code { zip_base64: STANDARD.encode(archive) },
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
