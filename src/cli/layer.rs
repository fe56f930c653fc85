//! `fnlite layer`: archives that functions share, unpacked into /opt of their runs.

use std::fs;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use serde_json::json;

use crate::api::wire::{Layer, Layers};
use crate::base::text;
use crate::cli::api::encoded;
use crate::cli::exit::{Exit, Failure};
use crate::cli::table::Table;
use crate::cli::{Context, folder};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List every version of every layer
    List,
    /// Publish a folder, a file or a zip as the next version of a layer
    Publish {
        /// The layer
        layer: String,
        /// A folder, a single file, or a zip
        path: PathBuf,
        /// A runtime that it is made for; may be given many times
        #[arg(long, value_name = "RUNTIME", required = true)]
        runtime: Vec<String>,
        /// A line about it
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
        /// Under which licence it comes
        #[arg(long, value_name = "TEXT", default_value = "")]
        license: String,
    },
    /// Fetch what is in a version, as a zip
    Get {
        /// The layer and its version: NAME:VERSION
        layer: String,
        /// The file to write
        file: PathBuf,
    },
    /// Delete a version that no function has
    Delete {
        /// The layer and its version: NAME:VERSION
        layer: String,
    },
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.action {
        Action::List => list(context),
        Action::Publish { layer, path, runtime, description, license } => {
            let archive = folder::archive(path)?;
            let body = json!({
                "runtimes": runtime,
                "description": description,
                "license": license,
                "code": { "zip_base64": STANDARD.encode(archive) },
            });
            publish(layer, &body, context)
        }
        Action::Get { layer, file } => get(layer, file, context),
        Action::Delete { layer } => {
            context.change("DELETE", &version_path(layer)?, None, &format!("layer {layer} is deleted"))
        }
    }
}

/// Prints the version as functions name it.
fn publish(layer: &str, body: &serde_json::Value, context: &Context) -> Result<Exit, Failure> {
    let path = format!("/v1/layers/{}/versions", encoded(layer));
    let answer = context.api()?.send("POST", &path, Vec::new(), body.to_string().as_bytes())?.accepted()?;
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let published: Layer = answer.json()?;
    let name = format!("{}:{}", published.layer, published.version);
    context.out.data(name.as_bytes())?;
    context.out.note(&format!("deploy functions with --layer {name} to have it in /opt"));
    Ok(Exit::Done)
}

fn get(layer: &str, file: &PathBuf, context: &Context) -> Result<Exit, Failure> {
    let answer = context.api()?.get(&version_path(layer)?, Vec::new())?;
    let written = fs::write(file, answer.body());
    written.map_err(|cause| {
        Failure::new(Exit::Error, format!("{} cannot be written: {cause}", file.display()))
    })?;
    context.out.note(&format!("{layer} is in {}", file.display()));
    Ok(Exit::Done)
}

fn version_path(layer: &str) -> Result<String, Failure> {
    let parts = layer.split_once(':');
    let (name, version) =
        parts.ok_or_else(|| Failure::new(Exit::Usage, "write NAME:VERSION, such as deps:1"))?;
    Ok(format!("/v1/layers/{}/versions/{}", encoded(name), encoded(version)))
}

fn list(context: &Context) -> Result<Exit, Failure> {
    let answer = context.api()?.get("/v1/layers", Vec::new())?;
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let layers = answer.json::<Layers>()?.layers;
    if layers.is_empty() {
        context
            .out
            .note("no layers yet; publish one with `fnlite layer publish NAME FOLDER --runtime RUNTIME`");
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["LAYER", "FOR", "SIZE", "PUBLISHED", "DESCRIPTION"]);
    for layer in layers {
        table.row([
            format!("{}:{}", layer.layer, layer.version),
            layer.runtimes.join(", "),
            text::size(layer.code_bytes),
            context.times().past(layer.created_us),
            text::first_line(&layer.description),
        ]);
    }
    context.out.data(table.render(&context.out).as_bytes())?;
    Ok(Exit::Done)
}
