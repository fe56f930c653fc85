//! What was answered is kept: through kills, beside other readers of the file, in backups, and until a stop has ended.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Resource, Rlimit, setrlimit};
use rusty_fork::rusty_fork_test;
use serde_json::{Value, json};

use crate::function::{expression, folder, folder_path, source};
use crate::gate::Gate;
use crate::length::Rounds;
use crate::server::{Place, Server, program};
use crate::wait;

/// Rounds of killing under load.
pub(crate) fn rounds() -> usize {
    Rounds { short: 10, all: 100, soak: 1000 }.asked()
}

/// Runs `hello` on several connections until the server is gone or `enough` says so; the answered request ids and values.
fn load(server: &Server, enough: &AtomicBool) -> Vec<(String, String)> {
    let answered = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for lane in 0..3 {
            let (answered, mut caller) = (&answered, server.caller());
            scope.spawn(move || {
                for number in 0.. {
                    if enough.load(Ordering::SeqCst) {
                        return;
                    }
                    let event = format!("{{\"key\": \"{lane}-{number}\"}}");
                    let Ok(answer) = caller.try_call("POST", "/v1/functions/hello/invoke", event.as_bytes())
                    else {
                        return;
                    };
                    let run = answer.run();
                    run.returned();
                    answered.lock().unwrap().push((run.request_id, run.body));
                }
            });
        }
    });
    answered.into_inner().unwrap()
}

/// How many runs have been stored, told by the server.
fn runs_counted(server: &Server) -> usize {
    server.get("/v1/invocations?function=hello&limit=1000")["invocations"].as_array().unwrap().len()
}

#[test]
fn every_answered_run_is_on_record_after_the_server_was_killed_under_load() {
    let mut place = Place::new();
    for round in 0..rounds() {
        let server = place.serve(&[]);
        if round == 0 {
            server.deploy("hello", &folder("hello"));
        }
        let before = runs_counted(&server);
        let kept = std::thread::scope(|scope| {
            let (server, never) = (&server, AtomicBool::new(false));
            let pid = rustix::process::Pid::from_raw(server.pid().cast_signed()).unwrap();
            let answered = scope.spawn(move || load(server, &never));
            // Not at a round number: somewhere within runs and commits.
            wait::until("some runs have ended", || {
                (runs_counted(server) >= (before + 20 + round).min(1000)).then_some(())
            });
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            answered.join().unwrap()
        });
        assert!(!kept.is_empty());
        place = server.kill9();
        assert_eq!(sql(&place.db(), "PRAGMA integrity_check"), "ok");
        let server = place.serve(&[]);
        for (request_id, body) in &kept {
            let record = server.record(request_id);
            assert_eq!((record.status, record.result.as_ref().unwrap().get()), (200, body.as_str()));
            let words: Vec<String> =
                record.messages().iter().map(|text| text.split(' ').next().unwrap().to_owned()).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| *word != "Init").collect();
            assert_eq!(words, ["START", "event:", "Response", "END", "Report"], "round {round}");
        }
        let (status, stopped) = server.stop();
        assert!(status.success(), "{}", stopped.said());
        place = stopped;
    }
}

#[test]
fn a_run_that_a_crash_cut_off_is_on_record_as_failed_with_what_it_had_printed() {
    let server = Server::start(&[]);
    server.deploy("cut-off", &folder("gate").with("timeout_s", 60));
    let gate = Gate::new();
    let id = std::thread::scope(|scope| {
        let mut caller = server.caller();
        let event = gate.event();
        scope.spawn(move || drop(caller.try_call("POST", "/v1/functions/cut-off/invoke", event.as_bytes())));
        let _held = gate.arrival();
        let page = server.get("/v1/invocations?status=running");
        let id = page["invocations"][0]["request_id"].as_str().unwrap().to_owned();
        wait::until("its line is stored", || (server.printed(&id) == ["at the gate"]).then_some(()));
        let pid = rustix::process::Pid::from_raw(server.pid().cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        id
    });
    let server = server.kill9().serve(&[]);
    let record = server.record(&id);
    assert_eq!((record.state.as_str(), record.status), ("failed", 500));
    assert_eq!(record.printed(), ["at the gate"]);
    let body: Value = serde_json::from_str(record.result.unwrap().get()).unwrap();
    assert_eq!((&body["statusCode"], &body["requestId"]), (&json!(500), &json!(id)));
    assert_eq!(server.get("/v1/invocations?status=running")["invocations"], json!([]));
}

#[test]
fn sqlite3_reads_the_views_while_the_server_writes() {
    let server = Server::start(&[]);
    server.deploy("hello", &folder("hello"));
    let db = server.place().db();
    let enough = AtomicBool::new(false);
    let answered = std::thread::scope(|scope| {
        let loading = scope.spawn(|| load(&server, &enough));
        let mut seen = 0;
        for _ in 0..15 {
            let counts = sql(
                &db,
                "SELECT (SELECT count(*) FROM invocations), (SELECT count(*) FROM logs WHERE SCF_Message LIKE 'START %')",
            );
            let (runs, starts) = counts.split_once('|').unwrap();
            assert_eq!(runs, starts, "a run and its log are one");
            let runs: usize = runs.parse().unwrap();
            assert!(runs >= seen, "{runs} after {seen}");
            seen = runs;
        }
        enough.store(true, Ordering::SeqCst);
        loading.join().unwrap()
    });
    assert_eq!(sql(&db, "SELECT count(*) FROM invocations WHERE status = 200"), answered.len().to_string());
    assert_eq!(sql(&db, "SELECT namespace, name, runtime FROM functions"), "default|hello|Python3.10");
    let (id, body) = &answered[0];
    let columns = "function, state, status, result";
    let found = sql(&db, &format!("SELECT {columns} FROM invocations WHERE request_id = '{id}'"));
    assert_eq!(found, format!("hello|succeeded|200|{body}"));
    let found = sql(
        &db,
        &format!(
            "SELECT SCF_FunctionName, SCF_Type, SCF_StatusCode, SCF_Level, SCF_Message FROM logs WHERE SCF_RequestId = '{id}' AND SCF_Message LIKE 'END%'"
        ),
    );
    assert_eq!(found, format!("hello|Platform|200|INFO|END RequestId: {id}"));
}

#[test]
fn a_second_server_on_the_same_file_refuses() {
    let server = Server::start(&[]);
    server.deploy("hello", &folder("hello"));
    let place = server.place();
    std::os::unix::fs::symlink("fnlite.db", place.file("link.db")).unwrap();
    for path in ["fnlite.db", "./fnlite.db", "link.db"] {
        let words = ["serve", "--db", path, "--socket", "second.sock", "--listen", "127.0.0.1:0"];
        let second = place.fnlite_for_moments(&words);
        assert_eq!(second.status.code(), Some(78), "{path}: {}", text(&second));
        assert!(
            text(&second).contains(&format!("another server (process {}) is using", server.pid())),
            "{path}: {}",
            text(&second)
        );
    }
    assert_eq!(server.fnlite(&["invoke", "hello"]).status.code(), Some(0), "the first one serves on");
}

#[test]
fn files_that_are_no_database_of_this_release_are_refused_and_left_alone() {
    let place = Place::new();
    fs::write(place.file("text.db"), "this is no database, but somebody's text\n".repeat(100)).unwrap();
    sql(&place.file("other.db"), "CREATE TABLE somebody (s TEXT); INSERT INTO somebody VALUES ('else')");
    for name in ["text.db", "other.db"] {
        let before = fs::read(place.file(name)).unwrap();
        let output = place.fnlite_for_moments(&["serve", "--db", name, "--listen", "127.0.0.1:0"]);
        assert_eq!(output.status.code(), Some(78), "{name}: {}", text(&output));
        assert!(text(&output).contains(name), "{}", text(&output));
        assert!(fs::read(place.file(name)).unwrap() == before, "{name} was changed");
    }
    let (_, place) = place.serve(&[]).stop();
    sql(&place.db(), "PRAGMA user_version = 999");
    let output = place.fnlite_for_moments(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(78), "{}", text(&output));
    assert!(text(&output).contains("use a newer release"), "{}", text(&output));
}

#[test]
fn a_stop_answers_what_runs_and_exits_0() {
    let server = Server::start(&[]);
    server.deploy("running", &folder("gate").with("timeout_s", 60));
    let (gate, address) = (Gate::new(), server.address());
    let (mut caller, event) = (server.caller(), gate.event());
    let run = std::thread::scope(|scope| {
        let call = scope.spawn(move || caller.invoke("running", event));
        let held = gate.arrival();
        server.terminate();
        wait::until("no more is let in", || std::net::TcpStream::connect(address).is_err().then_some(()));
        drop(held);
        call.join().unwrap()
    });
    assert_eq!(run.returned(), "passed");
    let (status, place) = server.stop();
    assert_eq!(status.code(), Some(0), "{}", place.said());
    assert!(!place.file("fnlite.sock").exists(), "the socket file is gone");
    let record = place.serve(&[]).record(&run.request_id);
    assert_eq!((record.state.as_str(), record.printed()), ("succeeded", vec!["at the gate".to_owned()]));
}

#[test]
fn a_run_that_outlasts_the_drain_is_told_so() {
    let server = Server::start(&["--drain-timeout", "200ms"]);
    server.deploy("endless", &folder("gate").with("timeout_s", 60));
    let gate = Gate::new();
    let (mut caller, event) = (server.caller(), gate.event());
    let run = std::thread::scope(|scope| {
        let call = scope.spawn(move || caller.invoke("endless", event));
        let _held = gate.arrival();
        server.terminate();
        call.join().unwrap()
    });
    assert_eq!(run.http, 502);
    assert_eq!(run.failed(500).error_message, "the server is stopping");
    let (status, place) = server.stop();
    assert_eq!(status.code(), Some(0), "{}", place.said());
    let record = place.serve(&[]).record(&run.request_id);
    assert_eq!((record.status, record.printed()), (500, vec!["at the gate".to_owned()]));
}

#[test]
fn a_run_whose_code_outlasts_the_drain_is_told_so() {
    let server = Server::start(&["--drain-timeout", "200ms"]);
    let gate = Gate::new();
    let event = gate.event();
    let module = format!("import socket\nsocket.create_connection(('127.0.0.1', {event}['port'])).recv(1)");
    server.deploy("loading", &source(&module));
    let mut caller = server.caller();
    let run = std::thread::scope(|scope| {
        let call = scope.spawn(move || caller.invoke("loading", "{}"));
        let _held = gate.arrival();
        server.terminate();
        call.join().unwrap()
    });
    assert_eq!(run.failed(500).error_message, "the server is stopping");
    let (status, place) = server.stop();
    assert_eq!(status.code(), Some(0), "{}", place.said());
    assert!(!place.said().contains("still runs its handler"), "{}", place.said());
}

#[test]
fn a_backup_made_under_load_is_whole_and_can_be_served() {
    let server = Server::start(&[]);
    server.deploy("hello", &folder("hello"));
    let before = server.invoke("hello", r#"{"key": "before"}"#);
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let loading = scope.spawn(|| load(&server, &enough));
        for copy in ["copy1.db", "copy2.db"] {
            let output = server.fnlite(&["backup", copy]);
            assert_eq!(output.status.code(), Some(0), "{}", text(&output));
            assert_eq!(sql(&server.place().file(copy), "PRAGMA integrity_check"), "ok");
        }
        enough.store(true, Ordering::SeqCst);
        assert!(!loading.join().unwrap().is_empty());
    });
    let place = Place::new();
    fs::copy(server.place().file("copy2.db"), place.db()).unwrap();
    let copy = place.with_key_of(&server).serve(&[]);
    assert_eq!(copy.record(&before.request_id).result.unwrap().get(), before.body);
    assert_eq!(copy.invoke("hello", r#"{"key": "copy"}"#).returned(), json!({ "hello": "copy" }));
}

#[test]
fn all_but_the_database_may_be_deleted_while_it_is_stopped() {
    let server = Server::start(&[]);
    server.deploy("hello", &folder("hello"));
    let run = server.invoke("hello", "{}");
    let (_, place) = server.stop();
    fs::remove_dir_all(place.file("fnlite.db.d")).unwrap();
    let server = place.serve(&[]);
    assert_eq!(server.record(&run.request_id).status, 200);
    assert_eq!(server.invoke("hello", r#"{"key": "again"}"#).returned(), json!({ "hello": "again" }));
}

#[test]
fn a_start_that_fails_leaves_the_first_key_to_the_next() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::new();
    let output = place.fnlite_for_moments(&["serve", "--listen", &taken.local_addr().unwrap().to_string()]);
    assert!(text(&output).contains("cannot be listened on"), "{}", text(&output));
    let server = place.serve(&[]);
    assert_eq!(server.call("GET", "/v1/functions", b"").status, 200);
}

#[test]
fn the_first_start_prints_a_key_that_works_and_the_next_none() {
    let place = Place::new();
    let server = place.serve(&[]);
    let key = server.place().key().to_owned();
    assert!(key.starts_with("fnl_") && key.len() > 40, "{key}");
    for (shown, status) in [(Some(key.as_str()), 200), (None, 401), (Some("fnl_wrong"), 401), (Some(""), 401)]
    {
        assert_eq!(server.caller_with(shown).call("GET", "/v1/functions", b"").status, status, "{shown:?}");
    }
    for open in ["/healthz", "/readyz", "/version"] {
        assert_eq!(server.caller_with(None).call("GET", open, b"").status, 200, "{open}");
    }
    let (_, place) = server.stop();
    let server = place.serve(&[]);
    let keys = server.get("/v1/keys");
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "{keys}");
    assert!(!keys.to_string().contains(&key), "a secret is shown once");
    assert_eq!(server.place().key(), key, "no second key was announced");
}

/// The README's walk, as typed.
#[test]
fn the_command_line_walks_from_deploy_to_delete() {
    let server = Server::start(&[]);
    let path = folder_path("hello");
    let hello = path.to_str().unwrap();
    let run = |words: &[&str], code: i32| {
        let output = server.fnlite(words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let deployed = run(
        &[
            "deploy",
            "hello",
            hello,
            "--runtime",
            "Python3.10",
            "--handler",
            "index.main_handler",
            "--env",
            "A=b",
        ],
        0,
    );
    assert!(
        deployed.starts_with("deployed hello: Python3.10, index.main_handler, 128 MB, 3 s"),
        "{deployed}"
    );
    assert_eq!(run(&["invoke", "hello", "-d", r#"{"key":"abctest"}"#], 0), "{\"hello\": \"abctest\"}\n");
    let went: Value = serde_json::from_str(&run(&["invoke", "hello", "--json"], 0)).unwrap();
    assert_eq!((&went["status"], &went["result"]), (&json!(200), &json!({ "hello": "world" })));
    let id = went["request_id"].as_str().unwrap();
    let shown = run(&["show", id], 0);
    for part in [
        id,
        "hello ($LATEST)",
        "succeeded (200)",
        "event: {}",
        r#"{"hello": "world"}"#,
        "START RequestId",
        "Report RequestId",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    for words in [&["logs", "hello"][..], &["logs", "--request-id", id], &["logs", "hello", "--since", "15m"]]
    {
        assert!(run(words, 0).contains("event: {}"), "{words:?}");
    }
    assert_eq!(run(&["logs", "hello", "--status", "failed"], 0), "");
    assert!(run(&["list"], 0).contains("hello"));
    assert!(run(&["runs", "hello"], 0).contains(id));

    server.deploy("failing", &folder("raise"));
    server.deploy("nothing", &expression("None"));
    assert_eq!(run(&["invoke", "failing"], 3), "", "what failed has no value");
    assert!(run(&["logs", "failing", "--status", "430"], 0).contains("ZeroDivisionError"));
    assert_eq!(run(&["invoke", "nothing"], 0), "null\n");
    let went: Value = serde_json::from_str(&run(&["invoke", "nothing", "--json"], 0)).unwrap();
    let shown = run(&["show", went["request_id"].as_str().unwrap()], 0);
    assert!(shown.contains("returned   null"), "{shown}");
    run(&["invoke", "gone"], 4);
    run(&["invoke", "hello", "-d", "{"], 1);
    run(&["show", "00000000-0000-7000-8000-000000000000"], 4);
    run(&["deploy", "hello", hello, "--timeout", "901"], 1);

    let reader = run(&["keys", "create", "reader", "--scope", "read"], 0);
    let url = server.url();
    let as_reader = |words: &[&str]| {
        let mut all = words.to_vec();
        all.extend(["--url", &url, "--key", reader.trim()]);
        server.fnlite(&all).status.code()
    };
    assert_eq!(as_reader(&["list"]), Some(0));
    assert_eq!(as_reader(&["invoke", "hello"]), Some(5));
    assert_eq!(as_reader(&["delete", "hello"]), Some(5));
    assert!(run(&["keys", "list"], 0).contains("reader"));
    run(&["keys", "revoke", "2"], 0);
    assert_eq!(as_reader(&["list"]), Some(5));

    let doctor = run(&["doctor"], 0);
    assert!(doctor.contains("isolation") && doctor.contains("Python3.10"), "{doctor}");
    run(&["delete", "hello"], 0);
    run(&["delete", "hello"], 4);
    assert!(run(&["show", id], 0).contains("succeeded (200)"), "records outlive their function");
    assert!(!run(&["list"], 0).contains("hello"));
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 60_000)]

    /// The limit is this process's and what it starts inherits it, so the test needs a process of its own.
    #[test]
    fn a_server_that_runs_out_of_descriptors_serves_on_once_there_are_some() {
        let few = 256;
        setrlimit(Resource::Nofile, Rlimit { current: Some(few), maximum: Some(few) }).unwrap();
        let server = Server::start(&[]);
        server.deploy("hello", &folder("hello"));
        let mut caller = server.caller();
        caller.invoke("hello", "{}").returned();
        // Idle connections use up what the server may open; some of ours cannot be made either.
        let idle: Vec<_> =
            std::iter::from_fn(|| std::net::TcpStream::connect(server.address()).ok()).take(240).collect();
        for _ in 0..10 {
            // A connection between two requests may be closed to make room.
            let target = "/v1/functions/hello/invoke";
            let Ok(answer) = caller.try_call("POST", target, b"{}") else { break };
            let run = answer.run();
            assert!(matches!(run.status, 200 | 500), "{}", run.body);
        }
        drop(idle);
        wait::until("it serves as before", || (server.invoke("hello", "{}").status == 200).then_some(()));
        server.invoke("hello", "{}").returned();
    }
}

#[test]
fn runs_are_paged_without_gaps_or_repetitions_while_new_ones_come() {
    let server = Server::start(&[]);
    server
        .deploy("paged", &source("def main_handler(event, context):\n    print('line')\n    return event\n"));
    let made: Vec<String> =
        (0..25).map(|number| server.invoke("paged", number.to_string()).request_id).collect();
    let mut found = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let page = server.get(&format!("/v1/invocations?function=paged&limit=4{cursor}"));
        for run in page["invocations"].as_array().unwrap() {
            let id = run["request_id"].as_str().unwrap().to_owned();
            assert!(found.insert(id.clone(), found.len()).is_none(), "{id} came twice");
        }
        server.invoke("paged", "{}").returned();
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let newest_first: Vec<usize> = made.iter().rev().map(|id| found[id]).collect();
    assert!(newest_first.is_sorted(), "{newest_first:?}");
    assert_eq!(newest_first.len(), 25);
}

/// What `sqlite3`, as Debian has it, prints for a query.
#[track_caller]
pub(crate) fn sql(db: &Path, query: &str) -> String {
    let output = program("sqlite3").arg(db).arg(query).output().unwrap();
    assert!(output.status.success(), "{query}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
