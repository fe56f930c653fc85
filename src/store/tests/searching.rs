//! Lines are found by their words, the same whether these are indexed or not, and however often a search is broken off.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use super::{Fixture, all_lines, deploy, line, name, namespace, of, run, run_at, running};
use crate::base::clock::{Clock, SystemClock};
use crate::model::function::Function;
use crate::model::query::{LogQuery, Order};
use crate::search::field::{Field, Value};
use crate::search::{Case, Query, Subject};
use crate::store::Store;
use crate::store::search::{Over, Search};

/// Lines of the log in these tests: more than two blocks.
const LINES: usize = 40_000;
const A_MINUTE_US: i64 = 60_000_000;
const START_US: i64 = 1_800_000_000_000_000;

/// Lines of two functions by turns; `common` is in every third, `rare` in three of them.
fn printed(store: &Store) -> [Function; 2] {
    let functions = [deploy(store, "hello"), deploy(store, "other")];
    let text = |number: usize| {
        let common = if number.is_multiple_of(3) { " common" } else { "" };
        let rare = if [5, 20_000, 39_999].contains(&number) { " rare" } else { "" };
        format!("line-{number}{common}{rare}")
    };
    for (number, lines) in (0..LINES).map(text).collect::<Vec<_>>().chunks(100).enumerate() {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let at_us = START_US + i64::try_from(number).unwrap() * A_MINUTE_US / 10;
        store.record(run_at(store, &functions[number % 2], at_us, &lines)).unwrap();
    }
    functions
}

fn index(store: &Store) -> usize {
    let blocks = store.blocks_to_index(100).unwrap();
    blocks.iter().for_each(|block| store.index_block(*block).unwrap());
    blocks.len()
}

/// What matches, in the order it was found, in as many searches as it takes, each of which is given `patience`.
fn found(store: &Store, of: &LogQuery, text: &str, patience: Duration) -> Vec<String> {
    let query = Query::parse(text, Case::Ignored).unwrap();
    let (mut of, mut messages) = (of.clone(), Vec::new());
    loop {
        let search = Search {
            of: &of,
            query: Some(&query),
            deadline: SystemClock.now() + patience,
            looks_at_much: true,
        };
        let over = store.search(&search, |found| {
            messages.push(found.stored()?.line.message);
            Ok(ControlFlow::Continue(()))
        });
        match over.unwrap() {
            Over::Late(at) => of.after = Some(at),
            Over::End => return messages,
            Over::Stopped => unreachable!("nobody stops it"),
        }
    }
}

fn every_way(store: &Store, functions: &[Function; 2]) -> Vec<Vec<String>> {
    let since_us = Some(START_US + 7 * A_MINUTE_US);
    let mut ways = Vec::new();
    for text in ["rare", "common line-3", "common", "nothing"] {
        for (order, function_id, since_us) in [
            (Order::Ascending, None, None),
            (Order::Descending, Some(functions[0].id), since_us),
            (Order::Ascending, Some(functions[1].id), since_us),
            (Order::Descending, None, since_us),
        ] {
            let of = LogQuery { order, function_id, since_us, ..all_lines() };
            ways.push(found(store, &of, text, Duration::from_secs(60)));
        }
    }
    ways
}

#[test]
fn an_index_changes_nothing_but_the_time_it_takes() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let functions = printed(&store);
    let before = every_way(&store, &functions);
    assert_eq!(
        before[0],
        ["line-5 ", "line-20000 ", "line-39999 common "]
            .map(|line| line.to_owned() + "rare")
            .map(|line| line.replace("  ", " "))
    );
    assert_eq!(index(&store), 2, "the third block is not full");
    assert_eq!(index(&store), 0);
    assert!(every_way(&store, &functions) == before);
    let indexed = store.indexed().unwrap();
    assert_eq!((indexed.blocks, indexed.full_blocks), (2, 2));
}

#[test]
fn damaged_words_cost_time_and_no_lines() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let functions = printed(&store);
    let before = every_way(&store, &functions);
    index(&store);
    for damage in [
        "UPDATE log_words SET words = x'ff01ff'",
        "DELETE FROM log_words",
        "UPDATE log_block SET directory = x'ff00'",
        "DELETE FROM log_block",
    ] {
        fixture.other_program().execute_batch(damage).unwrap();
        assert!(every_way(&store, &functions) == before, "{damage}");
    }
}

#[test]
fn what_is_broken_off_goes_on_where_it_was() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let functions = printed(&store);
    for indexed in [false, true] {
        for (order, function_id) in [(Order::Ascending, None), (Order::Descending, Some(functions[0].id))] {
            let of = LogQuery { order, function_id, ..all_lines() };
            let at_once = found(&store, &of, "common", Duration::from_secs(60));
            assert!(found(&store, &of, "common", Duration::ZERO) == at_once, "{order:?} {indexed}");
        }
        index(&store);
    }
}

#[test]
fn a_visitor_stops_the_search() {
    let fixture = Fixture::new();
    let store = fixture.open();
    printed(&store);
    let query = Query::parse("common", Case::Ignored).unwrap();
    let deadline = SystemClock.now() + Duration::from_secs(60);
    let mut seen = 0;
    let search = Search { of: &all_lines(), query: Some(&query), deadline, looks_at_much: true };
    let over = store.search(&search, |_| {
        seen += 1;
        Ok(if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    assert_eq!((over.unwrap(), seen), (Over::Stopped, 3));
}

#[test]
fn the_words_of_lines_that_are_gone_go_too() {
    let fixture = Fixture::new();
    let store = fixture.open();
    printed(&store);
    index(&store);
    assert!(!store.delete_empty_block().unwrap());
    // An old line that is kept does not keep the words of what was printed after it.
    fixture.other_program().execute_batch("DELETE FROM log WHERE id BETWEEN 16384 AND 32767").unwrap();
    assert!(store.delete_empty_block().unwrap() && !store.delete_empty_block().unwrap());
    assert!(store.blocks_to_index(100).unwrap().is_empty(), "there is nothing to index");
    let count = |table: &str| -> i64 {
        let sql = format!("SELECT count(DISTINCT id >> 16) FROM {table}");
        fixture.other_program().query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(count("log_words"), 1);
    assert!(store.forget_blocks().unwrap() && !store.forget_blocks().unwrap());
    assert_eq!((count("log_words"), index(&store)), (0, 1));
    assert_eq!(
        found(&store, &all_lines(), "rare", Duration::from_secs(60)),
        ["line-5 rare", "line-39999 common rare"]
    );
}

#[test]
fn lines_are_those_of_the_namespace() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    store.record(run(&store, &function, &["a word"])).unwrap();
    for (namespace, expected) in [("default", 1), ("elsewhere", 0)] {
        let of = LogQuery { namespace: Some(namespace.to_owned()), ..all_lines() };
        assert_eq!(found(&store, &of, "word", Duration::from_secs(60)).len(), expected);
    }
    let id = store.function_id(&namespace(), &name("hello")).unwrap();
    assert_eq!(id, Some(function.id));
}

#[test]
fn lines_around_a_line_are_of_its_run() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    store.record(run(&store, &function, &["before"])).unwrap();
    let id = store.record(run(&store, &function, &["a", "b", "c", "d", "e"])).unwrap().id;
    store.record(run(&store, &function, &["after"])).unwrap();
    let lines = store.logs(&super::of_run(id)).unwrap().rows;
    let texts = |lines: Vec<crate::model::query::StoredLine>| -> String {
        lines.into_iter().map(|found| found.line.message).collect()
    };
    for (at, most, expected) in
        [(2, 1, ("b", "d")), (2, 9, ("ab", "de")), (0, 2, ("", "bc")), (4, 0, ("", ""))]
    {
        let (before, after) = store.lines_around(&lines[at], most).unwrap();
        assert_eq!((texts(before).as_str(), texts(after).as_str()), expected, "{at} {most}");
    }
    assert_eq!(lines.iter().map(|line| line.id).collect::<BTreeSet<_>>().len(), 5);
}

/// What the lines tell of themselves and of their runs, in the order they were stored.
fn told(store: &Store, fields: &[Field]) -> Vec<String> {
    let deadline = SystemClock.now() + Duration::from_secs(60);
    let search = Search { of: &all_lines(), query: None, deadline, looks_at_much: false };
    let mut told = Vec::new();
    let over = store.search(&search, |found| {
        let values = fields.iter().map(|field| match found.field(*field) {
            Value::Text(text) => text.to_owned(),
            Value::Number(number) => number.to_string(),
        });
        told.push(values.collect::<Vec<_>>().join(" "));
        Ok(ControlFlow::Continue(()))
    });
    assert_eq!(over.unwrap(), Over::End);
    told
}

#[test]
fn a_line_knows_its_run() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let hello = deploy(&store, "hello");
    let finished = run_at(&store, &hello, 5_000_000, &["over"]);
    store.begin(running(&finished)).unwrap();
    store.append_lines(of(finished.record.id, &hello), vec![line(2_000, "early")]).unwrap();
    store.flush().unwrap();
    let id = finished.record.request_id.clone();
    let run = [Field::RequestId, Field::StatusCode, Field::Qualifier];
    assert_eq!(told(&store, &run), [format!("{id} 202 $LATEST")]);
    store.record(finished).unwrap();
    assert_eq!(told(&store, &run), [format!("{id} 200 $LATEST"), format!("{id} 200 $LATEST")]);
    let numbers = [Field::LogTime, Field::StartTime, Field::Duration, Field::MemUsage, Field::RetryNum];
    assert_eq!(told(&store, &numbers), ["2 5000 1 8.7890625 0", "5000 5000 1 8.7890625 0"]);
    let texts =
        [Field::FunctionName, Field::Namespace, Field::Alias, Field::Level, Field::Type, Field::Message];
    assert_eq!(told(&store, &texts), ["hello default  INFO Custom early", "hello default  INFO Custom over"]);
}
