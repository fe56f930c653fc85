//! `fnlite serve`: the server, until it is told to stop.

use crate::appliance::{self, Ready};
use crate::cli::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Out, Style};
use crate::config::typed::TypedServe;
use crate::config::{self, Serve};
use crate::error::Kind;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    typed: TypedServe,
}

pub(super) fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let options =
        config::serve(context.place.clone(), args.typed).map_err(|error| Failure::unusable(&error))?;
    env_logger::Builder::new().filter_level(options.log).init();
    let shown = options.clone();
    let announce = |ready: &Ready| {
        // A server whose stdout was closed serves all the same.
        let _ = context.out.data(announcement(&shown, ready, &context.out).as_bytes());
    };
    match appliance::serve(options, announce) {
        Ok(()) => Ok(Exit::Done),
        // A full disk or a locked file may be over soon: this exit code has the unit try again.
        Err(error) if matches!(error.kind, Kind::Internal | Kind::Busy) => Err(error.into()),
        // Another server on the file, a file that is no database, a host that isolates too little.
        Err(error) => Err(Failure::unusable(&error)),
    }
}

/// What a starting server says once, on stdout. The first line begins with the address: scripts wait for it.
fn announcement(serve: &Serve, ready: &Ready, out: &Out) -> String {
    let address = format!("http://{}", ready.address);
    let cos_address = ready.cos_address.map(|address| format!("http://{address}"));
    if out.json {
        let key = ready.first_key.as_deref();
        let said = serde_json::json!({
            "address": address, "cos_address": cos_address, "socket": serve.socket, "db": serve.db, "console_url": ready.console_url, "isolation_level": ready.isolation_level, "key": key,
        });
        return said.to_string();
    }
    let mut text = format!(
        "{} at {address}\n  database   {}\n  socket     {}\n  isolation  level {}\n",
        out.paint(Style::Bold, "fnlite is ready"),
        serve.db.display(),
        serve.socket.display(),
        ready.isolation_level,
    );
    text += &format!("  console    {}  (signs you in, once, within 15 minutes)\n", ready.console_url);
    if let Some(address) = cos_address {
        text += &format!("  objects    {address}\n");
    }
    if let Some(key) = &ready.first_key {
        text += &format!("  key        {key}  (may do everything; shown only this once)\n");
    }
    text
}
