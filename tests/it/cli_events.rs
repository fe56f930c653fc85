//! The command line of asynchronous events and of those given up: first against scripted answers, then once against a real
//! server, so that both mean the same.

use std::process::Output;

use serde_json::{Value, json};

use crate::cli::{Answer, expect, ok, place, refused};
use crate::function::expression;
use crate::server::Server;
use crate::wait;

const ID: &str = "4ca7089c-3bb0-48cf-bcdb-26d130fed2ae";
const OTHER: &str = "5ca7089c-3bb0-48cf-bcdb-26d130fed2ae";
const NEW: &str = "6ca7089c-3bb0-48cf-bcdb-26d130fed2ae";

fn accepted(id: &str) -> Answer {
    Answer("202 Accepted", String::new(), format!(r#"{{"request_id":"{id}"}}"#))
}

/// What the server tells of an invocation.
fn run(state: &str, status: u16, result: &str) -> Answer {
    ok(&format!(
        r#"{{"request_id":"{ID}","namespace":"default","function":"hello","qualifier":"$LATEST","source":"rest","state":"{state}",
        "status":{status},"retry_num":0,"created_us":1000000,"started_us":1000000,"ended_us":2000000,"duration_us":1240,"init_us":0,
        "memory_mb":128,"memory_used_kb":9728,"error":"","event":{{}},"result":{result},"log":[],"log_next_cursor":null}}"#
    ))
}

fn letters(ids: &[&str], next: Option<&str>) -> Answer {
    let letter = |id: &&str| {
        json!({ "request_id": id, "namespace": "default", "function": "hello", "qualifier": "$LATEST", "source": "rest",
                "state": "dead", "status": 430, "retry_num": 2, "created_us": 1, "started_us": 1, "ended_us": 2, "duration_us": 1,
                "init_us": 0, "memory_mb": 128, "memory_used_kb": 1, "error": "no", "died_us": 2, "reason": "because" })
    };
    let letters: Vec<Value> = ids.iter().map(letter).collect();
    ok(&json!({ "dead_letters": letters, "next_cursor": next }).to_string())
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn an_event_is_handed_over_and_its_request_id_is_the_data() {
    let mut plain = place(vec![accepted(ID)]);
    let output = plain.run("invoke hello --async -d [1.10] --idempotency-key order-1");
    expect(&output, 0, &format!("{ID}\n"), &format!("`fnlite show --wait {ID}`"));
    let asked = plain.asked();
    assert_eq!(asked.line, "POST /v1/functions/hello/invoke?type=event HTTP/1.1");
    assert!(asked.head.contains("\r\nX-Idempotency-Key: order-1"), "{}", asked.head);
    assert_eq!(asked.body, b"[1.10]");

    let output = place(vec![accepted(ID)]).run("invoke hello --async --json");
    expect(&output, 0, &format!("{{\"request_id\":\"{ID}\"}}\n"), "");
    let mut full = place(vec![refused("429 Too Many Requests", "3 events wait already")]);
    expect(&full.run("invoke hello --async"), 1, "", "fnlite: 3 events wait already");
}

#[test]
fn an_event_that_is_waited_for_ends_like_a_run_that_is() {
    let mut good =
        place(vec![accepted(ID), run("queued", 202, "null"), run("succeeded", 200, "[1.10, 1e400]")]);
    let output = good.run("invoke hello --async --wait");
    expect(&output, 0, "[1.10, 1e400]\n", &format!("returned in 1.24 ms, 9.5 MB, request {ID}"));
    good.asked();
    for _ in 0..2 {
        assert_eq!(good.asked().line, format!("GET /v1/invocations/{ID}?wait=5m HTTP/1.1"));
    }

    let error = r#"{"errorMessage":"no","stackTrace":"Traceback\nValueError: no","statusCode":430}"#;
    for state in ["dead", "expired", "failed"] {
        let mut bad = place(vec![accepted(ID), run(state, 430, error)]);
        let said = format!("Traceback\nValueError: no\n{state} with status 430");
        expect(&bad.run("invoke hello --async --wait=1h"), 3, "", &said);
    }
    let expected = format!(
        r#"{{"request_id":"{ID}","status":200,"duration_ms":1.24,"memory_mb":9.5,"result":[1.10, 1e400]}}"#
    );
    let mut json = place(vec![accepted(ID), run("succeeded", 200, "[1.10, 1e400]")]);
    expect(&json.run("invoke hello --async --wait --json"), 0, &format!("{expected}\n"), "");
}

/// A server with no room for those who wait, or whose answer came too soon, is asked again until the time is up.
#[test]
fn waiting_ends_when_the_time_is_up_and_not_before() {
    let busy = || refused("429 Too Many Requests", "too many wait already");
    let mut late = place(vec![accepted(ID), busy(), run("succeeded", 200, "1")]);
    expect(&late.run("invoke hello --async --wait=1h"), 0, "1\n", "returned");
    let mut over = place(vec![accepted(ID), run("retrying", 430, "null")]);
    expect(
        &over.run("invoke hello --async --wait=0s"),
        1,
        "",
        &format!("request {ID} is not over, it is retrying"),
    );
    assert_eq!((over.asked(), over.asked()).1.line, format!("GET /v1/invocations/{ID}?wait=0s HTTP/1.1"));
    let mut full = place(vec![busy()]);
    expect(&full.run(&format!("show --wait=0s {ID}")), 1, "", "too many wait");
    let mut denied = place(vec![Answer(
        "429 Too Many Requests",
        String::new(),
        r#"{"error":{"code":"Denied","message":"too many wrong keys","request_id":"r1"}}"#.to_owned(),
    )]);
    expect(&denied.run(&format!("show --wait {ID}")), 5, "", "too many wrong keys");
}

#[test]
fn a_run_that_is_waited_for_is_shown_once_it_is_over() {
    let mut place = place(vec![run("running", 202, "null"), run("succeeded", 200, "\"done\"")]);
    let output = place.run(&format!("show --wait {ID}"));
    assert!(lines(&output).iter().any(|line| line == "status     succeeded (200)"), "{output:?}");
    assert_eq!(place.asked().line, format!("GET /v1/invocations/{ID}?wait=5m HTTP/1.1"));
}

#[test]
fn who_waits_for_a_run_that_somebody_ended_waits_no_longer() {
    let told = r#"{"errorCode":-1,"errorMessage":"it was ended on request","statusCode":499}"#;
    let mut place = place(vec![run("running", 202, "null"), run("aborted", 499, told)]);
    let output = place.run(&format!("show --wait {ID}"));
    let shown = lines(&output);
    assert!(shown.iter().any(|line| line == "status     aborted (499)"), "{output:?}");
    assert!(shown.iter().any(|line| line.starts_with("error ")), "{output:?}");
    assert_eq!(place.asked().line, format!("GET /v1/invocations/{ID}?wait=5m HTTP/1.1"));
}

#[test]
fn dead_letters_are_listed_page_by_page_where_all_are_asked_for() {
    let mut few = place(vec![letters(&[ID], Some("7"))]);
    let output = few.run("dead list hello --limit 1");
    assert_eq!((output.status.code(), lines(&output).len()), (Some(0), 2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("there are more than 1"), "{output:?}");
    assert_eq!(few.asked().line, "GET /v1/dead-letters?function=hello&limit=1 HTTP/1.1");

    let mut all = place(vec![letters(&[ID], Some("7")), letters(&[OTHER], None)]);
    let output = all.run("dead list --all");
    assert_eq!((output.status.code(), lines(&output).len()), (Some(0), 3), "{output:?}");
    assert_eq!(all.asked().line, "GET /v1/dead-letters?limit=1000 HTTP/1.1");
    assert_eq!(all.asked().line, "GET /v1/dead-letters?limit=1000&cursor=7 HTTP/1.1");
    expect(&place(vec![letters(&[], None)]).run("dead list"), 0, "", "no such dead letters");
}

/// One letter that is gone does not keep the others; the exit code still tells of it.
#[test]
fn those_that_are_gone_are_passed_over() {
    let gone = || refused("404 Not Found", "there is no dead letter");
    let mut replayed = place(vec![gone(), accepted(NEW)]);
    let output = replayed.run(&format!("dead replay {ID} {OTHER}"));
    expect(
        &output,
        4,
        &format!("{OTHER} -> {NEW}\n"),
        &format!("fnlite: {ID}: there is no dead letter\nreplayed 1 dead letter\n"),
    );
    assert_eq!(replayed.asked().line, format!("POST /v1/dead-letters/{ID}/replay HTTP/1.1"));

    let mut dropped = place(vec![gone(), Answer("204 No Content", String::new(), String::new())]);
    expect(&dropped.run(&format!("dead drop {ID} {OTHER}")), 4, "", "dropped 1 dead letter\n");
    assert_eq!(dropped.asked().line, format!("DELETE /v1/dead-letters/{ID} HTTP/1.1"));
}

/// A full queue refuses the next one as well: there is no use in going on.
#[test]
fn all_are_replayed_oldest_first_until_the_server_refuses() {
    let full = refused("429 Too Many Requests", "3 events wait already");
    let mut place = place(vec![letters(&[NEW, OTHER, ID], None), accepted(NEW), full]);
    let output = place.run("dead replay --all hello --json");
    let expected = format!("{{\"dead_letter\":\"{ID}\",\"request_id\":\"{NEW}\"}}\n");
    expect(&output, 1, &expected, &format!("fnlite: {OTHER}: 3 events wait already"));
    assert_eq!(place.asked().line, "GET /v1/dead-letters?function=hello&limit=1000 HTTP/1.1");
}

#[test]
fn an_event_is_followed_given_up_replayed_and_dropped() {
    let server = Server::start(&["--event-pace", "0.01"]);
    server.deploy("divides", &expression("1 / event['by']"));
    let fnlite = |line: &str| server.fnlite(&line.split(' ').collect::<Vec<_>>());
    expect(&fnlite("invoke divides --async --wait -d {\"by\":2}"), 0, "0.5\n", "returned in");

    let output = fnlite("invoke divides --async -d {\"by\":0}");
    let [id] = &lines(&output)[..] else { panic!("{output:?}") };
    let shown = lines(&fnlite(&format!("show --wait {id}")));
    let line = |begin: &str| shown.iter().filter(|line| line.starts_with(begin)).count();
    assert_eq!(
        (line("status     dead (430), retry 2"), line("attempts   first     430")),
        (1, 1),
        "{shown:?}"
    );
    let retries = |number| shown.iter().filter(|line| line.trim() == format!("retry {number}")).count();
    assert_eq!([retries(1), retries(2)], [1, 1], "{shown:?}");

    let listed = lines(&fnlite("dead list divides"));
    assert!(
        listed.len() == 2 && listed[1].starts_with(id) && listed[1].contains("retries are used up"),
        "{listed:?}"
    );
    let shown = lines(&fnlite(&format!("dead show {id}")));
    assert!(shown.iter().any(|line| line.starts_with("given up   ")), "{shown:?}");
    let replayed = lines(&fnlite("dead replay --all divides"));
    let again = replayed[0].strip_prefix(&format!("{id} -> ")).unwrap();
    expect(&fnlite(&format!("dead show {id}")), 4, "", "there is no dead letter");
    wait::until("it is given up again", || (lines(&fnlite("dead list")).len() == 2).then_some(()));
    expect(&fnlite(&format!("dead drop {again}")), 0, "", "dropped 1 dead letter");
    expect(&fnlite("dead list"), 0, "", "no such dead letters");
    let large = server.place().file("large.json");
    std::fs::write(&large, format!("\"{}\"", "x".repeat(140_000))).unwrap();
    expect(
        &fnlite(&format!("invoke divides --async -d @{}", large.display())),
        1,
        "",
        "at most 131072 bytes",
    );
}

#[test]
fn the_bench_of_events_tells_when_all_of_them_were_run() {
    let server = Server::start(&["--event-pace", "0.01"]);
    server.deploy("divides", &expression("1 / event['by']"));
    let bench = |line: &str| {
        let words = format!("bench divides --async -c 4 --json {line}");
        let output = server.fnlite(&words.split(' ').collect::<Vec<_>>());
        let figures: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        let counts = ["accepted", "executed", "refused", "lost", "retried", "given_up", "waiting"];
        (output.status.code(), counts.map(|name| figures[name].as_u64().unwrap()))
    };
    let stored = |status: &str| {
        let page = server.get(&format!("/v1/invocations?function=divides&status={status}&limit=1000"));
        page["invocations"].as_array().unwrap().len()
    };
    assert_eq!(bench("--count 50 --data {\"by\":2}"), (Some(0), [50, 50, 0, 0, 0, 0, 0]));
    assert_eq!(stored("succeeded"), 50);
    assert_eq!(bench("--count 3 --data {\"by\":0}"), (Some(3), [3, 3, 0, 0, 6, 3, 0]));
    assert_eq!(bench("--count 2 --data {"), (Some(3), [0, 0, 2, 0, 0, 0, 0]));
    server.deploy("divides", &expression("1").with("reserved_mb", 0));
    assert_eq!(bench("--count 5 --wait 0s"), (Some(0), [5, 0, 0, 0, 0, 0, 5]));
    assert_eq!(bench("--count 5 --wait 1ms").0, Some(1));
    assert_eq!(stored("queued"), 10);
}
