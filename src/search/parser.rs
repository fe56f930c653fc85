//! Text to expression.

use crate::search::{Mistake, words};

/// All of these words.
#[derive(Clone, Debug)]
pub(super) struct Expr {
    pub(super) words: Vec<String>,
}

pub(super) fn parse(text: &str) -> Result<Expr, Mistake> {
    let mut found = Vec::new();
    words::index(text, |word| found.push(word.to_owned()));
    Ok(Expr { words: found })
}
