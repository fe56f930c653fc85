//! Does a line match.

use crate::search::parser::Expr;
use crate::search::{Case, Subject, words};

pub(super) fn matches(expr: &Expr, _: Case, line: &dyn Subject) -> bool {
    let mut has = Vec::new();
    words::index(line.message(), |word| has.push(word.to_owned()));
    expr.words.iter().all(|word| has.contains(word))
}
