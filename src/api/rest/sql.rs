//! `POST /v1/sql`: a statement in, rows out. The same body is printed by the command line where it reads a file itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;
use tiny_http::Method;

use crate::api::rest::call::Call;
use crate::api::rest::fields::{Fields, Pairs};
use crate::api::rest::{Rest, answer};
use crate::error::{Error, Result};
use crate::http::head::Head;
use crate::http::response::Response;
use crate::model::sql::{Answer, Params, RowLimit, Statement, Value};
use crate::service::sql;

/// The path.
pub(super) const PATH: &str = "/v1/sql";

#[derive(serde::Serialize)]
struct Body<'a> {
    columns: &'a [String],
    rows: Vec<Vec<Cell<'a>>>,
    truncated: bool,
    took_us: i64,
}

/// A value as JSON. Bytes, and numbers that JSON does not know, are strings.
struct Cell<'a>(&'a Value);

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Integer(number) => serializer.serialize_i64(*number),
            Value::Real(number) if number.is_finite() => serializer.serialize_f64(*number),
            Value::Real(number) => {
                serializer.serialize_str(if *number > 0.0 { "Infinity" } else { "-Infinity" })
            }
            Value::Text(text) => serializer.serialize_str(text),
            Value::Blob(bytes) => serializer.serialize_str(&STANDARD.encode(bytes)),
        }
    }
}

/// Whether a request is a statement, which may compute for seconds, and wait for others before.
pub(super) fn is_asked(head: &Head) -> bool {
    head.path() == PATH && *head.method() == Method::Post
}

pub(super) fn post(rest: &Rest, call: Call) -> Result<Response> {
    let statement = statement(&call.body.into_bytes()?)?;
    let found = sql::of_store(&rest.parts.store, &statement)?;
    Ok(answer::json_bytes(200, body(&found)))
}

/// What was read, as JSON.
pub fn body(found: &Answer) -> Vec<u8> {
    let rows = found.rows.iter().map(|row| row.iter().map(Cell).collect());
    let (columns, rows) = (&found.columns[..], rows.collect());
    let body = Body { columns, rows, truncated: found.truncated, took_us: found.took_us };
    serde_json::to_vec(&body).expect("texts and numbers always become JSON")
}

/// The statement of a request's body.
pub fn statement(body: &[u8]) -> Result<Statement> {
    let mut fields = Fields::parse(body)?;
    let sql = fields.text("sql")?.ok_or_else(|| Error::invalid("sql is required"))?;
    let params = fields.take("params").map_or(Ok(Params::InOrder(Vec::new())), params)?;
    let limit = fields.number("limit")?.map_or(Ok(RowLimit::default()), RowLimit::new)?;
    fields.nothing_else(&["sql", "params", "limit"])?;
    Statement::new(sql, params, limit)
}

fn params(raw: &RawValue) -> Result<Params> {
    if let Ok(values) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
        let values = values.into_iter().enumerate();
        let values = values.map(|(number, raw)| value(&format!("params[{number}]"), raw));
        return Ok(Params::InOrder(values.collect::<Result<_>>()?));
    }
    let wrong = |_| Error::invalid("params must be an array of values, or an object of names and values");
    let Pairs(pairs) = serde_json::from_str::<Pairs<&RawValue>>(raw.get()).map_err(wrong)?;
    let values = pairs.into_iter().map(|(name, raw)| {
        let value = value(&format!("params.{name}"), raw)?;
        Ok((name, value))
    });
    Ok(Params::ByName(values.collect::<Result<_>>()?))
}

/// A value for a parameter; `true` and `false` are 1 and 0, as SQLite has it.
fn value(field: &str, raw: &RawValue) -> Result<Value> {
    let text = raw.get();
    let wrong = || {
        Error::invalid(format!(
            "{field} must be a string, a number within SQLite's range, true, false or null"
        ))
    };
    match text.as_bytes() {
        b"null" => Ok(Value::Null),
        b"true" => Ok(Value::Integer(1)),
        b"false" => Ok(Value::Integer(0)),
        [b'"', ..] => serde_json::from_str(text).map(Value::Text).map_err(|_| wrong()),
        [b'[' | b'{', ..] => Err(wrong()),
        _ if text.contains(['.', 'e', 'E']) => {
            text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Real).ok_or_else(wrong)
        }
        _ => text.parse().map(Value::Integer).map_err(|_| wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn params_are_values_in_order_or_by_name() {
        let params = |params: &str| {
            let body = format!(r#"{{"sql":"SELECT 1","params":{params}}}"#);
            statement(body.as_bytes()).map(|statement| statement.params).map_err(|error| error.message)
        };
        let values = vec![
            text("é"),
            Value::Integer(-7),
            Value::Real(1.5),
            Value::Integer(1),
            Value::Integer(0),
            Value::Null,
        ];
        assert_eq!(params(r#"["é",-7,1.5,true,false,null]"#), Ok(Params::InOrder(values)));
        let named = vec![("a".to_owned(), Value::Integer(i64::MAX)), (":b".to_owned(), text(""))];
        assert_eq!(params(r#"{"a":9223372036854775807,":b":""}"#), Ok(Params::ByName(named)));
        assert_eq!(params("null"), Ok(Params::InOrder(Vec::new())));
        for (wrong, part) in [
            ("7", "params must be an array of values"),
            ("[[1]]", "params[0] must be a string"),
            ("[1,9223372036854775808]", "params[1] must be a string, a number within"),
            ("[1e999]", "params[0] must be"),
            (r#"["\ud800"]"#, "params[0] must be"),
            (r#"{"x":{}}"#, "params.x must be"),
        ] {
            assert!(params(wrong).unwrap_err().starts_with(part), "{wrong}: {:?}", params(wrong));
        }
    }

    #[test]
    fn values_keep_what_they_are() {
        let row = vec![
            Value::Null,
            Value::Integer(i64::MIN),
            Value::Real(2.0),
            Value::Real(f64::NEG_INFINITY),
            text("a\"b"),
            Value::Blob(vec![255, 0]),
        ];
        let columns = ["a", "b", "c", "d", "e", "f"].map(str::to_owned).to_vec();
        let found = Answer { columns, rows: vec![row], truncated: true, took_us: 7 };
        let expected = r#"{"columns":["a","b","c","d","e","f"],"rows":[[null,-9223372036854775808,2.0,"-Infinity","a\"b","/wA="]],"truncated":true,"took_us":7}"#;
        assert_eq!(String::from_utf8(body(&found)).unwrap(), expected);
    }
}
