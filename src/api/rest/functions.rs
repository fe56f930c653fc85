//! `/v1/functions`: deploy, list, look, download, delete.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::rest::Rest;
use crate::api::rest::answer;
use crate::api::rest::call::{Call, renamed};
use crate::api::rest::fields::Fields;
use crate::api::rest::query::Query;
use crate::error::{Error, Result};
use crate::http::head::Head;
use crate::http::response::Response;
use crate::model::function::{
    Config, ECHO_NONE, Env, EventConfig, Function, FunctionName, Handler, NetworkPolicy, Only, Processes,
};
use crate::model::key::Scope;
use crate::model::layer::LayerRef;
use crate::model::limits;
use crate::model::runtime::Runtime;
use crate::service::functions::Code;

/// What a deploy may say, and what a function is shown with, by the same names but for its code.
pub(in crate::api) const FIELDS: [&str; 17] = [
    "runtime",
    "handler",
    "timeout_s",
    "init_timeout_s",
    "memory_mb",
    "reserved_mb",
    "network",
    "reuse",
    "spawn",
    "retry_num",
    "msg_ttl_s",
    "dead_letter",
    "keep_s",
    "env",
    "description",
    "layers",
    "code",
];

#[derive(Serialize)]
struct FunctionBody<'a> {
    namespace: &'a str,
    name: &'a str,
    qualifier: &'a str,
    runtime: &'a str,
    handler: &'a str,
    timeout_s: u32,
    init_timeout_s: u32,
    memory_mb: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved_mb: Option<u32>,
    network: &'static str,
    reuse: bool,
    spawn: bool,
    retry_num: u32,
    msg_ttl_s: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_s: Option<u32>,
    description: &'a str,
    layers: Vec<String>,
    status: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    status_reason: &'a str,
    /// To admin keys only: people keep passwords there.
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<Map<String, Value>>,
    code_sha256: String,
    code_bytes: u64,
    created_us: i64,
    modified_us: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<Vec<String>>,
}

#[derive(Serialize)]
struct FunctionsBody<'a> {
    functions: Vec<FunctionBody<'a>>,
    next_cursor: Option<&'a str>,
}

pub(super) fn put(rest: &Rest, call: Call) -> Result<Response> {
    let (namespace, name, scope) = (call.namespace()?, call.function()?, call.caller.scope);
    let (is_zip, only) = (has_zip_type(&call), only(&call.head)?);
    let body = call.body.into_bytes()?;
    // A JSON text cannot begin with a P, a zip archive does: so callers who forget the type are understood too.
    let (config, code) = if is_zip || body.starts_with(b"PK") {
        from_query(&call.query, body)?
    } else {
        from_json(&call.query, &body)?
    };
    let deployed = rest.parts.functions.deploy(&namespace, &name, &config, code, only)?;
    let status = if deployed.is_new { 201 } else { 200 };
    let body = body_of(&deployed.function, scope, Some(deployed.notes));
    Ok(answer::json(status, &body).with_header("ETag", tag_of(&deployed.function)))
}

pub(super) fn list(rest: &Rest, call: Call) -> Result<Response> {
    let after = call.query.text("cursor").map(FunctionName::parse).transpose();
    let after = after.map_err(|_| Error::invalid("cursor must be the next_cursor of the page before"))?;
    let after = after.as_ref().map(FunctionName::as_str);
    let page = rest.parts.functions.list(&call.namespace()?, after, call.limit()?)?;
    let functions = page.rows.iter().map(|function| body_of(function, call.caller.scope, None)).collect();
    Ok(answer::json(200, &FunctionsBody { functions, next_cursor: page.next.as_deref() }))
}

pub(super) fn get(rest: &Rest, call: Call) -> Result<Response> {
    let qualifier = call.query.text("qualifier");
    let (function, version) = rest.parts.versions.find(&call.namespace()?, &call.function()?, qualifier)?;
    let function = Function { version, ..function };
    let notes = rest.parts.functions.notes(&function);
    let answer = answer::json(200, &body_of(&function, call.caller.scope, Some(notes)));
    Ok(answer.with_header("ETag", tag_of(&function)))
}

/// What tells one deploy of a function from every other.
fn tag_of(function: &Function) -> String {
    format!("\"{}\"", function.version.id)
}

/// What a deploy takes for granted (RFC 9110, sections 13.1.1 and 13.1.2).
fn only(head: &Head) -> Result<Only> {
    let (same, other) = (head.header_text("If-Match"), head.header_text("If-None-Match"));
    match (same.map(str::trim), other.map(str::trim)) {
        (None, None) => Ok(Only::Always),
        (None, Some("*")) => Ok(Only::New),
        (Some(tag), None) => {
            let version_id = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let wrong = || Error::invalid("If-Match must be the ETag that GET answers for the function");
            version_id.and_then(|id| id.parse().ok()).map(Only::Over).ok_or_else(wrong)
        }
        _ => Err(Error::invalid("a deploy takes an If-Match with one ETag, or If-None-Match: *")),
    }
}

pub(super) fn code(rest: &Rest, call: Call) -> Result<Response> {
    let (function, archive) = rest.parts.functions.code(&call.namespace()?, &call.function()?)?;
    Ok(Response::new(200)
        .with_header("Content-Type", "application/zip")
        .with_header("Content-Disposition", format!("attachment; filename=\"{}.zip\"", function.name))
        .with_header("ETag", format!("\"{}\"", function.version.package))
        .with_bytes(archive))
}

pub(super) fn delete(rest: &Rest, call: Call) -> Result<Response> {
    rest.parts.functions.delete(&call.namespace()?, &call.function()?)?;
    Ok(Response::new(204))
}

fn body_of(function: &Function, scope: Scope, notes: Option<Vec<String>>) -> FunctionBody<'_> {
    let (version, config) = (&function.version, &function.version.config);
    let env = || config.env.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect();
    FunctionBody {
        namespace: function.namespace.as_str(),
        name: function.name.as_str(),
        qualifier: &version.qualifier,
        runtime: config.runtime.name,
        handler: config.handler.as_str(),
        timeout_s: config.timeout_s,
        init_timeout_s: config.init_timeout_s,
        memory_mb: config.memory_mb,
        reserved_mb: config.reserved_mb,
        network: config.network.as_str(),
        reuse: config.processes.reuse,
        spawn: config.processes.spawn,
        retry_num: config.event.retry_num,
        msg_ttl_s: config.event.msg_ttl_s,
        dead_letter: config.event.dead_letter.as_ref().map(FunctionName::as_str),
        keep_s: config.keep_s,
        description: &config.description,
        layers: config.layers.iter().map(LayerRef::to_string).collect(),
        status: function.status.stand.as_str(),
        status_reason: &function.status.message,
        env: (scope == Scope::Admin).then(env),
        code_sha256: version.package.to_string(),
        code_bytes: version.package_bytes,
        created_us: function.created_us,
        modified_us: function.modified_us,
        notes,
    }
}

pub(super) fn has_zip_type(call: &Call) -> bool {
    let of_type = call.head.header_text("content-type").unwrap_or_default();
    let essence = of_type.split(';').next().unwrap_or_default().trim();
    ["application/zip", "application/x-zip-compressed", "application/octet-stream"]
        .iter()
        .any(|zip| essence.eq_ignore_ascii_case(zip))
}

/// Everything in the body.
fn from_json(query: &Query, body: &[u8]) -> Result<(Config, Code)> {
    if let Some(name) = query.other_than(&["namespace"]) {
        return Err(Error::invalid(format!(
            "{name} belongs in the JSON body, or the body must be a zip archive"
        )));
    }
    let mut fields = Fields::parse(body)?;
    let config = Wanted {
        runtime: fields.text("runtime")?,
        handler: fields.text("handler")?,
        timeout_s: fields.number("timeout_s")?,
        init_timeout_s: fields.number("init_timeout_s")?,
        memory_mb: fields.number("memory_mb")?,
        reserved_mb: fields.number("reserved_mb")?,
        network: fields.text("network")?,
        reuse: fields.truth("reuse")?,
        spawn: fields.truth("spawn")?,
        retry_num: fields.number("retry_num")?,
        msg_ttl_s: fields.number("msg_ttl_s")?,
        dead_letter: fields.text("dead_letter")?,
        keep_s: fields.number("keep_s")?,
        env: fields.texts("env")?.unwrap_or_default(),
        description: fields.text("description")?,
        layers: fields.list("layers")?.unwrap_or_default(),
    };
    let code = fields.object("code")?.ok_or_else(|| required("code"))?;
    fields.nothing_else(&FIELDS)?;
    Ok((config.meant()?, code_of(code)?))
}

pub(super) fn code_of(mut fields: Fields<'_>) -> Result<Code> {
    let code = match (fields.take("zip_base64"), fields.texts("files")?) {
        (Some(zip), None) => Code::Zip(unbase64(zip.get())?),
        (None, Some(files)) => Code::Files(files),
        _ => return Err(Error::invalid("code must hold either zip_base64 or files")),
    };
    fields.nothing_else(&["zip_base64", "files"])?;
    Ok(code)
}

/// The archive out of a JSON text; borrowed from the body where it can be, because it may be 67 MB.
fn unbase64(json: &str) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

    let wrong =
        |why: String| Error::invalid(format!("code.zip_base64 must be a zip archive in base64: {why}"));
    let Text(text) = serde_json::from_str(json).map_err(|_| wrong("it is no string".to_owned()))?;
    STANDARD.decode(text.as_bytes()).map_err(|cause| wrong(cause.to_string()))
}

/// A zip archive as the body, everything else in the query.
fn from_query(query: &Query, archive: Vec<u8>) -> Result<(Config, Code)> {
    let variable = |text: &str| {
        let pair = text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        pair.ok_or_else(|| Error::invalid("env must be KEY=VALUE, once for each variable"))
    };
    let text = |name| query.text(name).map(str::to_owned);
    let config = Wanted {
        runtime: text("runtime"),
        handler: text("handler"),
        timeout_s: query.number("timeout_s")?,
        init_timeout_s: query.number("init_timeout_s")?,
        memory_mb: query.number("memory_mb")?,
        reserved_mb: query.number("reserved_mb")?,
        network: text("network"),
        reuse: query.truth("reuse")?,
        spawn: query.truth("spawn")?,
        retry_num: query.number("retry_num")?,
        msg_ttl_s: query.number("msg_ttl_s")?,
        dead_letter: text("dead_letter"),
        keep_s: query.number("keep_s")?,
        env: query.all("env").map(variable).collect::<Result<Env>>()?,
        description: text("description"),
        layers: query.all("layer").map(str::to_owned).collect(),
    };
    Ok((config.meant()?, Code::Zip(archive)))
}

/// What a deployer asked for, before defaults.
struct Wanted {
    runtime: Option<String>,
    handler: Option<String>,
    timeout_s: Option<u32>,
    init_timeout_s: Option<u32>,
    memory_mb: Option<u32>,
    reserved_mb: Option<u32>,
    network: Option<String>,
    reuse: Option<bool>,
    spawn: Option<bool>,
    retry_num: Option<u32>,
    msg_ttl_s: Option<u32>,
    dead_letter: Option<String>,
    keep_s: Option<u32>,
    env: Env,
    description: Option<String>,
    layers: Vec<String>,
}

impl Wanted {
    fn meant(self) -> Result<Config> {
        let runtime = Runtime::parse(&self.runtime.ok_or_else(|| required("runtime"))?)?;
        let handler = Handler::parse(&self.handler.ok_or_else(|| required("handler"))?, runtime.language)?;
        let network = self.network.as_deref().map(NetworkPolicy::parse).transpose()?;
        let dead_letter = self.dead_letter.as_deref().map(FunctionName::parse).transpose();
        let event = EventConfig {
            retry_num: self.retry_num.unwrap_or(limits::RETRY_NUM_DEFAULT),
            msg_ttl_s: self.msg_ttl_s.unwrap_or(limits::MSG_TTL_S_DEFAULT),
            dead_letter: dead_letter.map_err(|error| renamed(error, "name", "dead_letter"))?,
        };
        let config = Config {
            runtime,
            handler,
            timeout_s: self.timeout_s.unwrap_or(limits::TIMEOUT_S_DEFAULT),
            init_timeout_s: self.init_timeout_s.unwrap_or(limits::INIT_TIMEOUT_S_DEFAULT),
            memory_mb: self.memory_mb.unwrap_or(limits::MEMORY_MB_DEFAULT),
            reserved_mb: self.reserved_mb,
            network: network.unwrap_or_default(),
            processes: Processes {
                reuse: self.reuse.unwrap_or_default(),
                spawn: self.spawn.unwrap_or_default(),
            },
            event,
            keep_s: self.keep_s,
            env: self.env,
            description: self.description.unwrap_or_default(),
            layers: self.layers.iter().map(|layer| LayerRef::parse(layer)).collect::<Result<_>>()?,
            echo: ECHO_NONE.to_owned(),
        };
        config.check().map(|()| config)
    }
}

fn required(field: &str) -> Error {
    Error::invalid(format!("{field} is required"))
}
