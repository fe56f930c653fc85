//! What people ask of their logs, asked as they would: over the command line and over HTTP, of what functions really printed.

use serde_json::{Value, json};

use crate::function::{folder, source};
use crate::server::{Server, test_data};
use crate::wait;

/// Percent-encodes everything that is not plainly itself.
fn encoded(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// The messages of the lines that match, oldest first.
fn found(server: &Server, query: &str) -> Vec<String> {
    let answer = server.get(&format!("/v1/logs?order=asc&limit=1000&q={}", encoded(query)));
    assert_eq!(answer["partial"], false, "{query}");
    messages(&answer)
}

fn messages(answer: &Value) -> Vec<String> {
    let lines = answer["lines"].as_array().unwrap();
    lines.iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect()
}

/// What a command printed, which must have gone well.
fn said(server: &Server, words: &[&str]) -> String {
    let output = server.fnlite(words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// All lines of a run.
fn log(server: &Server, request_id: &str) -> Vec<String> {
    server.record(request_id).log.into_iter().map(|line| line.message).collect()
}

/// A function that prints what it is sent, a line for each string.
const PRINTS: &str = "def main_handler(event, context):\n    for line in event:\n        print(line)\n";

#[test]
fn the_recipes_of_the_cloud_work_as_they_are_written() {
    let server = Server::start(&[]);
    server.deploy("hello", &folder("hello"));
    server.deploy("raise", &folder("raise"));
    // A version's first run has an Init Report of its own.
    server.invoke("hello", "{}").returned();
    let id = server.invoke("hello", "{}").request_id;
    let other = server.invoke("raise", "{}").request_id;
    let whole = log(&server, &id);
    assert_eq!(found(&server, &format!("SCF_RequestId:\"{id}\"")), whole);
    assert_eq!(found(&server, &id), whole);
    let reports =
        found(&server, &format!("SCF_RequestId:\"{id}\" AND SCF_Type:Platform AND SCF_Message:Report*"));
    assert!(reports.len() == 1 && reports[0].starts_with("Report RequestId"), "{reports:?}");
    // One for each request, whether the platform's lines have a blank behind the colon or not.
    for query in ["\"Report RequestId\" AND NOT Init", "\"START RequestId\""] {
        assert_eq!(found(&server, query).len(), 3, "{query}");
    }
    assert_eq!(found(&server, "\"Report RequestId\"").len(), 5);
    for query in [format!("\"START RequestId:{id}\""), format!("\"START RequestId: {id}\"")] {
        assert_eq!(found(&server, &query).len(), 1, "{query}");
    }
    let failed = found(&server, "SCF_StatusCode:430 AND SCF_Level:ERROR");
    assert!(failed.len() == 1 && failed[0].contains(&other), "{failed:?}");
    assert_eq!(found(&server, "SCF_StatusCode>=430 AND SCF_FunctionName:raise"), log(&server, &other));
}

#[test]
fn a_request_is_shown_with_its_record_by_either_form_of_its_id() {
    let server = Server::shared();
    server.deploy("asked", &source(PRINTS));
    let id = server.invoke("asked", r#"["one", "two"]"#).request_id;
    for written in [id.clone(), id.replace('-', "").to_uppercase()] {
        let answer = server.get(&format!("/v1/logs?q={written}"));
        assert_eq!(answer["invocation"]["request_id"], id.as_str());
        assert_eq!(messages(&answer), log(server, &id));
        let text = said(server, &["logs", "-q", &written]);
        assert!(
            text.starts_with("asked  ") && text.contains("one\n") && text.contains("END RequestId"),
            "{text}"
        );
        assert!(said(server, &["show", &written]).contains("returned"), "{written}");
    }
}

#[test]
fn lines_of_json_are_found_by_their_keys() {
    let server = Server::start(&[]);
    server.deploy("json", &source(PRINTS));
    let lines = [
        json!({ "level": "error", "user": 42, "msg": "café closed" }).to_string(),
        json!({ "level": "info", "user": 7, "took_ms": 12.5 }).to_string(),
        r#"{"level": "error", "user": 43, "msg": "caf\u00e9 open"}"#.to_owned(),
        "level error user 42".to_owned(),
    ];
    server.invoke("json", json!(lines).to_string()).returned();
    for (query, expected) in [
        ("level:error", vec![0, 2]),
        ("user:42", vec![0]),
        ("user>10 AND level:error", vec![0, 2]),
        ("took_ms:[10 TO 20]", vec![1]),
        ("café", vec![0, 2]),
        ("msg:caf* AND NOT open", vec![0]),
        ("user:* AND NOT level:error", vec![1]),
        ("/user.{1,4}4[0-9]/", vec![0, 2, 3]),
    ] {
        let of_users = found(&server, &format!("({query}) AND SCF_Type:Custom"));
        assert_eq!(
            of_users,
            expected.iter().map(|number| lines[*number].clone()).collect::<Vec<_>>(),
            "{query}"
        );
    }
}

#[test]
fn the_naughty_strings_are_lines_and_queries_like_any_other() {
    let Ok(text) = std::fs::read_to_string(test_data().join("blns.json")) else {
        eprintln!("SKIPPED: the list of naughty strings is not in {}", test_data().display());
        return;
    };
    let strings: Vec<String> = serde_json::from_str(&text).unwrap();
    // What is printed as several lines, or as none, is for other tests.
    let strings: Vec<&String> =
        strings.iter().filter(|text| !text.contains(['\n', '\r', '\0']) && !text.is_empty()).collect();
    assert!(strings.len() > 400);
    let server = Server::start(&[]);
    server.deploy("naughty", &source(PRINTS));
    for part in strings.chunks(100) {
        server.invoke("naughty", json!(part).to_string()).returned();
    }
    for text in strings {
        let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('*', "\\*"));
        let query = format!("{quoted} AND SCF_Type:Custom");
        let lines = found(&server, &query);
        assert!(lines.contains(text), "{query} finds {lines:?}");
        // As it is, it is a query or a mistake with a column, and never a fault.
        let answer = server.call("GET", &format!("/v1/logs?q={}", encoded(text)), b"");
        assert!(answer.status == 200 || answer.refusal().contains("(column "), "{text}: {}", answer.text());
    }
}

#[test]
fn searches_find_the_same_with_and_without_an_index() {
    let mut place = None;
    for options in [&["--full-text", "off"][..], &[]] {
        let server = match place.take() {
            None => Server::start(options),
            Some(place) => crate::server::Place::serve(place, options),
        };
        if options.len() == 2 {
            server.deploy("many", &source("def main_handler(event, context):\n    for n in range(4500):\n        print(f'line {n} of {event}')\n"));
            for run in 0..5 {
                server.invoke("many", run.to_string()).returned();
            }
        } else {
            wait::until("the first block is indexed", || {
                (server.metric("fnlite_log_lines_unindexed") == 0).then_some(())
            });
        }
        let checked: Value = serde_json::from_str(&said(&server, &["check", "--json"])).unwrap();
        assert_eq!(checked["indexed_lines"].as_u64().unwrap() > 16_000, options.is_empty(), "{checked}");
        assert_eq!(checked["sound"], true, "{checked}");
        assert_eq!(found(&server, "\"line 17 of 0\""), ["line 17 of 0"]);
        assert_eq!(found(&server, "4321 AND line").len(), 5);
        assert_eq!(found(&server, "nothing"), [""; 0]);
        place = Some(server.stop_in_order());
    }
    let server = place.unwrap().serve(&[]);
    said(&server, &["check", "--rebuild-index"]);
    wait::until("it is there again", || (server.metric("fnlite_log_lines_unindexed") == 0).then_some(()));
    assert_eq!(found(&server, "\"line 17 of 0\""), ["line 17 of 0"]);
}

#[test]
fn mistakes_are_told_with_their_column() {
    let server = Server::shared();
    for (query, column) in [("a AND", 6), ("(a", 1), ("er*or", 3), ("SCF_Nothing:x", 1), ("a /x(/", 3)] {
        let answer = server.call("GET", &format!("/v1/logs?q={}", encoded(query)), b"");
        let refusal = answer.refusal();
        assert!(
            answer.status == 400 && refusal.contains(&format!("(column {column})")),
            "{query}: {refusal}"
        );
        let output = server.fnlite(&["logs", "-q", query]);
        assert!(!output.status.success());
        assert!(String::from_utf8(output.stderr).unwrap().contains(&format!("(column {column})")), "{query}");
    }
}

#[test]
fn the_command_counts_exports_and_shows_what_is_around() {
    let server = Server::start(&[]);
    server.deploy("shop", &source(PRINTS));
    server.invoke("shop", r#"["first", "a needle, \"quoted\"", "last"]"#).returned();
    server.invoke("shop", r#"["another needle"]"#).returned();
    let text = said(&server, &["logs", "shop", "-q", "quoted", "-C", "1"]);
    let lines: Vec<&str> = text.lines().skip(1).map(|line| line.rsplit("  ").next().unwrap()).collect();
    assert_eq!(lines, ["first", "a needle, \"quoted\"", "last"], "{text}");
    let csv = said(&server, &["logs", "-q", "needle", "--export", "csv"]);
    let rows: Vec<&str> = csv.split("\r\n").collect();
    assert!(rows.len() == 4 && rows[0].starts_with("id,time,function,") && rows[3].is_empty(), "{csv}");
    assert!(rows[1].ends_with(r#","a needle, ""quoted""""#) && rows[2].ends_with(",another needle"), "{csv}");
    let ndjson = said(&server, &["logs", "--export", "ndjson", "--limit", "1", "-q", "needle"]);
    let line: Value = serde_json::from_str(&ndjson).unwrap();
    assert_eq!(line["message"], "another needle");
    let text = said(&server, &["logs", "-q", "needle", "--count", "kind"]);
    assert!(text.contains("function  shop     2") && text.ends_with("2 lines\n"), "{text}");
    let text = said(&server, &["logs", "-q", "needle", "--count", "time", "--since", "1h"]);
    assert!(text.starts_with("from (UTC)") && text.ends_with("2 lines\n"), "{text}");
    assert_eq!(said(&server, &["logs", "-q", "nothing"]), "");
}
