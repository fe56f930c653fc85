//! What is tried again, how often, and when it is given up (contract 4.4).

use serde_json::json;

use super::QUICK;
use crate::function::{expression, folder, source};
use crate::server::{Place, Server, program};
use crate::wait;

#[test]
fn what_the_function_failed_is_tried_as_often_as_it_says_and_then_dead() {
    let server = Server::start(&QUICK);
    for retry_num in 0..=2u32 {
        let name = format!("failing{retry_num}");
        server.deploy(&name, &folder("raise").with("retry_num", retry_num));
        let id = server.accept(&name, "{}");
        let record = server.over(&id);
        assert_eq!((record.state.as_str(), record.status, record.retry_num), ("dead", 430, retry_num));
        let numbers: Vec<u32> = record.attempts.iter().map(|attempt| attempt.retry_num).collect();
        assert_eq!(numbers, (0..retry_num).collect::<Vec<_>>());
        assert!(record.attempts.iter().all(|attempt| attempt.status == 430 && !attempt.error.is_empty()));
        assert_eq!(record.printed().len(), retry_num as usize + 1, "each attempt printed");
        let last = record.log.last().unwrap();
        assert_eq!(last.retry_num, retry_num, "{last:?}");
        assert_eq!(record.result.unwrap().get().matches("ZeroDivisionError").count(), 1);
    }
}

#[test]
fn every_way_to_fail_is_tried_again() {
    let server = Server::start(&QUICK);
    let ways = [
        ("exits", source("import os\ndef main_handler(event, context):\n    os._exit(3)\n"), 439),
        (
            "late",
            source("import time\ndef main_handler(event, context):\n    time.sleep(60)\n")
                .with("timeout_s", 1),
            433,
        ),
        ("no-json", folder("not_json"), 430),
        ("no-handler", expression("1").with("handler", "index.nothing"), 437),
    ];
    let ids: Vec<(String, u16)> = ways
        .iter()
        .map(|(name, function, status)| {
            server.deploy(name, &function.clone().with("retry_num", 1));
            (server.accept(name, "{}"), *status)
        })
        .collect();
    for (id, status) in ids {
        let record = server.over(&id);
        assert_eq!((record.state.as_str(), record.status, record.retry_num), ("dead", status, 1));
        assert_eq!(record.attempts[0].status, status);
    }
}

#[test]
fn an_event_that_succeeds_at_last_has_succeeded() {
    let server = Server::start(&["--event-pace", "0.05"]);
    server.deploy("mended", &folder("raise"));
    let id = server.accept("mended", r#"{"by": 0}"#);
    let waiting = wait::until("it waits for its next attempt", || {
        let record = server.record(&id);
        (record.state == "retrying").then_some(record)
    });
    assert_eq!((waiting.status, waiting.retry_num), (430, 0));
    assert_eq!(waiting.due_us - waiting.ended_us, 3_000_000, "a minute at that pace");
    assert!(waiting.result.is_none(), "it is not over");
    let listed = server.get("/v1/invocations?status=retrying");
    assert_eq!(listed["invocations"][0]["request_id"], id);
    server.deploy("mended", &expression("event"));
    let record = server.over(&id);
    assert_eq!((record.state.as_str(), record.status, record.retry_num), ("succeeded", 200, 1));
    assert_eq!(record.attempts[0].status, 430);
    assert!(record.started_us >= waiting.due_us);
    assert_eq!(server.get("/v1/dead-letters")["dead_letters"], json!([]));
}

#[test]
fn retry_numbers_are_in_the_sql_views() {
    let server = Server::start(&QUICK);
    server.deploy("viewed", &folder("raise"));
    let id = server.accept("viewed", "{}");
    server.over(&id);
    let sql = |query: &str| {
        let output = program("sqlite3").arg(server.place().db()).arg(query).output().unwrap();
        assert!(output.status.success(), "{query}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    };
    let lines = format!("SELECT group_concat(DISTINCT SCF_RetryNum) FROM logs WHERE SCF_RequestId = '{id}'");
    assert_eq!(sql(&lines), "0,1,2");
    assert_eq!(sql("SELECT state, retry_num, status, due_us FROM invocations"), "dead|2|430|");
    let letter = "SELECT function, reason, retry_num, event FROM dead_letters";
    assert_eq!(sql(letter), "viewed|the function failed and its retries are used up|2|{}");
    assert_eq!(sql("SELECT retry_num, msg_ttl_s, dead_letter FROM functions"), "2|21600|");
}

#[test]
fn what_waits_for_room_too_long_expires() {
    let server = Server::start(&["--event-pace", "0.01"]);
    server.deploy("resting", &folder("hello").with("reserved_mb", 0).with("msg_ttl_s", 60));
    let id = server.accept("resting", "{}");
    let record = server.over(&id);
    assert_eq!((record.state.as_str(), record.status, record.retry_num), ("expired", 432, 0));
    assert!(record.ended_us - record.created_us >= 600_000, "{record:?}");
    assert_eq!(record.messages(), ["ERROR RequestId: ID Result: the event became too old"]);
    let letter = server.get(&format!("/v1/dead-letters/{id}"));
    assert_eq!(
        (&letter["reason"], &letter["result"]["statusCode"]),
        (&json!("the event became too old"), &json!(432))
    );
}

/// The code is taken out of the database while the server is down, so that the platform cannot run the function.
#[test]
fn what_the_platform_failed_is_tried_until_the_event_is_too_old() {
    let server = Server::start(&[]);
    server.deploy("broken", &folder("raise").with("retry_num", 0).with("msg_ttl_s", 300));
    let (_, place) = server.stop();
    let taken = program("sqlite3").arg(place.db()).arg("DELETE FROM package_chunk").output().unwrap();
    assert!(taken.status.success(), "{taken:?}");
    std::fs::remove_dir_all(place.file("fnlite.db.d")).unwrap();
    let server = place.serve(&["--event-pace", "0.01"]);
    let id = server.accept("broken", "{}");
    let record = server.over(&id);
    assert_eq!((record.state.as_str(), record.status), ("expired", 500));
    // A busy host may be late, and then there is time for fewer; with retry_num there would be none.
    assert!((1..=4).contains(&record.attempts.len()), "{:?}", record.attempts);
    assert!(record.attempts.iter().all(|attempt| attempt.status == 500));
}

#[test]
fn retries_go_on_after_a_restart_as_often_as_they_would_have() {
    let place = Place::new();
    let server = place.serve(&["--event-pace", "0.3"]);
    server.deploy("failing", &folder("raise"));
    let id = server.accept("failing", "{}");
    wait::until("its first attempt has failed", || (server.record(&id).state == "retrying").then_some(()));
    let server = server.kill9().serve(&QUICK);
    let record = server.over(&id);
    assert_eq!((record.state.as_str(), record.retry_num, record.attempts.len()), ("dead", 2, 2));
    assert!(record.attempts.iter().all(|attempt| attempt.status == 430), "{:?}", record.attempts);
}
