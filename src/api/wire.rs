//! The JSON of [`rest`](crate::api::rest) as those of this house read it that are its clients: commands and the console. Fields
//! that they can do without have defaults, so that a newer or older server is still understood.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A deployed function.
#[derive(Debug, Deserialize)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) runtime: String,
    pub(crate) handler: String,
    pub(crate) timeout_s: u32,
    pub(crate) memory_mb: u32,
    /// Empty from a server that knows no policies.
    #[serde(default)]
    pub(crate) network: String,
    #[serde(default)]
    pub(crate) description: String,
    /// Active, or how its last deploy goes.
    #[serde(default)]
    pub(crate) status: String,
    /// Why that failed.
    #[serde(default)]
    pub(crate) status_reason: String,
    #[serde(default)]
    pub(crate) code_bytes: u64,
    #[serde(default)]
    pub(crate) modified_us: i64,
    /// What the deployer should know, for example which interpreter stands in.
    #[serde(default)]
    pub(crate) notes: Vec<String>,
}

/// A trigger.
#[derive(Debug, Deserialize)]
pub(crate) struct Trigger {
    pub(crate) function: String,
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) qualifier: String,
    pub(crate) enabled: bool,
    pub(crate) address: String,
    #[serde(default)]
    pub(crate) spec: TriggerSpec,
    #[serde(default)]
    pub(crate) next_us: Option<i64>,
    #[serde(default)]
    pub(crate) fired: u64,
    #[serde(default)]
    pub(crate) failed: u64,
    #[serde(default)]
    pub(crate) skipped: u64,
    #[serde(default)]
    pub(crate) fired_us: i64,
    #[serde(default)]
    pub(crate) error: String,
    #[serde(default)]
    pub(crate) error_us: i64,
    #[serde(default)]
    pub(crate) warning: String,
}

/// What narrows a trigger down, where its type has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TriggerSpec {
    /// The method of an API.
    pub(crate) method: String,
    /// What is done to an object.
    pub(crate) event: String,
    /// How the object's key begins, and how it ends.
    pub(crate) prefix: String,
    pub(crate) suffix: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Triggers {
    pub(crate) triggers: Vec<Trigger>,
}

/// An event to try a function with.
#[derive(Debug, Deserialize)]
pub(crate) struct EventTemplate {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) title: String,
    pub(crate) event: Box<RawValue>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct EventTemplates {
    pub(crate) templates: Vec<EventTemplate>,
}

/// A page of functions.
#[derive(Debug, Deserialize)]
pub(crate) struct Functions {
    pub(crate) functions: Vec<Function>,
    pub(crate) next_cursor: Option<String>,
}

/// One run. The event, the result and the log come only where one run is asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Run {
    pub(crate) request_id: String,
    pub(crate) namespace: String,
    pub(crate) function: String,
    pub(crate) qualifier: String,
    pub(crate) source: String,
    pub(crate) state: String,
    pub(crate) status: u16,
    /// Which attempt the following tells of; 0 is the first.
    #[serde(default)]
    pub(crate) retry_num: u32,
    /// When the next attempt is due; 0 unless it waits for one.
    #[serde(default)]
    pub(crate) due_us: i64,
    pub(crate) created_us: i64,
    #[serde(default)]
    pub(crate) started_us: i64,
    #[serde(default)]
    pub(crate) ended_us: i64,
    #[serde(default)]
    pub(crate) duration_us: i64,
    #[serde(default)]
    pub(crate) init_us: i64,
    pub(crate) memory_mb: u32,
    #[serde(default)]
    pub(crate) memory_used_kb: u64,
    #[serde(default)]
    pub(crate) error: String,
    #[serde(default, deserialize_with = "there")]
    pub(crate) event: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "there")]
    pub(crate) result: Option<Box<RawValue>>,
    /// The attempts before that one.
    #[serde(default)]
    pub(crate) attempts: Vec<Attempt>,
    #[serde(default)]
    pub(crate) log: Vec<Line>,
    /// Where the log goes on, if that is not all of it.
    #[serde(default)]
    pub(crate) log_next_cursor: Option<String>,
    /// When it was given up; 0 but for a dead letter.
    #[serde(default)]
    pub(crate) died_us: i64,
    /// Why it was given up; empty but for a dead letter.
    #[serde(default)]
    pub(crate) reason: String,
}

/// An attempt that was followed by another one.
#[derive(Debug, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) retry_num: u32,
    pub(crate) status: u16,
    pub(crate) ended_us: i64,
    pub(crate) duration_us: i64,
    #[serde(default)]
    pub(crate) error: String,
}

/// A value that is there, even if it is `null`: a function may return that.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(deserializer).map(Some)
}

impl Run {
    /// Whether it ended, and not by returning.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.state.as_str(), "failed" | "expired" | "dead" | "aborted")
    }

    /// Why it failed, with the trace of the user's own code where there is one.
    pub(crate) fn failure(&self) -> String {
        let body =
            self.result.as_ref().and_then(|result| serde_json::from_str::<RunError>(result.get()).ok());
        match body {
            Some(error) if !error.trace.is_empty() => error.trace,
            Some(error) => error.message,
            None => self.error.clone(),
        }
    }

    /// The parts of its time, in order: until an Instance began with the event, less what loading the code took; the handler;
    /// and from there until the record was handed to the database: reading the last of what was printed and, unless it
    /// returned, ending its processes. The commit comes after that and cannot be told in what it commits. With retries, of the
    /// last attempt's, which waited since the end of the one before.
    pub(crate) fn spans(&self) -> [(&'static str, i64); 4] {
        let before = self.attempts.iter().rfind(|attempt| attempt.retry_num < self.retry_num);
        let since_us = before.map_or(self.created_us, |attempt| attempt.ended_us);
        let waited_us = (self.started_us - since_us).max(0);
        let init_us = self.init_us.clamp(0, waited_us);
        let after_us = (self.ended_us - self.started_us - self.duration_us).max(0);
        [
            ("queue", waited_us - init_us),
            ("init", init_us),
            ("run", self.duration_us.max(0)),
            ("finish", after_us),
        ]
    }

    /// Whether it ended, one way or the other.
    pub(crate) fn is_over(&self) -> bool {
        self.state == "succeeded" || self.has_failed()
    }
}

/// A page of runs.
#[derive(Debug, Deserialize)]
pub(crate) struct Runs {
    pub(crate) invocations: Vec<Run>,
    pub(crate) next_cursor: Option<String>,
}

/// The answer to an event that was accepted.
#[derive(Debug, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) request_id: String,
}

/// A page of dead letters.
#[derive(Debug, Deserialize)]
pub(crate) struct DeadLetters {
    pub(crate) dead_letters: Vec<Run>,
    pub(crate) next_cursor: Option<String>,
}

/// One line of a log.
#[derive(Debug, Deserialize)]
pub(crate) struct Line {
    #[serde(default)]
    pub(crate) id: i64,
    pub(crate) ts_us: i64,
    #[serde(default)]
    pub(crate) request_id: String,
    #[serde(default)]
    pub(crate) function: String,
    /// Which attempt printed it; 0 is the first.
    #[serde(default)]
    pub(crate) retry_num: u32,
    pub(crate) stream: String,
    pub(crate) level: String,
    pub(crate) message: String,
    /// Lines of its run before it, where they were asked for.
    #[serde(default)]
    pub(crate) before: Vec<Line>,
    /// Lines of its run behind it, where they were asked for.
    #[serde(default)]
    pub(crate) after: Vec<Line>,
}

/// A page of log lines.
#[derive(Debug, Deserialize)]
pub(crate) struct Lines {
    /// The one run they are of, where one was asked for.
    #[serde(default)]
    pub(crate) invocation: Option<Run>,
    pub(crate) lines: Vec<Line>,
    pub(crate) next_cursor: Option<String>,
    /// Whether looking for them took too long.
    #[serde(default)]
    pub(crate) partial: bool,
}

/// How many lines there are, by time.
#[derive(Debug, Deserialize)]
pub(crate) struct Histogram {
    pub(crate) from_us: i64,
    pub(crate) bucket_us: i64,
    pub(crate) lines: u64,
    pub(crate) buckets: Vec<u64>,
    /// Where not all were counted: the time of the oldest that was.
    pub(crate) stopped_us: Option<i64>,
}

/// How many lines there are, by what they have in common.
#[derive(Debug, Deserialize)]
pub(crate) struct Facets {
    pub(crate) lines: u64,
    pub(crate) function: Vec<Facet>,
    pub(crate) level: Vec<Facet>,
    pub(crate) status: Vec<Facet>,
    pub(crate) version: Vec<Facet>,
    /// Where not all were counted: the time of the oldest that was.
    pub(crate) stopped_us: Option<i64>,
}

/// A value and how many lines have it.
#[derive(Debug, Deserialize)]
pub(crate) struct Facet {
    pub(crate) value: String,
    pub(crate) lines: u64,
}

/// A key; the secret only in the answer that makes it.
#[derive(Debug, Deserialize)]
pub(crate) struct Key {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) scope: String,
    #[serde(default)]
    pub(crate) created_us: i64,
    pub(crate) key: Option<String>,
    pub(crate) secret_id: Option<String>,
    pub(crate) secret_key: Option<String>,
    pub(crate) endpoint: Option<String>,
}

/// A link that signs in to the console.
#[derive(Debug, Deserialize)]
pub(crate) struct SignInLink {
    pub(crate) url: String,
}

/// All keys.
#[derive(Debug, Deserialize)]
pub(crate) struct Keys {
    pub(crate) keys: Vec<Key>,
}

/// What a failed run answers (contract 4.2).
#[derive(Debug, Deserialize)]
pub(crate) struct RunError {
    #[serde(rename = "errorMessage")]
    pub(crate) message: String,
    #[serde(rename = "stackTrace", default)]
    pub(crate) trace: String,
}

/// What a check of the database found.
#[derive(Debug, Deserialize)]
pub(crate) struct Checked {
    pub(crate) sound: bool,
    pub(crate) problems: Vec<String>,
    pub(crate) functions: u64,
    /// By state.
    pub(crate) invocations: serde_json::Map<String, serde_json::Value>,
    pub(crate) lines: u64,
    pub(crate) indexed_lines: u64,
    pub(crate) queued: u64,
    pub(crate) dead_letters: u64,
    pub(crate) bytes: u64,
    pub(crate) free_bytes: u64,
}

/// What a statement of SQL has read; the values as they came.
#[derive(Debug, Deserialize)]
pub(crate) struct Rows {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Box<RawValue>>>,
    pub(crate) truncated: bool,
    #[serde(default)]
    pub(crate) took_us: i64,
}

/// What a server is and how it is now, as far as it is shown.
#[derive(Debug, Deserialize)]
pub(crate) struct Appliance {
    pub(crate) release: String,
    pub(crate) sqlite: String,
    pub(crate) started_us: i64,
    pub(crate) isolation_level: u8,
    pub(crate) functions: u64,
    pub(crate) runs_running: u64,
    pub(crate) memory_used_mb: u32,
    pub(crate) memory_total_mb: u32,
    pub(crate) instances_parked: u64,
    pub(crate) events_waiting: u64,
    pub(crate) events_running: u64,
    pub(crate) events_max: u64,
    pub(crate) dead_letters: u64,
    pub(crate) db_bytes: u64,
    pub(crate) wal_bytes: u64,
    pub(crate) disk_free_bytes: u64,
    pub(crate) disk_level: u8,
}

/// What ran, by time.
#[derive(Debug, Deserialize)]
pub(crate) struct RunHistogram {
    pub(crate) from_us: i64,
    pub(crate) bucket_us: i64,
    /// Whether the numbers are estimates.
    pub(crate) sampled: bool,
    pub(crate) buckets: Vec<RunBucket>,
}

/// What ran in one stretch of time.
#[derive(Debug, Deserialize)]
pub(crate) struct RunBucket {
    pub(crate) runs: u64,
    pub(crate) failed: u64,
    /// None where nothing ended.
    pub(crate) p50_us: Option<i64>,
    pub(crate) p99_us: Option<i64>,
}

/// What a server found out about its host.
#[derive(Debug, Deserialize)]
pub(crate) struct Doctor {
    pub(crate) checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Deserialize)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    pub(crate) detail: String,
}

/// How it was found.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// A published version, or `$LATEST`.
#[derive(Debug, Deserialize)]
pub(crate) struct FunctionVersion {
    pub(crate) version: String,
    pub(crate) runtime: String,
    pub(crate) memory_mb: u32,
    pub(crate) timeout_s: u32,
    pub(crate) code_bytes: u64,
    pub(crate) created_us: i64,
    pub(crate) description: String,
}

/// All versions of a function.
#[derive(Debug, Deserialize)]
pub(crate) struct FunctionVersions {
    pub(crate) versions: Vec<FunctionVersion>,
}

/// A name for a version.
#[derive(Debug, Deserialize)]
pub(crate) struct Alias {
    pub(crate) alias: String,
    pub(crate) version: String,
    pub(crate) other_version: Option<String>,
    pub(crate) weight: Option<f64>,
    #[serde(rename = "match")]
    pub(crate) rule: Option<Match>,
    pub(crate) description: String,
    pub(crate) modified_us: i64,
}

/// A rule about one value of the routing key.
#[derive(Debug, Deserialize)]
pub(crate) struct Match {
    pub(crate) key: String,
    pub(crate) method: String,
    pub(crate) expression: String,
}

/// All aliases of a function.
#[derive(Debug, Deserialize)]
pub(crate) struct Aliases {
    pub(crate) aliases: Vec<Alias>,
}

/// A namespace.
#[derive(Debug, Deserialize)]
pub(crate) struct Namespace {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) created_us: i64,
}

/// All namespaces.
#[derive(Debug, Deserialize)]
pub(crate) struct Namespaces {
    pub(crate) namespaces: Vec<Namespace>,
}

/// A version of a layer.
#[derive(Debug, Deserialize)]
pub(crate) struct Layer {
    pub(crate) layer: String,
    pub(crate) version: u32,
    pub(crate) runtimes: Vec<String>,
    pub(crate) description: String,
    pub(crate) code_bytes: u64,
    pub(crate) created_us: i64,
}

/// All of them.
#[derive(Debug, Deserialize)]
pub(crate) struct Layers {
    pub(crate) layers: Vec<Layer>,
}

/// What a function may use at once.
#[derive(Debug, Deserialize)]
pub(crate) struct Concurrency {
    pub(crate) reserved_mb: Option<u32>,
    pub(crate) provisioned: Vec<Provisioned>,
}

/// What is kept parked for a version.
#[derive(Debug, Deserialize)]
pub(crate) struct Provisioned {
    pub(crate) version: String,
    pub(crate) instances: u32,
    pub(crate) parked: u32,
}

/// What all functions together may use at once.
#[derive(Debug, Deserialize)]
pub(crate) struct TotalConcurrency {
    pub(crate) total_mb: u32,
    pub(crate) total_mb_max: u32,
    pub(crate) reserved_mb: u32,
}

/// How a function's events are tried.
#[derive(Debug, Deserialize)]
pub(crate) struct EventConfig {
    pub(crate) retry_num: u32,
    pub(crate) msg_ttl_s: u32,
    pub(crate) dead_letter: Option<String>,
}
