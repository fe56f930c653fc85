//! Reading by SQL: over HTTP, by the command line, and with other people's tools.

use serde_json::{Value, json};

use crate::server::{Answer, Server};

mod commands;
mod hostile;
mod recipes;

/// Sends a statement.
fn ask(server: &Server, sql: &str) -> Answer {
    server.call("POST", "/v1/sql", json!({ "sql": sql }).to_string().as_bytes())
}

/// The rows that a statement gives.
#[track_caller]
fn rows(server: &Server, sql: &str) -> Value {
    let answer = ask(server, sql);
    assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
    answer.json()["rows"].clone()
}
