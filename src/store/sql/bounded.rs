//! SQLite's own functions whose time is the product of two lengths, in a way that takes their sum or, where patterns are
//! short, looks at the clock: for two texts of a megabyte the originals take seconds to hours, and nothing can stop them
//! meanwhile. They give the same otherwise.

use std::collections::HashSet;
use std::sync::Arc;

use memchr::memmem::Finder;
use rusqlite::functions::Context;
use rusqlite::types::{ToSql, ValueRef};
use rusqlite::{Connection, ffi};

use crate::model::limits;
use crate::store::sql::functions::PURE;
use crate::store::sql::like::{glob, like};
use crate::store::sql::text;
use crate::store::sql::watch::Deadline;

/// A function that gives a value or NULL.
type Call<T> = fn(&Context<'_>) -> rusqlite::Result<Option<T>>;

/// Puts them in place of the originals.
pub(super) fn add(conn: &Connection, deadline: &Arc<Deadline>) -> rusqlite::Result<()> {
    one(conn, "like", 2, deadline, like)?;
    one(conn, "like", 3, deadline, like)?;
    one(conn, "glob", 2, deadline, glob)?;
    one(conn, "instr", 2, deadline, instr)?;
    one(conn, "replace", 3, deadline, replace)?;
    one(conn, "trim", 2, deadline, |context| Ok(trimmed(context, true, true)))?;
    one(conn, "ltrim", 2, deadline, |context| Ok(trimmed(context, true, false)))?;
    one(conn, "rtrim", 2, deadline, |context| Ok(trimmed(context, false, true)))
}

fn one<T: ToSql + 'static>(
    conn: &Connection,
    name: &str,
    arguments: i32,
    deadline: &Arc<Deadline>,
    call: Call<T>,
) -> rusqlite::Result<()> {
    let deadline = Arc::clone(deadline);
    conn.create_scalar_function(name, arguments, PURE, move |context| {
        deadline.check()?;
        call(context)
    })
}

/// Where the second is found in the first, counted from 1, in bytes if both are bytes and else in characters; 0 where it is
/// not.
fn instr(context: &Context<'_>) -> rusqlite::Result<Option<i64>> {
    let is_blob = |number| matches!(context.get_raw(number), ValueRef::Blob(_));
    let counts_bytes = is_blob(0) && is_blob(1);
    let Some((text, sought)) = text::bytes(context, 0).zip(text::bytes(context, 1)) else { return Ok(None) };
    let Some(at) = Finder::new(&*sought).find(&text) else { return Ok(Some(0)) };
    let before = &text[..at];
    let length = if counts_bytes { before.len() } else { String::from_utf8_lossy(before).chars().count() };
    Ok(i64::try_from(length + 1).ok())
}

/// The first with the third in place of every second.
fn replace(context: &Context<'_>) -> rusqlite::Result<Option<String>> {
    let (text, old, new) = (text::of(context, 0), text::of(context, 1), text::of(context, 2));
    let (Some(text), Some(old), Some(new)) = (text, old, new) else { return Ok(None) };
    if old.is_empty() {
        return Ok(Some(text.into_owned()));
    }
    // Measured before it is made.
    let times = Finder::new(old.as_bytes()).find_iter(text.as_bytes()).count();
    let bytes = text.len() - times * old.len() + times * new.len();
    if bytes > limits::SQL_VALUE_BYTES_MAX {
        return Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_TOOBIG),
            Some("string or blob too big".to_owned()),
        ));
    }
    Ok(Some(text.replace(&*old, &new)))
}

/// The first without the characters of the second at its ends.
fn trimmed(context: &Context<'_>, at_start: bool, at_end: bool) -> Option<String> {
    let (text, unwanted) = text::of(context, 0).zip(text::of(context, 1))?;
    let unwanted: HashSet<char> = unwanted.chars().collect();
    let mut rest: &str = &text;
    if at_start {
        rest = rest.trim_start_matches(|c| unwanted.contains(&c));
    }
    if at_end {
        rest = rest.trim_end_matches(|c| unwanted.contains(&c));
    }
    Some(rest.to_owned())
}
