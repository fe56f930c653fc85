//! `/v1/keys`: who may call.

use std::net::SocketAddr;

use serde::Serialize;

use crate::api::rest::Rest;
use crate::api::rest::answer;
use crate::api::rest::call::Call;
use crate::api::rest::fields::Fields;
use crate::error::{Error, Result};
use crate::http::response::Response;
use crate::model::key::{Key, Scope};

#[derive(Serialize)]
struct KeyBody<'a> {
    id: i64,
    name: &'a str,
    scope: &'static str,
    created_us: i64,
    /// The secret; only in the answer that makes the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// The public half of a pair that signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_id: Option<&'a str>,
    /// The secret half; only in the answer that makes the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_key: Option<&'a str>,
    /// Where programs of this host send what the pair signs; only in the answer that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<SocketAddr>,
}

#[derive(Serialize)]
struct KeysBody<'a> {
    keys: Vec<KeyBody<'a>>,
}

pub(super) fn list(rest: &Rest, _: Call) -> Result<Response> {
    let keys = rest.parts.keys.list();
    Ok(answer::json(200, &KeysBody { keys: keys.iter().map(|key| body_of(key, None)).collect() }))
}

pub(super) fn create(rest: &Rest, call: Call) -> Result<Response> {
    let body = call.body.into_bytes()?;
    let mut fields = Fields::parse(&body)?;
    let name = fields.text("name")?.ok_or_else(|| Error::invalid("name is required"))?;
    let scope = fields.text("scope")?.and_then(|word| Scope::parse(&word));
    let scope = scope.ok_or_else(|| Error::invalid("scope must be admin, invoke or read"))?;
    let signs = fields.truth("tencent")?.unwrap_or_default();
    fields.nothing_else(&["name", "scope", "tencent"])?;
    let answer = if signs {
        let (key, pair) = rest.parts.keys.create_signing(&name, scope)?;
        let secret_key = Some(pair.secret_key.as_str());
        let endpoint = rest.parts.keys.endpoint();
        answer::json(201, &KeyBody { secret_key, endpoint, ..body_of(&key, None) })
    } else {
        let (key, secret) = rest.parts.keys.create(&name, scope)?;
        answer::json(201, &body_of(&key, Some(secret)))
    };
    Ok(answer.with_header("Cache-Control", "no-store"))
}

pub(super) fn revoke(rest: &Rest, call: Call) -> Result<Response> {
    let id =
        call.part.parse().map_err(|_| Error::invalid("the key's id must be a number; the list has it"))?;
    rest.parts.keys.revoke(id)?;
    Ok(Response::new(204))
}

fn body_of(key: &Key, secret: Option<String>) -> KeyBody<'_> {
    KeyBody {
        id: key.id,
        name: &key.name,
        scope: key.scope.as_str(),
        created_us: key.created_us,
        key: secret,
        secret_id: key.signs.as_ref().map(|pair| pair.secret_id.as_str()),
        secret_key: None,
        endpoint: None,
    }
}
