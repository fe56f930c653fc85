//! A query whose conditions depend on what was asked: fixed texts, with values always bound.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, Rows, params_from_iter};

use crate::error::Result;

/// Text and values, grown together.
#[derive(Debug)]
pub(super) struct Select {
    sql: String,
    values: Vec<Value>,
}

impl Select {
    /// Begins with a text that ends in a `WHERE` whose first condition has the two values.
    pub(super) fn between(sql: &str, first: i64, last: i64) -> Select {
        Select { sql: sql.to_owned(), values: vec![first.into(), last.into()] }
    }

    /// Adds a text without values.
    pub(super) fn push(&mut self, text: &str) {
        self.sql.push_str(text);
    }

    /// Adds a text with one `?`, and its value.
    pub(super) fn bind(&mut self, text: &str, value: impl Into<Value>) {
        self.sql.push_str(text);
        self.values.push(value.into());
    }

    /// As [`bind`](Select::bind), where there is a value.
    pub(super) fn bind_some(&mut self, text: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.bind(text, value);
        }
    }

    /// Runs it and lets `read` read the rows.
    pub(super) fn with_rows<T>(
        self,
        conn: &Connection,
        read: impl FnOnce(Rows<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut statement = conn.prepare_cached(&self.sql)?;
        read(statement.query(params_from_iter(self.values))?)
    }

    /// Runs it.
    pub(super) fn rows<T>(
        self,
        conn: &Connection,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = conn.prepare_cached(&self.sql)?;
        let rows = statement.query_map(params_from_iter(self.values), row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
