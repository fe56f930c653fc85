//! `fnlite sql`: reading by SQL. A server that answers is asked; where none does, or a file is named, the file itself is
//! read by the same door, without changing it.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::api::rest::sql::{body, statement};
use crate::api::wire::Rows;
use crate::base::clock::{Clock, SystemClock};
use crate::cli::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::grid::{Cell, Grid};
use crate::config;
use crate::error::Kind;
use crate::service::sql::File;

mod csv;
mod schema;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fnlite sql \"SELECT function, count(*), p95(duration_ms) FROM invocations GROUP BY 1\"
  fnlite sql \"SELECT time, SCF_Message FROM logs WHERE SCF_RequestId = ?\" -p REQUEST_ID
  fnlite sql --schema logs")]
pub(super) struct Args {
    /// The statement; - reads it from standard input
    #[arg(required_unless_present = "schema")]
    sql: Option<String>,
    /// A value for the next ? of the statement; whole and decimal numbers count as numbers
    #[arg(long = "param", short, value_name = "VALUE", allow_hyphen_values = true)]
    params: Vec<String>,
    /// At most that many rows, 1 to 10000 [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: Option<u32>,
    /// Print comma-separated values
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Read that database file, with a server or without
    #[arg(long, value_name = "DB")]
    file: Option<PathBuf>,
    /// Print the views with their columns, or one view, and the functions
    #[arg(long, value_name = "VIEW", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["sql", "params", "limit", "csv", "file"])]
    schema: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    if let Some(view) = &args.schema {
        return schema::run(view, context);
    }
    let asked = asked(args)?;
    let mut api = context.api()?;
    let json = match &args.file {
        Some(file) => offline(file.clone(), &asked)?,
        None if api.is_stopped() => {
            let db = config::database(context.place.clone()).map_err(|error| Failure::unusable(&error))?;
            let found = offline(db, &asked)?;
            context.out.note("no server answers: the file itself was read");
            found
        }
        None => api.send("POST", "/v1/sql", Vec::new(), &asked)?.accepted()?.body().to_vec(),
    };
    show(&json, args, context)?;
    Ok(Exit::Done)
}

/// The body of the request.
fn asked(args: &Args) -> Result<Vec<u8>, Failure> {
    let sql = match args.sql.as_deref() {
        Some("-") => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text)?;
            text
        }
        given => given.unwrap_or_default().to_owned(),
    };
    let params: Vec<Value> = args.params.iter().map(|text| param(text)).collect();
    Ok(json!({ "sql": sql, "params": params, "limit": args.limit }).to_string().into_bytes())
}

/// What is written as a number that SQLite would print the same way is one; `007` is a text.
fn param(text: &str) -> Value {
    if let Some(number) = text.parse::<i64>().ok().filter(|number| number.to_string() == text) {
        return number.into();
    }
    let is_decimal = text.contains('.') && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-'));
    match text.parse::<f64>().ok().filter(|_| is_decimal) {
        Some(number) => number.into(),
        None => text.into(),
    }
}

fn offline(db: PathBuf, asked: &[u8]) -> Result<Vec<u8>, Failure> {
    let file = File::open(&db).map_err(|error| match error.kind {
        Kind::Internal => error.into(),
        _ => Failure::unusable(&error),
    })?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Ok(body(&file.answer(&statement(asked)?, &clock)?))
}

fn show(json: &[u8], args: &Args, context: &Context) -> Result<(), Failure> {
    if context.out.json {
        return context.out.data(json);
    }
    let found: Rows = serde_json::from_slice(json).map_err(|cause| {
        Failure::new(Exit::Error, format!("the server's answer is not understood: {cause}"))
    })?;
    let rows: Vec<Vec<Cell>> =
        found.rows.iter().map(|row| row.iter().map(|raw| cell(raw)).collect()).collect();
    let count = rows.len();
    if args.csv {
        context.out.data(context.out.foreign(&csv::render(&found.columns, &rows)).as_bytes())?;
    } else {
        context.out.data(Grid { head: &found.columns, rows: &rows }.render(&context.out).as_bytes())?;
    }
    if found.truncated {
        context.out.note(&format!("there are more than these {count} rows; see --limit, or ask for less"));
    }
    Ok(())
}

/// A value as the server wrote it: numbers keep their digits.
fn cell(raw: &RawValue) -> Cell {
    match raw.get() {
        "null" => Cell::Null,
        text if text.starts_with('"') => {
            Cell::Text(serde_json::from_str(text).unwrap_or_else(|_| text.to_owned()))
        }
        number => Cell::Number(number.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_numbers_and_everything_else_is_text() {
        for (text, expected) in [
            ("7", json!(7)),
            ("-7", json!(-7)),
            ("1.5", json!(1.5)),
            ("-0.25", json!(-0.25)),
            ("007", json!("007")),
            ("+7", json!("+7")),
            ("1e5", json!("1e5")),
            ("1.2.3", json!("1.2.3")),
            ("9223372036854775808", json!("9223372036854775808")),
            ("inf", json!("inf")),
            ("", json!("")),
            ("4ca7089c-3bb0", json!("4ca7089c-3bb0")),
        ] {
            assert_eq!(param(text), expected, "{text}");
        }
    }
}
