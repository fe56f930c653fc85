//! Timers: as the cloud sends them, each moment once, whatever happens to the server.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{add, change, runs, show};
use crate::function::{expression, folder};
use crate::gate::Gate;
use crate::keeping::{rounds, sql};
use crate::server::{Place, Server};
use crate::wait;

/// One that fires every second.
fn every_second(name: &str) -> Value {
    json!({ "type": "timer", "name": name, "spec": { "cron": "* * * * * * *" } })
}

/// The moments that a function was run for, each with how often.
fn moments(server: &Server, function: &str) -> BTreeMap<String, usize> {
    let mut moments = BTreeMap::new();
    for run in runs(server, function) {
        let record = server.record(run["request_id"].as_str().unwrap());
        let event: Value = serde_json::from_str(record.event.get()).unwrap();
        *moments.entry(event["Time"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    moments
}

#[track_caller]
fn until_runs(server: &Server, function: &str, count: usize) -> Vec<Value> {
    wait::until("it fires", || Some(runs(server, function)).filter(|runs| runs.len() >= count))
}

#[test]
fn a_timer_sends_what_the_cloud_sends() {
    let server = Server::shared();
    server.deploy("clockwork", &expression("event"));
    let made = add(
        server,
        "clockwork",
        &json!({ "type": "timer", "name": "every-second", "argument": "nightly",
                 "spec": { "cron": "*/1 * * * * * *", "zone": "Europe/Berlin" } }),
    );
    assert_eq!(made["address"], "*/1 * * * * * * Europe/Berlin");
    assert!(made["next_us"].as_i64().unwrap() > made["created_us"].as_i64().unwrap());
    let newest = until_runs(server, "clockwork", 2);
    let record = server.over(newest[0]["request_id"].as_str().unwrap());
    assert_eq!((record.state.as_str(), record.source.as_str()), ("succeeded", "timer"));
    let event: Value = serde_json::from_str(record.event.get()).unwrap();
    let time = event["Time"].as_str().unwrap();
    let expected =
        json!({ "Type": "Timer", "TriggerName": "every-second", "Time": time, "Message": "nightly" });
    assert_eq!(event, expected);
    // The moment itself, in whole seconds and UTC, although the timer is of another zone.
    assert_eq!(time.len(), "2026-11-24T02:05:00Z".len(), "{time}");
    let moment_us = time.parse::<Timestamp>().unwrap().as_microsecond();
    assert!((0..5_000_000).contains(&(record.created_us - moment_us)), "{time} {}", record.created_us);
    assert_eq!(record.result.as_ref().unwrap().get().parse::<Value>().unwrap(), event);
    let off = change(server, "clockwork", "every-second", &json!({ "enabled": false }));
    assert_eq!((&off["enabled"], &off["next_us"]), (&json!(false), &Value::Null));
    wait::until("what has come of it is told", || {
        let state = show(server, "clockwork", "every-second");
        (state["fired"].as_u64().unwrap() >= 2 && state["fired_us"].as_i64().unwrap() > 0).then_some(())
    });
    assert_eq!(server.call("DELETE", "/v1/functions/clockwork/triggers/every-second", b"").status, 204);
}

#[test]
fn a_timer_that_is_off_or_gone_is_silent() {
    let server = Server::start(&[]);
    server.deploy("hello", &folder("hello"));
    for name in ["off", "gone"] {
        add(&server, "hello", &every_second(name));
    }
    change(&server, "hello", "off", &json!({ "enabled": false }));
    assert_eq!(server.call("DELETE", "/v1/functions/hello/triggers/gone", b"").status, 204);
    // Another one shows that a second has passed, and another.
    server.deploy("other", &folder("hello"));
    add(&server, "other", &every_second("on"));
    let before = runs(&server, "hello").len();
    until_runs(&server, "other", 3);
    assert_eq!(runs(&server, "hello").len(), before);
    // What it missed while it was off it does not catch up with.
    change(&server, "hello", "off", &json!({ "enabled": true, "spec": { "cron": "0 0 0 1 1 * 2099" } }));
    until_runs(&server, "other", 5);
    assert_eq!(runs(&server, "hello").len(), before);
    let state = show(&server, "hello", "off");
    assert!(state["next_us"].as_i64().unwrap() > 4_000_000_000_000_000, "{state}");
}

#[test]
fn what_was_missed_while_the_server_was_down_fires_once_and_late() {
    let server = Server::start(&[]);
    server.deploy("hello", &folder("hello"));
    add(&server, "hello", &every_second("tick"));
    until_runs(&server, "hello", 1);
    let place = server.kill9();
    let seen: usize = sql(&place.db(), "SELECT count(*) FROM invocation").parse().unwrap();
    // As if it had been down for a day: everything that was seen to was seen to a day before.
    let day = "UPDATE trigger_state SET moment_us = moment_us - 86400000000";
    sql(&place.db(), day);
    sql(&place.db(), "UPDATE trigger_row SET created_us = created_us - 172800000000");
    let server = place.serve(&[]);
    let after = until_runs(&server, "hello", seen + 2);
    // Not 86,400: those from before, one for the whole day, and those since.
    assert!(after.len() < seen + 20, "{} runs", after.len());
    assert_eq!(show(&server, "hello", "tick")["error"], "");
}

/// Killed again and again, the server fires each moment at most once, and goes on.
#[test]
fn no_moment_fires_twice_however_often_the_server_dies() {
    let mut place = Place::new();
    let rounds = rounds() / 2;
    for round in 0..rounds {
        let server = place.serve(&["--event-pace", "0.002"]);
        if round == 0 {
            server.deploy("hello", &folder("hello"));
            add(&server, "hello", &every_second("tick"));
        }
        until_runs(&server, "hello", round + 1);
        place = server.kill9();
    }
    let server = place.serve(&["--event-pace", "0.002"]);
    change(&server, "hello", "tick", &json!({ "enabled": false }));
    wait::until("nothing waits any more", || (server.metric("fnlite_events_waiting") == 0).then_some(()));
    let fired = moments(&server, "hello");
    assert!(fired.len() >= rounds, "{fired:?}");
    assert!(fired.values().all(|count| *count == 1), "{fired:?}");
}

#[test]
fn moments_do_not_pile_up() {
    let server = Server::start(&[]);
    server.deploy("held", &folder("gate").with("timeout_s", 60).with("reserved_mb", 128));
    let gate = Gate::new();
    // The only room that the function has is taken by a run that lasts.
    let held = std::thread::scope(|scope| {
        let run = scope.spawn(|| server.invoke("held", gate.event()));
        let held = gate.arrival();
        add(&server, "held", &every_second("tick"));
        let state = wait::until("moments are left out", || {
            Some(show(&server, "held", "tick")).filter(|state| state["skipped"].as_u64().unwrap() >= 2)
        });
        assert_eq!(state["fired"], 1, "{state}");
        assert_eq!(runs(&server, "held").len(), 2, "the run, and one event that waits");
        change(&server, "held", "tick", &json!({ "enabled": false }));
        drop(held);
        run.join().unwrap()
    });
    assert_eq!(held.returned(), "passed");
}

#[test]
fn a_timer_whose_function_fails_says_so() {
    let server = Server::start(&crate::events::QUICK);
    server.deploy("failing", &folder("raise").with("retry_num", 1));
    add(&server, "failing", &every_second("tick"));
    let state = wait::until("it is told of", || {
        Some(show(&server, "failing", "tick")).filter(|state| state["failed"].as_u64().unwrap() >= 2)
    });
    assert_eq!(state["error"], "user code exception caught");
    assert!(state["fired"].as_u64() >= state["failed"].as_u64(), "{state}");
}

#[test]
fn a_timer_of_a_version_that_is_gone_says_so() {
    let server = Server::start(&[]);
    server.deploy("hello", &folder("hello"));
    let path = "/v1/functions/hello";
    assert_eq!(server.call("POST", &format!("{path}/versions"), b"").status, 201);
    let tick =
        json!({ "type": "timer", "name": "tick", "qualifier": "1", "spec": { "cron": "* * * * * * *" } });
    add(&server, "hello", &tick);
    let runs = until_runs(&server, "hello", 1);
    assert_eq!(runs[0]["qualifier"], "1");
    assert_eq!(server.call("DELETE", &format!("{path}/versions/1"), b"").status, 204);
    // The moment that waits just then is the first to fail, and says it in other words.
    wait::until("it says so", || {
        let state = show(&server, "hello", "tick");
        (state["error"] == "hello has no version or alias 1").then_some(())
    });
    assert_eq!(server.call("DELETE", path, b"").status, 204);
    assert_eq!(server.get("/v1/triggers")["triggers"], json!([]));
}

#[test]
fn what_is_no_timer_is_refused() {
    let server = Server::shared();
    server.deploy("refusing", &folder("hello"));
    for (body, expected) in [
        (json!({ "type": "timer", "name": "t" }), "spec.cron is required"),
        (
            json!({ "type": "timer", "name": "t", "spec": { "cron": "61 * * * * * *" } }),
            "second takes 0 to 59",
        ),
        (
            json!({ "type": "timer", "name": "t", "spec": { "cron": "* * * * *", "zone": "Mars" } }),
            "time zone",
        ),
        (json!({ "type": "timer", "name": "1t", "spec": { "cron": "* * * * *" } }), "name"),
        (json!({ "type": "timer", "spec": { "cron": "* * * * *" } }), "name is required"),
        (
            json!({ "type": "timer", "name": "t", "spec": { "cron": "* * * * *", "x": 1 } }),
            "there is no field spec.x",
        ),
        (json!({ "type": "clb", "name": "t" }), "is a service of the cloud that is not here"),
        (json!({ "name": "t" }), "type is required"),
    ] {
        let answer = server.call("POST", "/v1/functions/refusing/triggers", body.to_string().as_bytes());
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.refusal().contains(expected), "{body}: {}", answer.text());
    }
    let tick = every_second("tick").to_string().replace("* * * * * * *", "0 0 0 1 1 * 2099");
    let target = "/v1/functions/refusing/triggers";
    assert_eq!(server.call("POST", target, tick.as_bytes()).status, 201);
    assert_eq!(server.call("POST", target, tick.as_bytes()).status, 409, "its name is taken");
    assert_eq!(server.call("GET", &format!("{target}/tock"), b"").status, 404);
}
