//! Functions: ours, and those of SQLite that ours stand in for.

use super::{Door, text};
use crate::model::sql::Value;
use crate::model::views;
use crate::store::sql::functions::NAMES;

#[track_caller]
fn check(door: &Door, sql: &str, expected: Value) {
    assert_eq!(door.value(&format!("SELECT {sql}")), expected, "{sql}");
}

#[test]
fn lines_are_matched_by_regular_expressions() {
    let door = Door::new();
    let (yes, no) = (Value::Integer(1), Value::Integer(0));
    check(&door, "'order 17 failed' REGEXP '\\d+ fail'", yes.clone());
    check(&door, "'order 17 failed' REGEXP '^fail'", no.clone());
    check(&door, "regexp('(?i)É', 'é')", yes.clone());
    check(&door, "430 REGEXP '^43'", yes.clone());
    check(&door, "NULL REGEXP 'x'", Value::Null);
    check(&door, "'x' REGEXP NULL", Value::Null);
    let rows = door.ask("SELECT SCF_Message FROM logs WHERE SCF_Message REGEXP '^o.e$'");
    assert_eq!(rows, [[text("one")]]);
    let said = door.refusal("SELECT 'x' REGEXP '(x'");
    assert_eq!(said, "REGEXP: unclosed group");
    assert!(
        door.refusal("SELECT 'x' REGEXP '(x{1000}){1000}'").starts_with("REGEXP: the pattern is too large")
    );
}

#[test]
fn the_pattern_may_differ_from_row_to_row() {
    let door = Door::new();
    let rows = door.ask("SELECT 'abc' REGEXP value FROM json_each('[\"a\", \"x\", \"c$\", \"a\"]')");
    let rows: Vec<_> = rows.into_iter().flatten().collect();
    assert_eq!(rows, [1, 0, 1, 1].map(Value::Integer));
}

#[test]
fn words_are_found_and_parts_of_words_are_not() {
    let door = Door::new();
    let (yes, no) = (Value::Integer(1), Value::Integer(0));
    check(&door, "has_word('the Error is here', 'error')", yes.clone());
    check(&door, "has_word('errorMessage', 'error')", no.clone());
    check(&door, "has_word('errors', 'error*')", yes.clone());
    check(&door, "has_word('errors', 'rors*')", no);
    check(&door, "has_word('it timed out: \"x\"', 'timed \"out')", yes);
    check(&door, "has_word(NULL, 'x')", Value::Null);
}

#[test]
fn lines_of_json_are_taken_apart() {
    let door = Door::new();
    let rows = door
        .ask("SELECT json_log(SCF_Message, 'level'), json_log(SCF_Message, 'ms') + 1 FROM logs ORDER BY id");
    assert_eq!(rows, [[Value::Null, Value::Null], [text("warn"), Value::Integer(8)]]);
    check(&door, "json_log('{\"a\": 1}')", text("{\"a\": 1}"));
    check(&door, "json_log('[1]')", Value::Null);
    check(&door, "json_log(NULL, 'a')", Value::Null);
}

#[test]
fn percentiles_are_those_of_a_straight_line() {
    let door = Door::new();
    let of = |call: &str| format!("{call} FROM json_each('[40, 10, 30, 20, null]')");
    check(&door, &of("percentile(value, 25)"), Value::Real(17.5));
    check(&door, &of("median(value)"), Value::Real(25.0));
    check(&door, &of("p50(value)"), Value::Real(25.0));
    check(&door, &of("percentile(value, 100)"), Value::Real(40.0));
    check(&door, &of("p95(NULL)"), Value::Null);
    check(&door, "p99(value) FROM json_each('[]')", Value::Null);
    let rows = door.ask("SELECT function, p95(duration_ms) FROM invocations GROUP BY function");
    assert_eq!(rows, [[text("hello"), Value::Real(1.0)]]);
    assert_eq!(
        door.refusal(&format!("SELECT {}", of("percentile(value, 101)"))),
        "percentile() has a p from 0 to 100"
    );
    assert_eq!(
        door.refusal(&format!("SELECT {}", of("percentile(value, value)"))),
        "percentile() has one p for all rows"
    );
    assert_eq!(door.refusal("SELECT median('x')"), "median() takes numbers, not Text");
}

/// The originals are asked beside ours.
#[test]
fn what_stands_in_for_functions_of_sqlite_gives_the_same() {
    let door = Door::new();
    let other = door.fixture.other_program();
    let values =
        ["''", "'a'", "'aXbXXc'", "'éX中é'", "'X'", "' é '", "17", "1.0", "-2.5", "NULL", "x'58'", "x'e9'"];
    let mut compared = 0;
    for one in values {
        for two in values {
            for call in [
                format!("instr({one}, {two})"),
                format!("trim({one}, {two})"),
                format!("ltrim({one}, {two})"),
                format!("rtrim({one}, {two})"),
                format!("replace({one}, {two}, '+é')"),
                format!("replace({one}, 'X', {two})"),
            ] {
                // What becomes no UTF-8 is read by nobody, and told below.
                let theirs = other.query_row(&format!("SELECT {call}"), [], |row| row.get(0));
                let expected = theirs.unwrap_or(rusqlite::types::Value::Null);
                let ours = door.value(&format!("SELECT {call}"));
                let same = match (&expected, &ours) {
                    (rusqlite::types::Value::Integer(theirs), Value::Integer(ours)) => theirs == ours,
                    (rusqlite::types::Value::Text(theirs), Value::Text(ours)) => theirs == ours,
                    (rusqlite::types::Value::Null, Value::Null) => true,
                    (_, Value::Text(ours)) => ours.contains('\u{fffd}'),
                    _ => false,
                };
                assert!(same, "{call}: {expected:?} {ours:?}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 12 * 12 * 6);
}

/// The same for patterns.
#[test]
fn like_and_glob_match_as_those_of_sqlite_do() {
    let door = Door::new();
    let other = door.fixture.other_program();
    let texts = [
        "''",
        "'a'",
        "'A'",
        "'abc'",
        "'aXbXXc'",
        "'éX中é'",
        "'É'",
        "'a%b'",
        "'a_b'",
        "'[a]'",
        "'a-c'",
        "']'",
        "17",
        "NULL",
    ];
    let patterns = [
        "''",
        "'%'",
        "'_'",
        "'a'",
        "'A%'",
        "'%b%'",
        "'%x%c'",
        "'%X_c'",
        "'_x中_'",
        "'%%'",
        "'%_%'",
        "'é%'",
        "'a!%b'",
        "'a!_b'",
        "'a!'",
        "'*'",
        "'?'",
        "'*b*'",
        "'a*c'",
        "'[a-c]'",
        "'[^a-c]*'",
        "'[]]'",
        "'[^]]'",
        "'[a-]*'",
        "'a[-c]c'",
        "'[a'",
        "'[[]a]'",
        "'[c-a]'",
        "NULL",
        "1_7",
    ];
    let mut compared = 0;
    for text in texts {
        for pattern in patterns.map(|pattern| pattern.replace("1_7", "17")) {
            for call in [
                format!("{text} LIKE {pattern}"),
                format!("{text} LIKE {pattern} ESCAPE '!'"),
                format!("{text} GLOB {pattern}"),
            ] {
                let theirs =
                    other.query_row(&format!("SELECT {call}"), [], |row| row.get::<_, Option<i64>>(0));
                let expected = theirs.unwrap().map_or(Value::Null, Value::Integer);
                assert_eq!(door.value(&format!("SELECT {call}")), expected, "{call}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 14 * 30 * 3);
    let long = "x".repeat(101);
    assert_eq!(door.refusal(&format!("SELECT 'x' LIKE '{long}'")), "LIKE or GLOB pattern too complex");
    assert_eq!(
        door.refusal("SELECT 'x' LIKE 'x' ESCAPE 'ab'"),
        "ESCAPE expression must be a single character"
    );
}

#[test]
fn every_function_that_is_named_is_there() {
    let door = Door::new();
    let other = door.fixture.other_program();
    for name in views::BUILT_IN {
        let there: bool = other
            .query_row("SELECT EXISTS (SELECT 1 FROM pragma_function_list WHERE name = ?1)", [name], |row| {
                row.get(0)
            })
            .unwrap();
        assert!(there, "{name}");
    }
    let described: String = views::FUNCTIONS.iter().map(|function| function.call).collect();
    for name in NAMES {
        assert!(described.to_lowercase().contains(name), "{name} is not described");
    }
}
