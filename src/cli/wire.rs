//! The server's JSON, as far as commands read it. Fields that a command can do without have defaults, so that a newer or
//! older server is still understood.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A deployed function.
#[derive(Debug, Deserialize)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) runtime: String,
    pub(super) handler: String,
    pub(super) timeout_s: u32,
    pub(super) memory_mb: u32,
    /// Empty from a server that knows no policies.
    #[serde(default)]
    pub(super) network: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) code_bytes: u64,
    #[serde(default)]
    pub(super) modified_us: i64,
    /// What the deployer should know, for example which interpreter stands in.
    #[serde(default)]
    pub(super) notes: Vec<String>,
}

/// A trigger.
#[derive(Debug, Deserialize)]
pub(super) struct Trigger {
    pub(super) function: String,
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) qualifier: String,
    pub(super) enabled: bool,
    pub(super) address: String,
    #[serde(default)]
    pub(super) next_us: Option<i64>,
    #[serde(default)]
    pub(super) fired: u64,
    #[serde(default)]
    pub(super) failed: u64,
    #[serde(default)]
    pub(super) skipped: u64,
    #[serde(default)]
    pub(super) fired_us: i64,
    #[serde(default)]
    pub(super) error: String,
    #[serde(default)]
    pub(super) error_us: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Triggers {
    pub(super) triggers: Vec<Trigger>,
}

/// An event to try a function with.
#[derive(Debug, Deserialize)]
pub(super) struct EventTemplate {
    pub(super) name: String,
    pub(super) event: Box<RawValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct EventTemplates {
    pub(super) templates: Vec<EventTemplate>,
}

/// A page of functions.
#[derive(Debug, Deserialize)]
pub(super) struct Functions {
    pub(super) functions: Vec<Function>,
    pub(super) next_cursor: Option<String>,
}

/// One run. The event, the result and the log come only where one run is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Run {
    pub(super) request_id: String,
    pub(super) namespace: String,
    pub(super) function: String,
    pub(super) qualifier: String,
    pub(super) source: String,
    pub(super) state: String,
    pub(super) status: u16,
    /// Which attempt the following tells of; 0 is the first.
    #[serde(default)]
    pub(super) retry_num: u32,
    /// When the next attempt is due; 0 unless it waits for one.
    #[serde(default)]
    pub(super) due_us: i64,
    pub(super) created_us: i64,
    #[serde(default)]
    pub(super) started_us: i64,
    #[serde(default)]
    pub(super) ended_us: i64,
    #[serde(default)]
    pub(super) duration_us: i64,
    #[serde(default)]
    pub(super) init_us: i64,
    pub(super) memory_mb: u32,
    #[serde(default)]
    pub(super) memory_used_kb: u64,
    #[serde(default)]
    pub(super) error: String,
    #[serde(default, deserialize_with = "there")]
    pub(super) event: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "there")]
    pub(super) result: Option<Box<RawValue>>,
    /// The attempts before that one.
    #[serde(default)]
    pub(super) attempts: Vec<Attempt>,
    #[serde(default)]
    pub(super) log: Vec<Line>,
    /// Where the log goes on, if that is not all of it.
    #[serde(default)]
    pub(super) log_next_cursor: Option<String>,
    /// When it was given up; 0 but for a dead letter.
    #[serde(default)]
    pub(super) died_us: i64,
    /// Why it was given up; empty but for a dead letter.
    #[serde(default)]
    pub(super) reason: String,
}

/// An attempt that was followed by another one.
#[derive(Debug, Deserialize)]
pub(super) struct Attempt {
    pub(super) retry_num: u32,
    pub(super) status: u16,
    pub(super) ended_us: i64,
    pub(super) duration_us: i64,
    #[serde(default)]
    pub(super) error: String,
}

/// A value that is there, even if it is `null`: a function may return that.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(deserializer).map(Some)
}

impl Run {
    /// Whether it ended, and not by returning.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.state.as_str(), "failed" | "expired" | "dead")
    }

    /// Whether it ended, one way or the other.
    pub(super) fn is_over(&self) -> bool {
        self.state == "succeeded" || self.has_failed()
    }
}

/// A page of runs.
#[derive(Debug, Deserialize)]
pub(super) struct Runs {
    pub(super) invocations: Vec<Run>,
    pub(super) next_cursor: Option<String>,
}

/// The answer to an event that was accepted.
#[derive(Debug, Deserialize)]
pub(super) struct Accepted {
    pub(super) request_id: String,
}

/// A page of dead letters.
#[derive(Debug, Deserialize)]
pub(super) struct DeadLetters {
    pub(super) dead_letters: Vec<Run>,
    pub(super) next_cursor: Option<String>,
}

/// One line of a log.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    #[serde(default)]
    pub(super) id: i64,
    pub(super) ts_us: i64,
    #[serde(default)]
    pub(super) request_id: String,
    #[serde(default)]
    pub(super) function: String,
    /// Which attempt printed it; 0 is the first.
    #[serde(default)]
    pub(super) retry_num: u32,
    pub(super) stream: String,
    pub(super) level: String,
    pub(super) message: String,
    /// Lines of its run before it, where they were asked for.
    #[serde(default)]
    pub(super) before: Vec<Line>,
    /// Lines of its run behind it, where they were asked for.
    #[serde(default)]
    pub(super) after: Vec<Line>,
}

/// A page of log lines.
#[derive(Debug, Deserialize)]
pub(super) struct Lines {
    pub(super) lines: Vec<Line>,
    pub(super) next_cursor: Option<String>,
    /// Whether looking for them took too long.
    #[serde(default)]
    pub(super) partial: bool,
}

/// How many lines there are, by time.
#[derive(Debug, Deserialize)]
pub(super) struct Histogram {
    pub(super) from_us: i64,
    pub(super) bucket_us: i64,
    pub(super) lines: u64,
    pub(super) buckets: Vec<u64>,
    /// Where not all were counted: the time of the oldest that was.
    pub(super) stopped_us: Option<i64>,
}

/// How many lines there are, by what they have in common.
#[derive(Debug, Deserialize)]
pub(super) struct Facets {
    pub(super) lines: u64,
    pub(super) function: Vec<Facet>,
    pub(super) level: Vec<Facet>,
    pub(super) status: Vec<Facet>,
    pub(super) version: Vec<Facet>,
    /// Where not all were counted: the time of the oldest that was.
    pub(super) stopped_us: Option<i64>,
}

/// A value and how many lines have it.
#[derive(Debug, Deserialize)]
pub(super) struct Facet {
    pub(super) value: String,
    pub(super) lines: u64,
}

/// A key; the secret only in the answer that makes it.
#[derive(Debug, Deserialize)]
pub(super) struct Key {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) scope: String,
    #[serde(default)]
    pub(super) created_us: i64,
    pub(super) key: Option<String>,
    pub(super) secret_id: Option<String>,
    pub(super) secret_key: Option<String>,
}

/// All keys.
#[derive(Debug, Deserialize)]
pub(super) struct Keys {
    pub(super) keys: Vec<Key>,
}

/// What a failed run answers (contract 4.2).
#[derive(Debug, Deserialize)]
pub(super) struct RunError {
    #[serde(rename = "errorMessage")]
    pub(super) message: String,
    #[serde(rename = "stackTrace", default)]
    pub(super) trace: String,
}

/// What a check of the database found.
#[derive(Debug, Deserialize)]
pub(super) struct Checked {
    pub(super) sound: bool,
    pub(super) problems: Vec<String>,
    pub(super) functions: u64,
    /// By state.
    pub(super) invocations: serde_json::Map<String, serde_json::Value>,
    pub(super) lines: u64,
    pub(super) indexed_lines: u64,
    pub(super) queued: u64,
    pub(super) dead_letters: u64,
    pub(super) bytes: u64,
    pub(super) free_bytes: u64,
}

/// What a statement of SQL has read; the values as they came.
#[derive(Debug, Deserialize)]
pub(super) struct Rows {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Box<RawValue>>>,
    pub(super) truncated: bool,
}

/// What a server found out about its host.
#[derive(Debug, Deserialize)]
pub(super) struct Doctor {
    pub(super) checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Deserialize)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) verdict: Verdict,
    pub(super) detail: String,
}

/// How it was found.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// A published version, or `$LATEST`.
#[derive(Debug, Deserialize)]
pub(super) struct FunctionVersion {
    pub(super) version: String,
    pub(super) runtime: String,
    pub(super) memory_mb: u32,
    pub(super) timeout_s: u32,
    pub(super) code_bytes: u64,
    pub(super) created_us: i64,
    pub(super) description: String,
}

/// All versions of a function.
#[derive(Debug, Deserialize)]
pub(super) struct FunctionVersions {
    pub(super) versions: Vec<FunctionVersion>,
}

/// A name for a version.
#[derive(Debug, Deserialize)]
pub(super) struct Alias {
    pub(super) alias: String,
    pub(super) version: String,
    pub(super) other_version: Option<String>,
    pub(super) weight: Option<f64>,
    #[serde(rename = "match")]
    pub(super) rule: Option<Match>,
    pub(super) description: String,
    pub(super) modified_us: i64,
}

/// A rule about one value of the routing key.
#[derive(Debug, Deserialize)]
pub(super) struct Match {
    pub(super) key: String,
    pub(super) method: String,
    pub(super) expression: String,
}

/// All aliases of a function.
#[derive(Debug, Deserialize)]
pub(super) struct Aliases {
    pub(super) aliases: Vec<Alias>,
}

/// A namespace.
#[derive(Debug, Deserialize)]
pub(super) struct Namespace {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) created_us: i64,
}

/// All namespaces.
#[derive(Debug, Deserialize)]
pub(super) struct Namespaces {
    pub(super) namespaces: Vec<Namespace>,
}

/// A version of a layer.
#[derive(Debug, Deserialize)]
pub(super) struct Layer {
    pub(super) layer: String,
    pub(super) version: u32,
    pub(super) runtimes: Vec<String>,
    pub(super) description: String,
    pub(super) code_bytes: u64,
    pub(super) created_us: i64,
}

/// All of them.
#[derive(Debug, Deserialize)]
pub(super) struct Layers {
    pub(super) layers: Vec<Layer>,
}

/// What a function may use at once.
#[derive(Debug, Deserialize)]
pub(super) struct Concurrency {
    pub(super) reserved_mb: Option<u32>,
    pub(super) provisioned: Vec<Provisioned>,
}

/// What is kept parked for a version.
#[derive(Debug, Deserialize)]
pub(super) struct Provisioned {
    pub(super) version: String,
    pub(super) instances: u32,
    pub(super) parked: u32,
}

/// What all functions together may use at once.
#[derive(Debug, Deserialize)]
pub(super) struct TotalConcurrency {
    pub(super) total_mb: u32,
    pub(super) total_mb_max: u32,
    pub(super) reserved_mb: u32,
}

/// How a function's events are tried.
#[derive(Debug, Deserialize)]
pub(super) struct EventConfig {
    pub(super) retry_num: u32,
    pub(super) msg_ttl_s: u32,
    pub(super) dead_letter: Option<String>,
}
