//! What is known of all matches before any line is read, and that it never leaves one out.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::sample::select;
use proptest::{prop_assert, proptest};

use super::*;

fn word(word: &str) -> Narrow {
    Narrow::Word(word.to_owned())
}

fn prefix(prefix: &str) -> Narrow {
    Narrow::Prefix(prefix.to_owned())
}

#[test]
fn words_that_a_line_must_have() {
    for (text, narrow) in [
        ("Error", word("error")),
        ("err*", prefix("err")),
        ("10.0.*", prefix("10.0")),
        ("\"GET /api*\"", Narrow::All(vec![word("get"), prefix("api")])),
        ("(a b) c", Narrow::All(vec![word("a"), word("b"), word("c")])),
        ("a b OR c", Narrow::One(vec![Narrow::All(vec![word("a"), word("b")]), word("c")])),
        ("a NOT b", word("a")),
        ("a OR NOT b", Narrow::Any),
        ("SCF_Message:Report* SCF_Type:Platform", prefix("report")),
        ("user_id:*", word("user_id")),
        ("user_id:5", word("user_id")),
        ("user_id>5 a", Narrow::All(vec![word("user_id"), word("a")])),
        ("level:Err*", Narrow::All(vec![word("level"), prefix("err")])),
        (&"x".repeat(70), word(&"x".repeat(64))),
        ("失败", Narrow::Any),
        ("🎉", Narrow::Any),
        ("/error/", Narrow::Any),
        ("*", Narrow::Any),
        (ID, Narrow::Any),
    ] {
        assert_eq!(query(text).narrow(), narrow, "{text}");
    }
}

#[test]
fn bounds_of_a_query() {
    let id = RequestId::parse(ID);
    let (at_us, ms) = (1_769_860_800_000_000, 1000);
    for (text, bounds) in [
        (
            "a SCF_RequestId:4CA7089C-3bb0-48cf-bcdb-26d130fed2ae",
            Bounds { request_id: id, ..Bounds::default() },
        ),
        ("(SCF_FunctionName:Orders b)", Bounds { function: Some("Orders".to_owned()), ..Bounds::default() }),
        ("SCF_LogTime>=2026-01-31T12:00:00Z", Bounds { since_us: Some(at_us), ..Bounds::default() }),
        (
            "SCF_LogTime:[1769860800000 TO 1769860800002] SCF_LogTime>1769860800001",
            Bounds { since_us: Some(at_us + ms), until_us: Some(at_us + 3 * ms - 1), ..Bounds::default() },
        ),
        ("SCF_FunctionName:ord* SCF_StartTime>5", Bounds::default()),
        ("NOT SCF_FunctionName:a", Bounds::default()),
        ("SCF_FunctionName:a OR SCF_LogTime>5", Bounds::default()),
        (ID, Bounds::default()),
    ] {
        assert_eq!(query(text).bounds(), bounds, "{text}");
    }
}

const PIECES: &[&str] = &[
    "error", "Error", "errors", "err-", "-err", "_a_", "a.b", "a", "b", "5", "5.0", "-5", "é", "É", "Straße",
    "ς", "Σ", "\u{212a}", "İ", "错误", "用户", "🎉", "->", "ａ", "k", "x\u{301}", "...", ID,
];

/// Pieces out of which lines and terms are made, so that they meet.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![8 => select(PIECES).prop_map(str::to_owned), 1 => "[a-z]{60,70}", 1 => "\\PC{1,3}"]
}

fn text() -> impl Strategy<Value = String> {
    vec((piece(), select(&[" ", "", "/", ": ", "\\", "\"", "\n", "-"][..])), 0..6)
        .prop_map(|pieces| pieces.into_iter().map(|(piece, gap)| piece + gap).collect())
}

/// JSON lines, with escapes as programs write them and as they need not.
fn object() -> impl Strategy<Value = String> {
    let escaped = |text: String, all: bool| match all {
        true => text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
        false => serde_json::to_string(&text).unwrap().trim_matches('"').to_owned(),
    };
    let string = (text(), proptest::bool::weighted(0.2))
        .prop_map(move |(text, all)| format!("\"{}\"", escaped(text, all)));
    let other =
        select(&["5", "5.0", "-5", "true", "null", "[\"error\",5]", "{\"a\":\"b\"}", "\"\\ud800 a\""][..]);
    let key = (select(&["k", "a", "é", "user id", "错", "x-y"][..]), proptest::bool::weighted(0.2))
        .prop_map(move |(key, all)| escaped(key.to_owned(), all));
    vec((key, prop_oneof![string, other.prop_map(str::to_owned)]), 0..4).prop_map(|pairs| {
        let pairs: Vec<_> = pairs.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        format!("{{{}}}", pairs.join(","))
    })
}

fn line() -> impl Strategy<Value = Line> {
    let id = select(&[ID, "00000000000000000000000000000000"][..]);
    (prop_oneof![text(), object()], id, 0..4).prop_map(|(message, id, ms)| Line {
        request_id: id.to_owned(),
        log_time_ms: f64::from(ms),
        ..Line::new(&message)
    })
}

pub(super) fn quoted(text: &str) -> String {
    let escape = |c| if matches!(c, '"' | '\\' | '*') { format!("\\{c}") } else { String::from(c) };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}

fn term() -> impl Strategy<Value = String> {
    let key = select(
        &[
            "",
            "",
            "",
            "k:",
            "a:",
            "é:",
            "\"user id\":",
            "错:",
            "x-y=",
            "k>",
            "a!=",
            "k<=",
            "SCF_Message:",
            "SCF_Message=",
        ][..],
    );
    let value = prop_oneof![
        piece().prop_map(|text| quoted(&text)),
        text().prop_map(|text| quoted(&format!("{text}a"))),
        piece().prop_map(|text| quoted(&text).replacen("\"", "", 1).trim_end_matches('"').to_owned() + "*"),
        Just("*".to_owned()),
        Just("5".to_owned()),
        Just("/e.*r/".to_owned()),
    ];
    let fields = select(
        &[
            "SCF_LogTime>=2",
            "SCF_LogTime<2",
            "SCF_LogTime:[1 TO 2}",
            "SCF_FunctionName:orders-EU",
            "SCF_RequestId:*",
        ][..],
    );
    prop_oneof![9 => (key, value).prop_map(|(key, value)| format!("{key}{value}")), 1 => fields.prop_map(str::to_owned)]
}

fn query_text() -> impl Strategy<Value = String> {
    let joined = |(left, joint, right): (String, &str, String)| format!("({left}{joint}{right})");
    term().prop_recursive(3, 8, 2, move |inner| {
        let joint = select(&[" ", " AND ", " OR ", " OR NOT ", " NOT "][..]);
        (inner.clone(), joint, inner).prop_map(joined)
    })
}

proptest! {
    #[test]
    fn what_the_index_leaves_out_never_matches(
        texts in vec(query_text(), 4),
        lines in vec(line(), 4),
        case in select(&[Case::Ignored, Case::Matters][..]),
    ) {
        for query in texts.iter().filter_map(|text| Query::parse(text, case).ok()) {
            lines.iter().for_each(|line| _ = finds(&query, line));
        }
    }

    #[test]
    fn a_line_is_found_by_itself(message in text()) {
        let line = Line::new(&message);
        if !message.is_empty() {
            prop_assert!(finds(&query(&quoted(&message)), &line));
        }
        for word in words::words(&message) {
            let start: String = word.chars().take(2).collect();
            prop_assert!(finds(&query(&quoted(word)), &line), "{word}");
            prop_assert!(finds(&query(&format!("\"{start}*\"")), &line), "{start}");
        }
    }

    #[test]
    fn any_text_is_a_query_or_a_mistake(text in "\\PC{0,40}|[a :*?()<>=!'\"/\\\\\\[\\]{}|&-]{0,40}") {
        match Query::parse(&text, Case::Ignored) {
            Ok(query) => _ = finds(&query, &Line::new(&text)),
            Err(mistake) => prop_assert!(mistake.column <= text.chars().count() + 1),
        }
    }
}
