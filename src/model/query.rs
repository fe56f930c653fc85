//! What a caller asks of the records and logs, and the pages that answer.

use std::fmt;

use crate::base::id::RequestId;
use crate::error::{Error, Result};
use crate::model::invocation::{Source, State};
use crate::model::limits;
use crate::model::log::LogLine;

/// How many rows a page holds at most: 1 to [`limits::PAGE_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit(u32);

impl PageLimit {
    /// Checks the range.
    pub fn new(rows: u32) -> Result<PageLimit> {
        if (1..=limits::PAGE_MAX).contains(&rows) {
            return Ok(PageLimit(rows));
        }
        Err(Error::invalid(format!("limit must be 1 to {}, not {rows}", limits::PAGE_MAX)))
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for PageLimit {
    fn default() -> PageLimit {
        PageLimit(limits::PAGE_DEFAULT)
    }
}

/// Some rows, and where the next page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// The rows.
    pub rows: Vec<T>,
    /// What to ask for next; none when these were the last.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// No rows.
    pub fn empty() -> Page<T, C> {
        Page { rows: Vec::new(), next: None }
    }

    /// A page out of the rows of a query that asked for one row more than the page holds: the surplus row tells that
    /// there is a next page, whose cursor is that of the last row kept.
    pub fn cut(mut rows: Vec<T>, limit: PageLimit, cursor: impl Fn(&T) -> C) -> Page<T, C> {
        let limit = usize::try_from(limit.0).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(cursor) } else { None };
        Page { rows, next }
    }
}

/// Oldest or newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

impl Order {
    /// `asc` or `desc`.
    pub fn parse(word: &str) -> Result<Order> {
        match word {
            "asc" => Ok(Order::Ascending),
            "desc" => Ok(Order::Descending),
            _ => Err(Error::invalid("order must be asc or desc")),
        }
    }
}

/// Which endings are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusFilter {
    /// All of that state.
    State(State),
    /// Failed, expired and dead: those that are counted as failed. What somebody ended is not among them.
    Unsuccessful,
    /// That status code of the contract (4.1).
    Code(u16),
}

impl StatusFilter {
    /// The word for [`StatusFilter::Unsuccessful`].
    pub const UNSUCCESSFUL: &'static str = "unsuccessful";

    /// A state's word, `unsuccessful`, or a status code of 200 to 599.
    pub fn parse(word: &str) -> Result<StatusFilter> {
        if let Some(state) = State::parse(word) {
            return Ok(StatusFilter::State(state));
        }
        if word == Self::UNSUCCESSFUL {
            return Ok(StatusFilter::Unsuccessful);
        }
        match word.parse() {
            Ok(code @ 200..=599) if word.len() == 3 => Ok(StatusFilter::Code(code)),
            _ => {
                let words = State::ALL.map(State::as_str).join(", ");
                let more = Self::UNSUCCESSFUL;
                Err(Error::invalid(format!("status must be {words}, {more}, or a status code of 200 to 599")))
            }
        }
    }

    /// Whether a run of that state and code is asked for.
    pub fn admits(self, state: State, status: u16) -> bool {
        match self {
            StatusFilter::State(wanted) => wanted == state,
            StatusFilter::Unsuccessful => matches!(state, State::Failed | State::Expired | State::Dead),
            StatusFilter::Code(wanted) => wanted == status,
        }
    }
}

impl fmt::Display for StatusFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StatusFilter::State(state) => f.write_str(state.as_str()),
            StatusFilter::Unsuccessful => f.write_str(Self::UNSUCCESSFUL),
            StatusFilter::Code(code) => write!(f, "{code}"),
        }
    }
}

/// Which records; newest first.
#[derive(Clone, Debug, Default)]
pub struct InvocationQuery {
    /// Of that function only.
    pub function_id: Option<i64>,
    /// Of that namespace only; `function_id` is narrower.
    pub namespace: Option<String>,
    /// With that ending only.
    pub status: Option<StatusFilter>,
    /// Caused by that only. No index knows it: where it is rare, a page walks far back, as one of a namespace does.
    pub source: Option<Source>,
    /// Created then or later, microseconds since the epoch.
    pub since_us: Option<i64>,
    /// Created then or earlier, microseconds since the epoch.
    pub until_us: Option<i64>,
    /// The cursor of the page before.
    pub before: Option<i64>,
    /// Page size.
    pub limit: PageLimit,
}

/// Which dead letters; the newest event first.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterQuery {
    /// Of that function only.
    pub function_id: Option<i64>,
    /// Of that namespace only; `function_id` is narrower.
    pub namespace: Option<String>,
    /// Of events accepted then or later, microseconds since the epoch.
    pub since_us: Option<i64>,
    /// Of events accepted then or earlier, microseconds since the epoch.
    pub until_us: Option<i64>,
    /// The cursor of the page before.
    pub before: Option<i64>,
    /// Page size.
    pub limit: PageLimit,
}

/// Which log lines.
#[derive(Clone, Debug)]
pub struct LogQuery {
    /// Of that run only.
    pub run_id: Option<i64>,
    /// Of that function only.
    pub function_id: Option<i64>,
    /// Of that namespace only; the two above are narrower.
    pub namespace: Option<String>,
    /// Read then or later, microseconds since the epoch.
    pub since_us: Option<i64>,
    /// Read then or earlier, microseconds since the epoch.
    pub until_us: Option<i64>,
    /// Oldest or newest first, by when they were stored.
    pub order: Order,
    /// The cursor of the page before.
    pub after: Option<i64>,
    /// Page size.
    pub limit: PageLimit,
}

/// A line as it is found again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLine {
    /// Row id, in the order lines were stored.
    pub id: i64,
    /// The run's row id.
    pub run_id: i64,
    /// The run's request id; none while the run goes on and has not been announced.
    pub request_id: Option<RequestId>,
    /// The namespace's name.
    pub namespace: String,
    /// The function's name.
    pub function: String,
    /// Which attempt of the run printed it; 0 is the first.
    pub retry_num: u32,
    /// The line itself.
    pub line: LogLine,
}
