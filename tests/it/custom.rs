//! The Custom Runtime: what its `bootstrap` is told, and what becomes of what it says.

use serde_json::{Value, json};

use crate::function::{Function, source};
use crate::server::Server;

/// A function whose bootstrap is this script, which has `$api`.
fn bash(script: &str) -> Function {
    let head = "#!/bin/bash\napi=http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT/runtime\n";
    custom(&format!("{head}{script}\n"))
}

fn custom(bootstrap: &str) -> Function {
    let function = source("").with("runtime", "CustomRuntime").with("handler", "anything at all");
    function.file("bootstrap", bootstrap)
}

const READY: &str = "curl -sd '' $api/init/ready";
const NEXT: &str = "curl -s $api/invocation/next";

#[test]
fn the_smallest_bootstrap_is_deployed_as_a_folder_and_answers() {
    let server = Server::shared();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/functions/custom/hello");
    let out =
        server.fnlite(&["deploy", "custom_hello", folder, "--runtime", "CustomRuntime", "--handler", "x"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let run = server.invoke("custom_hello", r#"{"key":"abctest"}"#);
    assert_eq!(run.returned(), json!({ "hello": "abctest" }));
    assert_eq!(server.printed(&run.request_id), [r#"event: {"key":"abctest"}"#]);
}

#[test]
fn a_result_that_is_no_json_is_passed_on_as_it_is() {
    let server = Server::shared();
    let script = format!(
        "{READY}; printf 'Echoing \"%s\" \\xff' \"$({NEXT})\" | curl -s --data-binary @- $api/invocation/response"
    );
    server.deploy("custom_echoing", &bash(&script));
    let answer = server.call("POST", "/v1/functions/custom_echoing/invoke", b"{\"a\": 1}");
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"Echoing \"{\"a\": 1}\" \xff"[..]));
    assert_eq!(answer.kind, "application/octet-stream");
    let told = server.get(&format!("/v1/invocations/{}", answer.request_id()));
    assert_eq!(told["result"], "Echoing \"{\"a\": 1}\" \u{fffd}");
    let request_id = server.accept("custom_echoing", "[]");
    assert_eq!(server.over(&request_id).state, "succeeded");
    let out = server.fnlite(&["invoke", "custom_echoing", "-d", "5"]);
    assert_eq!(String::from_utf8_lossy(&out.stdout), "Echoing \"5\" \u{fffd}\n");
}

#[test]
fn the_call_for_the_event_tells_of_the_run() {
    let server = Server::shared();
    let script = format!(
        "{READY}; curl -s -D /tmp/head $api/invocation/next >/tmp/first; {NEXT} >/tmp/second; cmp /tmp/first /tmp/second && \
         tr -d '\\r' < /tmp/head | grep -i _ | curl -s --data-binary @- $api/invocation/response"
    );
    server.deploy("custom_told", &bash(&script).with("timeout_s", 7).with("memory_mb", 256));
    let run = server.invoke("custom_told", "{}");
    let expected =
        format!("request_id: {}\nmemory_limit_in_mb: 256\ntime_limit_in_ms: 7000\n", run.request_id);
    assert_eq!((run.status, run.body), (200, expected));
}

#[test]
fn what_is_said_first_counts() {
    let server = Server::shared();
    let both = |first: &str, second: &str| {
        let say = |what: &str| format!("curl -sd {what} $api/invocation/{what}");
        bash(&format!("{READY}; {NEXT} >/dev/null; {} ; {}; sleep 60", say(first), say(second)))
    };
    server.deploy("custom_first", &both("response", "error"));
    assert_eq!(server.invoke("custom_first", "{}").body, "response");
    server.deploy("custom_second", &both("error", "response"));
    assert_eq!(server.invoke("custom_second", "{}").failed(430).stack_trace, "error");
}

#[test]
fn calls_that_make_no_sense_are_told_so() {
    let server = Server::shared();
    let status = |call: &str| format!("echo \"$(curl -s -o /dev/null -w '%{{http_code}}' {call})\"");
    let script = [
        status("-d early $api/invocation/response"),
        status("$api/init/ready"),
        READY.to_owned(),
        READY.to_owned(),
        format!("{NEXT} >/dev/null"),
        status("-d '' $api/invocation/next"),
        status("$api/other"),
        status("-H 'Transfer-Encoding: gzip' -d x $api/invocation/response"),
        // Longer than a kilobyte: curl asks first whether it is wanted.
        "head -c 3000 /dev/zero | tr '\\0' 7 | curl -s --data-binary @- $api/invocation/response".to_owned(),
    ];
    server.deploy("custom_wrong", &bash(&script.join("\n")));
    let run = server.invoke("custom_wrong", "{}");
    assert_eq!((run.status, run.body.len()), (200, 3000));
    assert_eq!(server.printed(&run.request_id), ["403", "405", "405", "404", "400"]);
}

#[test]
fn a_bootstrap_that_does_not_get_on_is_ended() {
    let server = Server::shared();
    for (name, script, status, message) in [
        ("custom_silent", "sleep 60".to_owned(), 450, "Initializing the function timed out after 1 seconds"),
        ("custom_idle", format!("{READY}; sleep 60"), 433, "Invoking task timed out after 1 seconds"),
        ("custom_mute", format!("{READY}; {NEXT}; sleep 60"), 433, "Invoking task timed out after 1 seconds"),
        ("custom_gone", "exit 7".to_owned(), 439, "7 code exit unexpected"),
        ("custom_left", format!("{READY}; exit 0"), 439, "0 code exit unexpected"),
        ("custom_killed", format!("{READY}; {NEXT}; kill -9 $$"), 439, "137 code exit unexpected"),
    ] {
        server.deploy(name, &bash(&script).with("timeout_s", 1).with("init_timeout_s", 1));
        assert_eq!(server.invoke(name, "{}").failed(status).error_message, message, "{name}");
    }
    let nothing = custom("#!/nowhere/bash\n");
    server.deploy("custom_nothing", &nothing);
    let error = server.invoke("custom_nothing", "{}").failed(437);
    assert_eq!(
        error.error_message,
        "bootstrap cannot be started: there is no such file, or its first line names a program that is not there"
    );
}

#[test]
fn results_are_as_large_as_in_other_languages_and_no_larger() {
    let server = Server::shared();
    let script = format!(
        "{READY}; n=$({NEXT}); head -c $n /dev/zero | tr '\\0' x | curl -s --data-binary @- $api/invocation/response; sleep 60"
    );
    server.deploy("custom_large", &bash(&script).with("timeout_s", 20));
    let most = 6 << 20;
    assert_eq!(server.invoke("custom_large", most.to_string()).body.len(), most);
    for more in [most + 1, most + 2, 4 * most] {
        server.invoke("custom_large", more.to_string()).failed(407);
    }
}

/// A program of a few lines that keeps to the letter of HTTP and to nothing else.
#[test]
fn who_sends_all_and_closes_his_side_is_heard() {
    let python = r#"#!/usr/bin/python3
import os, socket
def call(text):
    with socket.create_connection((os.environ["SCF_RUNTIME_API"], int(os.environ["SCF_RUNTIME_API_PORT"]))) as s:
        s.sendall(text)
        s.shutdown(socket.SHUT_WR)
        while s.recv(4096): pass
call(b"POST /runtime/init/ready HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
with socket.create_connection((os.environ["SCF_RUNTIME_API"], int(os.environ["SCF_RUNTIME_API_PORT"]))) as s:
    s.sendall(b"GET /runtime/invocation/next HTTP/1.0\r\n\r\n")
    s.recv(4096)
call(b"POST /runtime/invocation/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n")
import time; time.sleep(60)
"#;
    let server = Server::shared();
    server.deploy("custom_half", &custom(python));
    assert_eq!(server.invoke("custom_half", "{}").returned(), json!([1, 2]));
}

/// Whatever comes over the door costs nobody but the function: floods of connections, heads without end, nothing at all.
#[test]
fn a_hostile_program_is_ended_at_its_time_and_others_are_served() {
    let python = r#"#!/usr/bin/python3
import os, socket, threading
END = b"\r\n\r\n"
def connect(): return socket.create_connection((os.environ["SCF_RUNTIME_API"], int(os.environ["SCF_RUNTIME_API_PORT"])))
def send(text, times):
    try:
        s = connect()
        for _ in range(times): s.sendall(text)
        s.recv(1)
    except OSError: pass
ready = connect()
ready.sendall(b"POST /runtime/init/ready HTTP/1.1" + END)
ready.recv(1)
for text in (b"GET / HTTP/1.1\r\nX: " + b"x" * 65536, b"\0" * 65536, b"GET /runtime/invocation/next HTTP/1.1" + END * 1000):
    threading.Thread(target=send, args=(text, 1000), daemon=True).start()
held = []
while True:
    try: held.append(connect())
    except OSError: threading.Event().wait()
"#;
    let server = Server::shared();
    server.deploy("custom_hostile", &custom(python).with("timeout_s", 1));
    server.deploy(
        "custom_beside",
        &bash(&format!("{READY}; {NEXT} >/dev/null; curl -sd 7 $api/invocation/response")),
    );
    std::thread::scope(|scope| {
        let hostile = scope.spawn(|| {
            let run = server.invoke("custom_hostile", "{}");
            assert_eq!(run.status, 433, "{run:?} {:?}", server.printed(&run.request_id));
        });
        assert_eq!(server.invoke("custom_beside", "{}").returned(), 7);
        hostile.join().unwrap();
    });
}

#[test]
fn a_package_without_a_program_is_refused_with_what_to_do() {
    let server = Server::shared();
    let refused = |function: Function| {
        let answer = server.call("PUT", "/v1/functions/custom_refused", function.body().as_bytes());
        assert_eq!(answer.status, 400, "{}", answer.text());
        answer.refusal()
    };
    let crlf = refused(custom("#!/bin/bash\r\necho\r\n"));
    assert!(
        crlf.contains("bootstrap") && crlf.contains("CRLF") && crlf.contains("save it with LF"),
        "{crlf}"
    );
    let plain = refused(custom("echo"));
    assert!(plain.contains("begins with #!"), "{plain}");
    let none = refused(source("").with("runtime", "CustomRuntime"));
    assert!(none.contains("is not in the code archive"), "{none}");
}

#[test]
fn no_two_instances_share_a_door() {
    let server = Server::shared();
    let script = format!(
        "{READY}; {NEXT} >/dev/null; curl -sd $SCF_RUNTIME_API_PORT $api/invocation/response; sleep 60"
    );
    server.deploy("custom_door", &bash(&script));
    let ports: Vec<Value> = (0..4).map(|_| server.invoke("custom_door", "{}").returned()).collect();
    let mut known = ports.clone();
    known.dedup();
    assert_eq!(known.len(), ports.len(), "{ports:?}");
}
