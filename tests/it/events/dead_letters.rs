//! Events that were given up: told to another function, replayed, and those of a function that was deleted.

use serde_json::{Value, json};

use super::QUICK;
use crate::function::{expression, folder};
use crate::server::Server;
use crate::wait;

fn letters(server: &Server) -> Vec<Value> {
    server.get("/v1/dead-letters")["dead_letters"].as_array().unwrap().clone()
}

#[test]
fn another_function_is_told_in_the_clouds_words() {
    let server = Server::start(&QUICK);
    server.deploy("mourner", &expression("event"));
    server.deploy("failing", &folder("raise").with("dead_letter", "mourner").with("retry_num", 1));
    let id = server.accept("failing", r#"{"by": 0}"#);
    let record = server.over(&id);
    let told = wait::until("the other one was told", || {
        let runs = server.get("/v1/invocations?function=mourner&status=succeeded");
        runs["invocations"][0]["request_id"].as_str().map(str::to_owned)
    });
    let told = server.record(&told);
    assert_eq!(told.source, "dead-letter");
    let message: Value = serde_json::from_str(told.event.get()).unwrap();
    let trace = message["ErrorMessage"].as_str().unwrap();
    assert!(trace.starts_with("Traceback") && trace.contains("ZeroDivisionError"), "{trace}");
    let push_time = message["Body"]["PushTime"].as_str().unwrap();
    assert!(push_time.ends_with("+08:00") && push_time.len() == 35, "{push_time}");
    let created_ms = (record.created_us / 1000).to_string();
    let expected = json!({
        "RequestId": id, "ErrorCode": -1, "ErrorMessage": trace,
        "Body": {
            "AppId": 1_250_000_000, "Uin": "100000000001", "SubAccountUin": "100000000001", "RequestSource": "REST",
            "FunctionName": "failing", "Namespace": "default", "Qualifier": "$LATEST", "InvocationType": "Event",
            "ClientContext": r#"{"by": 0}"#, "LogType": "", "TimeStampForInvoker": created_ms, "RequestId": id,
            "PushTime": push_time, "RetryNum": 1, "Ttl": 0
        }
    });
    assert_eq!(message, expected);
    assert_eq!(letters(&server).len(), 1, "it stays until somebody replays or drops it");
}

#[test]
fn a_dead_letters_own_dead_letter_goes_to_nobody() {
    let server = Server::start(&QUICK);
    server.deploy("failing", &folder("raise").with("dead_letter", "failing").with("retry_num", 0));
    let id = server.accept("failing", "{}");
    server.over(&id);
    wait::until("both are dead", || (letters(&server).len() == 2).then_some(()));
    assert_eq!(server.metric("fnlite_events_accepted_total"), 1);
    assert_eq!(server.metric("fnlite_events_waiting") + server.metric("fnlite_events_running"), 0);
}

#[test]
fn a_letter_to_nobody_is_kept_all_the_same() {
    let server = Server::start(&QUICK);
    server.deploy("failing", &folder("raise").with("dead_letter", "nobody").with("retry_num", 0));
    let id = server.accept("failing", "{}");
    assert_eq!(server.over(&id).state, "dead");
    assert_eq!(letters(&server)[0]["request_id"], id);
}

#[test]
fn a_replayed_letter_runs_and_is_gone() {
    let server = Server::start(&QUICK);
    server.deploy("mended", &folder("raise").with("retry_num", 0));
    let id = server.accept("mended", r#"{"by": 0, "n": 1.10}"#);
    server.over(&id);
    server.deploy("mended", &expression("event"));
    let answer = server.call("POST", &format!("/v1/dead-letters/{id}/replay"), b"");
    assert_eq!(answer.status, 202, "{}", answer.text());
    let again = server.over(answer.json()["request_id"].as_str().unwrap());
    assert_eq!((again.state.as_str(), again.source.as_str()), ("succeeded", "replay"));
    assert_eq!(again.event.get(), r#"{"by": 0, "n": 1.10}"#);
    assert_eq!(letters(&server), [] as [Value; 0]);
    assert_eq!(server.record(&id).state, "dead", "what was is not changed");
}

#[test]
fn events_of_a_deleted_function_become_dead_letters_and_a_new_one_of_its_name_does_not_run_them() {
    let server = Server::start(&[]);
    server.deploy("doomed", &folder("hello").with("reserved_mb", 0));
    let ids: Vec<String> = (0..5).map(|_| server.accept("doomed", "{}")).collect();
    assert_eq!(server.call("DELETE", "/v1/functions/doomed", b"").status, 204);
    server.deploy("doomed", &folder("hello"));
    for id in &ids {
        let record = server.over(id);
        assert_eq!((record.state.as_str(), record.status), ("dead", 435));
        assert_eq!(record.error, "its function, or the version it was for, was deleted");
    }
    assert_eq!(letters(&server).len(), 5);
    let id = server.accept("doomed", "{}");
    assert_eq!(server.over(&id).state, "succeeded");
    let answer = server.call("POST", &format!("/v1/dead-letters/{}/replay", ids[0]), b"");
    assert_eq!(answer.status, 202);
}

#[test]
fn a_retry_that_was_not_due_yet_is_given_up_with_its_function() {
    let server = Server::start(&[]);
    server.deploy("doomed", &folder("raise"));
    let id = server.accept("doomed", "{}");
    wait::until("it waits for its next attempt", || (server.record(&id).state == "retrying").then_some(()));
    assert_eq!(server.call("DELETE", "/v1/functions/doomed", b"").status, 204);
    let record = server.over(&id);
    assert_eq!((record.state.as_str(), record.status), ("dead", 430), "what its attempt ended with stays");
    assert_eq!(letters(&server)[0]["reason"], "its function, or the version it was for, was deleted");
    let shown = server.get(&format!("/v1/invocations/{id}"));
    assert_eq!(shown["reason"], "its function, or the version it was for, was deleted");
    assert_eq!(record.attempts.len(), 1, "what it tells of was followed by giving it up");
    server.call("POST", &format!("/v1/dead-letters/{id}/replay"), b"");
    assert_eq!(letters(&server).len(), 1, "there is nobody to run it");
}
