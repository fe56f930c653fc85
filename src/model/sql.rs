//! A statement of SQL as somebody asks for it, and its answer.

use crate::error::{Error, Result};
use crate::model::limits;

/// What is to be read, and how much of it at most.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// The text.
    pub sql: String,
    /// Values for its parameters.
    pub params: Params,
    /// Most rows of the answer.
    pub limit: RowLimit,
}

/// Values for the parameters of a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Params {
    /// In the order in which the parameters appear.
    InOrder(Vec<Value>),
    /// By name, which may be written with the sign before it (`:name`) or without.
    ByName(Vec<(String, Value)>),
}

/// A value of SQL.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// What a statement has read.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, each with as many values.
    pub rows: Vec<Vec<Value>>,
    /// Whether there were more rows than were asked for, or than an answer holds.
    pub truncated: bool,
    /// How long it took, microseconds.
    pub took_us: i64,
}

/// How many rows an answer holds at most: 1 to [`limits::SQL_ROWS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowLimit(u32);

impl Statement {
    /// Checks the length; what the text means is for SQLite to say.
    pub fn new(sql: String, params: Params, limit: RowLimit) -> Result<Statement> {
        let (bytes, bytes_max) = (sql.len(), limits::SQL_BYTES_MAX);
        if bytes > bytes_max {
            return Err(Error::invalid(format!("sql must have at most {bytes_max} bytes, not {bytes}")));
        }
        if sql.contains('\0') {
            return Err(Error::invalid("sql must not have a NUL character"));
        }
        Ok(Statement { sql, params, limit })
    }
}

impl Value {
    /// How many bytes of an answer it takes.
    pub fn size_bytes(&self) -> usize {
        match self {
            Value::Null | Value::Integer(_) | Value::Real(_) => 8,
            Value::Text(text) => 8 + text.len(),
            Value::Blob(bytes) => 8 + bytes.len(),
        }
    }
}

impl RowLimit {
    /// Checks the range.
    pub fn new(rows: u32) -> Result<RowLimit> {
        if (1..=limits::SQL_ROWS_MAX).contains(&rows) {
            return Ok(RowLimit(rows));
        }
        Err(Error::invalid(format!("limit must be 1 to {}, not {rows}", limits::SQL_ROWS_MAX)))
    }

    /// The number.
    pub fn get(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Default for RowLimit {
    fn default() -> RowLimit {
        RowLimit(limits::SQL_ROWS_DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_told() {
        let statement = |sql: String| Statement::new(sql, Params::InOrder(Vec::new()), RowLimit::default());
        assert!(statement("SELECT 1".to_owned()).is_ok());
        assert_eq!(
            statement(" ".repeat(100_001)).unwrap_err().message,
            "sql must have at most 100000 bytes, not 100001"
        );
        assert_eq!(statement("\0".to_owned()).unwrap_err().message, "sql must not have a NUL character");
        assert_eq!((RowLimit::default().get(), RowLimit::new(10_000).unwrap().get()), (1000, 10_000));
        for wrong in [0, 10_001] {
            assert_eq!(
                RowLimit::new(wrong).unwrap_err().message,
                format!("limit must be 1 to 10000, not {wrong}")
            );
        }
    }
}
