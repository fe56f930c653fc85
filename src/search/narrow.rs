//! Which words a line must have.

use crate::search::parser::Expr;

/// A condition on the words of a line ([`words::index`](crate::search::words::index)). A line that does not meet it does
/// not match; one that does may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Narrow {
    /// Nothing is known: every line may match.
    Any,
    /// It has that word.
    Word(String),
    /// It has a word that begins so.
    Prefix(String),
    /// It meets all of them.
    All(Vec<Narrow>),
    /// It meets one of them.
    One(Vec<Narrow>),
}

pub(super) fn of(expr: &Expr) -> Narrow {
    Narrow::All(expr.words.iter().cloned().map(Narrow::Word).collect())
}
