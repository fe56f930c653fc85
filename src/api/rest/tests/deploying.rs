//! Functions come and go.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Door, HELLO};
use crate::instance::package::pack;
use crate::model::key::Scope;

fn archive(text: &str) -> Vec<u8> {
    pack::from_files(&[("index.py".to_owned(), text.to_owned())]).unwrap()
}

#[test]
fn a_function_is_new_then_replaced_then_gone() {
    let door = Door::new();
    let new = door.ask("PUT /v1/functions/hello", HELLO);
    assert_eq!(new.status, 201);
    assert_eq!(new.json()["runtime"], "Python3.10");
    assert_eq!(new.json()["timeout_s"], 3);
    assert!(new.json()["notes"].is_array());
    assert_eq!(door.ask("PUT /v1/functions/hello", HELLO).status, 200);
    let found = door.ask("GET /v1/functions/hello", "").json();
    assert_eq!(found["created_us"], new.json()["created_us"]);
    assert_eq!(found["env"].to_string(), r#"{"Z":"1","A":"2"}"#);
    assert_eq!(door.ask("DELETE /v1/functions/hello", "").status, 204);
    for line in ["GET /v1/functions/hello", "GET /v1/functions/hello/code", "DELETE /v1/functions/hello"] {
        door.ask(line, "").refused(404);
    }
}

#[test]
fn code_comes_back_as_the_bytes_that_came() {
    let door = Door::new();
    let zip = archive("def main_handler(event, context): return 1\n");
    let body = json!({"runtime":"Python3.10","handler":"index.main_handler","code":{"zip_base64":STANDARD.encode(&zip)}});
    door.ask("PUT /v1/functions/hello", body.to_string());
    let code = door.ask("GET /v1/functions/hello/code", "");
    assert_eq!((code.status, code.header("Content-Type")), (200, Some("application/zip")));
    assert_eq!(code.body, zip);
    let digest = door.ask("GET /v1/functions/hello", "").json()["code_sha256"].as_str().unwrap().to_owned();
    assert_eq!(code.header("ETag"), Some(format!("\"{digest}\"").as_str()));
}

#[test]
fn a_zip_body_takes_the_rest_from_the_query() {
    let door = Door::new();
    let line = "PUT /v1/functions/hello?runtime=Python3.10&handler=index.main_handler&timeout_s=9&memory_mb=256\
                &env=A%3D1&env=B=x%3Dy&description=a+b";
    assert_eq!(door.ask(line, archive("x = 1\n")).status, 201);
    let found = door.ask("GET /v1/functions/hello", "").json();
    assert_eq!((&found["timeout_s"], &found["memory_mb"]), (&json!(9), &json!(256)));
    assert_eq!((&found["env"], &found["description"]), (&json!({"A":"1","B":"x=y"}), &json!("a b")));
}

#[test]
fn environments_are_shown_to_admins_only() {
    let door = Door::new();
    door.deploy("hello");
    let reader = format!("Bearer {}", door.key(Scope::Read));
    for line in ["GET /v1/functions/hello", "GET /v1/functions"] {
        let reply = door.ask_with(&[("Authorization", &reader)], line, "");
        assert_eq!(reply.status, 200);
        assert!(!String::from_utf8_lossy(&reply.body).contains("\"env\""), "{line}");
    }
}

#[test]
fn namespaces_keep_functions_apart_and_lists_are_paged() {
    let door = Door::new();
    for name in ["cc", "aa", "bb"] {
        door.deploy(name);
    }
    assert_eq!(door.ask("PUT /v1/functions/aa?namespace=other", HELLO).status, 201);
    let names = |line: &str| {
        let page = door.ask(line, "").json();
        let names =
            page["functions"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap().to_owned());
        (names.collect::<Vec<_>>().join(" "), page["next_cursor"].clone())
    };
    assert_eq!(names("GET /v1/functions?limit=2"), ("aa bb".to_owned(), json!("bb")));
    assert_eq!(names("GET /v1/functions?limit=2&cursor=bb"), ("cc".to_owned(), json!(null)));
    assert_eq!(names("GET /v1/functions?namespace=other"), ("aa".to_owned(), json!(null)));
}

/// The one order that is right, with one field changed.
fn with(field: &str, value: &str) -> String {
    let mut order: serde_json::Value = serde_json::from_str(HELLO).unwrap();
    order[field] = serde_json::from_str(value).unwrap();
    order.to_string()
}

#[test]
fn bad_orders_name_the_field_and_store_nothing() {
    let door = Door::new();
    let link = "PUT /v1/functions/hello";
    let mut deep = String::from(r#"{"env":"#);
    deep.extend(std::iter::repeat_n('[', 10_000));
    let mut variables = String::new();
    for n in 0..400 {
        write!(variables, "{}\"K{n}\":\"0123456789\"", if n == 0 { "" } else { "," }).unwrap();
    }
    for (line, body, part) in [
        (link, String::new(), "the body must be JSON"),
        (link, "[]".to_owned(), "the body must be a JSON object"),
        (link, deep, "nested deeper"),
        (link, with("runtime", "null"), "runtime is required"),
        (link, with("runtime", "\"Cobol\""), "runtime must be one of"),
        (link, with("runtime", "\"Java8\""), "Java8 is not run by this release"),
        (link, with("handler", "null"), "handler is required"),
        (link, with("handler", "\"index\""), "handler must be file.function"),
        (link, with("handler", "\"../index.main\""), "handler must be file.function"),
        (link, with("timeout_s", "0"), "timeout_s must be 1 to 900"),
        (link, with("timeout_s", "901"), "timeout_s must be 1 to 900"),
        (link, with("timeout_s", "\"3\""), "timeout_s must be a whole number"),
        (link, with("timeout_s", "-1"), "timeout_s must be a whole number"),
        (link, with("memory_mb", "100"), "memory_mb must be 64, or 128 to 3072 in steps of 128"),
        (link, with("env", r#"{"SCF_X":"1"}"#), "env keys must not begin with SCF_"),
        (link, with("env", r#"{"A":1}"#), "env must be an object of strings"),
        (link, with("env", r#"{"A":"a\u0000"}"#), "must not be empty or contain NUL"),
        (link, with("env", &format!("{{{variables}}}")), "env must be at most 4096 bytes"),
        (link, with("colour", "1"), "there is no field colour"),
        (link, with("code", "null"), "code is required"),
        (link, with("code", "{}"), "either zip_base64 or files"),
        (link, with("code", r#"{"zip_base64":"!"}"#), "code.zip_base64 must be a zip archive in base64"),
        (link, with("code", r#"{"zip_base64":7}"#), "code.zip_base64 must be a zip archive in base64"),
        (link, with("code", r#"{"zip_base64":"bm8gemlw"}"#), "zip"),
        (link, with("code", r#"{"files":{"../x":""}}"#), "../x"),
        (link, with("code", r#"{"files":{"a":"b"},"more":1}"#), "there is no field code.more"),
        ("PUT /v1/functions/hello?timeout_s=3", HELLO.to_owned(), "timeout_s belongs in the JSON body"),
        ("PUT /v1/functions/hello?colour=1", HELLO.to_owned(), "no query parameter \"colour\""),
        ("PUT /v1/functions/hello?namespace=..", HELLO.to_owned(), "namespace must be 2 to 60"),
        ("PUT /v1/functions/1x", HELLO.to_owned(), "name must be 2 to 60"),
        ("PUT /v1/functions/a%2F..%2Fb", HELLO.to_owned(), "name must be 2 to 60"),
        ("PUT /v1/functions/a%00", HELLO.to_owned(), "percent escape"),
    ] {
        let message = door.ask(line, &body).refused(400);
        assert!(message.contains(part), "{line} {body:.60}: {message}");
    }
    assert_eq!(door.ask("GET /v1/functions", "").json()["functions"], json!([]));
}

#[test]
fn names_that_are_too_long_together_are_refused() {
    let door = Door::new();
    let (namespace, name) = ("n".repeat(60), "f".repeat(60));
    let message = door.ask(&format!("PUT /v1/functions/{name}?namespace={namespace}"), HELLO).refused(400);
    assert!(message.contains("at most 118"), "{message}");
}
