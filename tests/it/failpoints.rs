//! What was answered is kept and the server serves on, whatever step fails and however: with an error, a panic, or a kill.
//!
//! Only with the feature `failpoints`, which `scripts/test` asks for. A step that is new is a row in [`POINTS`].

use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;

use rustix::process::Signal;
use serde_json::Value;

use crate::events::QUICK;
use crate::function::{Function, expression};
use crate::server::{Answer, Caller, Place, Server, program};
use crate::wait;

/// The steps that can fail, and how often each is passed before it does: a server's start and the first deploys are to
/// go well, and the load is to be under way.
const POINTS: [(&str, u32); 9] = [
    ("run.keep", 10),
    ("record.begin", 40),
    ("record.commit", 40),
    ("record.reply", 40),
    ("deploy.replace", 8),
    ("event.accept", 10),
    ("event.take", 10),
    ("event.claimed", 10),
    ("event.settled", 10),
];

/// How a step can fail, as the crate `fail` reads it.
const WAYS: [&str; 3] = ["return(error)", "panic", "return(kill)"];

/// What each lane of the load does.
const ROUNDS: usize = 25;

#[test]
fn a_run_that_cannot_be_kept() {
    check("run.keep");
}

#[test]
fn a_transaction_that_cannot_begin() {
    check("record.begin");
}

#[test]
fn a_transaction_that_cannot_commit() {
    check("record.commit");
}

#[test]
fn a_commit_that_cannot_be_told() {
    check("record.reply");
}

#[test]
fn a_deploy_that_fails_half_way() {
    check("deploy.replace");
}

#[test]
fn an_event_that_cannot_be_accepted() {
    check("event.accept");
}

#[test]
fn an_event_that_cannot_be_claimed() {
    check("event.take");
}

#[test]
fn an_event_that_was_claimed_and_cannot_run() {
    check("event.claimed");
}

#[test]
fn an_event_whose_end_cannot_be_told() {
    check("event.settled");
}

/// Served on by nobody: what failed could not be rolled back, so nothing could ever be written again.
#[test]
fn a_server_that_can_write_nothing_any_more_ends_and_is_not_thought_well() {
    let failing = "FAILPOINTS=record.commit=40*off->1*return(error);record.rollback=1*return(error)";
    let server = Place::new().serve_by(&["env", failing], &[]);
    let answered = load(&server);
    let (status, place) = server.ended();
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{status}: {}", place.said());
    assert!(place.said().contains("nothing can be written any more"), "{}", place.said());
    check_kept(&place.serve(&[]), &answered);
}

fn check(point: &str) {
    let (_, passes) = POINTS.into_iter().find(|(name, _)| *name == point).unwrap();
    for way in WAYS {
        let failing = format!("FAILPOINTS={point}={passes}*off->1*{way}");
        eprintln!("{failing}");
        let server = Place::new().serve_by(&["env", &failing], &QUICK);
        let answered = load(&server);
        // No caller hears of it where an event is tried again.
        let is_told = server.place().said().contains(&format!("failpoint {point}"));
        assert!(is_told || answered.failures > 0, "{point} was not passed often enough to fail");
        let place = if way == "return(kill)" {
            assert!(server.caller().try_call("GET", "/healthz", b"").is_err(), "it was to be killed");
            server.kill9()
        } else {
            check_serves(&server);
            check_kept(&server, &answered);
            check_run(&server, &answered);
            assert_eq!(server.place().said().contains("panicked"), way == "panic");
            let (status, place) = server.stop();
            assert!(status.success(), "{status}");
            place
        };
        let output = program("sqlite3").arg(place.db()).arg("PRAGMA integrity_check").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "ok");
        let server = place.serve(&QUICK);
        check_kept(&server, &answered);
        check_run(&server, &answered);
        check_serves(&server);
    }
}

/// What was answered well, and how much was not.
#[derive(Debug)]
struct Answered {
    /// Request ids and what their runs returned.
    runs: Vec<(String, String)>,
    /// Request ids of events.
    events: Vec<String>,
    /// The last deploy of `other`.
    deploy: usize,
    failures: usize,
}

/// A few runs and a deploy in peace; then `hello` runs in two lanes and is sent events in a third, while `other` is deployed
/// again and again. Each
/// goes on after a failure.
fn load(server: &Server) -> Answered {
    server.deploy("hello", &expression("event"));
    server.deploy("other", &other(0));
    let run = |_| server.invoke("hello", "1");
    let runs = (0..5).map(run).map(|run| (run.request_id, run.body)).collect();
    let answered = Mutex::new(Answered { runs, events: Vec::new(), deploy: 0, failures: 0 });
    std::thread::scope(|scope| {
        for lane in 0..2 {
            let answered = &answered;
            scope.spawn(move || {
                for number in 0..ROUNDS {
                    let event = format!("\"{lane}-{number}\"");
                    let answer = call(server, "POST", "/v1/functions/hello/invoke", &event);
                    let mut answered = answered.lock().unwrap();
                    match answer.filter(|answer| answer.status == 200).map(Answer::run) {
                        Some(run) => {
                            assert_eq!(run.body, event);
                            answered.runs.push((run.request_id, run.body));
                        }
                        None => answered.failures += 1,
                    }
                }
            });
        }
        let answered = &answered;
        scope.spawn(move || {
            for number in 0..ROUNDS {
                let target = "/v1/functions/hello/invoke?type=event";
                let answer = call(server, "POST", target, &number.to_string());
                let mut answered = answered.lock().unwrap();
                match answer.filter(|answer| answer.status == 202) {
                    Some(answer) => {
                        answered.events.push(answer.json()["request_id"].as_str().unwrap().to_owned())
                    }
                    None => answered.failures += 1,
                }
            }
        });
        for number in 1..ROUNDS {
            let answer = call(server, "PUT", "/v1/functions/other", &other(number).body());
            let mut answered = answered.lock().unwrap();
            match answer.filter(|answer| matches!(answer.status, 200 | 201)) {
                Some(_) => answered.deploy = number,
                None => answered.failures += 1,
            }
        }
    });
    answered.into_inner().unwrap()
}

/// On a connection of its own: a panic costs one.
fn call(server: &Server, method: &str, target: &str, body: &str) -> Option<Answer> {
    let mut caller: Caller = server.caller();
    caller.try_call(method, target, body.as_bytes()).ok()
}

fn other(number: usize) -> Function {
    expression(&number.to_string())
}

/// Answers as ever, and what failed holds on to nothing.
fn check_serves(server: &Server) {
    server.invoke("hello", "{}").returned();
    assert_eq!(server.value_of("another", &expression("1"), "{}"), 1);
    // How an event ended is stored a moment later where it could not be stored at once.
    wait::until("nothing runs", || {
        let running = server.get("/v1/invocations?status=running")["invocations"].take();
        (running == Value::Array(Vec::new())).then_some(())
    });
    wait::until("nothing is thought to run", || {
        server.get("/v1/doctor").to_string().contains("\"0 of ").then_some(())
    });
}

/// Every event that was accepted has run, or runs yet.
fn check_run(server: &Server, answered: &Answered) {
    for request_id in &answered.events {
        assert_eq!(server.over(request_id).state, "succeeded", "{}", server.place().said());
    }
    wait::until("nothing is left in the queue", || {
        let left = server.metric("fnlite_events_waiting") + server.metric("fnlite_events_running");
        (left == 0 && server.metric("fnlite_events_bytes") == 0).then_some(())
    });
}

fn check_kept(server: &Server, answered: &Answered) {
    for (request_id, body) in &answered.runs {
        let record = server.record(request_id);
        assert_eq!((record.status, record.result.as_ref().unwrap().get()), (200, body.as_str()));
        assert!(record.messages().iter().any(|line| line.starts_with("Report RequestId: ID")), "{record:?}");
    }
    let stands = server.invoke("other", "{}").returned().as_u64().unwrap();
    let answered = answered.deploy as u64;
    // A deploy that was not answered may stand all the same.
    assert!(stands >= answered, "deploy {answered} was answered, {stands} stands");
}
