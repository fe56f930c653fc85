//! RFC 8259 at the door: what is JSON is passed on, what is not is refused before anything runs.

use std::path::Path;

use super::Door;
use crate::base::json;

const GOOD: &[&str] = &[
    "{}",
    "[]",
    "\"\"",
    "0",
    "-0",
    "1e5",
    "1E-5",
    "-1.10",
    "true",
    "false",
    "null",
    " [ 1 , 2 ]\r\n\t",
    "[\"\\u0000\"]",
    "[\"\\ud834\\udd1e\"]",
    "[\"\\\\\\/\\b\\f\\n\\r\\t\\\"\"]",
    "{\"a\":1,\"a\":2}",
    "{\"\":0}",
    "[\"\u{7f}\u{2028}\"]",
    "123456789012345678901234567890.123456789012345678901234567890",
    "[[[[[[]]]]]]",
    "\"\\ud800\"",
    "1e400",
];

const BAD: &[&str] = &[
    "{",
    "}",
    "[1,]",
    "[,1]",
    "[1 2]",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{a:1}",
    "{'a':1}",
    "{\"a\":1 \"b\":2}",
    "01",
    "+1",
    "-",
    ".5",
    "1.",
    "1e",
    "0x1",
    "1_000",
    "NaN",
    "Infinity",
    "-Infinity",
    "True",
    "nul",
    "\"",
    "\"\t\"",
    "\"\n\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u{1}\"",
    "'a'",
    "// c\n1",
    "/**/1",
    "1 2",
    "[1]]",
    "\u{feff}{}",
    "[\u{a0}1]",
    "undefined",
    "{\"a\":1}#",
];

#[test]
fn json_is_told_from_what_is_none() {
    for text in GOOD {
        assert_eq!(json::check(text.as_bytes()), Ok(()), "{text:?}");
    }
    for text in BAD {
        assert!(json::check(text.as_bytes()).is_err(), "{text:?}");
    }
    for bytes in [
        &b"\"\xff\""[..],
        b"[\"\xed\xa0\x80\"]",
        b"{}\0",
        b"\0",
        b"[\"a\0b\"]",
        b"\xef\xbb\xbf{}",
        b"\"\xc0\xaf\"",
    ] {
        assert!(json::check(bytes).is_err(), "{bytes:?}");
    }
}

/// With `FNLITE_TEST_DATA` naming a folder that holds `json-test-suite` (nst/JSONTestSuite), all of it is tried too.
#[test]
fn the_public_suite_agrees_where_it_is_there() {
    #[expect(clippy::disallowed_methods, reason = "a test may be told where its data is")]
    let Ok(data) = std::env::var("FNLITE_TEST_DATA") else { return };
    let mut tried = 0;
    for entry in std::fs::read_dir(Path::new(&data).join("json-test-suite/test_parsing")).unwrap() {
        let path = entry.unwrap().path();
        let checked = json::check(&std::fs::read(&path).unwrap());
        match path.file_name().unwrap().as_encoded_bytes()[0] {
            b'y' => assert_eq!(checked, Ok(()), "{path:?}"),
            b'n' => assert!(checked.is_err(), "{path:?}"),
            _ => {}
        }
        tried += 1;
    }
    assert!(tried > 300, "{tried}");
}

#[test]
fn an_event_that_is_no_json_leaves_nothing_behind() {
    let door = Door::new();
    door.deploy("hello");
    for text in BAD {
        let message = door.ask("POST /v1/functions/hello/invoke", text).refused(400);
        assert!(message.contains("the event must be JSON"), "{text:?}: {message}");
    }
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(door.ask("POST /v1/functions/hello/invoke", deep).refused(400).contains("nested deeper"));
    let large = format!("\"{}\"", "x".repeat(6 * 1024 * 1024));
    assert!(door.ask("POST /v1/functions/hello/invoke", large).refused(413).contains("6291456 bytes"));
    assert_eq!(door.ask("GET /v1/invocations", "").json()["invocations"], serde_json::json!([]));
}
