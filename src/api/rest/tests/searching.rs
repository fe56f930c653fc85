//! Lines are searched, shown with what is around them, exported and counted.

use serde_json::Value;

use super::Door;

/// Two functions, three runs: "one two", "two three" and so on.
fn door() -> (Door, String) {
    let door = Door::new();
    door.deploy("hello");
    door.deploy("other");
    let id = door.record("hello", &["alpha one", "alpha two", "beta \"three\", four"]).request_id.to_string();
    door.record("other", &["alpha five", "gamma"]);
    door.record("hello", &["gamma six"]);
    (door, id)
}

fn messages(answer: &Value) -> Vec<&str> {
    let lines = answer["lines"].as_array().unwrap();
    lines.iter().map(|line| line["message"].as_str().unwrap()).collect()
}

fn check(door: &Door, query: &str, expected: &[&str]) {
    let answer = door.ask(&format!("GET /v1/logs?{query}"), "").json();
    assert_eq!(messages(&answer), expected, "{query}");
    assert_eq!(answer["partial"], false);
}

#[test]
fn words_function_and_order_choose_lines() {
    let (door, _) = door();
    check(&door, "q=alpha", &["alpha five", "alpha two", "alpha one"]);
    check(&door, "q=alpha&order=asc", &["alpha one", "alpha two", "alpha five"]);
    check(&door, "q=alpha&function=hello", &["alpha two", "alpha one"]);
    check(&door, "q=alpha+AND+two", &["alpha two"]);
    check(&door, "q=alpha&since=2h&until=1h", &[]);
    check(&door, "q=nothing", &[]);
    check(&door, "q=*&function=other&order=asc", &["alpha five", "gamma"]);
    check(&door, "q=&function=other&order=asc", &["alpha five", "gamma"]);
    check(&door, "q=ALPHA&case=match", &[]);
    check(&door, "q=alpha&case=match&limit=1&function=other", &["alpha five"]);
}

#[test]
fn pages_follow_one_another_without_gap_or_repeat() {
    let (door, _) = door();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = door.ask(&format!("GET /v1/logs?q=alpha&limit=1{cursor}"), "").json();
        seen.extend(messages(&answer).into_iter().map(str::to_owned));
        door.record("other", &["alpha late"]);
        match answer["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["alpha five", "alpha two", "alpha one"]);
}

#[test]
fn context_is_of_the_same_run() {
    let (door, _) = door();
    let answer = door.ask("GET /v1/logs?q=two&context=5", "").json();
    let around = |field: &str| -> Vec<String> {
        let lines = answer["lines"][0][field].as_array().unwrap();
        lines.iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (around("before"), around("after")),
        (vec!["alpha one".into()], vec!["beta \"three\", four".into()])
    );
    let plain = door.ask("GET /v1/logs?q=two", "").json();
    assert!(plain["lines"][0].get("before").is_none() && plain["lines"][0].get("after").is_none());
    for (wrong, said) in [("context=21", "0 to 20"), ("context=1&format=csv", "CSV has no place")] {
        assert!(door.ask(&format!("GET /v1/logs?q=two&{wrong}"), "").refused(400).contains(said));
    }
}

#[test]
fn one_run_is_shown_with_its_record_however_its_id_is_written() {
    let (door, id) = door();
    let expected = ["alpha one", "alpha two", "beta \"three\", four"];
    for written in [id.clone(), id.to_uppercase(), id.replace('-', "")] {
        let answer = door.ask(&format!("GET /v1/logs?request_id={written}"), "").json();
        assert_eq!(
            (messages(&answer), &answer["invocation"]["request_id"]),
            (expected.to_vec(), &id.as_str().into())
        );
        let run = door.ask(&format!("GET /v1/invocations/{written}"), "").json();
        assert_eq!(run["request_id"], id);
    }
    assert!(door.ask("GET /v1/logs?q=alpha", "").json().get("invocation").is_none());
}

#[test]
fn exports_hold_every_line_in_either_format() {
    let (door, id) = door();
    let reply = door.ask("GET /v1/logs?q=alpha&format=ndjson&order=asc", "");
    assert_eq!(reply.header("Content-Type"), Some("application/x-ndjson"));
    let text = String::from_utf8(reply.body).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: Vec<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(said, ["alpha one", "alpha two", "alpha five"]);
    let reply = door.ask(&format!("GET /v1/logs?request_id={id}&format=csv"), "");
    let text = String::from_utf8(reply.body).unwrap();
    let rows: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(rows[0], "id,time,function,request_id,retry_num,stream,level,message");
    assert!(rows[1].ends_with(&format!(",hello,{id},0,stdout,INFO,alpha one")), "{text}");
    assert!(rows[3].ends_with(",\"beta \"\"three\"\", four\""), "{text}");
    assert_eq!((rows.len(), rows[4]), (5, ""));
    let lines = |query: &str| String::from_utf8(door.ask(query, "").body).unwrap().lines().count();
    assert_eq!(lines("GET /v1/logs?format=ndjson&limit=2"), 2);
    assert_eq!(lines("GET /v1/logs?format=ndjson&q=nothing"), 0);
    assert!(door.ask("GET /v1/logs?format=xml", "").refused(400).contains("json, ndjson or csv"));
}

#[test]
fn a_large_log_is_exported_whole() {
    let (door, _) = door();
    let lines: Vec<String> = (0..2500).map(|number| format!("many {number}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    door.record("hello", &lines);
    let text = String::from_utf8(door.ask("GET /v1/logs?q=many&format=ndjson&order=asc", "").body).unwrap();
    let said =
        |line: &str| serde_json::from_str::<Value>(line).unwrap()["message"].as_str().unwrap().to_owned();
    assert_eq!(text.lines().map(said).collect::<Vec<_>>(), lines);
}

#[test]
fn lines_are_counted_by_time_and_by_kind() {
    let (door, _) = door();
    let answer = door.ask("GET /v1/logs/histogram?q=alpha&since=1h&buckets=4", "").json();
    let buckets: Vec<u64> =
        answer["buckets"].as_array().unwrap().iter().map(|lines| lines.as_u64().unwrap()).collect();
    assert_eq!((answer["lines"].as_u64(), buckets.iter().sum()), (Some(3), 3), "{answer}");
    assert!(
        buckets.len() <= 4 && answer["bucket_us"].as_i64() >= Some(900_000_000) && answer["partial"] == false
    );
    let answer = door.ask("GET /v1/logs/facets?q=alpha", "").json();
    assert_eq!(
        answer["function"].to_string(),
        r#"[{"value":"hello","lines":2},{"value":"other","lines":1}]"#
    );
    assert_eq!(answer["level"].to_string(), r#"[{"value":"INFO","lines":3}]"#);
    assert_eq!(answer["status"].to_string(), r#"[{"value":"200","lines":3}]"#);
    assert_eq!(answer["version"].to_string(), r#"[{"value":"$LATEST","lines":3}]"#);
    let answer = door.ask("GET /v1/logs/facets?q=nothing", "").json();
    assert_eq!((&answer["lines"], answer["function"].as_array().unwrap().len()), (&0.into(), 0));
}

#[test]
fn what_takes_too_long_is_partial_and_goes_on() {
    let (door, _) = door();
    let lines: Vec<String> = (0..2500).map(|number| format!("many {number}")).collect();
    door.record("hello", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let (mut found, mut cursor, mut partial) = (0, String::new(), 0);
    loop {
        let answer = door.ask(&format!("GET /v1/logs?q=many&deadline=0s&limit=1000{cursor}"), "").json();
        found += messages(&answer).len();
        partial += u32::from(answer["partial"] == true);
        match answer["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, 2500);
    assert!(partial > 3, "{partial}");
    let answer = door.ask("GET /v1/logs/histogram?deadline=0s", "").json();
    assert!(answer["partial"] == true && answer["stopped_us"].is_i64(), "{answer}");
    assert!(door.ask("GET /v1/logs?deadline=31s", "").refused(400).contains("at most 30s"));
}
