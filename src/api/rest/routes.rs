//! The table: every path and method of this API, with the scope it needs, the parameters it knows, the largest body it
//! takes, and what its description says. Routing, 404, 405, unknown parameters and `/openapi.json` all come from here.

use tiny_http::Method;

use crate::api::rest::call::Call;
use crate::api::rest::{
    Rest, appliance, check, dead_letters, functions, invocations, invoke, keys, logs, metrics,
};
use crate::error::Result;
use crate::http::response::Response;
use crate::model::key::Scope;
use crate::model::limits;

/// Bodies of requests that have none to speak of.
pub(super) const SMALL_BODY_BYTES: u64 = 64 * 1024;
/// An event, and some more, so that one that is a little too large gets our own words.
const EVENT_BODY_BYTES: u64 = limits::EVENT_BYTES_MAX as u64 + 64 * 1024;
/// The largest package in base64, and the rest of its JSON.
const PACKAGE_BODY_BYTES: u64 = 75 * 1024 * 1024;

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
    /// With at most one variable part, in braces.
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
    /// A route, and the variable part of the path as it came.
    Route(&'static Route, Option<&'a str>),
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
        let Some(part) = match_path(route.path, path) else { continue };
        if verb == Some(route.verb) {
            return Found::Route(route, part);
        }
        others.push(route.verb.allow());
    }
    if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others.join(", ")) }
}

/// Whether `path` is of that pattern, and its variable part.
fn match_path<'a>(pattern: &str, path: &'a str) -> Option<Option<&'a str>> {
    let Some((before, rest)) = pattern.split_once('{') else {
        return (pattern == path).then_some(None);
    };
    let (_, after) = rest.split_once('}')?;
    let part = path.strip_prefix(before)?.strip_suffix(after)?;
    (!part.is_empty() && !part.contains('/')).then_some(Some(part))
}

const READ: Access = Access::Needs(Scope::Read);
const INVOKE: Access = Access::Needs(Scope::Invoke);
const ADMIN: Access = Access::Needs(Scope::Admin);

const NAMESPACE: Param = Param::new(
    "namespace",
    "The namespace meant; where something is named by an id of its own, it does not matter.",
    r##"{"$ref":"#/components/schemas/Name","default":"default"}"##,
);
const FUNCTION: Param =
    Param::new("function", "Of that function only.", r##"{"$ref":"#/components/schemas/Name"}"##);
const SINCE: Param = Param::new(
    "since",
    "Then or later: RFC 3339, seconds since 1970, or how long ago (15m, 2h, 7d).",
    r#"{"type":"string","examples":["15m","2026-01-31T12:00:00Z"]}"#,
);
const UNTIL: Param = Param::new("until", "Then or earlier, written as since.", r#"{"type":"string"}"#);
const LIMIT: Param =
    Param::new("limit", "Rows of one page.", r#"{"type":"integer","minimum":1,"maximum":1000,"default":50}"#);
const CURSOR: Param = Param::new(
    "cursor",
    "The next_cursor of the page before.",
    r#"{"type":"string","pattern":"^[1-9][0-9]{0,17}$"}"#,
);

const ZIP: &str = "application/zip";
const TEXT: &str = "text/plain";
const DELETED: Told = (204, "It is gone.", Shape::Nothing);
const NOT_FOUND: Told = (404, "There is no such thing.", Shape::Json("Error"));
const TOO_LARGE: Told = (413, "Larger than promised.", Shape::Json("Error"));
const BUSY: Told = (503, "Not now; try again.", Shape::Json("Error"));

const RUN_FAILED: &str = "It did not return; X-Fnlite-Status says how, the body is the contract's.";

/// Every route.
pub(super) static ROUTES: &[Route] = &[
    Route {
        verb: Verb::Post,
        path: "/v1/functions/{name}/invoke",
        access: INVOKE,
        handle: invoke::post,
        query: &[
            NAMESPACE,
            Param::new("qualifier", "A version; $LATEST by default.", r#"{"type":"string"}"#),
            Param::new(
                "type",
                "sync waits for the end; event answers 202 as soon as the event is kept: it is run when there is room and tried again when that fails.",
                r#"{"type":"string","enum":["sync","event"],"default":"sync"}"#,
            ),
            Param::new(
                "X-Idempotency-Key",
                "With type=event: the same key and event within 24 hours are the same invocation.",
                r#"{"type":"string","minLength":1,"maxLength":255,"pattern":"^[ -~]+$"}"#,
            )
            .header(),
        ],
        body_max: EVENT_BODY_BYTES,
        id: "invoke",
        summary: "Run a function. The body is the event, any JSON; nothing means {}. Answers when the run has ended, with \
                  the return value's own bytes; its record and log are stored by then.",
        takes: Shape::Json("Any"),
        tells: &[
            (200, "What the function returned.", Shape::Json("Any")),
            (202, "With type=event: it is on disk and will run.", Shape::Json("Accepted")),
            NOT_FOUND,
            (409, "X-Idempotency-Key was used for another event within 24 hours.", Shape::Json("Error")),
            TOO_LARGE,
            (
                429,
                "Over the concurrency limit: nothing of the function ran. With type=event: the queue is full.",
                Shape::Json("Any"),
            ),
            (502, RUN_FAILED, Shape::Json("RunError")),
            (504, "It timed out.", Shape::Json("RunError")),
            BUSY,
        ],
    },
    Route {
        verb: Verb::Get,
        path: "/healthz",
        access: Access::Open,
        handle: appliance::healthz,
        query: &[],
        body_max: SMALL_BODY_BYTES,
        id: "healthz",
        summary: "Is the server alive?",
        takes: Shape::Nothing,
        tells: &[(200, "It is.", Shape::Bytes(TEXT))],
    },
    Route {
        verb: Verb::Put,
        path: "/v1/functions/{name}",
        access: ADMIN,
        handle: functions::put,
        query: &[
            NAMESPACE,
            Param::new("runtime", "With a zip body: the runtime.", r#"{"type":"string"}"#),
            Param::new("handler", "With a zip body: the handler.", r#"{"type":"string"}"#),
            Param::new("timeout_s", "With a zip body.", r#"{"type":"integer","minimum":1,"maximum":900}"#),
            Param::new(
                "init_timeout_s",
                "With a zip body.",
                r#"{"type":"integer","minimum":1,"maximum":300}"#,
            ),
            Param::new("memory_mb", "With a zip body.", r#"{"type":"integer","minimum":64,"maximum":3072}"#),
            Param::new("reserved_mb", "With a zip body.", r#"{"type":"integer","minimum":0}"#),
            Param::new(
                "network",
                "With a zip body.",
                r#"{"type":"string","enum":["host","none","no-local"],"default":"host"}"#,
            ),
            Param::new("retry_num", "With a zip body.", r#"{"type":"integer","minimum":0,"maximum":2}"#),
            Param::new("msg_ttl_s", "With a zip body.", r#"{"type":"integer","minimum":60,"maximum":21600}"#),
            Param::new("dead_letter", "With a zip body.", r##"{"$ref":"#/components/schemas/Name"}"##),
            Param::new(
                "keep_s",
                "With a zip body.",
                r#"{"type":"integer","minimum":60,"maximum":315360000}"#,
            ),
            Param::new("description", "With a zip body.", r#"{"type":"string"}"#),
            Param::new("env", "With a zip body: KEY=VALUE, once for each variable.", r#"{"type":"string"}"#)
                .repeated(),
        ],
        body_max: PACKAGE_BODY_BYTES,
        id: "deploy",
        summary: "Create a function or replace it. No run that begins after the answer uses the old code.",
        takes: Shape::Either("Deploy", ZIP),
        tells: &[
            (200, "It was replaced.", Shape::Json("Function")),
            (201, "It is new.", Shape::Json("Function")),
            TOO_LARGE,
            BUSY,
        ],
    },
    Route {
        verb: Verb::Get,
        path: "/v1/functions",
        access: READ,
        handle: functions::list,
        query: &[
            NAMESPACE,
            LIMIT,
            Param::new("cursor", CURSOR.description, r##"{"$ref":"#/components/schemas/Name"}"##),
        ],
        body_max: SMALL_BODY_BYTES,
        id: "listFunctions",
        summary: "The functions of a namespace by name.",
        takes: Shape::Nothing,
        tells: &[(200, "A page.", Shape::Json("Functions"))],
    },
    Route {
        verb: Verb::Get,
        path: "/v1/functions/{name}",
        access: READ,
        handle: functions::get,
        query: &[NAMESPACE],
        body_max: SMALL_BODY_BYTES,
        id: "getFunction",
        summary: "One function. Its environment is shown to admin keys only.",
        takes: Shape::Nothing,
        tells: &[(200, "The function.", Shape::Json("Function")), NOT_FOUND],
    },
    Route {
        verb: Verb::Delete,
        path: "/v1/functions/{name}",
        access: ADMIN,
        handle: functions::delete,
        query: &[NAMESPACE],
        body_max: SMALL_BODY_BYTES,
        id: "deleteFunction",
        summary: "Delete a function. Its records and logs stay.",
        takes: Shape::Nothing,
        tells: &[DELETED, NOT_FOUND, BUSY],
    },
    Route {
        verb: Verb::Get,
        path: "/v1/functions/{name}/code",
        access: ADMIN,
        handle: functions::code,
        query: &[NAMESPACE],
        body_max: SMALL_BODY_BYTES,
        id: "getCode",
        summary: "A function's code as it was deployed.",
        takes: Shape::Nothing,
        tells: &[(200, "A zip archive.", Shape::Bytes(ZIP)), NOT_FOUND],
    },
    Route {
        verb: Verb::Get,
        path: "/v1/invocations",
        access: READ,
        handle: invocations::list,
        query: &[
            NAMESPACE,
            FUNCTION,
            Param::new(
                "status",
                "queued, running, retrying, succeeded, failed, expired, dead, or a status code such as 433.",
                r#"{"type":"string","pattern":"^(queued|running|retrying|succeeded|failed|expired|dead|[2-5][0-9]{2})$"}"#,
            ),
            SINCE,
            UNTIL,
            LIMIT,
            CURSOR,
        ],
        body_max: SMALL_BODY_BYTES,
        id: "listInvocations",
        summary: "What ran and what runs, newest first, without events and results.",
        takes: Shape::Nothing,
        tells: &[(200, "A page.", Shape::Json("Invocations")), NOT_FOUND],
    },
    Route {
        verb: Verb::Get,
        path: "/v1/invocations/{request_id}",
        access: READ,
        handle: invocations::get,
        query: &[
            NAMESPACE,
            Param::new(
                "wait",
                "Answer when it is over, at most after that time, 5m at the longest.",
                r#"{"type":"string","pattern":"^([0-9]+(ms|s|m))+$","examples":["30s"]}"#,
            ),
        ],
        body_max: SMALL_BODY_BYTES,
        id: "getInvocation",
        summary: "One run with its event, its result, its earlier attempts and the first 1,000 lines of its log.",
        takes: Shape::Nothing,
        tells: &[
            (200, "The run.", Shape::Json("WholeInvocation")),
            NOT_FOUND,
            (429, "With wait: too many wait already.", Shape::Json("Error")),
        ],
    },
    Route {
        verb: Verb::Get,
        path: "/v1/dead-letters",
        access: READ,
        handle: dead_letters::list,
        query: &[NAMESPACE, FUNCTION, SINCE, UNTIL, LIMIT, CURSOR],
        body_max: SMALL_BODY_BYTES,
        id: "listDeadLetters",
        summary: "Events that were given up, the newest first, without events and results.",
        takes: Shape::Nothing,
        tells: &[(200, "A page.", Shape::Json("DeadLetters")), NOT_FOUND],
    },
    Route {
        verb: Verb::Get,
        path: "/v1/dead-letters/{request_id}",
        access: READ,
        handle: dead_letters::get,
        query: &[NAMESPACE],
        body_max: SMALL_BODY_BYTES,
        id: "getDeadLetter",
        summary: "One event that was given up, with the event and the error of its last attempt.",
        takes: Shape::Nothing,
        tells: &[(200, "The dead letter.", Shape::Json("WholeDeadLetter")), NOT_FOUND],
    },
    Route {
        verb: Verb::Post,
        path: "/v1/dead-letters/{request_id}/replay",
        access: INVOKE,
        handle: dead_letters::replay,
        query: &[NAMESPACE],
        body_max: SMALL_BODY_BYTES,
        id: "replayDeadLetter",
        summary: "Run its event again, as a new invocation that takes its place.",
        takes: Shape::Nothing,
        tells: &[
            (202, "The new request id.", Shape::Json("Accepted")),
            NOT_FOUND,
            (429, "The queue is full.", Shape::Json("Error")),
            BUSY,
        ],
    },
    Route {
        verb: Verb::Delete,
        path: "/v1/dead-letters/{request_id}",
        access: ADMIN,
        handle: dead_letters::delete,
        query: &[NAMESPACE],
        body_max: SMALL_BODY_BYTES,
        id: "dropDeadLetter",
        summary: "Let a dead letter go; its record stays.",
        takes: Shape::Nothing,
        tells: &[DELETED, NOT_FOUND, BUSY],
    },
    Route {
        verb: Verb::Get,
        path: "/v1/logs",
        access: READ,
        handle: logs::list,
        query: &[
            NAMESPACE,
            Param::new("request_id", "Of that run only.", r##"{"$ref":"#/components/schemas/RequestId"}"##),
            FUNCTION,
            SINCE,
            UNTIL,
            Param::new(
                "order",
                "Oldest or newest first; asc where request_id is given, else desc.",
                r#"{"type":"string","enum":["asc","desc"]}"#,
            ),
            LIMIT,
            CURSOR,
        ],
        body_max: SMALL_BODY_BYTES,
        id: "listLogs",
        summary: "What runs printed, line by line.",
        takes: Shape::Nothing,
        tells: &[(200, "A page.", Shape::Json("Lines")), NOT_FOUND],
    },
    Route {
        verb: Verb::Get,
        path: "/v1/keys",
        access: ADMIN,
        handle: keys::list,
        query: &[NAMESPACE],
        body_max: SMALL_BODY_BYTES,
        id: "listKeys",
        summary: "The keys, without their secrets.",
        takes: Shape::Nothing,
        tells: &[(200, "All of them.", Shape::Json("Keys"))],
    },
    Route {
        verb: Verb::Post,
        path: "/v1/keys",
        access: ADMIN,
        handle: keys::create,
        query: &[NAMESPACE],
        body_max: SMALL_BODY_BYTES,
        id: "createKey",
        summary: "Make a key. Its secret is shown in this answer and never again.",
        takes: Shape::Json("NewKey"),
        tells: &[
            (201, "The key and its secret.", Shape::Json("Key")),
            (409, "The name is taken.", Shape::Json("Error")),
            BUSY,
        ],
    },
    Route {
        verb: Verb::Delete,
        path: "/v1/keys/{id}",
        access: ADMIN,
        handle: keys::revoke,
        query: &[NAMESPACE],
        body_max: SMALL_BODY_BYTES,
        id: "revokeKey",
        summary: "Revoke a key, at once.",
        takes: Shape::Nothing,
        tells: &[DELETED, NOT_FOUND, BUSY],
    },
    Route {
        verb: Verb::Post,
        path: "/v1/backup",
        access: ADMIN,
        handle: appliance::backup,
        query: &[NAMESPACE],
        body_max: SMALL_BODY_BYTES,
        id: "backup",
        summary: "A copy of the whole database, of one moment, as a file that opens.",
        takes: Shape::Nothing,
        tells: &[(200, "An SQLite database.", Shape::Bytes("application/vnd.sqlite3")), BUSY],
    },
    Route {
        verb: Verb::Post,
        path: "/v1/check",
        access: ADMIN,
        handle: check::post,
        query: &[NAMESPACE],
        body_max: SMALL_BODY_BYTES,
        id: "check",
        summary: "Is the database sound, and what is in it? Reads all of the file.",
        takes: Shape::Nothing,
        tells: &[(200, "What was found.", Shape::Json("Check")), BUSY],
    },
    Route {
        verb: Verb::Get,
        path: "/v1/doctor",
        access: READ,
        handle: appliance::doctor,
        query: &[NAMESPACE],
        body_max: SMALL_BODY_BYTES,
        id: "doctor",
        summary: "What this host gives and what it lacks, for people.",
        takes: Shape::Nothing,
        tells: &[(200, "What was found.", Shape::Json("Doctor"))],
    },
    Route {
        verb: Verb::Get,
        path: "/readyz",
        access: Access::Open,
        handle: appliance::readyz,
        query: &[],
        body_max: SMALL_BODY_BYTES,
        id: "readyz",
        summary: "May requests be sent here?",
        takes: Shape::Nothing,
        tells: &[
            (200, "They may.", Shape::Json("Ready")),
            (503, "The server is stopping.", Shape::Json("Ready")),
        ],
    },
    Route {
        verb: Verb::Get,
        path: "/version",
        access: Access::Open,
        handle: appliance::version,
        query: &[],
        body_max: SMALL_BODY_BYTES,
        id: "version",
        summary: "Which release this is.",
        takes: Shape::Nothing,
        tells: &[(200, "Versions.", Shape::Json("Version"))],
    },
    Route {
        verb: Verb::Get,
        path: "/metrics",
        access: READ,
        handle: metrics::get,
        query: &[],
        body_max: SMALL_BODY_BYTES,
        id: "metrics",
        summary: "Counters and gauges as Prometheus reads them.",
        takes: Shape::Nothing,
        tells: &[(200, "Prometheus text, version 0.0.4.", Shape::Bytes(TEXT))],
    },
    Route {
        verb: Verb::Get,
        path: "/openapi.json",
        access: READ,
        handle: appliance::description,
        query: &[],
        body_max: SMALL_BODY_BYTES,
        id: "describe",
        summary: "This description.",
        takes: Shape::Nothing,
        tells: &[(200, "OpenAPI 3.1.", Shape::Json("Any"))],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: Method, path: &str, expected: &str) {
        let found = match find(&method, path) {
            Found::Route(route, part) => format!("{} {}", route.id, part.unwrap_or("-")),
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
        check(Method::Delete, "/v1/keys/7", "revokeKey 7");
    }

    #[test]
    fn other_methods_and_paths_are_told_apart() {
        check(Method::Patch, "/healthz", "GET, HEAD");
        check(Method::Post, "/v1/functions/hello", "PUT, GET, HEAD, DELETE");
        check(Method::Get, "/v1/functions/hello/invoke", "POST");
        check(Method::Options, "/v1/keys", "GET, HEAD, POST");
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
