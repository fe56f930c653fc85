//! What comes back.

use super::{Door, text};
use crate::model::sql::{Params, RowLimit, Value};

#[test]
fn values_of_all_kinds_come_back() {
    let door = Door::new();
    let answer =
        door.try_ask("SELECT 1 AS a, 2.5 AS b, 'é' c, NULL d, x'00ff' e, 'x' || x'ff' AS f").unwrap();
    assert_eq!(answer.columns, ["a", "b", "c", "d", "e", "f"]);
    let blob = Value::Blob(vec![0, 255]);
    let expected = vec![Value::Integer(1), Value::Real(2.5), text("é"), Value::Null, blob, text("x\u{fffd}")];
    assert_eq!((answer.rows, answer.truncated), (vec![expected], false));
}

#[test]
fn parameters_are_bound_in_order_or_by_name() {
    let door = Door::new();
    let ask = |sql: &str, params| {
        let answer = door.try_ask_with(sql, params, RowLimit::default());
        answer.map(|answer| answer.rows[0].clone()).map_err(|error| error.message)
    };
    let in_order = |values: &[Value]| Params::InOrder(values.to_vec());
    let by_name = |values: &[(&str, Value)]| {
        Params::ByName(values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    };
    let (seven, eight) = (Value::Integer(7), text("8'; DROP TABLE log"));
    let both = Ok(vec![seven.clone(), eight.clone()]);
    assert_eq!(ask("SELECT ?, ?", in_order(&[seven.clone(), eight.clone()])), both);
    assert_eq!(ask("SELECT ?2, ?1", in_order(&[eight.clone(), seven.clone()])), both);
    assert_eq!(ask("SELECT :a, @b", in_order(&[seven.clone(), eight.clone()])), both);
    assert_eq!(ask("SELECT :a, $b", by_name(&[("b", eight.clone()), (":a", seven.clone())])), both);
    for (sql, params, expected) in [
        ("SELECT ?", in_order(&[]), "sql has 1 parameter, and params 0 values"),
        ("SELECT 1", in_order(std::slice::from_ref(&seven)), "sql has 0 parameters, and params 1 value"),
        ("SELECT :a", by_name(&[("b", seven.clone())]), "params has no value for :a"),
        ("SELECT :a", by_name(&[("a", seven.clone()), ("b", seven.clone())]), "sql has no parameter b"),
        ("SELECT ?", by_name(&[]), "parameter 1 of sql has no name; give params as an array"),
        ("SELECT ?", in_order(&[text(&"x".repeat(1_000_001))]), "parameter 1 is too long"),
    ] {
        assert_eq!(ask(sql, params), Err(expected.to_owned()), "{sql}");
    }
}

const COUNT_TO: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) ";

#[test]
fn rows_beyond_the_limit_are_told_and_not_given() {
    let door = Door::new();
    for (limit, wanted, truncated) in
        [(1000, 20_000, true), (10_000, 20_000, true), (3, 3, false), (2, 3, true)]
    {
        let sql = format!("{COUNT_TO} SELECT i FROM n LIMIT {wanted}");
        let limit = RowLimit::new(limit).unwrap();
        let answer = door.try_ask_with(&sql, Params::InOrder(Vec::new()), limit).unwrap();
        assert_eq!((answer.rows.len(), answer.truncated), (limit.get().min(wanted), truncated));
    }
}

#[test]
fn an_answer_holds_eight_mebibytes() {
    let door = Door::new();
    let answer = door.try_ask(&format!("{COUNT_TO} SELECT hex(zeroblob(50000)) FROM n")).unwrap();
    assert!(answer.truncated);
    assert_eq!(answer.rows.len(), 83, "83 texts of 100,000 bytes, and what a value takes beside them");
    let answer = door.try_ask(&format!("{COUNT_TO} SELECT zeroblob(1000000), i FROM n")).unwrap();
    assert_eq!((answer.rows.len(), answer.truncated), (8, true));
}

#[test]
fn mistakes_are_told_with_their_place() {
    let door = Door::new();
    for (sql, expected) in [
        ("SELEC 1", "near \"SELEC\": syntax error (column 1)"),
        ("SELECT 'é', missing", "no such column: missing (column 13)"),
        ("SELECT 1,\n  missing", "no such column: missing (line 2, column 3)"),
        (
            "SELECT \"text\"",
            "no such column: \"text\" - should this be a string literal in single-quotes? (column 8)",
        ),
        ("SELECT * FROM runs", "no such table: runs"),
        ("SELECT missing(1)", "no such function: missing (column 8)"),
        ("SELECT 1; SELEC 2", "near \"SELEC\": syntax error (column 11)"),
        ("SELECT", "incomplete input"),
        ("", "sql holds no statement"),
        (" -- nothing\n ", "sql holds no statement"),
        ("SELECT 1; SELECT 2", "sql must hold one statement, not several"),
        ("SELECT abs(-9223372036854775807 - 1)", "integer overflow"),
    ] {
        assert_eq!(door.refusal(sql), expected, "{sql}");
    }
    assert_eq!(door.value("SELECT 1; -- and no more\n"), Value::Integer(1));
    assert!(door.refusal("SELECT '\0'").contains("NUL"));
}

/// What is too large costs its own columns and no others.
#[test]
fn runs_with_large_events_are_read_without_them() {
    let door = Door::new();
    let other = door.fixture.other_program();
    other.execute("UPDATE invocation SET event = zeroblob(3000000)", []).unwrap();
    let said = door.refusal("SELECT * FROM invocations");
    assert!(
        said.starts_with("string or blob too big: a value has at most 1000000 bytes here; leave out event"),
        "{said}"
    );
    let rows = door.ask("SELECT function, status, result FROM invocations ORDER BY created_us");
    assert_eq!(rows, [[text("hello"), Value::Integer(200), text("\"é\"")]]);
    assert_eq!(
        door.value("SELECT count(*) FROM invocations i JOIN logs l ON l.invocation_id = i.id"),
        Value::Integer(2)
    );
}

#[test]
fn plans_are_explained() {
    let door = Door::new();
    let plan = door.try_ask("EXPLAIN QUERY PLAN SELECT * FROM logs WHERE invocation_id = 1").unwrap();
    assert_eq!(plan.columns.last().map(String::as_str), Some("detail"));
    let text = format!("{:?}", plan.rows);
    assert!(text.contains("log_invocation"), "{text}");
}

#[test]
fn a_view_tells_of_the_server() {
    let door = Door::new();
    let rows = door.ask("SELECT release, sqlite, isolation_level, functions, queued FROM appliance");
    let zero = Value::Integer(0);
    let sqlite = text(crate::store::sqlite_version());
    assert_eq!(rows, [[text("0.0.1"), sqlite, Value::Integer(3), Value::Integer(1), zero]]);
}
