//! Which words a line must have.
//!
//! What must stay true: a line that matches meets the condition, whatever the query is. So what is denied narrows nothing,
//! nor does what may match by something else than the words of the message.

use crate::search::expr::{Expr, Key, Test};
use crate::search::phrase::Phrase;
use crate::search::words::{self, Class};

/// A condition on the words of a line ([`words::index`]). A line that does not meet it does not match; one that does may.
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
    match expr {
        Expr::Every | Expr::Not(_) | Expr::Run(..) | Expr::Test(Key::Field(_), _) => Narrow::Any,
        Expr::All(all) => every(all.iter().map(of)),
        Expr::One(ones) => one(ones.iter().map(of).collect()),
        Expr::Test(Key::Message, Test::Contains(phrase, _)) => of_phrase(phrase),
        Expr::Test(Key::Message, _) => Narrow::Any,
        Expr::Test(Key::Json(name), test) => every(key_words(name).chain([of_value(test)])),
    }
}

/// All of them, said as shortly as possible.
fn every(parts: impl Iterator<Item = Narrow>) -> Narrow {
    let mut all = Vec::new();
    for part in parts {
        match part {
            Narrow::Any => {}
            Narrow::All(parts) => all.extend(parts),
            part => all.push(part),
        }
    }
    match all.len() {
        0 => Narrow::Any,
        1 => all.remove(0),
        _ => Narrow::All(all),
    }
}

fn one(parts: Vec<Narrow>) -> Narrow {
    if parts.contains(&Narrow::Any) { Narrow::Any } else { Narrow::One(parts) }
}

fn of_phrase(phrase: &Phrase) -> Narrow {
    let Some((words, is_open)) = phrase.words() else { return Narrow::Any };
    let last = words.len() - 1;
    every(
        words
            .iter()
            .enumerate()
            .map(|(at, word)| if is_open && at == last { prefix(word) } else { whole(word) }),
    )
}

/// A key is written in the line as it is in the query, or with escapes, without which it is in the index, too.
fn key_words(name: &str) -> impl Iterator<Item = Narrow> {
    words::words(name).map(whole)
}

/// What is written as a number may stand in the line as another one that is equal.
fn of_value(test: &Test) -> Narrow {
    match test {
        Test::Contains(phrase, None) => of_phrase(phrase),
        _ => Narrow::Any,
    }
}

fn whole(word: &str) -> Narrow {
    Narrow::Word(words::cut(&words::folded(word)).to_owned())
}

/// Joints at the end of a prefix may be what the index cuts off.
fn prefix(word: &str) -> Narrow {
    let word = words::folded(word.trim_end_matches(|c| words::class(c) == Class::Joint));
    Narrow::Prefix(words::cut(&word).to_owned())
}
