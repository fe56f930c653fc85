//! Values for the parameters of a statement: as many as it has, each once.

use rusqlite::Statement;
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::error::{Error, Result};
use crate::model::sql::{Params, Value};

/// Binds every parameter. Fails with `Invalid` where there is no value for one, or no parameter for a value.
pub(super) fn bind(statement: &mut Statement<'_>, params: &Params) -> Result<()> {
    match params {
        Params::InOrder(values) => bind_in_order(statement, values),
        Params::ByName(values) => bind_by_name(statement, values),
    }
}

fn bind_in_order(statement: &mut Statement<'_>, values: &[Value]) -> Result<()> {
    let (wanted, given) = (statement.parameter_count(), values.len());
    if wanted != given {
        return Err(Error::invalid(format!(
            "sql has {wanted} {}, and params {given} {}",
            if wanted == 1 { "parameter" } else { "parameters" },
            if given == 1 { "value" } else { "values" }
        )));
    }
    values.iter().zip(1..).try_for_each(|(value, number)| bind_one(statement, number, value))
}

fn bind_by_name(statement: &mut Statement<'_>, values: &[(String, Value)]) -> Result<()> {
    let mut used = vec![false; values.len()];
    for number in 1..=statement.parameter_count() {
        let name = statement.parameter_name(number).map(str::to_owned);
        let name = name.ok_or_else(|| {
            Error::invalid(format!("parameter {number} of sql has no name; give params as an array"))
        })?;
        let at = values.iter().position(|(given, _)| *given == name || *given == name[1..]);
        let at = at.ok_or_else(|| Error::invalid(format!("params has no value for {name}")))?;
        used[at] = true;
        bind_one(statement, number, &values[at].1)?;
    }
    match used.iter().position(|used| !used) {
        Some(unused) => Err(Error::invalid(format!("sql has no parameter {}", values[unused].0))),
        None => Ok(()),
    }
}

fn bind_one(statement: &mut Statement<'_>, number: usize, value: &Value) -> Result<()> {
    let value = match value {
        Value::Null => ValueRef::Null,
        Value::Integer(number) => ValueRef::Integer(*number),
        Value::Real(number) => ValueRef::Real(*number),
        Value::Text(text) => ValueRef::Text(text.as_bytes()),
        Value::Blob(bytes) => ValueRef::Blob(bytes),
    };
    let too_long = |cause| Error::invalid(format!("parameter {number} is too long")).because(cause);
    statement.raw_bind_parameter(number, ToSqlOutput::Borrowed(value)).map_err(too_long)
}
