//! Events that are run later, and dead letters.

use serde_json::json;

use super::Door;

const INVOKE: &str = "POST /v1/functions/hello/invoke";

/// Accepts an event under that key; status and request id, or the code of the refusal.
fn accept(door: &Door, key: &str, event: &str) -> (u16, String) {
    let authorization = format!("Bearer {}", door.admin);
    let headers = [("Authorization", authorization.as_str()), ("X-Idempotency-Key", key)];
    let reply = door.ask_with(&headers, &format!("{INVOKE}?type=event"), event);
    let body = reply.json();
    let said = body["request_id"].as_str().or(body["error"]["code"].as_str()).unwrap();
    (reply.status, said.to_owned())
}

#[test]
fn an_accepted_event_is_found_at_once() {
    let door = Door::new();
    door.deploy("hello");
    let reply = door.ask(&format!("{INVOKE}?type=event"), r#"{"n":1.10}"#);
    assert_eq!(reply.status, 202);
    let id = reply.json()["request_id"].as_str().unwrap().to_owned();
    assert_eq!(reply.header("X-Fnlite-Request-Id").unwrap(), id);
    let reply = door.ask(&format!("GET /v1/invocations/{id}"), "");
    let body = String::from_utf8(reply.body.clone()).unwrap();
    assert!(body.contains(r#""event":{"n":1.10}"#), "{body}");
    let run = reply.json();
    assert_eq!(
        (&run["state"], &run["status"], &run["retry_num"]),
        (&json!("queued"), &json!(202), &json!(0))
    );
    assert_eq!(run["due_us"], run["created_us"]);
    assert!(run.get("result").is_none(), "{run}");
    let listed = door.ask("GET /v1/invocations?status=queued", "").json();
    assert_eq!(listed["invocations"][0]["request_id"], id);
    assert_eq!(door.ask("GET /v1/invocations?status=running", "").json()["invocations"], json!([]));
}

#[test]
fn the_same_key_and_event_are_the_same_invocation() {
    let door = Door::new();
    door.deploy("hello");
    door.deploy("other");
    let (status, id) = accept(&door, "order-1", "[1]");
    assert_eq!(status, 202);
    assert_eq!(accept(&door, "order-1", "[1]"), (202, id.clone()));
    assert_eq!(accept(&door, "order-1", "[2]"), (409, "Conflict".to_owned()));
    let (status, second) = accept(&door, "order-2", "[1]");
    assert_eq!(status, 202);
    assert_ne!(second, id);
    assert_eq!(accept(&door, "", "[1]"), (400, "Invalid".to_owned()));
    assert_eq!(accept(&door, &"k".repeat(256), "[1]"), (400, "Invalid".to_owned()));
    let all = door.ask("GET /v1/invocations", "").json();
    assert_eq!(all["invocations"].as_array().unwrap().len(), 2);
}

#[test]
fn what_cannot_be_accepted_is_refused_and_leaves_nothing() {
    let door = Door::new();
    door.deploy("hello");
    let at = |query: &str| format!("{INVOKE}?{query}");
    assert!(door.ask(&at("type=later"), "{}").refused(400).contains("type must be sync or event"));
    assert!(door.ask(&at("type=event"), "{").refused(400).contains("must be JSON"));
    assert!(door.ask(&at("type=event&qualifier=7"), "{}").refused(404).contains("no version"));
    let large = format!("\"{}\"", "x".repeat(128 * 1024 - 1));
    assert!(door.ask(&at("type=event"), large).refused(413).contains("at most 131072 bytes"));
    assert!(door.ask("POST /v1/functions/nobody/invoke?type=event", "{}").refused(404).contains("nobody"));
    let authorization = format!("Bearer {}", door.admin);
    let headers = [("Authorization", authorization.as_str()), ("X-Idempotency-Key", "k")];
    assert!(door.ask_with(&headers, INVOKE, "{}").refused(400).contains("goes with type=event"));
    assert_eq!(door.ask("GET /v1/invocations", "").json()["invocations"], json!([]));
}

#[test]
fn a_full_queue_takes_no_more_and_says_when_to_come_back() {
    let door = Door::new();
    door.deploy("hello");
    for _ in 0..3 {
        assert_eq!(door.ask(&format!("{INVOKE}?type=event"), "{}").status, 202);
    }
    let reply = door.ask(&format!("{INVOKE}?type=event"), "{}");
    assert_eq!(reply.header("Retry-After"), Some("1"));
    assert!(reply.refused(429).contains("3 events wait already"));
    assert_eq!(door.ask("GET /v1/invocations", "").json()["invocations"].as_array().unwrap().len(), 3);
}

#[test]
fn a_dead_letter_is_shown_replayed_and_dropped() {
    let door = Door::new();
    door.deploy("hello");
    let (id, dropped) = (door.dead_letter("hello"), door.dead_letter("hello"));
    let listed = door.ask("GET /v1/dead-letters?function=hello&limit=1", "").json();
    assert_eq!(listed["dead_letters"][0]["request_id"], dropped.as_str());
    let cursor = listed["next_cursor"].as_str().unwrap();
    let listed = door.ask(&format!("GET /v1/dead-letters?cursor={cursor}"), "").json();
    assert_eq!(listed["dead_letters"][0]["request_id"], id.as_str());
    assert_eq!(listed["dead_letters"][0]["reason"], "the function failed and its retries are used up");
    let shown = door.ask(&format!("GET /v1/dead-letters/{id}"), "");
    assert!(String::from_utf8(shown.body).unwrap().contains(r#""event":{"n":1.10}"#));

    let replayed = door.ask(&format!("POST /v1/dead-letters/{id}/replay"), "").json();
    let again = door.ask(&format!("GET /v1/invocations/{}", replayed["request_id"].as_str().unwrap()), "");
    let body = String::from_utf8(again.body.clone()).unwrap();
    assert!(body.contains(r#""event":{"n":1.10}"#), "{body}");
    assert_eq!((&again.json()["state"], &again.json()["source"]), (&json!("queued"), &json!("replay")));
    door.ask(&format!("POST /v1/dead-letters/{id}/replay"), "").refused(404);

    assert_eq!(door.ask(&format!("DELETE /v1/dead-letters/{dropped}"), "").status, 204);
    assert_eq!(door.ask("GET /v1/dead-letters", "").json()["dead_letters"], json!([]));
    for gone in [&id, &dropped] {
        assert_eq!(door.ask(&format!("GET /v1/invocations/{gone}"), "").json()["state"], "dead");
    }
}

#[test]
fn a_wait_is_a_length_of_time_that_is_not_too_long() {
    let door = Door::new();
    door.deploy("hello");
    let id = door.dead_letter("hello");
    for wrong in ["", "x", "30", "6m", "1d"] {
        let refused = door.ask(&format!("GET /v1/invocations/{id}?wait={wrong}"), "").refused(400);
        assert!(refused.contains("wait must be"), "{wrong}: {refused}");
    }
}
