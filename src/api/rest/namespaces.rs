//! `/v1/namespaces`: groups of functions.

use serde::Serialize;

use crate::api::rest::Rest;
use crate::api::rest::answer;
use crate::api::rest::call::Call;
use crate::api::rest::fields::Fields;
use crate::error::Result;
use crate::http::response::Response;
use crate::model::function::Namespace;

#[derive(Serialize)]
struct NamespaceBody<'a> {
    name: &'a str,
    description: &'a str,
    created_us: i64,
    modified_us: i64,
}

#[derive(Serialize)]
struct NamespacesBody<'a> {
    namespaces: Vec<NamespaceBody<'a>>,
}

pub(super) fn list(rest: &Rest, _: Call) -> Result<Response> {
    let spaces = rest.parts.namespaces.list()?;
    let namespaces = spaces.iter().map(|space| NamespaceBody {
        name: space.name.as_str(),
        description: &space.description,
        created_us: space.created_us,
        modified_us: space.modified_us,
    });
    Ok(answer::json(200, &NamespacesBody { namespaces: namespaces.collect() }))
}

/// Creates a namespace, or changes what it is described by.
pub(super) fn put(rest: &Rest, call: Call) -> Result<Response> {
    let name = Namespace::parse(&call.part)?;
    let body = call.body.into_bytes()?;
    let description = if body.is_empty() {
        String::new()
    } else {
        let mut fields = Fields::parse(&body)?;
        let description = fields.text("description")?.unwrap_or_default();
        fields.nothing_else(&["description"])?;
        description
    };
    let namespaces = &rest.parts.namespaces;
    let is_there = namespaces.list()?.iter().any(|space| space.name == name);
    if is_there {
        namespaces.describe(&name, &description)?;
    } else {
        namespaces.create(&name, &description)?;
    }
    Ok(Response::new(if is_there { 204 } else { 201 }))
}

pub(super) fn delete(rest: &Rest, call: Call) -> Result<Response> {
    rest.parts.namespaces.delete(&Namespace::parse(&call.part)?)?;
    Ok(Response::new(204))
}
