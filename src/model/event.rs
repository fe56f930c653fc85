//! Events that wait for a run: what the queue knows of one, what follows an attempt, and what is kept of one that was given
//! up. The rules are those of the contract's newest column (4.4): what the function did wrong is tried again a few times,
//! what the platform did wrong until the event is too old.
//!
//! What must stay true: [`next`] alone decides what follows an attempt. Deaths of the server count apart from retries (D24).

use std::time::Duration;

use crate::base::id::RequestId;
use crate::model::function::EventConfig;
use crate::model::invocation::{Record, State};
use crate::model::limits;

/// An event that has not ended, without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Row id of its invocation.
    pub id: i64,
    /// The function's row id.
    pub function_id: i64,
    /// When it was accepted, microseconds since the epoch.
    pub created_us: i64,
    /// When its next attempt is due, microseconds since the epoch.
    pub due_us: i64,
    /// Size of its body.
    pub bytes: u64,
    /// Whether the server died while it ran.
    pub is_suspect: bool,
}

/// How often an event was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// Attempts that have ended; the number of the next one.
    pub attempts: u32,
    /// Of them, those that the function failed: what `retry_num` bounds.
    pub failures: u32,
    /// Of them, those during which the server died.
    pub deaths: u32,
}

/// An event taken out of the queue for an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Its row, with its body.
    pub record: Record,
    /// How often it was tried before.
    pub tries: Tries,
    /// When the function that it was sent to was created, microseconds since the epoch: one of the same name that came
    /// later is not meant.
    pub function_created_us: i64,
}

/// An attempt that was followed by another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its number; 0 is the first.
    pub retry_num: u32,
    /// The platform's status code.
    pub status: u16,
    /// When the event was handed over, microseconds since the epoch.
    pub started_us: i64,
    /// When it ended, microseconds since the epoch.
    pub ended_us: i64,
    /// How long the handler ran, microseconds.
    pub duration_us: i64,
    /// How long loading the code took for it, microseconds.
    pub init_us: i64,
    /// Most memory used, KiB.
    pub memory_used_kb: u64,
    /// The error message.
    pub error: String,
    /// The contract's error body.
    pub result: Vec<u8>,
}

/// Why an event was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The function failed and its retries are used up.
    Retries,
    /// It has become older than its function allows.
    Age,
    /// The server died as often as it may while an attempt ran.
    Deaths,
    /// Its function, or the version that it was for, was deleted.
    Deleted,
    /// It is larger than what a function may be given.
    Size,
}

impl Reason {
    /// The sentence stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Retries => "the function failed and its retries are used up",
            Reason::Age => "the event became too old",
            Reason::Deaths => "the server died three times while it ran",
            Reason::Deleted => "its function, or the version it was for, was deleted",
            Reason::Size => "the event is larger than an event may be",
        }
    }

    /// The state of what was given up for it.
    pub fn state(self) -> State {
        if self == Reason::Age { State::Expired } else { State::Dead }
    }
}

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it succeeded.
    Ended,
    /// Another attempt after that time.
    Again(Duration),
    /// Nothing: it is given up.
    GivenUp(Reason),
}

/// How fast the times of this page pass: 1 but in tests (D28).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace(pub f64);

impl Default for Pace {
    fn default() -> Pace {
        Pace(1.0)
    }
}

impl Pace {
    /// So many seconds, at this pace.
    pub fn seconds(self, seconds: u32) -> Duration {
        Duration::from_secs(u64::from(seconds)).mul_f64(self.0)
    }

    /// From the end of an attempt to the next one.
    pub fn interval(self) -> Duration {
        self.seconds(limits::RETRY_INTERVAL_S)
    }
}

/// What follows an attempt that ended with `status`, `tries` counting it, of an event `age` old. The age that counts is that
/// at the time of the next attempt.
pub fn next(status: u16, tries: Tries, age: Duration, config: &EventConfig, pace: Pace) -> Next {
    if status == 200 {
        return Next::Ended;
    }
    if !is_platforms(status) && tries.failures > config.retry_num {
        return Next::GivenUp(Reason::Retries);
    }
    let wait = pace.interval();
    if age + wait > pace.seconds(config.msg_ttl_s) { Next::GivenUp(Reason::Age) } else { Next::Again(wait) }
}

/// Whether that ending is no fault of the function (contract 4.4: system errors and overruns).
pub fn is_platforms(status: u16) -> bool {
    matches!(status, 432 | 500)
}

/// What the queue does with an event whose attempt has ended; stored with the record in one transaction.
#[derive(Clone, Debug)]
pub enum Settlement {
    /// It is over.
    Ended,
    /// It waits for another attempt.
    Again {
        /// How often it was tried, this attempt counted.
        tries: Tries,
        /// When the next one is due, microseconds since the epoch.
        due_us: i64,
    },
    /// It is given up.
    GivenUp(Letter),
}

/// What is kept of an event that was given up, beside its record.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Why.
    pub reason: Reason,
    /// The event that tells another function of it, if one is to be told.
    pub forward: Option<Box<Record>>,
}

/// A dead letter as it is found again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The record, with event and result where one was asked for.
    pub record: Record,
    /// When it was given up, microseconds since the epoch.
    pub died_us: i64,
    /// Why, a sentence.
    pub reason: String,
}

/// When and why an event was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// When, microseconds since the epoch.
    pub died_us: i64,
    /// Why, a sentence.
    pub reason: String,
}

/// A caller's name for one order, so that sending it again does not run it again, and what it was first used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The caller's word.
    pub key: String,
    /// SHA-256 of the event.
    pub event_sha256: [u8; 32],
}

/// What became of an order to accept an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It is in the queue.
    New,
    /// It had been accepted before, under that id.
    Known(RequestId),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, failures: u32, age_s: u64, expected: Next) {
        let tries = Tries { attempts: failures + 7, failures, deaths: 1 };
        let config = EventConfig { msg_ttl_s: 3600, ..EventConfig::default() };
        let found = next(status, tries, Duration::from_secs(age_s), &config, Pace::default());
        assert_eq!(found, expected, "{status} {failures} {age_s}");
    }

    #[test]
    fn what_the_function_failed_is_tried_twice_again() {
        let again = Next::Again(Duration::from_secs(60));
        check(200, 3, 99_999, Next::Ended);
        for status in [407, 430, 433, 434, 437, 439, 450] {
            check(status, 1, 0, again);
            check(status, 2, 3540, again);
            check(status, 3, 0, Next::GivenUp(Reason::Retries));
        }
    }

    #[test]
    fn what_the_platform_failed_is_tried_until_it_is_too_old() {
        for status in [432, 500] {
            check(status, 3, 0, Next::Again(Duration::from_secs(60)));
            check(status, 0, 3540, Next::Again(Duration::from_secs(60)));
            check(status, 0, 3541, Next::GivenUp(Reason::Age));
        }
        check(430, 1, 3541, Next::GivenUp(Reason::Age));
    }

    #[test]
    fn tests_may_be_in_a_hurry() {
        let pace = Pace(0.001);
        assert_eq!(pace.interval(), Duration::from_millis(60));
        assert_eq!(pace.seconds(21_600), Duration::from_millis(21_600));
    }
}
