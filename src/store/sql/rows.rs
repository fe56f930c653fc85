//! The rows of an answer, until there are enough of them.

use rusqlite::Rows;
use rusqlite::types::ValueRef;

use crate::model::limits;
use crate::model::sql::{RowLimit, Value};

/// Takes rows; whether there were more than were taken. A row is measured before it is copied.
pub(super) fn take(
    rows: &mut Rows<'_>,
    columns: usize,
    limit: RowLimit,
) -> rusqlite::Result<(Vec<Vec<Value>>, bool)> {
    let mut taken = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            bytes += size_bytes(row.get_ref(column)?);
        }
        if taken.len() == limit.get() || bytes > limits::SQL_ANSWER_BYTES_MAX {
            return Ok((taken, true));
        }
        let values = (0..columns).map(|column| Ok(value(row.get_ref(column)?)));
        taken.push(values.collect::<rusqlite::Result<_>>()?);
    }
    Ok((taken, false))
}

/// As [`Value::size_bytes`].
fn size_bytes(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => 8 + bytes.len(),
        _ => 8,
    }
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        // A statement can make text that is no UTF-8.
        ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}
