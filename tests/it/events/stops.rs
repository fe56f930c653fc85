//! Stopping: what runs may end, what waits stays, and nothing is lost.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::function::{expression, folder};
use crate::gate::Gate;
use crate::keeping::sql;
use crate::processes;
use crate::server::{Place, Server};
use crate::wait;

#[test]
fn a_stop_lets_events_that_run_end_and_leaves_the_others() {
    let server = Server::start(&[]);
    server.deploy("one", &folder("gate").with("timeout_s", 60).with("reserved_mb", 128));
    let gate = Gate::new();
    let ids = [server.accept("one", gate.event()), server.accept("one", gate.event())];
    let held = gate.arrival();
    let address = server.address();
    // A second signal would end what runs.
    let (status, place) = std::thread::scope(|scope| {
        scope.spawn(move || {
            let is_closed = || std::net::TcpStream::connect(address).is_err().then_some(());
            wait::until("no more is let in", is_closed);
            drop(held);
        });
        server.stop()
    });
    assert_eq!(status.code(), Some(0), "{}", place.said());
    let state = |id: &str| {
        sql(&place.db(), &format!("SELECT state, retry_num FROM invocations WHERE request_id = '{id}'"))
    };
    assert_eq!([state(&ids[0]), state(&ids[1])], ["succeeded|0", "queued|0"]);
    let server = place.serve(&[]);
    drop(gate.arrival());
    assert_eq!(server.over(&ids[1]).state, "succeeded");
}

#[test]
fn an_event_that_outlasts_the_drain_is_queued_again() {
    let server = Server::start(&["--drain-timeout", "200ms"]);
    server.deploy("endless", &folder("gate").with("timeout_s", 60).with("retry_num", 0));
    let gate = Gate::new();
    let id = server.accept("endless", gate.event());
    let held = gate.arrival();
    let (status, place) = server.stop();
    assert_eq!(status.code(), Some(0), "{}", place.said());
    drop(held);
    let waiting = sql(&place.db(), "SELECT state, status, error FROM invocations");
    assert_eq!(waiting, "retrying|500|the server is stopping");
    let server = place.serve(&[]);
    drop(gate.arrival());
    let record = server.over(&id);
    assert_eq!((record.state.as_str(), record.retry_num), ("succeeded", 1));
    assert_eq!(sql(&server.place().db(), "SELECT count(*) FROM queued"), "0");
}

#[test]
fn a_second_signal_stops_now() {
    let server = Server::start(&["--drain-timeout", "10m"]);
    server.deploy("endless", &folder("gate").with("timeout_s", 900));
    let gate = Gate::new();
    let id = server.accept("endless", gate.event());
    let held = gate.arrival();
    let address = server.address();
    server.terminate();
    wait::until("no more is let in", || std::net::TcpStream::connect(address).is_err().then_some(()));
    let (status, place) = server.stop();
    assert_eq!(status.code(), Some(0), "{}", place.said());
    drop(held);
    let server = place.serve(&[]);
    drop(gate.arrival());
    assert_eq!(server.over(&id).state, "succeeded");
}

#[test]
fn who_waits_for_an_end_is_answered_when_the_server_stops() {
    let server = Server::start(&[]);
    server.deploy("resting", &folder("hello").with("reserved_mb", 0));
    let id = server.accept("resting", "{}");
    let (mut caller, target) = (server.caller(), format!("/v1/invocations/{id}?wait=5m"));
    let answer = std::thread::scope(|scope| {
        let waiting = scope.spawn(move || caller.call("GET", &target, b""));
        // It waits once the server has a thread for it.
        wait::until("it waits", || {
            processes::threads(server.pid()).iter().any(|name| name == "http-stream").then_some(())
        });
        server.terminate();
        waiting.join().unwrap()
    });
    assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("queued")));
    let (status, place) = server.stop();
    assert_eq!(status.code(), Some(0), "{}", place.said());
}

#[test]
fn stops_under_load_lose_nothing() {
    let mut place = Place::new();
    let accepted = Mutex::new(BTreeSet::new());
    for round in 0..20 {
        let server = place.serve(&["--drain-timeout", "5s"]);
        if round == 0 {
            server.deploy("echo", &expression("event"));
        }
        let count = AtomicUsize::new(0);
        let (status, stopped) = std::thread::scope(|scope| {
            for _ in 0..2 {
                let (mut caller, accepted, count) = (server.caller(), &accepted, &count);
                scope.spawn(move || {
                    // Until the server takes no more.
                    let target = "/v1/functions/echo/invoke?type=event";
                    while let Ok(answer) = caller.try_call("POST", target, b"1") {
                        if answer.status != 202 {
                            assert_eq!(answer.status, 503, "{}", answer.text());
                            return;
                        }
                        let id = answer.json()["request_id"].as_str().unwrap().to_owned();
                        accepted.lock().unwrap().insert(id);
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            wait::until("some are accepted", || (count.load(Ordering::SeqCst) > 20 + round).then_some(()));
            server.stop()
        });
        assert_eq!(status.code(), Some(0), "round {round}: {}", stopped.said());
        assert!(!stopped.file("fnlite.db-wal").exists(), "the write-ahead log was copied into the file");
        place = stopped;
    }
    let server = place.serve(&[]);
    wait::until("all have run", || (server.metric("fnlite_events_waiting") == 0).then_some(()));
    let (_, place) = server.stop();
    let found =
        sql(&place.db(), "SELECT request_id FROM invocations WHERE state = 'succeeded' AND retry_num = 0");
    let found: BTreeSet<String> = found.lines().map(str::to_owned).collect();
    let accepted = accepted.into_inner().unwrap();
    let missing: Vec<&String> = accepted.difference(&found).collect();
    let attempts = || sql(&place.db(), "SELECT status, error, count(*) FROM attempt GROUP BY 1, 2");
    assert!(missing.is_empty(), "{} did not run at once: {}", missing.len(), attempts());
    let unanswered = found.difference(&accepted).count();
    assert_eq!(unanswered, 0, "accepted and not answered");
}
