//! What is old goes with all that belongs to it; what waits, runs or is a young dead letter stays.

use std::time::Duration;

use super::{Fixture, all_lines, deploy, line, messages, run_at, running};
use crate::base::clock::{Clock, SystemClock};
use crate::model::finished::FinishedRun;
use crate::model::function::Function;
use crate::model::invocation::Record;
use crate::store::logs::Of;
use crate::store::retention::{self, Old, Step};
use crate::store::{Store, Tx};

const MINUTE_US: i64 = 60_000_000;
/// Some minute's first microsecond.
const THEN_US: i64 = 1_800_000_000 * 1_000_000;

/// Everything created before then, whoever's it is; dead letters of all ages.
fn old(before_us: i64) -> Old {
    Old { function_id: None, before_us, dead_before_us: i64::MAX }
}

/// Deletes in steps, as retention does.
fn delete_all(store: &Store, old: Old) -> Step {
    let mut all = Step::default();
    let Some((mut first, last)) = store.ids_before(old.before_us).unwrap() else { return all };
    loop {
        let step = store.delete_runs(old, (first, last)).unwrap();
        all.runs += step.runs;
        all.lines += step.lines;
        match step.next {
            Some(next) => first = next,
            None => return all,
        }
    }
}

/// Runs a second apart, from [`THEN_US`] on, each with two lines.
fn record_some(store: &Store, function: &Function, count: i64) -> Vec<Record> {
    let run = |number| run_at(store, function, THEN_US + number * 1_000_000, &["one", "two"]);
    (0..count).map(|number| store.record(run(number)).unwrap()).collect()
}

fn count(fixture: &Fixture, table: &str) -> i64 {
    fixture.other_program().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

fn of(run_id: i64, function: &Function) -> Of {
    Of { run_id, function_id: function.id, retry_num: 0 }
}

fn ids(fixture: &Fixture) -> Vec<i64> {
    let other = fixture.other_program();
    let mut statement = other.prepare("SELECT id FROM invocation ORDER BY id").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn runs_created_before_a_time_go_with_their_lines() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let runs = record_some(&store, &deploy(&store, "hello"), 100);
    let done = delete_all(&store, old(THEN_US + 40_000_000));
    assert_eq!((done.runs, done.lines), (40, 80));
    assert_eq!(ids(&fixture), runs[40..].iter().map(|run| run.id).collect::<Vec<_>>());
    assert_eq!(count(&fixture, "log"), 120);
    let sizes = store.sizes().unwrap();
    assert_eq!((sizes.runs_deleted, sizes.lines_deleted), (40, 80));
    assert_eq!(store.integrity().unwrap(), Vec::<String>::new());
}

#[test]
fn the_newest_run_and_the_run_of_the_newest_line_stay_so_that_no_id_is_used_twice() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    let runs = record_some(&store, &function, 5);
    store.append_lines(of(runs[1].id, &function), vec![line(THEN_US, "late")]).unwrap();
    store.flush().unwrap();
    assert_eq!(delete_all(&store, old(i64::MAX)).runs, 3);
    assert_eq!(ids(&fixture), [runs[1].id, runs[4].id]);
    store.close();
    drop(store);
    assert_eq!(fixture.open().next_run_id(), runs[4].id + 1);
}

#[test]
fn only_the_functions_own_runs_go() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let (one, other) = (deploy(&store, "one"), deploy(&store, "other"));
    record_some(&store, &one, 10);
    let others = record_some(&store, &other, 10);
    assert_eq!(delete_all(&store, Old { function_id: Some(one.id), ..old(i64::MAX) }).runs, 10);
    assert_eq!(ids(&fixture), others.iter().map(|run| run.id).collect::<Vec<_>>());
}

/// A function's history is found by the index that begins with it, or every function would cost a look at all runs.
#[test]
fn a_functions_runs_are_found_by_its_index() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let plan: String = store
        .read(|tx| {
            let sql = "EXPLAIN QUERY PLAN SELECT i.id FROM invocation i
                       WHERE i.function_id = 1 AND i.id BETWEEN 1 AND 9 ORDER BY i.id LIMIT 5";
            Ok(tx.query_row(sql, [], |row| row.get(3))?)
        })
        .unwrap();
    assert!(plan.contains("invocation_function (function_id=? AND rowid>? AND rowid<?)"), "{plan}");
}

/// Makes run `id` an event that waits.
fn queue(tx: &Tx<'_>, id: i64, state: i64) -> crate::error::Result<()> {
    tx.execute("UPDATE invocation SET state = ?2 WHERE id = ?1", [id, state])?;
    tx.execute("INSERT INTO queued VALUES (?1, 1, 1, 1, 1, 1, 0, 0, 0, NULL, NULL)", [id])?;
    Ok(())
}

/// Makes run `id` a dead letter since then, with an earlier attempt.
fn bury(tx: &Tx<'_>, id: i64, died_us: i64) -> crate::error::Result<()> {
    tx.execute("UPDATE invocation SET state = 6 WHERE id = ?1", [id])?;
    tx.execute("INSERT INTO dead_letter VALUES (?1, 1, ?2, 'why')", [id, died_us])?;
    tx.execute("INSERT INTO attempt VALUES (?1, 0, 430, 1, 1, 1, 1, 1, '', x'')", [id])?;
    Ok(())
}

#[test]
fn what_waits_and_what_runs_stays_however_old_it_is() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    let runs = record_some(&store, &function, 5);
    let (queued, retrying) = (runs[0].id, runs[1].id);
    store
        .write(move |tx| {
            queue(tx, queued, 3)?;
            queue(tx, retrying, 4)
        })
        .unwrap();
    let lasting = run_at(&store, &function, THEN_US, &[]);
    store.begin(running(&lasting)).unwrap();
    let last = record_some(&store, &function, 1)[0].id;
    assert_eq!(delete_all(&store, old(i64::MAX)).runs, 3);
    assert_eq!(ids(&fixture), [queued, retrying, lasting.record.id, last]);
    assert_eq!(count(&fixture, "log"), 6, "with what they printed");
}

#[test]
fn dead_letters_stay_until_they_are_old_themselves_and_go_with_their_attempts() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let runs = record_some(&store, &deploy(&store, "hello"), 4);
    let (young, old_one) = (runs[0].id, runs[1].id);
    store
        .write(move |tx| {
            bury(tx, young, THEN_US + 1000)?;
            bury(tx, old_one, THEN_US)
        })
        .unwrap();
    let given = Old { dead_before_us: THEN_US + 1000, ..old(i64::MAX) };
    assert_eq!(delete_all(&store, given).runs, 2);
    assert_eq!(ids(&fixture), [young, runs[3].id]);
    assert_eq!((count(&fixture, "dead_letter"), count(&fixture, "attempt")), (1, 1));
    assert_eq!(delete_all(&store, Old { dead_before_us: i64::MIN, ..given }).runs, 0, "kept for ever");
}

#[test]
fn a_dead_letter_that_is_replayed_while_it_is_being_deleted_stays() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let runs = record_some(&store, &deploy(&store, "hello"), 3);
    let replayed = runs[0].id;
    store.write(move |tx| bury(tx, replayed, THEN_US)).unwrap();
    let given = old(i64::MAX);
    let (chosen, _) = store.read(|tx| retention::choose(tx, &given, (0, i64::MAX))).unwrap();
    assert_eq!(chosen.len(), 2);
    store
        .write(move |tx| {
            tx.execute("DELETE FROM dead_letter", [])?;
            queue(tx, replayed, 3)
        })
        .unwrap();
    assert_eq!(store.write(move |tx| retention::delete(tx, &given, &chosen)).unwrap(), (1, 2));
    assert_eq!(ids(&fixture), [replayed, runs[2].id]);
    assert_eq!(count(&fixture, "log"), 4);
}

#[test]
fn a_run_with_more_lines_than_a_step_goes_in_several() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    let lines: Vec<&str> = vec!["a line"; 7001];
    let long: FinishedRun = run_at(&store, &function, THEN_US, &lines);
    store.record(long).unwrap();
    record_some(&store, &function, 1);
    let first = store.delete_runs(old(i64::MAX), (0, i64::MAX)).unwrap();
    assert!(first.runs == 0 && first.lines < 5000 && first.next.is_some(), "{first:?}");
    let rest = delete_all(&store, old(i64::MAX));
    assert_eq!((rest.runs, first.lines + rest.lines), (1, 7001));
}

#[test]
fn large_events_make_a_step_short() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    for _ in 0..6 {
        let mut large = run_at(&store, &function, THEN_US, &[]);
        large.record.event = vec![b' '; 5_000_000];
        store.record(large).unwrap();
    }
    let step = store.delete_runs(old(i64::MAX), (0, i64::MAX)).unwrap();
    assert_eq!(step.runs, 2, "about 8 MiB");
    assert_eq!(delete_all(&store, old(i64::MAX)).runs, 3);
}

#[test]
fn minutes_of_which_nothing_is_left_are_forgotten_and_the_open_one_is_not() {
    let fixture = Fixture::new();
    let store = fixture.open();
    record_some(&store, &deploy(&store, "hello"), 300);
    assert_eq!((count(&fixture, "log_minute"), count(&fixture, "invocation_minute")), (5, 5));
    delete_all(&store, old(THEN_US + 3 * MINUTE_US));
    store.delete_minutes(i64::MAX).unwrap();
    assert_eq!((count(&fixture, "log_minute"), count(&fixture, "invocation_minute")), (2, 2));
    delete_all(&store, old(i64::MAX));
    store.delete_minutes(i64::MAX).unwrap();
    assert_eq!((count(&fixture, "log_minute"), count(&fixture, "invocation_minute")), (1, 1));
    assert_eq!(messages(&store, &all_lines()), ["one", "two"], "the newest run's");
}

#[test]
fn minutes_come_one_after_the_other_with_the_ids_of_their_runs() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let runs = record_some(&store, &deploy(&store, "hello"), 120);
    let minute = THEN_US / MINUTE_US;
    let first = store.minute_after(i64::MIN).unwrap();
    assert_eq!(first, Some((minute, (runs[0].id, runs[59].id))));
    assert_eq!(store.minute_after(minute).unwrap(), Some((minute + 1, (runs[60].id, i64::MAX))));
    assert_eq!(store.minute_after(minute + 1).unwrap(), None);
}

#[test]
fn lines_whose_run_a_crash_lost_go_by_their_own_age() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    let lost = store.next_run_id();
    let lines = [(0, "old"), (9, "young")].map(|(us, text)| line(THEN_US + us, text));
    store.append_lines(of(lost, &function), lines.into()).unwrap();
    record_some(&store, &function, 1);
    let step = store.delete_stray_lines(THEN_US + 9, 0).unwrap();
    assert_eq!(step, Step { runs: 0, lines: 1, next: None });
    assert_eq!(messages(&store, &all_lines()), ["young", "one", "two"]);
}

#[test]
fn idempotency_keys_go_when_they_are_old() {
    let fixture = Fixture::new();
    let store = fixture.open();
    store
        .write(|tx| {
            let sql = "WITH RECURSIVE n (value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < 3000)
                       INSERT INTO idempotency SELECT 1, value, x'', '', value FROM n";
            Ok(tx.execute_batch(sql)?)
        })
        .unwrap();
    while store.delete_idempotency(2501).unwrap() > 0 {}
    assert_eq!(count(&fixture, "idempotency"), 500);
}

fn cut_log(store: &Store) {
    let start = SystemClock.now();
    while !store.cut_log().unwrap() {
        assert!(SystemClock.now() - start < Duration::from_secs(20), "never cut");
        std::thread::yield_now();
    }
}

#[test]
fn the_file_shrinks_when_free_pages_are_given_back() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    for _ in 0..50 {
        let mut large = run_at(&store, &function, THEN_US, &["a line"]);
        large.record.event = vec![b' '; 300_000];
        store.record(large).unwrap();
    }
    cut_log(&store);
    let before = store.sizes().unwrap().db_bytes;
    assert!(before > 15_000_000, "{before}");
    assert_eq!(delete_all(&store, old(SystemClock.wall_us() + 400 * 24 * 60 * MINUTE_US)).runs, 49);
    let space = store.space().unwrap();
    assert!(space.free_bytes > 14_000_000 && space.used_bytes < 1_000_000, "{space:?}");
    while store.space().unwrap().free_bytes > 0 {
        store.give_back(500).unwrap();
    }
    cut_log(&store);
    let sizes = store.sizes().unwrap();
    assert!(sizes.db_bytes < 1_000_000 && sizes.wal_bytes == 0, "{sizes:?}");
    assert_eq!(store.integrity().unwrap(), Vec::<String>::new());
}
