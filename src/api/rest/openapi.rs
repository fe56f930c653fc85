//! `/openapi.json`, made once from the table of routes and the schemas in `schemas.json`.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::api::rest::route::{Access, Route, Shape};
use crate::api::rest::routes::ROUTES;

/// The OpenAPI 3.1 document.
pub(super) fn document() -> &'static [u8] {
    static DOCUMENT: LazyLock<Vec<u8>> =
        LazyLock::new(|| serde_json::to_vec_pretty(&made()).expect("a value always becomes JSON"));
    &DOCUMENT
}

fn made() -> Value {
    let schemas: Value =
        serde_json::from_str(include_str!("schemas.json")).expect("a test reads the file on every build");
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.verb.lower()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "fnlite",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Serverless functions on a small host. Times are microseconds since 1970 (…_us), lists are \
                            pages with next_cursor, errors have one shape. What is no HTTP/1.1 is answered with 400, 417, \
                            501 or 505.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "key": {
                "type": "http",
                "scheme": "bearer",
                "description": "A key of scope read, invoke or admin; each includes the ones before it.",
            } },
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": route.id,
        "summary": route.summary,
        "parameters": parameters(route),
        "responses": responses(route),
        "security": match route.access {
            Access::Open => json!([]),
            // Roles of a bearer scheme, allowed since OpenAPI 3.1: the scope the key must have.
            Access::Needs(scope) => json!([{ "key": [scope.as_str()] }]),
        },
    });
    if let Some(content) = content(route.takes) {
        let required = !matches!(route.takes, Shape::Json("Any") | Shape::Maybe(_));
        operation["requestBody"] = json!({ "required": required, "content": content });
    }
    operation
}

fn parameters(route: &Route) -> Vec<Value> {
    let parts = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = parts
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": part_schema(name) }));
    let named = route.query.iter().map(|param| {
        let schema: Value =
            serde_json::from_str(param.schema).expect("a test reads every schema on every build");
        let schema = if param.repeats { json!({ "type": "array", "items": schema }) } else { schema };
        let place = if param.is_header { "header" } else { "query" };
        json!({ "name": param.name, "in": place, "description": param.description, "schema": schema })
    });
    in_path.chain(named).collect()
}

/// What the variable part of a path may be.
fn part_schema(name: &str) -> Value {
    match name {
        "name" => json!({ "$ref": "#/components/schemas/Name" }),
        "request_id" => json!({ "$ref": "#/components/schemas/RequestId" }),
        "id" => json!({ "type": "integer", "minimum": 1 }),
        "version" => json!({ "type": "string", "pattern": "^[1-9][0-9]{0,8}$" }),
        "alias" => json!({ "type": "string", "minLength": 1, "maxLength": 64 }),
        "layer" => json!({ "type": "string", "pattern": "^[A-Za-z]([A-Za-z0-9_-]{0,62}[A-Za-z0-9])?$" }),
        "trigger" => json!({ "type": "string", "minLength": 1, "maxLength": 255 }),
        "bucket" => {
            json!({ "type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?(-[0-9]{1,20})?$" })
        }
        other => unreachable!("no path has a part called {other}"),
    }
}

/// What the row tells, and what every route may answer.
fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    let mut tell = |status: u16, description: &str, shape: Shape| {
        let mut told = json!({ "description": description });
        if let Some(content) = content(shape) {
            told["content"] = content;
        }
        responses.entry(status.to_string()).or_insert(told);
    };
    for (status, description, shape) in route.tells {
        tell(*status, description, *shape);
    }
    let error = Shape::Json("Error");
    tell(400, "The request is wrong; the message names the field and the allowed range.", error);
    tell(500, "The server failed; its log says why.", error);
    tell(408, "The request did not arrive in time.", error);
    tell(413, "The body is larger than this request may carry.", error);
    tell(414, "The target is longer than 8 KiB.", error);
    tell(431, "The head is larger than 64 KiB or 100 headers.", error);
    tell(503, "Too many requests wait; try again.", error);
    if let Access::Needs(_) = route.access {
        tell(401, "No key, or one that is not known.", error);
        tell(403, "The key's scope does not suffice.", error);
        tell(429, "Too many wrong keys from there.", error);
    }
    Value::Object(responses)
}

fn content(shape: Shape) -> Option<Value> {
    let of = |name: &str| json!({ "schema": { "$ref": format!("#/components/schemas/{name}") } });
    match shape {
        Shape::Nothing => None,
        Shape::Json(name) | Shape::Maybe(name) => Some(json!({ "application/json": of(name) })),
        Shape::Bytes(media_type) => Some(json!({ media_type: {} })),
        Shape::Either(name, media_type) => Some(json!({ "application/json": of(name), media_type: {} })),
    }
}
