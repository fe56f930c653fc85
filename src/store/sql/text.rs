//! Arguments of functions as text and bytes.

use std::borrow::Cow;

use rusqlite::functions::Context;
use rusqlite::types::ValueRef;

/// An argument as text; none for NULL. Bytes are taken for text, as SQLite does.
pub(super) fn of<'c>(context: &'c Context<'_>, number: usize) -> Option<Cow<'c, str>> {
    match context.get_raw(number) {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes)),
        other => printed(other).map(Cow::Owned),
    }
}

/// An argument as the bytes of its text; none for NULL.
pub(super) fn bytes<'c>(context: &'c Context<'_>, number: usize) -> Option<Cow<'c, [u8]>> {
    match context.get_raw(number) {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(Cow::Borrowed(bytes)),
        other => printed(other).map(|text| Cow::Owned(text.into_bytes())),
    }
}

fn printed(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Integer(number) => Some(number.to_string()),
        // With a point, as SQLite prints it; what is very large or small has another exponent there (`e+40`).
        ValueRef::Real(number) => Some(format!("{number:?}")),
        _ => None,
    }
}
