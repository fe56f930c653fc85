//! Functions that run because something happened.

mod http;
mod timers;

use serde_json::Value;

use crate::server::Server;

/// Makes a trigger; how it is then.
#[track_caller]
pub(crate) fn add(server: &Server, function: &str, body: &Value) -> Value {
    let target = format!("/v1/functions/{function}/triggers");
    let answer = server.call("POST", &target, body.to_string().as_bytes());
    assert_eq!(answer.status, 201, "{body}: {}", answer.text());
    answer.json()
}

/// Changes one; how it is then.
#[track_caller]
pub(crate) fn change(server: &Server, function: &str, trigger: &str, body: &Value) -> Value {
    let target = format!("/v1/functions/{function}/triggers/{trigger}");
    let answer = server.call("PUT", &target, body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{body}: {}", answer.text());
    answer.json()
}

/// One as it is.
#[track_caller]
pub(crate) fn show(server: &Server, function: &str, trigger: &str) -> Value {
    server.get(&format!("/v1/functions/{function}/triggers/{trigger}"))
}

/// The runs of a function, the newest first.
#[track_caller]
pub(crate) fn runs(server: &Server, function: &str) -> Vec<Value> {
    let page = server.get(&format!("/v1/invocations?function={function}&limit=1000"));
    page["invocations"].as_array().unwrap().clone()
}
