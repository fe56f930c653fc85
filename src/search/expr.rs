//! What a query says, once it is understood.

use std::ops::Bound;

use regex::Regex;

use crate::base::id::RequestId;
use crate::search::field::Field;
use crate::search::number::Number;
use crate::search::phrase::Phrase;
use crate::search::value::Operand;

/// A condition on lines.
#[derive(Clone, Debug)]
pub(super) enum Expr {
    /// Every line meets it.
    Every,
    /// All of these.
    All(Vec<Expr>),
    /// One of these at least.
    One(Vec<Expr>),
    /// Not this.
    Not(Box<Expr>),
    /// The line is of that run, or else has that phrase, if there is one.
    Run(RequestId, Option<Phrase>),
    /// What stands behind the key passes the test.
    Test(Key, Test),
}

/// Where something is sought.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Key {
    /// In the line itself: `SCF_Message`, and whatever is sought without a key.
    Message,
    /// In another of the fields.
    Field(Field),
    /// Behind that key of a line that is a JSON object.
    Json(String),
}

/// What must hold of it.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// There is something.
    Exists,
    /// The phrase is in it. A number must be that number instead, if one was written.
    Contains(Phrase, Option<Number>),
    /// It is that.
    Is(Operand),
    /// It begins so.
    Begins(Operand),
    /// It lies between these.
    Between(Bound<Operand>, Bound<Operand>),
    /// The expression is found in it.
    Regex(Regex),
}
