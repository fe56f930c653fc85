//! Strings that break programs, as queries and as lines: some of our own, and the big list of naughty strings
//! (minimaxir/big-list-of-naughty-strings) where it lies beside the project.

use std::fs;
use std::path::Path;

use super::*;

const OWN: &[&str] = &[
    "\0",
    "a\0b",
    "\u{feff}bom",
    "\u{202e}right to left\u{202c}",
    "Z\u{363}\u{36b}a\u{354}lgo\u{321}",
    "\u{200b}zero\u{200d}width",
    "👨\u{200d}👩\u{200d}👧 🇩🇪 ❤\u{fe0f}",
    "İıſ\u{212a}ẞßŉﬁ",
    "ΌΔΟΣ όδος ΌΔΟς",
    "田中さんにあげて下さい",
    "עברית العربية ทดสอบ",
    "'; DROP TABLE log; --",
    "\" OR 1=1 --",
    "<script>alert(1)</script>",
    "${jndi:ldap://127.0.0.1/a}",
    "%s%n%x {{7*7}} $(id) `id`",
    "../../etc/passwd\0.png",
    "{\"a\":\"\\ud800\"}",
    "[[[[[[[[((((((((((",
    "NULL null NaN inf -Infinity 1e999 0x0 -0",
    "\\",
    "\\\"",
    "*",
    "?*",
    "/",
    "//",
    "/(a|b)*/",
    "(",
    ":",
    "k:",
    ":k",
    "NOT",
    "AND OR NOT TO",
    "\u{10ffff}\u{e000}",
    "\u{1d400}\u{10400}\u{10428}",
    "ａｂｃ ＡＢＣ １２３",
    "\u{85}\u{a0}\u{2028}\u{3000}",
    "- -- --- ._. -.-",
];

#[expect(clippy::disallowed_methods, reason = "tests have no configuration but this")]
fn strings() -> Vec<String> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let place = std::env::var_os("FNLITE_TEST_DATA").map_or_else(beside, Into::into).join("blns.json");
    let listed: Vec<String> = match fs::read_to_string(&place) {
        Ok(list) => serde_json::from_str(&list).unwrap(),
        Err(_) => {
            eprintln!("SKIPPED: the big list of naughty strings is not at {}", place.display());
            Vec::new()
        }
    };
    OWN.iter().map(|text| String::from(*text)).chain(listed).collect()
}

#[test]
fn as_queries() {
    for text in strings() {
        for case in [Case::Ignored, Case::Matters] {
            if let Ok(query) = Query::parse(&text, case) {
                finds(&query, &Line::new(&text));
                finds(&query, &Line::new("a line"));
            }
        }
    }
}

/// Each is found in the line that holds it, however that is made, if it is sought as a phrase.
#[test]
fn as_lines() {
    for text in strings().iter().filter(|text| !text.is_empty()) {
        let phrase = narrowing::quoted(text);
        let json = serde_json::to_string(text).unwrap();
        for message in [text.clone(), format!("before {text} behind"), format!("{{\"key\":{json}}}")] {
            let line = Line::new(&message);
            assert!(finds(&query(&phrase), &line), "{phrase} finds {message}");
            if message.starts_with("{\"key\"") {
                assert!(finds(&query(&format!("key:{phrase}")), &line), "key:{phrase} finds {message}");
                assert!(finds(&query(&format!("key={phrase}")), &line), "key={phrase} finds {message}");
            }
        }
    }
}
