//! Functions of our own, as [`views::FUNCTIONS`](crate::model::views::FUNCTIONS) describes them.

use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};

use crate::search::field::{Field, Value};
use crate::search::{Case, Query, Subject};
use crate::store::sql::watch::Deadline;
use crate::store::sql::{json_log, regexp, text};

/// Their names, aggregates included.
pub(super) const NAMES: &[&str] =
    &["regexp", "has_word", "json_log", "percentile", "median", "p50", "p95", "p99"];

/// What all functions here are: they give the same for the same, and do nothing else.
pub(super) const PURE: FunctionFlags = FunctionFlags::SQLITE_UTF8
    .union(FunctionFlags::SQLITE_DETERMINISTIC)
    .union(FunctionFlags::SQLITE_INNOCUOUS);

/// Adds those that take one row.
pub(super) fn add(conn: &Connection, deadline: &Arc<Deadline>) -> rusqlite::Result<()> {
    let until = Arc::clone(deadline);
    conn.create_scalar_function("regexp", 2, PURE, move |context| {
        until.check()?;
        regexp::call(context)
    })?;
    let until = Arc::clone(deadline);
    conn.create_scalar_function("has_word", 2, PURE, move |context| {
        until.check()?;
        has_word(context)
    })?;
    conn.create_scalar_function("json_log", 1, PURE, |context| {
        Ok(text::of(context, 0).filter(|text| json_log::is_object(text)).map(std::borrow::Cow::into_owned))
    })?;
    conn.create_scalar_function("json_log", 2, PURE, |context| {
        let found = text::of(context, 0).zip(text::of(context, 1));
        Ok(found.and_then(|(text, key)| json_log::value(&text, &key)))
    })
}

/// A text of which only the message is asked.
struct Line<'t>(&'t str);

impl Subject for Line<'_> {
    fn message(&self) -> &str {
        self.0
    }

    fn field(&self, _: Field) -> Value<'_> {
        Value::Text("")
    }
}

/// Most bytes of text times bytes of what is sought, for which nothing can stop a call meanwhile: at worst, where every word is
/// nearly the beginning of what is sought, that takes about as long as a regular expression may. A line of the log and a short
/// phrase are far below.
const WORK_MAX: usize = 16 * 1024 * 1024;

/// `has_word(X, 'text')`. What the text is looked for by is understood once for a statement in which it does not change.
fn has_word(context: &mut Context<'_>) -> rusqlite::Result<Option<bool>> {
    let Some((line, sought)) = text::of(context, 0).zip(text::of(context, 1)) else { return Ok(None) };
    if line.len().saturating_mul(sought.len()) > WORK_MAX {
        let bytes_max = WORK_MAX / sought.len().max(1);
        let why = format!(
            "has_word: the text has {} bytes, and so long a phrase takes {bytes_max}; give it substr(X, 1, {bytes_max})",
            line.len()
        );
        return Err(rusqlite::Error::UserFunctionError(why.into()));
    }
    let query = context.get_or_create_aux(1, |_| phrase(&sought))?;
    Ok(Some(query.matches(&Line(&line))))
}

/// The query for a text as a phrase. What ends or escapes a quotation is no part of a word, nor is a star, but that at the end
/// is a wildcard.
fn phrase(text: &str) -> Result<Query, String> {
    let (text, wildcard) = text.strip_suffix('*').map_or((text, ""), |text| (text, "*"));
    let quoted = format!("\"{}{wildcard}\"", text.replace(['"', '\\', '*'], " "));
    Query::parse(&quoted, Case::Ignored).map_err(|mistake| format!("has_word: {}", mistake.message))
}
