//! `/v1/functions/{name}/versions` and `/aliases`: published versions, and the names for them.

use serde::Serialize;

use crate::api::rest::Rest;
use crate::api::rest::answer;
use crate::api::rest::call::Call;
use crate::api::rest::fields::Fields;
use crate::error::{Error, Result};
use crate::http::response::Response;
use crate::model::alias::{Alias, AliasName, Match, Method, Other, Share};
use crate::model::function::Version;
use crate::model::layer::LayerRef;

#[derive(Serialize)]
struct VersionBody<'a> {
    version: &'a str,
    runtime: &'a str,
    handler: &'a str,
    timeout_s: u32,
    memory_mb: u32,
    layers: Vec<String>,
    description: &'a str,
    code_sha256: String,
    code_bytes: u64,
    created_us: i64,
}

#[derive(Serialize)]
struct VersionsBody<'a> {
    versions: Vec<VersionBody<'a>>,
}

#[derive(Serialize)]
struct AliasBody<'a> {
    alias: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<f64>,
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    rule: Option<MatchBody<'a>>,
    description: &'a str,
    created_us: i64,
    modified_us: i64,
}

#[derive(Serialize)]
struct MatchBody<'a> {
    key: &'a str,
    method: &'static str,
    expression: &'a str,
}

#[derive(Serialize)]
struct AliasesBody<'a> {
    aliases: Vec<AliasBody<'a>>,
}

pub(super) fn list(rest: &Rest, call: Call) -> Result<Response> {
    let versions = rest.parts.versions.list(&call.namespace()?, &call.function()?)?;
    Ok(answer::json(200, &VersionsBody { versions: versions.iter().map(version_body).collect() }))
}

pub(super) fn publish(rest: &Rest, call: Call) -> Result<Response> {
    let (namespace, name) = (call.namespace()?, call.function()?);
    let description = match call.body.into_bytes()? {
        body if body.is_empty() => None,
        body => {
            let mut fields = Fields::parse(&body)?;
            let description = fields.text("description")?;
            fields.nothing_else(&["description"])?;
            description
        }
    };
    let published = rest.parts.versions.publish(&namespace, &name, description.as_deref())?;
    Ok(answer::json(201, &version_body(&published)))
}

pub(super) fn delete(rest: &Rest, call: Call) -> Result<Response> {
    rest.parts.versions.delete(&call.namespace()?, &call.function()?, &call.second)?;
    Ok(Response::new(204))
}

pub(super) fn aliases(rest: &Rest, call: Call) -> Result<Response> {
    let aliases = rest.parts.versions.aliases(&call.namespace()?, &call.function()?)?;
    Ok(answer::json(200, &AliasesBody { aliases: aliases.iter().map(alias_body).collect() }))
}

pub(super) fn alias(rest: &Rest, call: Call) -> Result<Response> {
    let alias = rest.parts.versions.alias(&call.namespace()?, &call.function()?, &alias_name(&call)?)?;
    Ok(answer::json(200, &alias_body(&alias)))
}

/// Creates an alias or replaces it.
pub(super) fn put_alias(rest: &Rest, call: Call) -> Result<Response> {
    let (namespace, function, name) = (call.namespace()?, call.function()?, alias_name(&call)?);
    let body = call.body.into_bytes()?;
    let alias = asked(name, &body)?;
    let versions = &rest.parts.versions;
    let is_there = versions.aliases(&namespace, &function)?.iter().any(|other| other.name == alias.name);
    if is_there {
        versions.update_alias(&namespace, &function, &alias)?;
    } else {
        versions.create_alias(&namespace, &function, &alias)?;
    }
    let alias = versions.alias(&namespace, &function, &alias.name)?;
    Ok(answer::json(if is_there { 200 } else { 201 }, &alias_body(&alias)))
}

pub(super) fn delete_alias(rest: &Rest, call: Call) -> Result<Response> {
    rest.parts.versions.delete_alias(&call.namespace()?, &call.function()?, &alias_name(&call)?)?;
    Ok(Response::new(204))
}

fn alias_name(call: &Call) -> Result<AliasName> {
    AliasName::parse(&call.second)
}

fn asked(name: AliasName, body: &[u8]) -> Result<Alias> {
    let mut fields = Fields::parse(body)?;
    let version = fields.text("version")?.ok_or_else(|| Error::invalid("version is required"))?;
    let (other, weight) = (fields.text("other_version")?, fields.fraction("weight")?);
    let rule = fields.object("match")?.map(rule).transpose()?;
    let description = fields.text("description")?.unwrap_or_default();
    fields.nothing_else(&["version", "other_version", "weight", "match", "description"])?;
    let share = match (weight, rule) {
        (Some(weight), None) => Some(Share::Weight(weight)),
        (None, Some(rule)) => Some(Share::Match(rule)),
        (None, None) => None,
        (Some(_), Some(_)) => return Err(Error::invalid("an alias has either weight or match")),
    };
    let other = match (other, share) {
        (None, None) => None,
        (Some(version), Some(share)) => Some(Other { version, share }),
        _ => return Err(Error::invalid("other_version goes with weight or match")),
    };
    Ok(Alias { name, version, other, description, created_us: 0, modified_us: 0 })
}

fn rule(mut fields: Fields<'_>) -> Result<Match> {
    let mut needed =
        |name: &str| fields.text(name)?.ok_or_else(|| Error::invalid(format!("match.{name} is required")));
    let (key, method, expression) = (needed("key")?, needed("method")?, needed("expression")?);
    fields.nothing_else(&["key", "method", "expression"])?;
    let method = Method::parse(&method);
    let method = method.ok_or_else(|| Error::invalid("match.method must be exact or range"))?;
    Ok(Match { key, method, expression })
}

fn version_body(version: &Version) -> VersionBody<'_> {
    let config = &version.config;
    VersionBody {
        version: &version.qualifier,
        runtime: config.runtime.name,
        handler: config.handler.as_str(),
        timeout_s: config.timeout_s,
        memory_mb: config.memory_mb,
        layers: config.layers.iter().map(LayerRef::to_string).collect(),
        description: &config.description,
        code_sha256: version.package.to_string(),
        code_bytes: version.package_bytes,
        created_us: version.created_us,
    }
}

fn alias_body(alias: &Alias) -> AliasBody<'_> {
    let share = alias.other.as_ref().map(|other| &other.share);
    AliasBody {
        alias: alias.name.as_str(),
        version: &alias.version,
        other_version: alias.other.as_ref().map(|other| other.version.as_str()),
        weight: match share {
            Some(Share::Weight(weight)) => Some(*weight),
            _ => None,
        },
        rule: match share {
            Some(Share::Match(rule)) => {
                Some(MatchBody { key: &rule.key, method: rule.method.as_str(), expression: &rule.expression })
            }
            _ => None,
        },
        description: &alias.description,
        created_us: alias.created_us,
        modified_us: alias.modified_us,
    }
}
