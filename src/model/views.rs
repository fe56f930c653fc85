//! What people read by SQL, in words: every view with every column, and the functions there are beside SQLite's.
//!
//! `fnlite sql --schema` prints this, and the README says the same. A test holds it against the views of the database
//! (`migrations/`), so that no column is undocumented and none is made up.

/// A view.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// What a row is.
    pub row: &'static str,
    /// Its columns, in order.
    pub columns: &'static [Column],
}

/// A column of a view.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What SQLite calls the type of its values.
    pub kind: Kind,
    /// What it means.
    pub says: &'static str,
}

/// A type of values; NULL may stand in place of any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Real,
}

/// A function.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// How it is called.
    pub call: &'static str,
    /// What it gives.
    pub says: &'static str,
}

impl Kind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Integer => "integer",
            Kind::Real => "real",
        }
    }
}

/// Every view.
pub static VIEWS: &[View] = &[
    View {
        name: "invocations",
        row: "one row for each run that ended and each event that was accepted",
        columns: &[
            integer("id", "number of the run, in the order runs began"),
            text("request_id", "request ID"),
            text("namespace", "namespace of the function"),
            text("function", "name of the function"),
            text("qualifier", "version that ran: $LATEST or a number"),
            text("alias", "alias it was called by; empty if by version"),
            text(
                "source",
                "who called: rest, api (TencentCloud API), a trigger's type (timer, http, apigw, cos or ckafka), or replay and dead-letter for events made from dead letters",
            ),
            integer("is_event", "1 if nobody waited for it, else 0"),
            text("state", "queued, running, retrying, succeeded, failed, expired, dead or aborted"),
            integer(
                "status",
                "status code of the last attempt; 202 before the first has ended, and while one runs",
            ),
            integer("retry_num", "number of the attempt that the row tells of; 0 is the first"),
            text("error", "one sentence; empty if it succeeded"),
            text("created", "when it was accepted, UTC: 2026-01-31T12:00:00.123Z"),
            real("duration_ms", "how long the handler ran"),
            real("init_ms", "how long loading took; 0 unless this run had to wait for it"),
            integer("memory_mb", "its memory limit"),
            real("memory_used_mb", "the most memory it was seen to use; 0 if that was not seen"),
            text("event", "the event: JSON, as it came"),
            text("result", "what it returned: JSON, as it came; the error body of a run that failed"),
            integer("created_us", "accepted; microseconds since 1970"),
            integer("started_us", "event handed over; microseconds since 1970"),
            integer("ended_us", "ended; microseconds since 1970, 0 before that"),
            integer("due_us", "when the next attempt is due; NULL unless it waits for one"),
        ],
    },
    View {
        name: "logs",
        row: "one row for each line, with the names SCF gives them",
        columns: &[
            integer("id", "number of the line, in the order lines were stored"),
            text(
                "time",
                "when it was read, in a run's first 3 ms up to 3 ms after it was printed, UTC: 2026-01-31T12:00:00.123Z",
            ),
            text("SCF_FunctionName", "name of the function"),
            text("SCF_Namespace", "namespace of the function"),
            text("SCF_RequestId", "request ID; NULL in the first second of a run whose caller waits"),
            text("SCF_Alias", "alias it was called by; empty if by version"),
            text("SCF_Qualifier", "version that ran: $LATEST or a number"),
            integer("SCF_StartTime", "when the run started; milliseconds since 1970"),
            integer("SCF_LogTime", "when the line was read; milliseconds since 1970"),
            real("SCF_Duration", "how long the run took, ms"),
            real("SCF_MemUsage", "the most memory the run was seen to use, MB"),
            text("SCF_Level", "INFO or ERROR"),
            text("SCF_Message", "the line"),
            text("SCF_Type", "Platform for the platform's lines, Custom for the function's"),
            integer("SCF_StatusCode", "status code of the run; 202 while it goes on"),
            integer("SCF_RetryNum", "number of the attempt that printed it; 0 is the first"),
            text("stream", "platform, stdout or stderr"),
            integer("invocation_id", "id of its run in invocations"),
            integer("ts_us", "when it was read; microseconds since 1970"),
        ],
    },
    View {
        name: "functions",
        row: "one row for each function that is deployed",
        columns: &[
            text("namespace", "its namespace"),
            text("name", "its name"),
            text("qualifier", "its version: $LATEST"),
            text("status", "Active, Creating, CreateFailed, Updating or UpdateFailed"),
            text("runtime", "runtime, as deployed"),
            text("handler", "handler, as deployed: file.function in most languages"),
            integer("timeout_s", "how long it may run"),
            integer("init_timeout_s", "how long loading may take"),
            integer("memory_mb", "its memory limit"),
            integer("reserved_mb", "memory reserved for it; NULL if none is"),
            text("network", "host, none or no-local"),
            integer("reuse", "1 if a process runs many events, else 0"),
            integer("spawn", "1 if no process is forked, else 0"),
            integer("retry_num", "how often a failed event is tried again"),
            integer("msg_ttl_s", "how old an event may get"),
            text("dead_letter", "function that is sent its dead letters; NULL if none is"),
            integer(
                "keep_s",
                "how long its runs and logs are kept; NULL for as long as the server keeps everybody's",
            ),
            text("description", "its description"),
            text("package_sha256", "SHA-256 of its code"),
            integer("package_bytes", "size of its code"),
            text("created", "first deploy, UTC"),
            text("modified", "last deploy, UTC"),
        ],
    },
    View {
        name: "versions",
        row: "one row for $LATEST and each published version of a function",
        columns: &[
            text("namespace", "namespace of the function"),
            text("function", "name of the function"),
            text("version", "$LATEST or a number"),
            text("runtime", "runtime"),
            text("handler", "handler"),
            integer("timeout_s", "how long it may run"),
            integer("memory_mb", "its memory limit"),
            text("description", "its description"),
            text("layers", "its layers in order, NAME:VERSION; NULL if it has none"),
            integer("provisioned", "processes kept parked for it; NULL if none are"),
            text("package_sha256", "SHA-256 of its code"),
            integer("package_bytes", "size of its code"),
            text("created", "when it was deployed or published, UTC"),
        ],
    },
    View {
        name: "aliases",
        row: "one row for each alias; $DEFAULT only once it was moved from $LATEST",
        columns: &[
            text("namespace", "namespace of the function"),
            text("function", "name of the function"),
            text("alias", "its name"),
            text("version", "version it means"),
            text("other_version", "version that a part of the runs goes to; NULL if none does"),
            real("weight", "that part, 0 to 1; NULL where a rule says which"),
            text("match_key", "value of the routing key that the rule looks at; NULL without a rule"),
            text("match_method", "exact or range"),
            text("match_expression", "what it is compared with"),
            text("description", "its description"),
            text("created", "when it was made, UTC"),
            text("modified", "when it was last changed, UTC"),
        ],
    },
    View {
        name: "layers",
        row: "one row for each version of a layer",
        columns: &[
            text("layer", "its name"),
            integer("version", "its number, from 1"),
            text("runtimes", "runtimes it is made for, a JSON array"),
            text("description", "its description"),
            text("license", "its licence"),
            text("package_sha256", "SHA-256 of its content"),
            integer("package_bytes", "size of its content"),
            text("created", "when it was published, UTC"),
        ],
    },
    View {
        name: "triggers",
        row: "one row for each trigger",
        columns: &[
            text("namespace", "namespace of the function"),
            text("function", "name of the function"),
            text("kind", "timer, http, apigw, cos or ckafka"),
            text("trigger", "its name"),
            text("qualifier", "version or alias that it runs"),
            integer("enabled", "1 if it is on, else 0"),
            text("spec", "what it waits for, a JSON object"),
            text("custom_argument", "what a timer hands over"),
            text("description", "its description"),
            text("created", "when it was made, UTC"),
            text("modified", "when it was last changed, UTC"),
            integer("fired", "how often it fired; written every few seconds"),
            integer("failed", "of them, those that were not accepted or whose run failed"),
            integer("skipped", "moments left out because the event of the one before still waited"),
            text("last_fired", "when it fired last, UTC; NULL if it never did"),
            text("last_error", "what was wrong last; empty if nothing was"),
            text("last_error_at", "when that was, UTC"),
        ],
    },
    View {
        name: "buckets",
        row: "one row for each bucket of the object storage",
        columns: &[
            text("bucket", "its name, the application's id included"),
            integer("objects", "objects in it"),
            integer("size_bytes", "their size"),
            integer("uploads", "uploads in parts that have not ended"),
            text("created", "when it was made, UTC"),
        ],
    },
    View {
        name: "objects",
        row: "one row for each object",
        columns: &[
            text("bucket", "name of its bucket"),
            text("key", "its key"),
            integer("size_bytes", "its size"),
            text("etag", "its MD5; of an upload in parts that of their MD5s, and how many there were"),
            text("content_type", "its media type"),
            text("headers", "what else was said of it, a JSON object"),
            text("class", "its storage class"),
            text("modified", "when it was written, UTC"),
            text("file", "name of its file, in the folder of its first two digits"),
            integer("modified_us", "when it was written; microseconds since 1970"),
        ],
    },
    View {
        name: "dead_letters",
        row: "one row for each event that was given up and not replayed or dropped",
        columns: &[
            text("request_id", "request ID"),
            text("namespace", "namespace of the function"),
            text("function", "name of the function"),
            text("qualifier", "version that ran: $LATEST or a number"),
            text("source", "who called, as in invocations"),
            text("died", "when it was given up, UTC"),
            text("reason", "why"),
            integer("status", "status code of its last attempt"),
            text("error", "one sentence about its last attempt"),
            integer("retry_num", "number of its last attempt"),
            text("event", "the event: JSON, as it came"),
            text("result", "error body of its last attempt"),
            integer("created_us", "when it was accepted; microseconds since 1970"),
            integer("died_us", "when it was given up; microseconds since 1970"),
        ],
    },
    View {
        name: "appliance",
        row: "one row about the server that has the file, or had it last",
        columns: &[
            text("release", "release of fnlite"),
            text("sqlite", "release of SQLite in it"),
            integer("isolation_level", "isolation level it gave functions"),
            text("started", "when it started, UTC"),
            integer("functions", "functions that are deployed"),
            integer("queued", "events that wait or run"),
            integer("dead_letters", "dead letters"),
            text("oldest_invocation", "when the oldest run was accepted that is kept, UTC"),
            text("newest_invocation", "when the newest run was accepted that is kept, UTC"),
            text("oldest_line", "when the oldest line was read that is kept, UTC"),
            text("newest_line", "when the newest line was read that is kept, UTC"),
            integer("started_us", "when it started; microseconds since 1970"),
        ],
    },
];

/// Functions of our own. Only statements that come through fnlite have them.
pub static FUNCTIONS: &[Function] = &[
    function(
        "X REGEXP 'pattern'",
        "1 if the regular expression matches anywhere in X, else 0; also regexp(pattern, X)",
    ),
    function(
        "has_word(X, 'text')",
        "1 if X has the text as a word, or as words in a row, in upper or lower case; a * at its end stands for the rest of a word",
    ),
    function("json_log(X)", "X if it is a JSON object, else NULL; never an error"),
    function(
        "json_log(X, 'key')",
        "value of a first-level key of X if X is a JSON object that has it, else NULL",
    ),
    function("percentile(X, p)", "aggregate: the value below which p % of the numbers lie, 0 to 100"),
    function("median(X)", "aggregate: percentile(X, 50)"),
    function("p50(X), p95(X), p99(X)", "aggregates: percentile(X, 50), and so on"),
];

/// Functions of SQLite that statements may use: all that compute something, but for those that can take long or much memory
/// for a single call (`json_patch`, `json_pretty`, `unhex`) and those that tell of SQLite itself or of other extensions.
#[rustfmt::skip]
pub static BUILT_IN: &[&str] = &[
    "->", "->>", "abs", "avg", "char", "coalesce", "concat", "concat_ws", "count", "cume_dist", "current_date", "current_time",
    "current_timestamp", "date", "datetime", "dense_rank", "first_value", "format", "glob", "group_concat", "hex", "if", "ifnull",
    "iif", "instr", "json", "json_array", "json_array_insert", "json_array_length", "json_error_position", "json_extract",
    "json_group_array", "json_group_object", "json_insert", "json_object", "json_quote", "json_remove",
    "json_replace", "json_set", "json_type", "json_valid", "jsonb", "jsonb_array", "jsonb_array_insert", "jsonb_extract",
    "jsonb_group_array", "jsonb_group_object", "jsonb_insert", "jsonb_object", "jsonb_remove", "jsonb_replace",
    "jsonb_set", "julianday", "lag", "last_value", "lead", "length", "like", "likelihood", "likely", "lower", "ltrim", "max", "min",
    "nth_value", "ntile", "nullif", "octet_length", "percent_rank", "printf", "quote", "random", "randomblob", "rank", "replace",
    "round", "row_number", "rtrim", "sign", "strftime", "string_agg", "substr", "substring", "sum", "time", "timediff", "total",
    "trim", "typeof", "unicode", "unistr", "unistr_quote", "unixepoch", "unlikely", "upper", "zeroblob",
];

const fn text(name: &'static str, says: &'static str) -> Column {
    Column { name, kind: Kind::Text, says }
}

const fn integer(name: &'static str, says: &'static str) -> Column {
    Column { name, kind: Kind::Integer, says }
}

const fn real(name: &'static str, says: &'static str) -> Column {
    Column { name, kind: Kind::Real, says }
}

const fn function(call: &'static str, says: &'static str) -> Function {
    Function { call, says }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::invocation::Source;

    #[test]
    fn every_source_of_runs_is_named() {
        let column = VIEWS[0].columns.iter().find(|column| column.name == "source").unwrap();
        let words: Vec<&str> = column.says.split(|of: char| !of.is_ascii_lowercase() && of != '-').collect();
        for source in Source::ALL {
            assert!(words.contains(&source.as_str()), "{}: {}", source.as_str(), column.says);
        }
    }
}
