//! `LIKE` and `GLOB` that look at the clock. SQLite asks only where a program jumps, and between two jumps a statement may
//! call the originals hundreds of times, each for as long as text and pattern multiplied. They match the same otherwise.

use rusqlite::functions::Context;
use rusqlite::{Error, ffi};

use crate::store::sql::text;

/// Longest pattern, bytes; longer ones are refused, as by the originals.
pub(super) const PATTERN_BYTES_MAX: usize = 100;

/// A part of a pattern.
#[derive(Debug, PartialEq)]
enum Part {
    /// This character.
    Just(char),
    /// Any one.
    One,
    /// Any number of any.
    Many,
    /// One of these stretches, or, if so, none of them.
    Of { stretches: Vec<(char, char)>, not: bool },
    /// Nothing at all: a set that does not end.
    Nothing,
}

/// `like(pattern, text, escape)`: `%` is any number of characters, `_` one; letters of ASCII match in either case.
pub(super) fn like(context: &Context<'_>) -> rusqlite::Result<Option<bool>> {
    let Some((pattern, text)) = text::of(context, 0).zip(text::of(context, 1)) else { return Ok(None) };
    check_length(&pattern)?;
    let mut escape = None;
    if context.len() == 3 {
        let Some(given) = text::of(context, 2) else { return Ok(None) };
        let mut chars = given.chars();
        escape = chars.next();
        if escape.is_none() || chars.next().is_some() {
            return Err(failed(ffi::SQLITE_ERROR, "ESCAPE expression must be a single character"));
        }
    }
    let Some(parts) = parts_of_like(&pattern, escape) else { return Ok(Some(false)) };
    Ok(Some(matches(&parts, &text, |one, other| one.eq_ignore_ascii_case(&other))))
}

/// `glob(pattern, text)`: `*` is any number of characters, `?` one, `[a-z]` and `[^a-z]` one of a set; case matters.
pub(super) fn glob(context: &Context<'_>) -> rusqlite::Result<Option<bool>> {
    let Some((pattern, text)) = text::of(context, 0).zip(text::of(context, 1)) else { return Ok(None) };
    check_length(&pattern)?;
    Ok(Some(matches(&parts_of_glob(&pattern), &text, |one, other| one == other)))
}

fn check_length(pattern: &str) -> rusqlite::Result<()> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(failed(ffi::SQLITE_ERROR, "LIKE or GLOB pattern too complex"));
    }
    Ok(())
}

fn failed(code: i32, why: &str) -> Error {
    Error::SqliteFailure(ffi::Error::new(code), Some(why.to_owned()))
}

/// None for a pattern that ends in its escape, which matches nothing.
fn parts_of_like(pattern: &str, escape: Option<char>) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        parts.push(match char {
            _ if Some(char) == escape => Part::Just(chars.next()?),
            '%' => Part::Many,
            '_' => Part::One,
            other => Part::Just(other),
        });
    }
    Some(parts)
}

fn parts_of_glob(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = pattern.chars();
    while let Some(char) = rest.next() {
        parts.push(match char {
            '*' => Part::Many,
            '?' => Part::One,
            '[' => set(&mut rest),
            other => Part::Just(other),
        });
    }
    parts
}

/// What follows a `[`: a `]` that comes first is one of the set, and so is a `-` at either end.
fn set(rest: &mut std::str::Chars<'_>) -> Part {
    let not = rest.as_str().starts_with('^');
    if not {
        rest.next();
    }
    let mut stretches: Vec<(char, char)> = Vec::new();
    let mut next = rest.next();
    if next == Some(']') {
        stretches.push((']', ']'));
        next = rest.next();
    }
    let mut from: Option<char> = None;
    loop {
        let Some(char) = next else { return Part::Nothing };
        let to = rest.clone().next();
        match (char, from, to) {
            (']', ..) => return Part::Of { stretches, not },
            ('-', Some(first), Some(last)) if last != ']' => {
                stretches.push((first, last));
                rest.next();
                from = None;
            }
            _ => {
                stretches.push((char, char));
                from = Some(char);
            }
        }
        next = rest.next();
    }
}

/// Whether all of the text is what the parts say. Where a part does not fit, the last `Many` takes one character more: the
/// ones before it have no better place to end than where they do.
fn matches(parts: &[Part], text: &str, same: impl Fn(char, char) -> bool) -> bool {
    let (mut part, mut rest) = (0, text.chars());
    let mut again: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        let fits = match (parts.get(part), rest.clone().next()) {
            (Some(Part::Many), _) => {
                part += 1;
                again = Some((part, rest.clone()));
                continue;
            }
            (None, None) => return true,
            (None, Some(_)) | (Some(_), None) => false,
            (Some(Part::Just(wanted)), Some(char)) => same(*wanted, char),
            (Some(Part::One), Some(_)) => true,
            (Some(Part::Of { stretches, not }), Some(char)) => {
                stretches.iter().any(|(first, last)| (*first..=*last).contains(&char)) != *not
            }
            (Some(Part::Nothing), Some(_)) => false,
        };
        if fits {
            part += 1;
            rest.next();
            continue;
        }
        let Some((after, from)) = &mut again else { return false };
        if from.next().is_none() {
            return false;
        }
        (part, rest) = (*after, from.clone());
    }
}
