//! The description is true: every route is in it, and answers as it says.

use std::collections::BTreeSet;

use serde_json::Value;

use super::schema;
use super::{Door, HELLO, Reply};
use crate::api::rest::routes::ROUTES;

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, operations): (&String, &Value)| {
        let operations = operations.as_object().unwrap().iter();
        operations
            .map(|(verb, operation)| (verb.clone(), path.clone(), operation.clone()))
            .collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}

/// Checks that the answer is one the operation tells of, with a body of the shape told.
fn check(document: &Value, operation: &Value, reply: &Reply, line: &str) {
    let told = &operation["responses"][reply.status.to_string()];
    assert!(told.is_object(), "{line}: {} is not described; {reply:?}", reply.status);
    let Some(content) = told.get("content") else {
        assert!(reply.body.is_empty(), "{line}: a body where none is described");
        return;
    };
    let media_type = reply.header("Content-Type").unwrap().split(';').next().unwrap();
    let described =
        content.get(media_type).unwrap_or_else(|| panic!("{line}: {media_type} is not described"));
    if let Some(schema) = described.get("schema") {
        schema::check(document, schema, &reply.json(), line).unwrap();
    }
}

/// A request that should succeed, and one that should not, for each operation.
fn requests(door: &Door) -> Vec<(&'static str, String, String)> {
    door.deploy("hello");
    door.deploy("doomed");
    let id = door.record("hello", &["line"]).request_id;
    let (letter, other_letter) = (door.dead_letter("hello"), door.dead_letter("hello"));
    let event = door.ask("POST /v1/functions/hello/invoke?type=event", "{}").json()["request_id"]
        .as_str()
        .unwrap()
        .to_owned();
    door.key(crate::model::key::Scope::Read);
    let key = r#"{"name":"ci","scope":"read"}"#;
    let request = |operation, line: &str, body: &str| (operation, line.to_owned(), body.to_owned());
    vec![
        request("deploy", "PUT /v1/functions/hello", HELLO),
        request("deploy", "PUT /v1/functions/newcomer", HELLO),
        request("deploy", "PUT /v1/functions/hello", "{"),
        request("listFunctions", "GET /v1/functions?limit=1", ""),
        request("listFunctions", "GET /v1/functions?limit=x", ""),
        request("getFunction", "GET /v1/functions/hello", ""),
        request("getFunction", "GET /v1/functions/nobody", ""),
        request("deleteFunction", "DELETE /v1/functions/doomed", ""),
        request("deleteFunction", "DELETE /v1/functions/doomed", ""),
        request("getCode", "GET /v1/functions/hello/code", ""),
        request("publishVersion", "POST /v1/functions/hello/versions", r#"{"description":"one"}"#),
        request("publishVersion", "POST /v1/functions/hello/versions", ""),
        request("publishVersion", "POST /v1/functions/nobody/versions", ""),
        request("listVersions", "GET /v1/functions/hello/versions", ""),
        request("listVersions", "GET /v1/functions/nobody/versions", ""),
        request(
            "putAlias",
            "PUT /v1/functions/hello/aliases/prod",
            r#"{"version":"1","other_version":"2","weight":0.5}"#,
        ),
        request("putAlias", "PUT /v1/functions/hello/aliases/prod", r#"{"version":"1"}"#),
        request(
            "putAlias",
            "PUT /v1/functions/hello/aliases/by-rule",
            r#"{"version":"$LATEST","other_version":"1","match":{"key":"invoke.headers.User","method":"exact","expression":"Bob"}}"#,
        ),
        request("putAlias", "PUT /v1/functions/hello/aliases/prod", r#"{"version":"99"}"#),
        request("listAliases", "GET /v1/functions/hello/aliases", ""),
        request("listAliases", "GET /v1/functions/nobody/aliases", ""),
        request("getAlias", "GET /v1/functions/hello/aliases/by-rule", ""),
        request("getAlias", "GET /v1/functions/hello/aliases/nobody", ""),
        request("deleteVersion", "DELETE /v1/functions/hello/versions/1", ""),
        request("deleteVersion", "DELETE /v1/functions/hello/versions/2", ""),
        request("deleteAlias", "DELETE /v1/functions/hello/aliases/by-rule", ""),
        request("deleteAlias", "DELETE /v1/functions/hello/aliases/$DEFAULT", ""),
        request(
            "createTrigger",
            "POST /v1/functions/hello/triggers",
            r#"{"name":"tick","type":"timer","spec":{"cron":"0 0 9 * * * *","zone":"UTC"},"argument":"x"}"#,
        ),
        request("createTrigger", "POST /v1/functions/hello/triggers", r#"{"type":"http"}"#),
        request("createTrigger", "POST /v1/functions/hello/triggers", r#"{"name":"tick","type":"timer"}"#),
        request("createTrigger", "POST /v1/functions/nobody/triggers", r#"{"type":"http"}"#),
        request("listTriggers", "GET /v1/functions/hello/triggers", ""),
        request("listTriggers", "GET /v1/functions/nobody/triggers", ""),
        request("listAllTriggers", "GET /v1/triggers?type=timer", ""),
        request("listAllTriggers", "GET /v1/triggers?type=x", ""),
        request("getTrigger", "GET /v1/functions/hello/triggers/tick?type=timer", ""),
        request("getTrigger", "GET /v1/functions/hello/triggers/tock", ""),
        request("changeTrigger", "PUT /v1/functions/hello/triggers/tick", r#"{"enabled":false}"#),
        request("changeTrigger", "PUT /v1/functions/hello/triggers/tick", r#"{"spec":{"cron":"x"}}"#),
        request("deleteTrigger", "DELETE /v1/functions/hello/triggers/tick", ""),
        request("deleteTrigger", "DELETE /v1/functions/hello/triggers/tick", ""),
        request("listEventTemplates", "GET /v1/event-templates", ""),
        request("listEventTemplates", "GET /v1/event-templates?x=1", ""),
        request("getEventConfig", "GET /v1/functions/hello/event-config", ""),
        request("getEventConfig", "GET /v1/functions/nobody/event-config", ""),
        request(
            "putEventConfig",
            "PUT /v1/functions/hello/event-config",
            r#"{"retry_num":1,"dead_letter":"doomed"}"#,
        ),
        request("putEventConfig", "PUT /v1/functions/hello/event-config", r#"{"retry_num":3}"#),
        request("reserve", "PUT /v1/functions/hello/concurrency", r#"{"reserved_mb":256}"#),
        request("reserve", "PUT /v1/functions/hello/concurrency", r#"{"reserved_mb":999999}"#),
        request("getConcurrency", "GET /v1/functions/hello/concurrency", ""),
        request("getConcurrency", "GET /v1/functions/nobody/concurrency", ""),
        request("provision", "PUT /v1/functions/hello/versions/1/provisioned", r#"{"instances":0}"#),
        request("provision", "PUT /v1/functions/hello/versions/9/provisioned", r#"{"instances":1}"#),
        request("getTotalConcurrency", "GET /v1/concurrency", ""),
        request("getTotalConcurrency", "GET /v1/concurrency?x=1", ""),
        request("setTotalConcurrency", "PUT /v1/concurrency", r#"{"total_mb":512}"#),
        request("setTotalConcurrency", "PUT /v1/concurrency", r#"{"total_mb":64}"#),
        request("notifyOfObjects", "POST /v1/events/s3/photos", r#"{"Records":[]}"#),
        request("notifyOfObjects", "POST /v1/events/s3/photos", "["),
        request("notifyOfObjects", "POST /v1/events/s3/Photos", "{}"),
        request("listNamespaces", "GET /v1/namespaces", ""),
        request("listNamespaces", "GET /v1/namespaces?x=1", ""),
        request("putNamespace", "PUT /v1/namespaces/shop", r#"{"description":"the shop"}"#),
        request("putNamespace", "PUT /v1/namespaces/shop", ""),
        request("putNamespace", "PUT /v1/namespaces/-", ""),
        request("deleteNamespace", "DELETE /v1/namespaces/shop", ""),
        request("deleteNamespace", "DELETE /v1/namespaces/shop", ""),
        request(
            "publishLayer",
            "POST /v1/layers/deps/versions",
            r#"{"runtimes":["Python3.10"],"code":{"files":{"dep.py":"X = 1"}}}"#,
        ),
        request(
            "publishLayer",
            "POST /v1/layers/deps/versions",
            r#"{"runtimes":[],"code":{"files":{"a":"b"}}}"#,
        ),
        request("listLayers", "GET /v1/layers", ""),
        request("listLayers", "GET /v1/layers?x=1", ""),
        request("getLayer", "GET /v1/layers/deps/versions/1", ""),
        request("getLayer", "GET /v1/layers/deps/versions/2", ""),
        request("deleteLayer", "DELETE /v1/layers/deps/versions/1", ""),
        request("deleteLayer", "DELETE /v1/layers/deps/versions/1", ""),
        request("terminate", &format!("POST /v1/invocations/{event}/terminate"), ""),
        request("terminate", &format!("POST /v1/invocations/{id}/terminate"), ""),
        request("getCode", "GET /v1/functions/nobody/code", ""),
        request("invoke", "POST /v1/functions/hello/invoke", "{}"),
        request("invoke", "POST /v1/functions/nobody/invoke", "{}"),
        request("invoke", "POST /v1/functions/hello/invoke", "{"),
        request("invoke", "POST /v1/functions/hello/invoke?type=event", "{}"),
        request("invoke", "POST /v1/functions/hello/invoke?type=event", "{"),
        request("listDeadLetters", "GET /v1/dead-letters?since=1h&function=hello", ""),
        request("listDeadLetters", "GET /v1/dead-letters?function=nobody", ""),
        request("getDeadLetter", &format!("GET /v1/dead-letters/{letter}"), ""),
        request("getDeadLetter", &format!("GET /v1/dead-letters/{id}"), ""),
        request("replayDeadLetter", &format!("POST /v1/dead-letters/{letter}/replay"), ""),
        request("replayDeadLetter", &format!("POST /v1/dead-letters/{letter}/replay"), ""),
        request("dropDeadLetter", &format!("DELETE /v1/dead-letters/{other_letter}"), ""),
        request("dropDeadLetter", &format!("DELETE /v1/dead-letters/{other_letter}"), ""),
        request("getInvocation", &format!("GET /v1/invocations/{letter}?wait=1s"), ""),
        request("listInvocations", "GET /v1/invocations?since=1h&status=succeeded", ""),
        request("listInvocations", "GET /v1/invocations?function=nobody", ""),
        request("countInvocationsByTime", "GET /v1/invocations/histogram?since=2h&buckets=7", ""),
        request("countInvocationsByTime", "GET /v1/invocations/histogram?buckets=501", ""),
        request("getInvocation", &format!("GET /v1/invocations/{id}"), ""),
        request("getInvocation", "GET /v1/invocations/x", ""),
        request("listLogs", &format!("GET /v1/logs?request_id={id}"), ""),
        request("listLogs", "GET /v1/logs?order=x", ""),
        request("listLogs", "GET /v1/logs?q=start*&context=2", ""),
        request("listLogs", "GET /v1/logs?q=start*&format=ndjson", ""),
        request("countLogsByTime", "GET /v1/logs/histogram?q=start*&buckets=7", ""),
        request("countLogsByTime", "GET /v1/logs/histogram?buckets=0", ""),
        request("countLogsByKind", "GET /v1/logs/facets?since=1h", ""),
        request("countLogsByKind", "GET /v1/logs/facets?function=nobody", ""),
        request("tailLogs", "GET /v1/logs/tail?function=hello", ""),
        request("tailLogs", "GET /v1/logs/tail?function=nobody", ""),
        request("sql", "POST /v1/sql", r#"{"sql":"SELECT 1, 2.5, 'x', NULL","params":[],"limit":10}"#),
        request("sql", "POST /v1/sql", r#"{"sql":"SELEC"}"#),
        request("listKeys", "GET /v1/keys", ""),
        request("createSignInLink", "POST /v1/sign-in-links", ""),
        request("createKey", "POST /v1/keys", key),
        request("createKey", "POST /v1/keys", key),
        request("revokeKey", "DELETE /v1/keys/2", ""),
        request("revokeKey", "DELETE /v1/keys/99", ""),
        request("backup", "POST /v1/backup", ""),
        request("check", "POST /v1/check", ""),
        request("getAppliance", "GET /v1/appliance", ""),
        request("getAppliance", "GET /v1/appliance?x=1", ""),
        request("doctor", "GET /v1/doctor", ""),
        request("healthz", "GET /healthz", ""),
        request("readyz", "GET /readyz", ""),
        request("version", "GET /version", ""),
        request("metrics", "GET /metrics", ""),
        request("describe", "GET /openapi.json", ""),
    ]
}

#[test]
fn every_operation_answers_as_described() {
    let door = Door::new();
    let document = door.ask("GET /openapi.json", "").json();
    let operations = operations(&document);
    let mut walked = BTreeSet::new();
    for (id, line, body) in requests(&door) {
        let (_, _, operation) =
            operations.iter().find(|(_, _, operation)| operation["operationId"] == id).unwrap();
        check(&document, operation, &door.ask(&line, body), &line);
        walked.insert(id);
    }
    let described: BTreeSet<&str> =
        operations.iter().map(|(_, _, operation)| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(walked, described);
}

#[test]
fn every_operation_refuses_as_described() {
    let door = Door::new();
    let document = door.ask("GET /openapi.json", "").json();
    let reader = format!("Bearer {}", door.key(crate::model::key::Scope::Read));
    for (verb, path, operation) in operations(&document) {
        let path = path.replace(['{', '}'], "");
        let line = format!("{} {path}", verb.to_uppercase());
        check(&document, &operation, &door.ask_with(&[], &line, ""), &line);
        check(&document, &operation, &door.ask_with(&[("Authorization", &reader)], &line, ""), &line);
        let unknown = format!("{line}?colour=blue");
        assert!(door.ask(&unknown, "").refused(400).contains("colour"));
        check(&document, &operation, &door.ask(&unknown, ""), &unknown);
    }
}

#[test]
fn the_table_and_the_description_are_one() {
    let document = Door::new().ask("GET /openapi.json", "").json();
    assert_eq!(document["openapi"], "3.1.0");
    let described: BTreeSet<(String, String)> =
        operations(&document).into_iter().map(|(verb, path, _)| (verb, path)).collect();
    let routed: BTreeSet<(String, String)> =
        ROUTES.iter().map(|route| (route.verb.lower().to_owned(), route.path.to_owned())).collect();
    assert_eq!(described, routed);
    for (_, path, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().unwrap() {
            assert!(parameter["schema"].is_object(), "{path} {parameter}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = Door::new().ask("GET /openapi.json", "").json();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
    }
}
