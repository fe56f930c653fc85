//! Whose turn it is, and how one hears of the end.

use std::io::Write;
use std::sync::mpsc::channel;

use serde_json::json;

use crate::function::{expression, folder, source};
use crate::gate::Gate;
use crate::processes;
use crate::server::Server;
use crate::wait;

#[test]
fn an_event_runs_and_its_value_is_in_record_and_log() {
    let server = Server::shared();
    server.deploy("later", &folder("hello"));
    let id = server.accept("later", r#"{"key": 1.10}"#);
    let record = server.over(&id);
    assert_eq!((record.state.as_str(), record.status, record.retry_num), ("succeeded", 200, 0));
    assert_eq!(record.event.get(), r#"{"key": 1.10}"#);
    assert_eq!(record.result.as_ref().unwrap().get(), r#"{"hello": 1.1}"#);
    assert_eq!(
        record.line("Response").message,
        format!("Response RequestId: {id} RetMsg: {{\"hello\": 1.1}}")
    );
    assert_eq!(record.printed(), ["event: {\"key\": 1.1}"]);
    assert!(record.started_us >= record.created_us && record.due_us == 0);
}

#[test]
fn the_handler_is_told_the_request_id_of_the_event() {
    let server = Server::shared();
    server.deploy("told-later", &expression("context['request_id']"));
    let id = server.accept("told-later", "");
    assert_eq!(server.over(&id).result.unwrap().get(), format!("\"{id}\""));
}

/// Somebody who waits for an end has a thread once he waits.
fn wait_for_a_long_poll(server: &Server) {
    let has_thread = || processes::threads(server.pid()).iter().any(|name| name == "http-stream");
    wait::until("somebody waits", || has_thread().then_some(()));
}

#[test]
fn who_waits_for_the_end_hears_of_it_at_once() {
    let server = &Server::start(&[]);
    server.deploy("awaited", &folder("gate").with("timeout_s", 60));
    let gate = Gate::new();
    let id = server.accept("awaited", gate.event());
    let held = gate.arrival();
    let short = server.get(&format!("/v1/invocations/{id}?wait=1ms"));
    assert_eq!((&short["state"], &short["status"]), (&json!("running"), &json!(202)));
    let (tell, told) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let target = format!("/v1/invocations/{id}?wait=5m");
            tell.send(server.caller().call("GET", &target, b"").json()).unwrap();
        });
        wait_for_a_long_poll(server);
        drop(held);
        let over = told.recv_timeout(wait::PATIENCE).unwrap();
        assert_eq!((&over["state"], &over["result"]), (&json!("succeeded"), &json!("passed")));
    });
}

/// Few may wait at once, so those who have left must not keep the others out.
#[test]
fn who_hangs_up_makes_room_for_the_next_to_wait() {
    let server = Server::start(&[]);
    server.deploy("resting", &folder("hello").with("reserved_mb", 0));
    let id = server.accept("resting", "{}");
    let target = format!("/v1/invocations/{id}?wait=5m");
    let head =
        format!("GET {target} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n\r\n", server.place().key());
    let waiting: Vec<_> = (0..64)
        .map(|_| {
            let mut client = std::net::TcpStream::connect(server.address()).unwrap();
            client.write_all(head.as_bytes()).unwrap();
            client
        })
        .collect();
    wait::until("there is no place to wait", || {
        (server.call("GET", &format!("/v1/invocations/{id}?wait=1ms"), b"").status == 429).then_some(())
    });
    drop(waiting);
    wait::until("there is one again", || {
        (server.call("GET", &format!("/v1/invocations/{id}?wait=1ms"), b"").status == 200).then_some(())
    });
}

#[test]
fn who_waits_for_a_run_of_somebody_else_hears_of_its_end() {
    let server = &Server::start(&[]);
    server.deploy("watched", &folder("gate").with("timeout_s", 60));
    let gate = Gate::new();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| server.invoke("watched", gate.event()));
        let held = gate.arrival();
        let id = server.get("/v1/invocations?function=watched&status=running");
        let id = id["invocations"][0]["request_id"].as_str().unwrap().to_owned();
        let watch = scope.spawn(move || server.get(&format!("/v1/invocations/{id}?wait=5m")));
        wait_for_a_long_poll(server);
        drop(held);
        assert_eq!(watch.join().unwrap()["state"], "succeeded");
        run.join().unwrap().returned();
    });
}

#[test]
fn events_wait_for_their_functions_concurrency_and_keep_nobody_else_waiting() {
    let server = Server::start(&[]);
    let one_at_a_time = folder("gate").with("timeout_s", 60).with("reserved_mb", 128);
    server.deploy("narrow", &one_at_a_time);
    server.deploy("wide", &folder("hello"));
    let gate = Gate::new();
    let ids: Vec<String> = (0..4).map(|_| server.accept("narrow", gate.event())).collect();
    for (turn, id) in ids.iter().enumerate() {
        let held = gate.arrival();
        let running = server.get("/v1/invocations?function=narrow&status=running");
        let running = running["invocations"].as_array().unwrap();
        assert_eq!(running.len(), 1, "{running:?}");
        assert_eq!(running[0]["request_id"], *id, "in the order they came");
        let waiting = server.get("/v1/invocations?function=narrow&status=queued");
        assert_eq!(waiting["invocations"].as_array().unwrap().len(), 3 - turn);
        // Somebody else's event does not wait behind them.
        let other = server.accept("wide", "{}");
        assert_eq!(server.over(&other).state, "succeeded");
        drop(held);
        let record = server.over(id);
        assert_eq!((record.status, record.retry_num), (200, 0), "waiting for a slot is no attempt");
    }
    assert_eq!(server.metric("fnlite_events_accepted_total"), 8);
    assert_eq!(server.metric("fnlite_events_waiting"), 0);
}

#[test]
fn a_quarter_of_the_concurrency_stays_for_callers_however_many_events_wait() {
    let server = Server::start(&["--total-concurrency-mb", "512"]);
    server.deploy("long", &folder("gate").with("timeout_s", 60));
    server.deploy("asked", &folder("hello"));
    let gate = Gate::new();
    let ids: Vec<String> = (0..6).map(|_| server.accept("long", gate.event())).collect();
    let held = [gate.arrival(), gate.arrival(), gate.arrival()];
    server.invoke("asked", "{}").returned();
    let running = server.get("/v1/invocations?status=running");
    assert_eq!(running["invocations"].as_array().unwrap().len(), 3);
    drop(held);
    drop([gate.arrival(), gate.arrival(), gate.arrival()]);
    ids.iter().for_each(|id| assert_eq!(server.over(id).state, "succeeded"));
}

#[test]
fn events_of_a_function_that_is_switched_off_wait_until_it_is_on_again() {
    let server = Server::start(&[]);
    server.deploy("resting", &folder("hello").with("reserved_mb", 0));
    assert_eq!(server.invoke("resting", "{}").status, 432, "a caller is told at once");
    let id = server.accept("resting", r#"{"key": "late"}"#);
    server.deploy("other", &folder("hello"));
    let other = server.accept("other", "{}");
    server.over(&other);
    assert_eq!(server.record(&id).state, "queued");
    server.deploy("resting", &folder("hello"));
    let record = server.over(&id);
    assert_eq!((record.state.as_str(), record.retry_num), ("succeeded", 0));
}

#[test]
fn a_redeploy_that_leaves_a_function_off_lets_none_of_its_events_slip() {
    let server = Server::start(&[]);
    let off = expression("event").with("reserved_mb", 0);
    server.deploy("resting", &off);
    let ids: Vec<String> = (0..30).map(|_| server.accept("resting", "{}")).collect();
    for _ in 0..5 {
        server.deploy("resting", &off);
        // Room is given back meanwhile.
        server.deploy("other", &expression("1"));
        server.invoke("other", "{}").returned();
    }
    assert!(ids.iter().all(|id| server.record(id).state == "queued"));
}

#[test]
fn a_redeploy_counts_for_events_that_wait_already() {
    let server = Server::start(&["--event-pace", "0.01"]);
    // Too large for what is reserved, so they wait; and they would be too old after 600 ms.
    let large = expression("event").with("reserved_mb", 128).with("memory_mb", 256).with("msg_ttl_s", 60);
    server.deploy("shrinking", &large);
    let id = server.accept("shrinking", "{}");
    server.deploy("shrinking", &expression("event").with("reserved_mb", 128).with("msg_ttl_s", 21_600));
    assert_eq!(server.over(&id).state, "succeeded");
}

#[test]
fn events_run_the_code_that_is_deployed_when_their_turn_comes() {
    let server = Server::start(&[]);
    server.deploy("changing", &expression("'old'").with("reserved_mb", 0));
    let ids: Vec<String> = (0..3).map(|_| server.accept("changing", "{}")).collect();
    server.deploy("changing", &expression("'new'").with("memory_mb", 256));
    for id in &ids {
        let record = server.over(id);
        assert_eq!((record.result.unwrap().get(), record.memory_mb), ("\"new\"", 256));
    }
}

#[test]
fn many_events_at_once_all_run_once() {
    let server = Server::start(&[]);
    let appends = "import os\ndef main_handler(event, context):\n    print('ran', event)\n    return event\n";
    server.deploy("counted", &source(appends));
    let ids: Vec<String> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..8)
            .map(|lane| {
                let mut caller = server.caller();
                scope.spawn(move || {
                    let events =
                        (0..40).map(|number| caller.accept("counted", (lane * 40 + number).to_string()));
                    events.collect::<Vec<_>>()
                })
            })
            .collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    for (number, id) in ids.iter().enumerate() {
        let record = server.over(id);
        assert_eq!(record.printed(), [format!("ran {number}")]);
    }
    assert_eq!(server.metric("fnlite_events_waiting") + server.metric("fnlite_events_running"), 0);
    assert_eq!(server.metric("fnlite_events_bytes"), 0);
}
