//! Parameters that several rows of the table share, and those of a deploy, which are many.

use crate::api::rest::route::Param;

pub(super) const NAMESPACE: Param = Param::new(
    "namespace",
    "The namespace meant; where something is named by an id of its own, it does not matter.",
    r##"{"$ref":"#/components/schemas/Name","default":"default"}"##,
);
pub(super) const QUALIFIER: Param =
    Param::new("qualifier", "A version or an alias; $LATEST by default.", r#"{"type":"string"}"#);
pub(super) const TRIGGER_TYPE: Param =
    Param::new("type", "Of that type.", r##"{"$ref":"#/components/schemas/TriggerType"}"##);
pub(super) const TRIGGER_QUALIFIER: Param =
    Param::new("qualifier", "The one that runs that version or alias.", r#"{"type":"string"}"#);
pub(super) const TRIGGER_EVENT: Param =
    Param::new("event", "The one for that event of object storage.", r#"{"type":"string"}"#);
pub(super) const FUNCTION: Param =
    Param::new("function", "Of that function only.", r##"{"$ref":"#/components/schemas/Name"}"##);
pub(super) const SINCE: Param = Param::new(
    "since",
    "Then or later: RFC 3339, seconds since 1970, or how long ago (15m, 2h, 7d).",
    r#"{"type":"string","examples":["15m","2026-01-31T12:00:00Z"]}"#,
);
pub(super) const UNTIL: Param =
    Param::new("until", "Then or earlier, written as since.", r#"{"type":"string"}"#);
pub(super) const LIMIT: Param =
    Param::new("limit", "Rows of one page.", r#"{"type":"integer","minimum":1,"maximum":1000,"default":50}"#);
pub(super) const CURSOR: Param = Param::new(
    "cursor",
    "The next_cursor of the page before.",
    r#"{"type":"string","pattern":"^[1-9][0-9]{0,17}$"}"#,
);

pub(super) const REQUEST_ID: Param =
    Param::new("request_id", "Of that run only.", r##"{"$ref":"#/components/schemas/RequestId"}"##);
pub(super) const Q: Param = Param::new(
    "q",
    "What lines must say, in the query language of the README, 12 KB at most: error AND SCF_StatusCode>=430.",
    r#"{"type":"string"}"#,
);
pub(super) const CASE: Param = Param::new(
    "case",
    "Whether q tells upper and lower case apart.",
    r#"{"type":"string","enum":["ignore","match"],"default":"ignore"}"#,
);
const DEADLINE: Param = Param::new(
    "deadline",
    "Stop looking after that time, 30s at the longest, and say that the answer is partial; streams go on to their end.",
    r#"{"type":"string","pattern":"^([0-9]+(ms|s))+$","default":"5s"}"#,
);

/// Which lines, in which order, and how they are written.
pub(super) const LINES: &[Param] = &[
    NAMESPACE,
    REQUEST_ID,
    FUNCTION,
    Q,
    CASE,
    SINCE,
    UNTIL,
    Param::new(
        "order",
        "Oldest or newest first; asc where one run is asked for, else desc.",
        r#"{"type":"string","enum":["asc","desc"]}"#,
    ),
    Param::new(
        "context",
        "So many lines of the same run before and behind each.",
        r#"{"type":"integer","minimum":0,"maximum":20,"default":0}"#,
    ),
    Param::new(
        "format",
        "json is a page; ndjson and csv are all lines, or as many as limit says, as a stream.",
        r#"{"type":"string","enum":["json","ndjson","csv"],"default":"json"}"#,
    ),
    DEADLINE,
    LIMIT,
    CURSOR,
];

/// Which lines are counted.
pub(super) const COUNTED: &[Param] = &[NAMESPACE, REQUEST_ID, FUNCTION, Q, CASE, SINCE, UNTIL, DEADLINE];
/// The same, and in how many stretches of time.
pub(super) const COUNTED_BY_TIME: &[Param] = &[
    NAMESPACE,
    REQUEST_ID,
    FUNCTION,
    Q,
    CASE,
    SINCE,
    UNTIL,
    DEADLINE,
    Param::new(
        "buckets",
        "At most so many; their length is a round one.",
        r#"{"type":"integer","minimum":1,"maximum":1000,"default":60}"#,
    ),
];

/// Which runs are counted, and in how many stretches of time.
pub(super) const RUNS_BY_TIME: &[Param] = &[
    NAMESPACE,
    FUNCTION,
    SINCE,
    UNTIL,
    Param::new(
        "buckets",
        "At most so many; their length is a round one, of whole minutes.",
        r#"{"type":"integer","minimum":1,"maximum":500,"default":61}"#,
    ),
];

/// With a zip as the body the rest of a layer is in the query.
pub(super) const PUBLISH_LAYER: &[Param] = &[
    NAMESPACE,
    Param::new(
        "runtime",
        "With a zip body: a runtime it is made for, once for each.",
        r#"{"type":"string"}"#,
    )
    .repeated(),
    Param::new("description", "With a zip body.", r#"{"type":"string"}"#),
    Param::new("license", "With a zip body: under which licence it comes.", r#"{"type":"string"}"#),
];

/// With a zip as the body everything else is in the query.
pub(super) const DEPLOY: &[Param] = &[
    NAMESPACE,
    Param::new("runtime", "With a zip body: the runtime.", r#"{"type":"string"}"#),
    Param::new("handler", "With a zip body: the handler.", r#"{"type":"string"}"#),
    Param::new("timeout_s", "With a zip body.", r#"{"type":"integer","minimum":1,"maximum":900}"#),
    Param::new("init_timeout_s", "With a zip body.", r#"{"type":"integer","minimum":1,"maximum":300}"#),
    Param::new("memory_mb", "With a zip body.", r#"{"type":"integer","minimum":64,"maximum":3072}"#),
    Param::new("reserved_mb", "With a zip body.", r#"{"type":"integer","minimum":0}"#),
    Param::new(
        "network",
        "With a zip body.",
        r#"{"type":"string","enum":["host","none","no-local"],"default":"host"}"#,
    ),
    Param::new("reuse", "With a zip body.", r#"{"type":"boolean","default":false}"#),
    Param::new("spawn", "With a zip body.", r#"{"type":"boolean","default":false}"#),
    Param::new("retry_num", "With a zip body.", r#"{"type":"integer","minimum":0,"maximum":2}"#),
    Param::new("msg_ttl_s", "With a zip body.", r#"{"type":"integer","minimum":60,"maximum":21600}"#),
    Param::new("dead_letter", "With a zip body.", r##"{"$ref":"#/components/schemas/Name"}"##),
    Param::new("keep_s", "With a zip body.", r#"{"type":"integer","minimum":60,"maximum":315360000}"#),
    Param::new("description", "With a zip body.", r#"{"type":"string"}"#),
    Param::new(
        "If-Match",
        "Deploy only over what GET answered this ETag for.",
        r#"{"type":"string","pattern":"^\"[0-9]{1,18}\"$"}"#,
    )
    .header(),
    Param::new(
        "If-None-Match",
        "Deploy only where there is no such function.",
        r#"{"type":"string","enum":["*"]}"#,
    )
    .header(),
    Param::new("layer", "With a zip body: NAME:VERSION, once for each layer.", r#"{"type":"string"}"#)
        .repeated(),
    Param::new("env", "With a zip body: KEY=VALUE, once for each variable.", r#"{"type":"string"}"#)
        .repeated(),
];
