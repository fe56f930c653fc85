//! `fnlite tccli-env`: what to paste into a shell so that tccli and the SDKs of Tencent Cloud speak with this server.

use serde_json::json;

use crate::api::wire::Key;
use crate::cli::Context;
use crate::cli::client::Address;
use crate::cli::exit::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The name of the key that is made for it
    #[arg(long, value_name = "NAME", default_value = "tccli")]
    key: String,
    /// Where the server is reached [default: that of --url, else where it says that it listens]
    #[arg(long, value_name = "HOST:PORT")]
    endpoint: Option<String>,
    /// The region to name; it makes no difference
    #[arg(long, value_name = "REGION", default_value = "ap-guangzhou")]
    region: String,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let mut api = context.api()?;
    let typed = args.endpoint.clone().or_else(|| match api.address() {
        address @ Address::Tcp { .. } => Some(address.host()),
        Address::Unix(_) => None,
    });
    let body = json!({ "name": args.key, "scope": "admin", "tencent": true }).to_string();
    let answer = api.send("POST", "/v1/keys", Vec::new(), body.as_bytes())?.accepted()?;
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let key: Key = answer.json()?;
    let endpoint = typed.or(key.endpoint).unwrap_or_default();
    let (id, secret) = (key.secret_id.unwrap_or_default(), key.secret_key.unwrap_or_default());
    let said = format!(
        "export TENCENTCLOUD_SECRET_ID={id}\n\
         export TENCENTCLOUD_SECRET_KEY={secret}\n\
         export TENCENTCLOUD_REGION={}\n\
         alias tcscf='tccli scf --endpoint http://{endpoint}'\n",
        args.region
    );
    context.out.data(said.as_bytes())?;
    context.out.note(&format!(
        "key {} ({}) is not shown again; then for example: tcscf ListFunctions, or an SDK with the endpoint {endpoint} over http",
        key.id, args.key
    ));
    Ok(Exit::Done)
}
