//! Lines are followed as they are committed.

use std::time::Duration;

use super::{Fixture, deploy, line, of, run, running};
use crate::model::finished::FinishedRun;
use crate::store::Store;
use crate::store::tail::{BEHIND_LINES_MAX, Followed, Heard};

/// All that follows `seen`: the messages, and what was missed.
fn rest(store: &Store, of: &Followed, mut seen: i64) -> (Vec<String>, Option<(i64, i64)>) {
    let (mut messages, mut missed) = (Vec::new(), None);
    loop {
        let new = store.new_lines(of, None, seen).unwrap();
        missed = missed.or(new.missed);
        messages.extend(new.lines.into_iter().map(|found| found.line.message));
        seen = new.seen;
        if !new.has_more {
            return (messages, missed);
        }
    }
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

fn print(store: &Store, function: &crate::model::function::Function, lines: &[String]) -> FinishedRun {
    let finished = run(store, function, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    store.record(finished.clone()).unwrap();
    finished
}

#[test]
fn every_line_is_seen_once_and_in_order() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let (hello, other) = (deploy(&store, "hello"), deploy(&store, "other"));
    let lines = numbers(1000);
    for some in lines.chunks(7) {
        print(&store, &hello, some);
        print(&store, &other, &["noise".to_owned()]);
    }
    let of_hello = Followed { function_id: Some(hello.id), ..Followed::default() };
    assert_eq!(rest(&store, &of_hello, 0), (lines, None));
    let newest = store.newest_line().unwrap();
    assert_eq!(rest(&store, &Followed::default(), newest), (Vec::new(), None));
    assert_eq!(store.new_lines(&of_hello, None, newest - 1).unwrap().seen, newest, "also past others' lines");
    let elsewhere = Followed { namespace: Some("elsewhere".to_owned()), ..Followed::default() };
    assert_eq!(rest(&store, &elsewhere, 0), (Vec::new(), None));
}

#[test]
fn the_bell_is_rung_for_lines_and_for_nothing_else() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let hello = deploy(&store, "hello");
    let listener = store.listen();
    store.record(run(&store, &hello, &[])).unwrap();
    assert_eq!(listener.wait(0, Duration::ZERO), Heard::Nothing, "a run that printed nothing");
    let lasting = run(&store, &hello, &["last"]);
    store.begin(running(&lasting)).unwrap();
    store.append_lines(of(lasting.record.id, &hello), vec![line(1, "early")]).unwrap();
    assert_eq!(listener.wait(0, Duration::from_secs(60)), Heard::Lines, "a run that goes on");
    let seen = store.newest_line().unwrap();
    assert_eq!(listener.wait(seen, Duration::ZERO), Heard::Nothing);
    store.record(lasting).unwrap();
    assert_eq!(listener.wait(seen, Duration::from_secs(60)), Heard::Lines, "its end");
    drop((listener, store));
    let store = fixture.open();
    assert_eq!(store.listen().wait(seen, Duration::ZERO), Heard::Lines, "what an earlier server has stored");
    store.end_listening();
    assert_eq!(store.listen().wait(seen, Duration::from_secs(60)), Heard::End);
}

#[test]
fn who_is_far_behind_goes_on_with_the_newest_lines() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let hello = deploy(&store, "hello");
    let lines = numbers(usize::try_from(BEHIND_LINES_MAX).unwrap());
    print(&store, &hello, &lines);
    assert_eq!(rest(&store, &Followed::default(), 0), (lines, None));
    print(&store, &hello, &["one too many".to_owned()]);
    let (found, missed) = rest(&store, &Followed::default(), 0);
    assert_eq!((found.len(), missed), (1000, Some((9001, 9001))));
    assert_eq!((found[0].as_str(), found[999].as_str()), ("9001", "one too many"));
}
