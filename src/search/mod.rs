//! The language in which lines are searched: text → [`Query`] → does this line match.
//!
//! Pure: no I/O, no SQL. Whoever has lines asks [`Query::matches`], whose word is final, wherever the line comes from: the
//! store, or a live tail. [`Query::narrow`] says which words a line must have to match at all, so that the store can leave
//! out most lines without reading them; [`words::index`] says which words a line has. The three are made of the same
//! notion of a word (`words`), so what an index leaves out can never match. A test holds that against chance (`tests`).
//!
//! # The language
//!
//! The cloud's log service describes three languages that do not agree (contract 5.4). This is ours; where they agree, it
//! is theirs.
//!
//! ```text
//! query   = "" | either
//! either  = both { ("OR" | "||") both }
//! both    = denied { ["AND" | "&&"] denied }         side by side means AND
//! denied  = ("NOT" | "!") denied | primary
//! primary = "(" either ")" | term
//! term    = value | "/" regex "/" | key ":" value | key ":/" regex "/" | key ":(" either ")"
//!         | key compare value | key ":" range | key "in" interval
//! compare = (">" | ">=" | "<" | "<=" | "=") with or without ":" before it | "!="
//! range   = ("[" | "{") end "TO" end ("]" | "}")     an end is a value, or "*"
//! interval = ("[" | "(") number [","] number ("]" | ")")
//! value   = word | word "*" | "*" | quoted
//! key     = a field's name | a letter, "_", "@" or "$", then letters, digits and "_-.@$/" | quoted
//! quoted  = a text in " or ', in which a * directly before the closing quote is a wildcard
//! ```
//!
//! * Keywords are written in upper or in lower case; in quotes they are words. A word without quotes ends at a blank, a
//!   parenthesis, a double quote, `&&` and `||`. A backslash takes its meaning from a character that is no letter and no
//!   digit; before these it is itself.
//! * A value is sought as the phrase of its words (`phrase`): `a/b` finds `a` and, behind it, `b`. `error` does not find
//!   `errorMessage`, `error*` does. `*` alone is every line, and `key:*` every line with that key.
//! * Without a key the line itself is meant, and in a line that is a JSON object also its keys and strings without their
//!   escapes. A request ID also means every line of that run.
//! * Keys that begin with `SCF_`, in any case, are the fields ([`field`]). All others are first-level keys of lines that
//!   are JSON objects, exactly as they are written there.
//! * Behind `:` the message and the strings of JSON lines are searched by words; a number must be the number (`5` is
//!   `5.0`). Fields, and whatever stands behind `=`, are compared as a whole: as numbers where both sides are. Names of
//!   functions, namespaces, aliases and versions differ by case always, request IDs never, and neither by dashes.
//! * `<` and `>` compare numbers where the query has a number, and lines whose text says none do not match. Where it has a
//!   text they compare texts, character by character, which puts dates in order.
//! * A regular expression may match anywhere in the line, as it is written there.

pub mod field;
pub mod narrow;
pub mod words;

mod bounds;
mod cursor;
mod expr;
mod keyed;
mod matching;
mod number;
mod object;
mod parser;
mod phrase;
mod term;
mod value;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::base::id::RequestId;
use crate::search::expr::Expr;
use crate::search::field::{Field, Value};
use crate::search::narrow::Narrow;

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
    /// Of that run only. The ID is as it was written: the run may have the same digits in the other form
    /// ([`RequestId::other_form`]).
    pub request_id: Option<RequestId>,
    /// Of functions of that name only, in any namespace.
    pub function: Option<String>,
    /// Read then or later, microseconds since the epoch.
    pub since_us: Option<i64>,
    /// Read then or earlier, microseconds since the epoch.
    pub until_us: Option<i64>,
}

impl Query {
    /// Understands `text`; the empty text, and `*`, match every line.
    pub fn parse(text: &str, case: Case) -> Result<Query, Mistake> {
        Ok(Query { expr: parser::parse(text, case)? })
    }

    /// Whether the line matches.
    pub fn matches(&self, line: &dyn Subject) -> bool {
        matching::matches(&self.expr, line)
    }

    /// The words that a line must have to match at all.
    pub fn narrow(&self) -> Narrow {
        narrow::of(&self.expr)
    }

    /// What narrows the search otherwise.
    pub fn bounds(&self) -> Bounds {
        bounds::of(&self.expr)
    }

    /// The request ID, if the query is nothing but one: then the whole run is meant.
    pub fn only_request_id(&self) -> Option<RequestId> {
        match &self.expr {
            Expr::Run(id, Some(_)) => Some(id.clone()),
            _ => None,
        }
    }
}
