//! What a statement may read: the views, the columns below them, and functions that only compute.
//!
//! Everything is refused that is not named here: a table or a column of a later migration cannot be read by SQL until
//! somebody has thought about it. Secrets are in `key`, `version.env`, `package_chunk` and `idempotency`; no line may name
//! them. On whose behalf something is read (the authorizer's accessor) counts for nothing, since a statement can give a
//! subquery of its own the name of a view.

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use crate::model::views;
use crate::store::sql::functions;

/// The tables and their columns.
const TABLES: &[(&str, &[&str])] = &[
    ("function", &["id", "namespace", "name", "created_us", "modified_us", "deleted_us", "status"]),
    (
        "version",
        &[
            "id",
            "function_id",
            "qualifier",
            "runtime",
            "handler",
            "timeout_s",
            "init_timeout_s",
            "memory_mb",
            "reserved_mb",
            "description",
            "package_id",
            "network",
            "reuse",
            "spawn",
            "retry_num",
            "msg_ttl_s",
            "dead_letter",
            "keep_s",
            "created_us",
        ],
    ),
    ("version_layer", &["version_id", "place", "layer_id"]),
    ("provisioned", &["function_id", "qualifier", "instances"]),
    (
        "layer_version",
        &[
            "id",
            "name",
            "number",
            "package_id",
            "runtimes",
            "description",
            "license",
            "created_us",
            "deleted_us",
        ],
    ),
    (
        "alias",
        &[
            "function_id",
            "name",
            "version",
            "other_version",
            "weight",
            "match_key",
            "match_method",
            "match_expression",
            "description",
            "created_us",
            "modified_us",
        ],
    ),
    (
        "trigger_row",
        &[
            "id",
            "function_id",
            "kind",
            "name",
            "qualifier",
            "spec",
            "enabled",
            "custom_argument",
            "description",
            "created_us",
            "modified_us",
        ],
    ),
    (
        "trigger_state",
        &[
            "trigger_id",
            "fired",
            "failed",
            "skipped",
            "fired_us",
            "error",
            "error_us",
            "moment_us",
            "invocation_id",
        ],
    ),
    ("bucket", &["id", "name", "created_us"]),
    (
        "object",
        &[
            "id",
            "bucket_id",
            "key",
            "file",
            "size_bytes",
            "etag",
            "content_type",
            "headers",
            "class",
            "modified_us",
        ],
    ),
    // They are counted by an index that has the names, too, which a list of uploads tells as well.
    ("upload", &["id", "bucket_id", "key", "upload_id"]),
    ("package", &["id", "sha256", "size_bytes", "complete"]),
    (
        "invocation",
        &[
            "id",
            "request_id",
            "function_id",
            "qualifier",
            "source",
            "state",
            "status",
            "created_us",
            "started_us",
            "ended_us",
            "duration_us",
            "init_us",
            "memory_mb",
            "memory_used_kb",
            "error",
            "event",
            "result",
            "retry_num",
            "alias",
            "is_event",
        ],
    ),
    ("log", &["id", "ts_us", "invocation_id", "function_id", "level", "stream", "message", "retry_num"]),
    (
        "queued",
        &[
            "invocation_id",
            "function_id",
            "function_created_us",
            "created_us",
            "due_us",
            "event_bytes",
            "attempts",
            "failures",
            "deaths",
            "claimed_us",
            "trigger_id",
        ],
    ),
    (
        "attempt",
        &[
            "invocation_id",
            "retry_num",
            "status",
            "started_us",
            "ended_us",
            "duration_us",
            "init_us",
            "memory_used_kb",
            "error",
            "result",
        ],
    ),
    ("dead_letter", &["invocation_id", "function_id", "died_us", "reason"]),
    ("server", &["id", "release", "sqlite", "isolation_level", "started_us"]),
];

/// Tables that are made of their argument.
const VALUED: &[&str] = &["json_each", "json_tree"];

/// The authorizer's answer; where it is no, what was refused, in words.
pub(super) fn authorize(context: &AuthContext<'_>) -> Result<(), String> {
    match context.action {
        AuthAction::Select | AuthAction::Recursive => Ok(()),
        AuthAction::Read { table_name, column_name } => {
            is_readable(table_name, column_name).then_some(()).ok_or(reading(table_name, column_name))
        }
        AuthAction::Function { function_name } => {
            is_callable(function_name).then_some(()).ok_or(format!("the function {function_name}"))
        }
        AuthAction::Pragma { pragma_name, .. } => Err(format!("PRAGMA {pragma_name}")),
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => Err("another database".to_owned()),
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => Err("a transaction".to_owned()),
        _ => Err("a statement that changes something".to_owned()),
    }
}

/// The answer in rusqlite's words.
pub(super) fn verdict(is_allowed: bool) -> Authorization {
    if is_allowed { Authorization::Allow } else { Authorization::Deny }
}

/// What reading of a column is called; of a whole table where it has no name.
pub(super) fn reading(table: &str, column: &str) -> String {
    if column.is_empty() { format!("reading {table}") } else { format!("reading {table}.{column}") }
}

/// Whether the columns of that table that may be read are all it has; none where nothing of it may.
pub(super) fn columns(table: &str) -> Option<&'static [&'static str]> {
    TABLES.iter().find(|(name, _)| *name == table).map(|(_, columns)| *columns)
}

/// Without a column this says nothing: SQLite then names tables of the statement's own (WITH) in the same way. What such
/// a name stands for is seen in the program.
fn is_readable(table: &str, column: &str) -> bool {
    let is_view = || views::VIEWS.iter().any(|view| view.name == table);
    column.is_empty()
        || columns(table).is_some_and(|columns| columns.contains(&column))
        || VALUED.contains(&table)
        || is_view()
}

fn is_callable(function: &str) -> bool {
    let mut names = views::BUILT_IN.iter().chain(functions::NAMES);
    names.any(|name| name.eq_ignore_ascii_case(function))
}
