//! Nothing accepted is lost when the server dies.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::function::{expression, folder, source};
use crate::gate::Gate;
use crate::keeping::{rounds, sql};
use crate::server::{Place, Server};
use crate::wait;

#[test]
fn an_event_that_ran_when_the_server_died_runs_again_with_its_attempt_counted() {
    let server = Server::start(&[]);
    server.deploy("cut-off", &folder("gate").with("timeout_s", 60));
    let gate = Gate::new();
    let id = server.accept("cut-off", gate.event());
    let held = gate.arrival();
    wait::until("its line is stored", || (server.printed(&id) == ["at the gate"]).then_some(()));
    let server = server.kill9().serve(&[]);
    drop(held);
    drop(gate.arrival());
    let record = server.over(&id);
    assert_eq!((record.state.as_str(), record.retry_num), ("succeeded", 1));
    let first = &record.attempts[0];
    assert_eq!((first.retry_num, first.status), (0, 500));
    assert_eq!(first.error, "the server stopped before the run ended");
    let printed: Vec<u32> =
        record.log.iter().filter(|line| line.stream == "stdout").map(|line| line.retry_num).collect();
    assert_eq!(printed, [0, 1], "what the first attempt printed is there");
}

#[test]
fn an_event_during_which_the_server_died_three_times_is_a_dead_letter() {
    let mut place = Place::new();
    let gate = Gate::new();
    let mut id = String::new();
    for death in 0..3 {
        let server = place.serve(&[]);
        if death == 0 {
            server.deploy("poison", &folder("gate").with("timeout_s", 60).with("retry_num", 0));
            server.deploy("healthy", &folder("hello"));
            id = server.accept("poison", gate.event());
        }
        let held = gate.arrival();
        place = server.kill9();
        drop(held);
    }
    let server = place.serve(&[]);
    let record = server.over(&id);
    assert_eq!((record.state.as_str(), record.status, record.attempts.len()), ("dead", 500, 3));
    let letter = server.get(&format!("/v1/dead-letters/{id}"));
    assert_eq!(letter["reason"], "the server died three times while it ran");
    let other = server.accept("healthy", "{}");
    assert_eq!(server.over(&other).state, "succeeded");
}

#[test]
fn idempotency_keys_are_remembered_over_a_crash() {
    let server = Server::start(&[]);
    server.deploy("hello", &folder("hello"));
    let send = |server: &Server, event: &str| {
        let target = "/v1/functions/hello/invoke?type=event";
        let answer =
            server.caller().call_with(&[("X-Idempotency-Key", "order-7")], "POST", target, event.as_bytes());
        (answer.status, answer.json()["request_id"].as_str().map(str::to_owned))
    };
    let (status, id) = send(&server, "{}");
    assert_eq!(status, 202);
    let server = server.kill9().serve(&[]);
    assert_eq!(send(&server, "{}"), (202, id.clone()));
    assert_eq!(send(&server, "[]").0, 409);
    server.over(&id.unwrap());
    let runs = server.get("/v1/invocations");
    assert_eq!(runs["invocations"].as_array().unwrap().len(), 1);
}

/// What a round of load had the server promise.
#[derive(Default)]
struct Promised {
    accepted: Mutex<Vec<String>>,
    answered: Mutex<Vec<String>>,
}

/// Accepts events, runs, deploys and asks for logs, until the server is gone or `enough` says so.
fn load(server: &Server, promised: &Promised, enough: &AtomicBool, count: &AtomicUsize) {
    std::thread::scope(|scope| {
        for lane in 0..3 {
            let mut caller = server.caller();
            scope.spawn(move || {
                for number in 0.. {
                    if enough.load(Ordering::SeqCst) {
                        return;
                    }
                    let target = "/v1/functions/counted/invoke?type=event";
                    let event = format!("\"{lane}-{number}\"");
                    let Ok(answer) = caller.try_call("POST", target, event.as_bytes()) else { return };
                    assert_eq!(answer.status, 202, "{}", answer.text());
                    let id = answer.json()["request_id"].as_str().unwrap().to_owned();
                    promised.accepted.lock().unwrap().push(id);
                    count.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let mut caller = server.caller();
        scope.spawn(move || {
            while !enough.load(Ordering::SeqCst) {
                let Ok(answer) = caller.try_call("POST", "/v1/functions/counted/invoke", b"1") else {
                    return;
                };
                promised.answered.lock().unwrap().push(answer.run().request_id);
            }
        });
        let mut caller = server.caller();
        scope.spawn(move || {
            let body = expression("event").body();
            while !enough.load(Ordering::SeqCst) {
                let deploy = caller.try_call("PUT", "/v1/functions/other", body.as_bytes());
                let logs = caller.try_call("GET", "/v1/logs?limit=10", b"");
                if deploy.is_err() || logs.is_err() {
                    return;
                }
            }
        });
    });
}

/// The states of all invocations that the file has.
fn states(place: &Place) -> Vec<(String, String)> {
    let found = sql(&place.db(), "SELECT request_id, state FROM invocations");
    found
        .lines()
        .map(|line| line.split_once('|').unwrap())
        .map(|(id, state)| (id.into(), state.into()))
        .collect()
}

fn check_kept(place: &Place, promised: &Promised, round: usize) {
    // Reading all of a file that grows would take longer than the rounds, where there are a thousand.
    let looks_at_all = round < 100 || round.is_multiple_of(50);
    if looks_at_all {
        assert_eq!(sql(&place.db(), "PRAGMA integrity_check"), "ok");
    }
    let kept: BTreeSet<String> = states(place).into_iter().map(|(id, _)| id).collect();
    for id in promised.accepted.lock().unwrap().iter().chain(promised.answered.lock().unwrap().iter()) {
        assert!(kept.contains(id), "round {round}: {id} is lost");
    }
    let torn = "SELECT count(*) FROM invocation i LEFT JOIN queued q ON q.invocation_id = i.id
                WHERE (i.state IN (3, 4)) <> (q.invocation_id IS NOT NULL)";
    assert_eq!(sql(&place.db(), torn), "0", "round {round}: accepted = finished + waiting");
}

/// Between two attempts are three seconds, and an event may wait for eighteen minutes: a server that is killed all the time must
/// not let its events become too old.
const AGEING_SLOWLY: [&str; 2] = ["--event-pace", "0.05"];

#[test]
fn kill_9_under_load_loses_no_accepted_event_and_no_answered_run() {
    let mut place = Place::new();
    let promised = Promised::default();
    for round in 0..rounds() {
        let server = place.serve(&AGEING_SLOWLY);
        if round == 0 {
            server.deploy(
                "counted",
                &source("def main_handler(event, context):\n    print(event)\n    return event\n"),
            );
        }
        let (never, count) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let loading = scope.spawn(|| load(&server, &promised, &never, &count));
            wait::until("some are accepted", || {
                (count.load(Ordering::SeqCst) >= 150 + round % 100).then_some(())
            });
            server.kill();
            loading.join().unwrap();
        });
        place = server.kill9();
        check_kept(&place, &promised, round);
    }
    let server = place.serve(&AGEING_SLOWLY);
    wait::until("all have run", || {
        let left = server.metric("fnlite_events_waiting") + server.metric("fnlite_events_running");
        (left == 0).then_some(())
    });
    let accepted = promised.accepted.lock().unwrap().clone();
    assert!(accepted.len() > 100 * rounds(), "{}", accepted.len());
    let (_, place) = server.stop();
    let over: BTreeSet<String> = states(&place)
        .into_iter()
        .filter(|(_, state)| state == "succeeded" || state == "dead")
        .map(|(id, _)| id)
        .collect();
    let missing: Vec<&String> = accepted.iter().filter(|id| !over.contains(*id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    // Where the server is killed so often, some event has the bad luck to run each of three times.
    let dead = "SELECT reason, count(*) FROM dead_letters GROUP BY 1";
    let unlucky = sql(&place.db(), dead);
    let only_deaths = unlucky.is_empty() || unlucky.starts_with("the server died three times while it ran|");
    assert!(only_deaths && unlucky.lines().count() <= 1, "{unlucky}");
    let dead = states(&place).iter().filter(|(_, state)| state == "dead").count();
    assert!(dead * 20 < accepted.len(), "{dead} of {}", accepted.len());
}

#[test]
fn a_long_queue_is_there_again_after_a_crash() {
    let server = Server::start(&[]);
    server.deploy("resting", &folder("hello").with("reserved_mb", 0));
    let first = server.accept("resting", "{}");
    let place = server.kill9();
    // As the server would have written them.
    let many = "INSERT INTO invocation (id, request_id, function_id, qualifier, source, state, status, created_us, started_us,
                    ended_us, duration_us, init_us, memory_mb, memory_used_kb, error, event, result, retry_num)
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99999)
                SELECT id + i, printf('%032x', i), function_id, qualifier, source, state, status, created_us + i, 0, 0, 0, 0, 128,
                    0, '', event, result, 0 FROM invocation, n;
                INSERT INTO queued (invocation_id, function_id, function_created_us, created_us, due_us, event_bytes, attempts, failures, deaths)
                SELECT id, function_id, (SELECT min(function_created_us) FROM queued), created_us, created_us, 2, 0, 0, 0 FROM invocation WHERE id > (SELECT min(id) FROM invocation)";
    sql(&place.db(), many);
    let server = place.serve(&[]);
    assert_eq!(server.metric("fnlite_events_waiting"), 100_000);
    assert_eq!(server.metric("fnlite_events_bytes"), 200_000);
    assert_eq!(server.call("POST", "/v1/functions/resting/invoke?type=event", b"{}").status, 429);
    assert_eq!(server.record(&first).state, "queued");
    let page = server.get("/v1/invocations?status=queued&limit=3");
    let ids: Vec<&str> = page["invocations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["request_id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids,
        ["99999", "99998", "99997"].map(|number| format!("{:0>32x}", number.parse::<u32>().unwrap()))
    );
    server.deploy("resting", &expression("event"));
    assert_eq!(server.over(&first).state, "succeeded", "the first is the first to go");
}
