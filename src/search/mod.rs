//! The language in which lines are searched: text → [`Query`] → does this line match.
//!
//! Pure: no I/O, no SQL. Whoever has lines asks [`Query::matches`], whose word is final, wherever the line comes from: the
//! store, or a live tail. [`Query::narrow`] says which words a line must have to match at all, so that the store can leave
//! out most lines without reading them; [`words::index`] says which words a line has. The three are made of the same
//! notion of a word (`words`), so what an index leaves out can never match.

pub mod field;
pub mod narrow;
pub mod words;

mod matching;
mod parser;

use std::fmt;

use crate::base::id::RequestId;
use crate::search::field::{Field, Value};
use crate::search::narrow::Narrow;
use crate::search::parser::Expr;

/// Whether upper and lower case are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Case {
    /// They are the same.
    #[default]
    Ignored,
    /// They differ.
    Matters,
}

/// A line that is asked about, with the run that printed it.
pub trait Subject {
    /// The text.
    fn message(&self) -> &str;
    /// One of the fields that every line has.
    fn field(&self, field: Field) -> Value<'_>;
}

/// A query that was understood.
#[derive(Clone, Debug)]
pub struct Query {
    expr: Expr,
    case: Case,
}

/// Why a text is no query, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The character at which it is seen, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (column {})", self.message, self.column)
    }
}

/// What every match has in common that narrows where to look for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Of that run only.
    pub request_id: Option<RequestId>,
    /// Of functions of that name only, as it was written.
    pub function: Option<String>,
    /// Read then or later, microseconds since the epoch.
    pub since_us: Option<i64>,
    /// Read then or earlier, microseconds since the epoch.
    pub until_us: Option<i64>,
}

impl Query {
    /// Understands `text`; the empty text, and `*`, match every line.
    pub fn parse(text: &str, case: Case) -> Result<Query, Mistake> {
        Ok(Query { expr: parser::parse(text)?, case })
    }

    /// Whether the line matches.
    pub fn matches(&self, line: &dyn Subject) -> bool {
        matching::matches(&self.expr, self.case, line)
    }

    /// The words that a line must have to match at all.
    pub fn narrow(&self) -> Narrow {
        narrow::of(&self.expr)
    }

    /// The request id, where the query is nothing else.
    pub fn only_request_id(&self) -> Option<RequestId> {
        None
    }

    /// What narrows the search otherwise.
    pub fn bounds(&self) -> Bounds {
        Bounds::default()
    }
}
