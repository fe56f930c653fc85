//! The log is followed as server-sent events.

use std::io::Read;

use serde_json::Value;

use super::{Door, Reply};
use crate::http::response::Content;

/// An answer that goes on.
struct Tail {
    reader: Box<dyn Read + Send>,
    text: String,
}

impl Tail {
    fn of(door: &Door, line: &str) -> Tail {
        Tail::with(door, &[], line)
    }

    fn with(door: &Door, headers: &[(&str, &str)], line: &str) -> Tail {
        let authorization = format!("Bearer {}", door.admin);
        let response = door.response(&[headers, &[("Authorization", &authorization)]].concat(), line);
        let header =
            |name: &str| response.headers.iter().find(|header| header.name == name).unwrap().value.clone();
        assert_eq!((response.status.0, header("Content-Type").as_ref()), (200, "text/event-stream"));
        assert_eq!(header("Cache-Control"), "no-cache");
        let Content::Stream(reader) = response.content else { panic!("{line} has an end") };
        Tail { reader, text: String::new() }
    }

    /// The next event that is more than an id; none at the end.
    fn next(&mut self) -> Option<String> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if event.contains("data: ") {
                    return Some(event);
                }
            }
            let mut buffer = [0; 1000];
            let length = self.reader.read(&mut buffer).unwrap();
            if length == 0 {
                return None;
            }
            self.text += std::str::from_utf8(&buffer[..length]).unwrap();
        }
    }

    /// The message of the next line.
    fn message(&mut self) -> String {
        message(&self.next().unwrap())
    }

    /// The messages of all lines up to that one, which need not be among them.
    fn messages_until(mut self, id: i64) -> Vec<String> {
        while !self.text.contains(&format!("id: {id}\n")) || !self.text.ends_with("\n\n") {
            let mut buffer = [0; 1000];
            let length = self.reader.read(&mut buffer).unwrap();
            self.text += std::str::from_utf8(&buffer[..length]).unwrap();
        }
        self.text.split("\n\n").filter(|event| event.contains("data: ")).map(message).collect()
    }
}

fn message(event: &str) -> String {
    let data: Value = serde_json::from_str(event.split_once("data: ").unwrap().1).unwrap();
    data["message"].as_str().unwrap().to_owned()
}

fn lines(door: &Door) -> Vec<Value> {
    door.ask("GET /v1/logs?order=asc&limit=1000", "").json()["lines"].as_array().unwrap().clone()
}

#[test]
fn lines_come_as_they_are_listed_and_only_those_from_now_on() {
    let door = Door::new();
    door.deploy("hello");
    door.record("hello", &["before"]);
    let mut tail = Tail::of(&door, "GET /v1/logs/tail");
    door.record("hello", &["one", "two"]);
    door.record("hello", &["three"]);
    for line in &lines(&door)[1..] {
        assert_eq!(tail.next().unwrap(), format!("id: {}\ndata: {line}", line["id"]));
    }
    door.store.end_listening();
    assert_eq!(tail.next(), None);
}

#[test]
fn a_client_goes_on_after_the_line_it_has() {
    let door = Door::new();
    door.deploy("hello");
    door.record("hello", &["one", "two", "three"]);
    let id = |at: usize| lines(&door)[at]["id"].to_string();
    assert_eq!(Tail::with(&door, &[("Last-Event-ID", &id(0))], "GET /v1/logs/tail").message(), "two");
    assert_eq!(Tail::of(&door, &format!("GET /v1/logs/tail?last_event_id={}", id(1))).message(), "three");
    let both = format!("GET /v1/logs/tail?last_event_id={}", id(0));
    assert_eq!(
        Tail::with(&door, &[("last-event-id", &id(1))], &both).message(),
        "three",
        "a browser's second time"
    );
    assert_eq!(Tail::with(&door, &[("Last-Event-ID", "0")], "GET /v1/logs/tail").message(), "one");
    // The file was made anew: what is there by now has been shown, by another name.
    let mut tail = Tail::with(&door, &[("Last-Event-ID", "1000000")], "GET /v1/logs/tail");
    door.record("hello", &["four"]);
    assert_eq!(tail.message(), "four");
}

#[test]
fn only_what_was_asked_for_comes() {
    let door = Door::new();
    door.deploy("hello");
    door.deploy("other");
    let id = door.record("other", &["an apple", "a pear"]).request_id;
    door.record("hello", &["an apple pie"]);
    let of_run = format!("request_id={id}");
    let cases = [
        ("function=other".to_owned(), vec!["an apple", "a pear"]),
        ("q=apple".to_owned(), vec!["an apple", "an apple pie"]),
        ("q=apple&function=other".to_owned(), vec!["an apple"]),
        (of_run.clone(), vec!["an apple", "a pear"]),
        (of_run.clone() + "&q=pear&function=other", vec!["a pear"]),
        (of_run + "&function=hello", vec![]),
        ("namespace=elsewhere".to_owned(), vec![]),
    ];
    // Side by side: where a filter leaves nothing, it takes a while until the tail says how far it is.
    std::thread::scope(|scope| {
        for (filter, expected) in cases {
            let tail = Tail::of(&door, &format!("GET /v1/logs/tail?last_event_id=0&{filter}"));
            let newest = door.store.newest_line().unwrap();
            scope.spawn(move || assert_eq!(tail.messages_until(newest), expected, "{filter}"));
        }
    });
}

#[test]
fn what_was_missed_is_told() {
    let door = Door::new();
    door.deploy("hello");
    door.record("hello", &["x"; 20_000]);
    let mut tail = Tail::of(&door, "GET /v1/logs/tail?last_event_id=5");
    assert_eq!(tail.next().unwrap(), "event: missed\nid: 19000\ndata: {\"lines\":18995}");
    assert!(tail.next().unwrap().starts_with("id: 19001\ndata: {"));
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let door = Door::new();
    let refused = |line: &str, status| door.ask(line, "").refused(status);
    assert!(refused("GET /v1/logs/tail?function=nobody", 404).contains("no function nobody"));
    let nobody = "00000000-0000-7000-8000-000000000000";
    assert!(refused(&format!("GET /v1/logs/tail?request_id={nobody}"), 404).contains("no invocation"));
    for wrong in ["x", "-1", "", "9223372036854775808"] {
        let line = format!("GET /v1/logs/tail?last_event_id={wrong}");
        assert!(refused(&line, 400).starts_with("Last-Event-ID must be"), "{wrong}");
    }
    assert!(refused("GET /v1/logs/tail?since=1h", 400).contains("since"));
    // Deleted is not the same as never there.
    door.deploy("hello");
    door.ask("DELETE /v1/functions/hello", "");
    let Reply { status, .. } = door.ask("GET /v1/logs/tail?function=hello", "");
    assert_eq!(status, 200);
}
