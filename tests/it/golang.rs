//! Programs in Go: what the library says of errors and panics, and that nobody but the server has a connection to them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::languages::built_by_go;
use crate::server::Server;

/// The port that the library asks for, as /proc/net/tcp has it.
const PORT: &str = ":70E6";

fn folder(name: &str) -> std::path::PathBuf {
    built_by_go(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/functions/go").join(name))
}

/// Deploys the table under that name.
fn deploy(server: &Server, name: &str) {
    let folder = folder("table");
    let words = [
        "deploy",
        name,
        folder.to_str().unwrap(),
        "--runtime",
        "Go1",
        "--handler",
        "main",
        "--timeout",
        "20",
    ];
    let out = server.fnlite(&words);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

fn event(what: &str) -> String {
    json!({ "do": what }).to_string()
}

#[test]
fn a_program_is_deployed_with_its_folder_and_answers() {
    let server = Server::shared();
    let folder = folder("hello");
    let words = ["deploy", "go_hello", folder.to_str().unwrap(), "--runtime", "Go1", "--handler", "main"];
    let out = server.fnlite(&words);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let run = server.invoke("go_hello", r#"{"key":"abctest"}"#);
    assert_eq!(run.returned(), json!({ "hello": "abctest" }));
    assert_eq!(server.printed(&run.request_id), ["event: {abctest}"]);
}

#[test]
fn the_call_tells_of_the_run() {
    let server = Server::shared();
    deploy(server, "go_told");
    let run = server.invoke("go_told", event("context"));
    let mut told = run.returned();
    let left = told.as_object_mut().unwrap().remove("left").unwrap();
    assert!((1..=20_000).contains(&left.as_i64().unwrap()), "{left}");
    let expected = json!({
        "memory_limit_in_mb": 128,
        "time_limit_in_ms": 20_000,
        "request_id": run.request_id,
        "environment": r#"{"SCF_NAMESPACE":"default"}"#,
        "function_version": "$LATEST",
        "function_name": "go_told",
        "namespace": "default",
        "tencentcloud_region": "ap-guangzhou",
        "tencentcloud_appid": "1250000000",
        "tencentcloud_uin": "100000000001",
    });
    assert_eq!(told, expected);
    let environment = server.invoke("go_told", event("environment")).returned();
    for (name, value) in [
        ("FUNCTION_MEMORY_SIZE", "128"),
        ("FUNCTION_NAME", "go_told"),
        ("FUNCTION_VERSION", "$LATEST"),
        ("SCF_NAMESPACE", "default"),
        ("_LAMBDA_SERVER_PORT", "28902"),
    ] {
        assert_eq!(environment[name], value, "{name}");
    }
}

#[test]
fn errors_and_panics_are_told_as_the_library_tells_them() {
    let server = Server::shared();
    deploy(server, "go_failing");
    let panicked = server.invoke("go_failing", event("panic")).failed(430);
    let mut lines = panicked.stack_trace.lines();
    assert_eq!(lines.next(), Some("string: not like this"));
    assert!(panicked.stack_trace.contains("\tat main.handle (main.go:"), "{}", panicked.stack_trace);
    let wrong = server.invoke("go_failing", "[]").failed(430);
    assert!(wrong.stack_trace.starts_with("UnmarshalTypeError: json: cannot unmarshal"), "{wrong:?}");
    let run = server.invoke("go_failing", event("panic-elsewhere"));
    assert_eq!(run.failed(439).error_message, "2 code exit unexpected");
    assert_eq!(server.printed(&run.request_id)[0], "panic: elsewhere");
}

#[test]
fn a_program_that_never_listens_is_not_waited_for_longer_than_its_init_timeout() {
    // It is no program of the library's: one that only sleeps.
    let server = Server::shared();
    let place = tempfile::tempdir().unwrap();
    fs::copy("/bin/sleep", place.path().join("main")).unwrap();
    let words =
        ["deploy", "go_silent", place.path().to_str().unwrap(), "--runtime", "Go1", "--handler", "main"];
    assert!(server.fnlite(&[&words[..], &["--init-timeout", "1"]].concat()).status.success());
    // Without a word it complains and ends.
    assert_eq!(server.invoke("go_silent", "{}").failed(439).error_message, "1 code exit unexpected");
}

#[test]
fn a_program_that_speaks_otherwise_is_told_from_one_that_answers() {
    let server = Server::shared();
    let folder = folder("hostile");
    for (how, status, said) in [
        ("garbage", 430, "the program's answer is no net/rpc: "),
        ("endless", 430, "the program's answer is no net/rpc: "),
        ("huge", 407, ""),
        ("closed", 430, "the function closed"),
        ("silent", 450, ""),
    ] {
        let (name, how) = (format!("go_{how}x"), format!("HOW={how}"));
        let words = ["deploy", &name, folder.to_str().unwrap(), "--runtime", "Go1", "--handler", "main"];
        let out = server.fnlite(&[&words[..], &["--env", &how, "--init-timeout", "1"]].concat());
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let error = server.invoke(&name, "{}").failed(status);
        assert!(error.stack_trace.starts_with(said), "{how}: {}", error.stack_trace);
    }
}

#[test]
fn nobody_but_the_server_can_reach_a_program() {
    for level in [1, 5] {
        let server = Server::at_level(level);
        deploy(server, "go_reached");
        assert_eq!(
            server.invoke("go_reached", event("listen")).returned(),
            "tcp",
            "ports of its own are its affair"
        );
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            let listening = fs::read_to_string(table).unwrap();
            let ours: Vec<&str> = listening
                .lines()
                .filter(|line| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(PORT)))
                .collect();
            assert!(ours.is_empty(), "level {level}: {ours:?}");
        }
    }
}

#[test]
fn what_is_no_program_of_this_machine_is_refused() {
    let server = Server::shared();
    let refused = |content: &str| {
        let body: Value =
            json!({ "runtime": "Go1", "handler": "main", "code": { "files": { "main": content } } });
        let answer = server.call("PUT", "/v1/functions/go_refused", body.to_string().as_bytes());
        assert_eq!(answer.status, 400, "{}", answer.text());
        answer.refusal()
    };
    assert!(refused("#!/bin/sh\n").contains("build it with GOOS=linux GOARCH="));
    assert!(refused("").contains("main, which Go1 starts, is no program for Linux"));
}
