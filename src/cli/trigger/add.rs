//! `fnlite trigger add`: one subcommand for each type.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use crate::api::wire::Trigger;
use crate::base::length::Length;
use crate::cli::Context;
use crate::cli::api::function_path;
use crate::cli::exit::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// At moments: fnlite trigger add timer NAME nightly '0 30 2 * * * *'
    Timer(Timer),
    /// At requests to a URL of its own: fnlite trigger add http NAME
    Http(Http),
    /// At requests to the API gateway: fnlite trigger add apigw NAME '/orders/{id}'
    Apigw(Apigw),
    /// At objects of a bucket: fnlite trigger add cos NAME photos-1250000000 --suffix .jpg
    Cos(Cos),
    /// At messages of a Kafka topic: fnlite trigger add ckafka NAME readings --brokers 127.0.0.1:9092
    Ckafka(Ckafka),
}

/// What all have.
#[derive(Debug, clap::Args)]
struct Common {
    /// The version or alias to run [default: $LATEST]
    #[arg(long, short, value_name = "QUALIFIER")]
    qualifier: Option<String>,
    /// Make it, and leave it off
    #[arg(long)]
    off: bool,
    /// A line about it
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Timer {
    /// The function's name
    function: String,
    /// The trigger's name
    name: String,
    /// When: second minute hour day month week year, or minute hour day month week
    cron: String,
    /// The time zone that is meant, as Europe/Berlin [default: the server's, see `serve --timer-zone`]
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// What the function gets as the event's Message
    #[arg(long, value_name = "TEXT")]
    argument: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Http {
    /// The function's name
    function: String,
    /// The trigger's name
    #[arg(long, value_name = "NAME", default_value = "url")]
    name: String,
    /// Requests must be signed (TC3-HMAC-SHA256) with a key of `fnlite keys create --tencent`
    #[arg(long)]
    signed: bool,
    /// Let pages of that origin ask: `https://shop.example`, or * for all; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    cors: Vec<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Apigw {
    /// The function's name
    function: String,
    /// The path: /user and all that begins so, =/user exactly, /user/{id} with a part that varies [default: /NAME]
    path: Option<String>,
    /// The trigger's name
    #[arg(long, value_name = "NAME", default_value = "api")]
    name: String,
    /// The method [default: ANY]
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// Where it is released: release, test or prepub [default: release]
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
    /// The service's id [default: SCF_API_SERVICE]
    #[arg(long, value_name = "ID")]
    service: Option<String>,
    /// What the function returns is the response's body, not a response
    #[arg(long)]
    passthrough: bool,
    /// Requests must be signed with a key pair (HMAC-SHA1)
    #[arg(long)]
    auth: bool,
    /// Let pages of every origin ask
    #[arg(long)]
    cors: bool,
    /// Bodies always come in base64, not only those that are no text
    #[arg(long)]
    base64: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Cos {
    /// The function's name
    function: String,
    /// The bucket, NAME-APPID as photos-1250000000; APPID is the server's (serve --appid)
    bucket: String,
    /// What has to be done to the object
    #[arg(long, value_name = "EVENT", default_value = "cos:ObjectCreated:*")]
    event: String,
    /// How its key begins
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    /// How its key ends, from a full stop on
    #[arg(long, value_name = "TEXT")]
    suffix: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Ckafka {
    /// The function's name
    function: String,
    /// The topic
    topic: String,
    /// Where brokers are, HOST:PORT; may be repeated or listed with commas [default: the server's]
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    brokers: Vec<String>,
    /// The consumer group [default: one of its own]
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Where it begins: latest, earliest, or milliseconds since 1970
    #[arg(long, value_name = "WHERE", default_value = "latest")]
    offset: String,
    /// Most messages of one event
    #[arg(long, value_name = "N", default_value_t = 100)]
    batch: u32,
    /// How long messages are gathered at most
    #[arg(long, value_name = "TIME", default_value = "5s")]
    wait: Length,
    /// How often an event is tried again that the function failed
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    retry: u32,
    /// Bodies come in base64, for what is no text
    #[arg(long)]
    base64: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.kind {
        Kind::Timer(args) => timer(args, context),
        Kind::Http(args) => http(args, context),
        Kind::Apigw(args) => apigw(args, context),
        Kind::Cos(args) => cos(args, context),
        Kind::Ckafka(args) => ckafka(args, context),
    }
}

fn timer(args: &Timer, context: &Context) -> Result<Exit, Failure> {
    let spec = said([("cron", Some(args.cron.as_str().into())), ("zone", text(args.zone.as_ref()))]);
    let mut body = body("timer", &args.name, spec, &args.common);
    if let Some(argument) = &args.argument {
        body["argument"] = argument.as_str().into();
    }
    add(&args.function, &body, context)
}

fn http(args: &Http, context: &Context) -> Result<Exit, Failure> {
    let cors = (!args.cors.is_empty()).then(
        || json!({ "origins": args.cors, "methods": ["*"], "headers": ["*"], "expose_headers": ["*"] }),
    );
    let spec = said([("is_signed", Some(args.signed.into())), ("cors", cors)]);
    add(&args.function, &body("http", &args.name, spec, &args.common), context)
}

fn apigw(args: &Apigw, context: &Context) -> Result<Exit, Failure> {
    let spec = said([
        ("path", text(args.path.as_ref())),
        ("method", text(args.method.as_ref())),
        ("environment", text(args.environment.as_ref())),
        ("service", text(args.service.as_ref())),
        ("is_integrated", Some((!args.passthrough).into())),
        ("auth_required", Some(args.auth.into())),
        ("is_base64", Some(args.base64.into())),
        ("enables_cors", Some(args.cors.into())),
    ]);
    add(&args.function, &body("apigw", &args.name, spec, &args.common), context)
}

fn cos(args: &Cos, context: &Context) -> Result<Exit, Failure> {
    let spec = said([
        ("event", Some(args.event.as_str().into())),
        ("prefix", text(args.prefix.as_ref())),
        ("suffix", text(args.suffix.as_ref())),
    ]);
    add(&args.function, &body("cos", &args.bucket, spec, &args.common), context)
}

fn ckafka(args: &Ckafka, context: &Context) -> Result<Exit, Failure> {
    let spec = said([
        ("brokers", Some(args.brokers.clone().into())),
        ("consumer_group", text(args.group.as_ref())),
        ("offset", Some(args.offset.as_str().into())),
        ("max_msg_num", Some(args.batch.into())),
        ("timeout_s", Some(args.wait.0.as_secs().max(1).into())),
        ("retry", Some(args.retry.into())),
        ("is_base64", Some(args.base64.into())),
    ]);
    add(&args.function, &body("ckafka", &args.topic, spec, &args.common), context)
}

fn text(said: Option<&String>) -> Option<Value> {
    said.map(|text| text.as_str().into())
}

/// What was said, without what was not.
fn said<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn body(kind: &str, name: &str, spec: Value, common: &Common) -> Value {
    let mut body = json!({ "type": kind, "name": name, "spec": spec, "enabled": !common.off });
    if let Some(qualifier) = &common.qualifier {
        body["qualifier"] = qualifier.as_str().into();
    }
    if let Some(description) = &common.description {
        body["description"] = description.as_str().into();
    }
    body
}

/// What fires it is data: a script wants the URL.
fn add(function: &str, body: &Value, context: &Context) -> Result<Exit, Failure> {
    let path = function_path(function, "/triggers");
    let body = body.to_string();
    let answer = context.api()?.send("POST", &path, Vec::new(), body.as_bytes())?.accepted()?;
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let made: Trigger = answer.json()?;
    context.out.data(context.out.foreign(&made.address).as_bytes())?;
    let more = match (made.enabled, made.kind.as_str(), made.next_us) {
        (false, ..) => ", and is off".to_owned(),
        (_, "timer", None) => ", and never fires: no such moment is to come".to_owned(),
        (_, _, None) => String::new(),
        (_, _, Some(next_us)) => format!(", fires {}", context.times().future(next_us)),
    };
    let said = format!("trigger {} of {function} is there{more}", made.name);
    context.out.note(&context.out.foreign(&said));
    if !made.warning.is_empty() {
        context.out.note(&context.out.foreign(&format!("warning: {}", made.warning)));
    }
    Ok(Exit::Done)
}
