//! An order to run an Event, how a run ended, and what is kept of it.

use std::sync::Arc;

use crate::base::id::RequestId;
use crate::error::{Error, Result};
use crate::model::function::{FunctionName, Namespace, Version};
use crate::model::trigger::Kind;

/// The JSON given to a handler, as the bytes that came. Whoever makes one has checked that it is RFC 8259 JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event(pub Arc<[u8]>);

/// What caused an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A caller of the REST door.
    Rest,
    /// A caller of the TencentCloud API.
    Api,
    /// Somebody replayed a dead letter.
    Replay,
    /// Another function's event was given up.
    DeadLetter,
    /// A timer.
    Timer,
    /// A request to the function's own URL.
    Url,
    /// A request to the API gateway.
    Apigw,
    /// Something done to an object.
    Cos,
    /// Messages of a Kafka topic.
    Kafka,
}

impl Source {
    /// Every source.
    pub const ALL: [Source; 9] = [
        Source::Rest,
        Source::Api,
        Source::Replay,
        Source::DeadLetter,
        Source::Timer,
        Source::Url,
        Source::Apigw,
        Source::Cos,
        Source::Kafka,
    ];

    /// The word stored in the record; of a trigger, its type.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Rest => "rest",
            Source::Api => "api",
            Source::Replay => "replay",
            Source::DeadLetter => "dead-letter",
            Source::Timer => Kind::Timer.as_str(),
            Source::Url => Kind::Http.as_str(),
            Source::Apigw => Kind::Apigw.as_str(),
            Source::Cos => Kind::Cos.as_str(),
            Source::Kafka => Kind::Ckafka.as_str(),
        }
    }

    /// Whether it is a trigger.
    pub fn is_trigger(self) -> bool {
        Kind::parse(self.as_str()).is_ok()
    }

    /// The source of that word.
    pub fn parse(word: &str) -> Option<Source> {
        Source::ALL.into_iter().find(|source| source.as_str() == word)
    }

    /// The same of a caller's word.
    pub fn asked(word: &str) -> Result<Source> {
        let words = || Source::ALL.map(Source::as_str).join(", ");
        Source::parse(word).ok_or_else(|| Error::invalid(format!("source must be one of {}", words())))
    }
}

/// One order to run an Event.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Row id of the run, taken from memory before it starts (D21).
    pub id: i64,
    /// The id callers see.
    pub request_id: RequestId,
    /// The version that runs.
    pub version: Arc<Version>,
    /// The namespace's and function's names, for context and log.
    pub function: Arc<FunctionNames>,
    /// What the handler is given.
    pub event: Event,
    /// What caused it.
    pub source: Source,
    /// When the order came, microseconds since the epoch.
    pub created_us: i64,
    /// When this attempt began, microseconds since the epoch: when the order came, but for events.
    pub begun_us: i64,
    /// Which attempt it is; 0 is the first.
    pub retry_num: u32,
    /// The alias it was asked for by; empty where it was asked for by version.
    pub alias: Arc<str>,
    /// Whether nobody waits for it.
    pub is_event: bool,
}

/// The two names under which callers know a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionNames {
    /// The namespace.
    pub namespace: String,
    /// The name in it.
    pub name: String,
}

/// How a run ended. What a handler does wrong is one of these, never an `Error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The handler returned; its value as JSON bytes.
    Returned(Vec<u8>),
    /// The handler, or loading its code, raised; or the value is no JSON.
    Raised {
        /// The language's own rendering of the error with the user's frames.
        trace: String,
    },
    /// The value is larger than the promise.
    AnswerTooLarge,
    /// The concurrency quota was used up; the sentence names it.
    OverConcurrency(String),
    /// The deadline passed.
    TimedOut {
        /// The timeout, seconds.
        timeout_s: u32,
    },
    /// More memory than configured.
    OutOfMemory {
        /// The limit, MB.
        memory_mb: u32,
        /// Where the language itself noticed, its trace; else empty.
        trace: String,
    },
    /// No such file or no such handler in it; the sentence is the language's own.
    HandlerNotFound(String),
    /// The process ended instead of answering.
    Exited {
        /// Exit code as a shell would show it: 128 + the signal's number when killed by one.
        code: i32,
    },
    /// Loading the code took longer than the init timeout, seconds.
    InitTimedOut {
        /// The init timeout, seconds.
        init_timeout_s: u32,
    },
    /// Somebody asked for it to be ended.
    Aborted,
    /// We could not run it; the sentence may be shown to the caller.
    PlatformFailed(String),
}

impl Outcome {
    /// The run could not go on because the server stops (D13).
    pub(crate) fn stopping() -> Outcome {
        Outcome::PlatformFailed("the server is stopping".to_owned())
    }

    /// Its processes took more than its memory; nobody is left to say where.
    pub(crate) fn out_of_memory(memory_mb: u32) -> Outcome {
        Outcome::OutOfMemory { memory_mb, trace: String::new() }
    }

    /// The platform's status code (contract 4.1, decisions "Endings").
    pub fn status(&self) -> u16 {
        match self {
            Outcome::Returned(_) => 200,
            Outcome::AnswerTooLarge => 407,
            Outcome::Raised { .. } => 430,
            Outcome::OverConcurrency(_) => 432,
            Outcome::TimedOut { .. } => 433,
            Outcome::OutOfMemory { .. } => 434,
            Outcome::HandlerNotFound(_) => 437,
            Outcome::Exited { .. } => 439,
            Outcome::InitTimedOut { .. } => 450,
            Outcome::Aborted => 499,
            Outcome::PlatformFailed(_) => 500,
        }
    }

    /// The contract's `errorMessage` (4.2); empty for a run that returned.
    pub fn error_message(&self) -> String {
        match self {
            Outcome::Returned(_) => String::new(),
            Outcome::Aborted => ABORTED.to_owned(),
            Outcome::AnswerTooLarge => "The size of response exceeds the upper limit (6MB)".to_owned(),
            Outcome::Raised { .. } => "user code exception caught".to_owned(),
            Outcome::OverConcurrency(sentence)
            | Outcome::HandlerNotFound(sentence)
            | Outcome::PlatformFailed(sentence) => sentence.clone(),
            Outcome::TimedOut { timeout_s } => format!("Invoking task timed out after {timeout_s} seconds"),
            Outcome::OutOfMemory { memory_mb, .. } => format!("Task memory exceeded {memory_mb} MB"),
            Outcome::Exited { code } => format!("{code} code exit unexpected"),
            Outcome::InitTimedOut { init_timeout_s } => {
                format!("Initializing the function timed out after {init_timeout_s} seconds")
            }
        }
    }

    /// The trace, where the language gave one.
    pub fn stack_trace(&self) -> &str {
        match self {
            Outcome::Raised { trace } | Outcome::OutOfMemory { trace, .. } => trace,
            _ => "",
        }
    }
}

/// What is said of a run or an event that somebody ended (contract 4.1, 499).
pub const ABORTED: &str = "RequestCanceled: it was ended on request";

/// Where an invocation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// An Instance has it, or is being made for it.
    Running,
    /// It returned.
    Succeeded,
    /// It ended any other way, and nobody tries it again.
    Failed,
    /// An event that waits for its first run.
    Queued,
    /// An event whose last attempt failed and which waits for the next one.
    Retrying,
    /// An event that was given up because it had become too old.
    Expired,
    /// An event that was given up for another reason, mostly because its retries were used up.
    Dead,
    /// An event that somebody ended.
    Aborted,
}

impl State {
    /// Every state.
    pub const ALL: [State; 8] = [
        State::Queued,
        State::Running,
        State::Retrying,
        State::Succeeded,
        State::Failed,
        State::Expired,
        State::Dead,
        State::Aborted,
    ];

    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Succeeded => "succeeded",
            State::Failed => "failed",
            State::Queued => "queued",
            State::Retrying => "retrying",
            State::Expired => "expired",
            State::Dead => "dead",
            State::Aborted => "aborted",
        }
    }

    /// Whether it is over: its record does not change any more.
    pub fn is_over(self) -> bool {
        !matches!(self, State::Running | State::Queued | State::Retrying)
    }

    /// The state of that word.
    pub fn parse(word: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl Record {
    /// The namespace and the function's name, as they are looked up.
    pub fn key(&self) -> Result<(Namespace, FunctionName)> {
        Ok((Namespace::parse(&self.namespace)?, FunctionName::parse(&self.function)?))
    }
}

/// What is kept of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Row id, in order of start.
    pub id: i64,
    /// The id callers see.
    pub request_id: RequestId,
    /// The function's row id.
    pub function_id: i64,
    /// The namespace's name.
    pub namespace: String,
    /// The function's name.
    pub function: String,
    /// `$LATEST` or a number.
    pub qualifier: String,
    /// The alias it was asked for by; empty where it was asked for by version.
    pub alias: String,
    /// Whether nobody waited for it.
    pub is_event: bool,
    /// What caused it.
    pub source: String,
    /// The row id of the trigger that it is of, while it is on its way into the queue; 0 where it is none's, and later.
    pub trigger_id: i64,
    /// Where it stands.
    pub state: State,
    /// Which attempt the following tells of: 0 is the first (contract 5.2).
    pub retry_num: u32,
    /// When the next attempt is due, microseconds since the epoch; 0 unless it waits for one.
    pub due_us: i64,
    /// The platform's status code; 202 while running (contract 4.1).
    pub status: u16,
    /// When the order came, microseconds since the epoch.
    pub created_us: i64,
    /// When the event was handed over, microseconds since the epoch.
    pub started_us: i64,
    /// When it ended, microseconds since the epoch; 0 while running.
    pub ended_us: i64,
    /// How long the handler ran, microseconds, monotonic.
    pub duration_us: i64,
    /// How long loading the code took for this run, microseconds; 0 when it was loaded already.
    pub init_us: i64,
    /// Memory configured, MB.
    pub memory_mb: u32,
    /// Most memory used, KiB.
    pub memory_used_kb: u64,
    /// The event's bytes.
    pub event: Vec<u8>,
    /// What the caller was given: the value's JSON, or the contract's error body.
    pub result: Vec<u8>,
    /// The error message; empty when it returned.
    pub error: String,
}
