//! What a row of the table says: method, path, who may, what it takes and what it tells; and how a request finds its row.

use tiny_http::Method;

use crate::api::rest::Rest;
use crate::api::rest::call::Call;
use crate::api::rest::routes::ROUTES;
use crate::error::Result;
use crate::http::response::Response;
use crate::model::key::Scope;

/// The methods this API knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

impl Verb {
    /// As `Allow` lists it.
    fn allow(self) -> &'static str {
        match self {
            Verb::Get => "GET, HEAD",
            Verb::Post => "POST",
            Verb::Put => "PUT",
            Verb::Delete => "DELETE",
        }
    }

    /// As OpenAPI writes it.
    pub(super) fn lower(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::Post => "post",
            Verb::Put => "put",
            Verb::Delete => "delete",
        }
    }
}

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody who can connect.
    Open,
    /// Keys of this scope, and the ones that include it.
    Needs(Scope),
}

/// A parameter of the query, or a header.
#[derive(Debug)]
pub(super) struct Param {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    /// Its JSON schema.
    pub(super) schema: &'static str,
    /// Whether it may occur more than once.
    pub(super) repeats: bool,
    pub(super) is_header: bool,
}

impl Param {
    pub(super) const fn new(name: &'static str, description: &'static str, schema: &'static str) -> Param {
        Param { name, description, schema, repeats: false, is_header: false }
    }

    /// One that comes as a header; the route's function reads it.
    pub(super) const fn header(self) -> Param {
        Param { is_header: true, ..self }
    }

    pub(super) const fn repeated(self) -> Param {
        Param { repeats: true, ..self }
    }
}

/// A body, of a request or an answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// None.
    Nothing,
    /// JSON of that schema (`schemas.json`).
    Json(&'static str),
    /// The same, or nothing.
    Maybe(&'static str),
    /// Bytes of that media type.
    Bytes(&'static str),
    /// Either.
    Either(&'static str, &'static str),
}

/// A possible answer: status, what it means, its body.
pub(super) type Told = (u16, &'static str, Shape);

/// One row of the table.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) verb: Verb,
    /// With at most two variable parts, in braces.
    pub(super) path: &'static str,
    pub(super) access: Access,
    pub(super) handle: fn(&Rest, Call) -> Result<Response>,
    pub(super) query: &'static [Param],
    pub(super) body_max: u64,
    /// The operation's name in the description.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) takes: Shape,
    /// Beside the refusals every route has.
    pub(super) tells: &'static [Told],
}

/// What a path and method lead to.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// A route, and the variable parts of the path as they came.
    Route(&'static Route, Vec<&'a str>),
    /// The path has these methods only.
    OtherMethods(String),
    /// There is no such path.
    Nothing,
}

/// Looks a request up in the table.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Found<'a> {
    let verb = Verb::of(method);
    let mut others: Vec<&str> = Vec::new();
    for route in ROUTES {
        let Some(parts) = match_path(route.path, path) else { continue };
        if verb == Some(route.verb) {
            return Found::Route(route, parts);
        }
        // A path may be of two patterns.
        if !others.contains(&route.verb.allow()) {
            others.push(route.verb.allow());
        }
    }
    if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others.join(", ")) }
}

/// Whether `path` is of that pattern, and its variable parts.
pub(in crate::api) fn match_path<'a>(pattern: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut parts = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(parts),
            (Some(wanted), Some(given)) if wanted.starts_with('{') => {
                parts.push(Some(given).filter(|given| !given.is_empty())?);
            }
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: Method, path: &str, expected: &str) {
        let found = match find(&method, path) {
            Found::Route(route, parts) if parts.is_empty() => format!("{} -", route.id),
            Found::Route(route, parts) => format!("{} {}", route.id, parts.join(" ")),
            Found::OtherMethods(allow) => allow,
            Found::Nothing => "nothing".to_owned(),
        };
        assert_eq!(found, expected, "{method} {path}");
    }

    #[test]
    fn paths_and_methods_lead_to_one_route() {
        check(Method::Get, "/healthz", "healthz -");
        check(Method::Head, "/healthz", "healthz -");
        check(Method::Put, "/v1/functions/hello", "deploy hello");
        check(Method::Post, "/v1/functions/hello/invoke", "invoke hello");
        check(Method::Get, "/v1/functions/a%2Fb", "getFunction a%2Fb");
        check(Method::Get, "/v1/functions", "listFunctions -");
        check(Method::Get, "/v1/invocations/histogram", "countInvocationsByTime -");
        check(Method::Get, "/v1/invocations/x", "getInvocation x");
        check(Method::Delete, "/v1/keys/7", "revokeKey 7");
        check(Method::Put, "/v1/functions/hello/aliases/prod", "putAlias hello prod");
        check(Method::Delete, "/v1/functions/hello/versions/3", "deleteVersion hello 3");
    }

    #[test]
    fn other_methods_and_paths_are_told_apart() {
        check(Method::Patch, "/healthz", "GET, HEAD");
        check(Method::Post, "/v1/functions/hello", "PUT, GET, HEAD, DELETE");
        check(Method::Get, "/v1/functions/hello/invoke", "POST");
        check(Method::Options, "/v1/keys", "GET, HEAD, POST");
        check(Method::Post, "/v1/invocations/histogram", "GET, HEAD");
        for path in [
            "/",
            "*",
            "/healthz/",
            "/v1/functions/",
            "/v1/functions//invoke",
            "/v1/functions/a/b",
            "/V1/keys",
        ] {
            check(Method::Get, path, "nothing");
        }
    }
}
