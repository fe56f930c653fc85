//! Runs are found again with everything they printed.

use serde_json::json;

use super::{Door, EVENT};

#[test]
fn one_run_is_shown_whole_and_its_event_as_it_came() {
    let door = Door::new();
    door.deploy("hello");
    let record = door.record("hello", &["one", "two"]);
    let reply = door.ask(&format!("GET /v1/invocations/{}", record.request_id), "");
    let text = String::from_utf8(reply.body.clone()).unwrap();
    assert!(text.contains(std::str::from_utf8(EVENT).unwrap()), "{text}");
    assert!(text.contains("\"result\":1.10"), "{text}");
    let run = reply.json();
    assert_eq!(
        (&run["state"], &run["status"], &run["duration_us"]),
        (&json!("succeeded"), &json!(200), &json!(1234))
    );
    assert_eq!((&run["log"][1]["message"], &run["log"][1]["stream"]), (&json!("two"), &json!("stdout")));
    assert_eq!(run["log_next_cursor"], json!(null));
    let upper = record.request_id.as_str().to_uppercase();
    assert_eq!(door.ask(&format!("GET /v1/invocations/{upper}"), "").status, 200);
}

#[test]
fn a_long_log_goes_on_at_its_cursor() {
    let door = Door::new();
    door.deploy("hello");
    let lines: Vec<String> = (0..1500).map(|n| n.to_string()).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let id = door.record("hello", &lines).request_id;
    let run = door.ask(&format!("GET /v1/invocations/{id}"), "").json();
    assert_eq!(run["log"].as_array().unwrap().len(), 1000);
    let cursor = run["log_next_cursor"].as_str().unwrap();
    let rest = door.ask(&format!("GET /v1/logs?request_id={id}&limit=1000&cursor={cursor}"), "").json();
    assert_eq!(rest["lines"].as_array().unwrap().len(), 500);
    assert_eq!(rest["lines"][0]["message"], "1000");
}

#[test]
fn runs_are_listed_newest_first_a_page_at_a_time() {
    let door = Door::new();
    door.deploy("hello");
    let ids: Vec<String> = (0..5).map(|_| door.record("hello", &[]).request_id.to_string()).collect();
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = door.ask(&format!("GET /v1/invocations?function=hello&limit=2{cursor}"), "").json();
        for run in page["invocations"].as_array().unwrap() {
            assert_eq!((run.get("event"), run.get("log")), (None, None));
            seen.push(run["request_id"].as_str().unwrap().to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    seen.reverse();
    assert_eq!(seen, ids);
}

#[test]
fn lines_of_one_run_begin_at_its_start_and_all_others_at_the_end() {
    let door = Door::new();
    door.deploy("hello");
    let id = door.record("hello", &["one", "two"]).request_id;
    let texts = |line: &str| {
        let page = door.ask(line, "").json();
        let lines =
            page["lines"].as_array().unwrap().iter().map(|line| line["message"].as_str().unwrap().to_owned());
        lines.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(texts(&format!("GET /v1/logs?request_id={id}")), "one two");
    assert_eq!(texts("GET /v1/logs?function=hello"), "two one");
    assert_eq!(texts("GET /v1/logs?function=hello&order=asc"), "one two");
    assert_eq!(texts("GET /v1/logs?since=15m"), "two one");
    assert_eq!(texts("GET /v1/logs?until=15m"), "");
    assert_eq!(texts("GET /v1/logs?namespace=other"), "");
}

#[test]
fn runs_and_lines_of_a_deleted_function_are_found() {
    let door = Door::new();
    door.deploy("hello");
    let id = door.record("hello", &["kept"]).request_id;
    door.ask("DELETE /v1/functions/hello", "");
    assert_eq!(door.ask("GET /v1/logs?function=hello", "").json()["lines"][0]["message"], "kept");
    let runs = door.ask("GET /v1/invocations?function=hello", "").json();
    assert_eq!(runs["invocations"][0]["request_id"], id.as_str());
}

#[test]
fn what_is_not_there_and_what_cannot_be_asked_are_told_apart() {
    let door = Door::new();
    let nobody = "00000000-0000-7000-8000-000000000000";
    for line in [
        format!("GET /v1/invocations/{nobody}"),
        format!("GET /v1/logs?request_id={nobody}"),
        "GET /v1/logs?function=nobody".to_owned(),
        "GET /v1/invocations?function=nobody".to_owned(),
    ] {
        door.ask(&line, "").refused(404);
    }
    for (line, part) in [
        ("GET /v1/invocations/7", "request id must be a UUID"),
        ("GET /v1/logs?request_id=7", "request_id must be a UUID"),
        ("GET /v1/logs?function=7", "function must be 2 to 60"),
        ("GET /v1/logs?since=yesterday", "since must be a time"),
        ("GET /v1/logs?until=2023-11-14T22:13:20", "until must be a time"),
        ("GET /v1/logs?order=up", "order must be asc or desc"),
        ("GET /v1/logs?limit=0", "limit must be 1 to 1000"),
        ("GET /v1/logs?limit=1001", "limit must be 1 to 1000"),
        ("GET /v1/logs?limit=ten", "limit must be a whole number"),
        ("GET /v1/logs?cursor=x", "cursor must be"),
        ("GET /v1/logs?cursor=-1", "cursor must be"),
        ("GET /v1/invocations?status=broken", "status must be queued, running, retrying, succeeded, failed"),
        ("GET /v1/invocations?limit=1&limit=2", "limit is given twice"),
        ("GET /v1/invocations?sort=up", "no query parameter \"sort\""),
        ("GET /v1/functions?cursor=..", "cursor must be"),
    ] {
        let message = door.ask(line, "").refused(400);
        assert!(message.contains(part), "{line}: {message}");
    }
}

#[test]
fn runs_are_counted_by_time() {
    let door = Door::new();
    door.deploy("hello");
    door.deploy("other");
    (0..3).for_each(|_| drop(door.record("hello", &[])));
    door.dead_letter("hello");
    let count = |query: &str| {
        let told = door.ask(&format!("GET /v1/invocations/histogram?{query}"), "").json();
        let buckets = told["buckets"].as_array().unwrap().clone();
        let sum = |field: &str| buckets.iter().map(|bucket| bucket[field].as_u64().unwrap()).sum();
        let (runs, failed): (u64, u64) = (sum("runs"), sum("failed"));
        assert_eq!(told["sampled"], false);
        assert_eq!(told["bucket_us"].as_i64().unwrap() % 60_000_000, 0);
        (buckets.len(), runs, failed)
    };
    assert_eq!(count(""), (61, 4, 1));
    assert_eq!(count("function=hello&since=1m&buckets=1").1, 4);
    assert_eq!(count("function=other").1, 0);
    assert_eq!(count("since=2h&until=1h").1, 0);
    let told = door.ask("GET /v1/invocations/histogram?since=6d&buckets=7", "").json();
    let mut buckets = told["buckets"].as_array().unwrap().iter();
    let bucket = buckets.rfind(|bucket| bucket["runs"] != 0).unwrap();
    let expected = json!({"runs": 4, "failed": 1, "p50_us": 1234, "p99_us": 1234, "max_us": 1234});
    assert_eq!((bucket, &told["bucket_us"]), (&expected, &json!(86_400_000_000_i64)));
    assert_eq!(buckets.next().unwrap()["p50_us"], json!(null));
    for (wrong, said) in [("buckets=0", "1 to 500"), ("since=x", "since"), ("q=x", "q")] {
        assert!(door.ask(&format!("GET /v1/invocations/histogram?{wrong}"), "").refused(400).contains(said));
    }
    assert!(door.ask("GET /v1/invocations/histogram?function=nobody", "").refused(404).contains("nobody"));
}
