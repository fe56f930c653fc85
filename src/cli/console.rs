//! `fnlite console`: a link that signs in to the console.

use serde_json::json;

use crate::api::wire::SignInLink;
use crate::cli::Context;
use crate::cli::exit::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: &Args, context: &Context) -> Result<Exit, Failure> {
    let answer = context.api()?.send("POST", "/v1/sign-in-links", Vec::new(), b"")?.accepted()?;
    let link: SignInLink = answer.json()?;
    if context.out.json {
        context.out.data(json!({ "url": link.url }).to_string().as_bytes())?;
        return Ok(Exit::Done);
    }
    context.out.data(format!("{}\n", link.url).as_bytes())?;
    context.out.note("it signs you in once, within 15 minutes");
    Ok(Exit::Done)
}
