//! Runs are counted by time: to the last one where they are few, about right where they are many.

use super::{Fixture, deploy, namespace, run_at, running};
use crate::model::buckets::Buckets;
use crate::model::function::{Function, Namespace};
use crate::model::invocation::{Record, State};
use crate::store::Store;
use crate::store::runs_by_time::{RunBucket, RunsByTimeQuery};

const MINUTE_US: i64 = 60_000_000;
/// Some minute's first microsecond.
const THEN_US: i64 = 30_000_000 * MINUTE_US;

/// The runs of so many minutes from [`THEN_US`] on, by the minute.
fn minutes(count: u32) -> RunsByTimeQuery {
    let until_us = THEN_US + i64::from(count) * MINUTE_US - 1;
    RunsByTimeQuery {
        namespace: namespace(),
        function_id: None,
        since_us: THEN_US,
        until_us,
        buckets: Buckets::covering(THEN_US, until_us, count, 60),
        running: Vec::new(),
    }
}

/// Puts a run on record that was created so many seconds after [`THEN_US`] and ended so.
fn record(store: &Store, function: &Function, at_s: i64, state: State, duration_us: i64) -> Record {
    let mut run = run_at(store, function, THEN_US + at_s * 1_000_000, &[]);
    (run.record.state, run.record.duration_us) = (state, duration_us);
    store.record(run).unwrap()
}

fn counts(buckets: &[RunBucket]) -> Vec<(u64, u64)> {
    buckets.iter().map(|bucket| (bucket.runs, bucket.failed)).collect()
}

#[test]
fn few_runs_are_counted_one_by_one() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let (hello, other) = (deploy(&store, "hello"), deploy(&store, "other"));
    (1..=100).for_each(|number| drop(record(&store, &hello, 60, State::Succeeded, number * 10)));
    record(&store, &other, 61, State::Failed, 7000);
    record(&store, &other, 119, State::Succeeded, 0);
    record(&store, &hello, 200, State::Succeeded, 5);
    let one = |runs, failed, us| RunBucket {
        runs,
        failed,
        p50_us: Some(us),
        p99_us: Some(us),
        max_us: Some(us),
        is_sampled: false,
    };
    let hundred = RunBucket { p99_us: Some(990), max_us: Some(1000), ..one(100, 0, 500) };
    let (none, both) = (RunBucket::default(), RunBucket { p50_us: Some(510), ..hundred.clone() });
    let both = RunBucket { runs: 102, failed: 1, p99_us: Some(1000), max_us: Some(7000), ..both };
    let check = |query: RunsByTimeQuery, expected: [&RunBucket; 4]| {
        let found = store.runs_by_time(&query).unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query:?}");
    };
    let all = || minutes(4);
    check(all(), [&none, &both, &none, &one(1, 0, 5)]);
    check(RunsByTimeQuery { function_id: Some(hello.id), ..all() }, [&none, &hundred, &none, &one(1, 0, 5)]);
    check(RunsByTimeQuery { function_id: Some(other.id), ..all() }, [&none, &one(2, 1, 7000), &none, &none]);
    check(RunsByTimeQuery { function_id: Some(999), ..all() }, [&none; 4]);
    let nowhere = Namespace::parse("nowhere").unwrap();
    check(RunsByTimeQuery { namespace: nowhere, ..all() }, [&none; 4]);
    // The first and the last bucket are counted as far as they were asked for.
    let part = RunsByTimeQuery { since_us: THEN_US + 61_000_000, until_us: THEN_US + 199_000_000, ..all() };
    check(part, [&none, &one(2, 1, 7000), &none, &none]);
}

#[test]
fn what_waits_and_what_runs_is_counted_but_took_no_time_yet() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    for state in [State::Succeeded, State::Failed, State::Expired, State::Dead, State::Aborted] {
        record(&store, &function, 1, state, 0);
    }
    let new = || run_at(&store, &function, THEN_US + 1, &[]);
    store.accept(Record { state: State::Queued, duration_us: 0, ..new().record }, None).unwrap();
    let (stored, unstored) = (running(&new()), running(&new()));
    store.begin(stored.clone()).unwrap();
    store.flush().unwrap();
    let elsewhere = Record { function_id: 999, ..unstored.clone() };
    let later = Record { created_us: THEN_US + 60 * MINUTE_US, ..unstored.clone() };
    let query = RunsByTimeQuery { running: vec![stored, unstored, elsewhere, later], ..minutes(1) };
    let expected = RunBucket { runs: 8, failed: 3, ..RunBucket::default() };
    assert_eq!(store.runs_by_time(&query).unwrap(), [expected]);
}

#[test]
fn a_clock_that_is_set_moves_no_run_to_another_minute() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    // Forward, back by three minutes, forward again.
    for at_s in [0, 30, 61, 185, 5, 62, 186, 3000, 63] {
        record(&store, &function, at_s, State::Failed, 1);
    }
    let expected = [(3, 3), (3, 3), (0, 0), (2, 2)];
    assert_eq!(counts(&store.runs_by_time(&minutes(4)).unwrap()), expected);
    // What a crash leaves: the minute in memory was never closed in the file.
    let other = fixture.other_program();
    other.execute_batch("UPDATE invocation_minute SET last_id = NULL").unwrap();
    assert_eq!(counts(&store.runs_by_time(&minutes(4)).unwrap()), expected);
}

/// Many runs, written past the recorder: so many a minute, every second one of function 1, every tenth of function 2, every
/// 2,000th of function 3, the rest of function 4; every 200th failed. Ids begin at 1001.
fn fill(fixture: &Fixture, minutes: u32, a_minute: u32) {
    let sql = format!(
        "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < {minutes} * {a_minute})
         INSERT INTO invocation (id, request_id, function_id, qualifier, source, state, status, created_us, started_us,
             ended_us, duration_us, init_us, memory_mb, memory_used_kb, error, event, result)
         SELECT 1001 + n, printf('00000000-0000-4000-8000-%012d', n),
             CASE WHEN n % 2000 = 1 THEN 3 WHEN n % 10 = 3 THEN 2 WHEN n % 2 = 0 THEN 1 ELSE 4 END,
             '$LATEST', 'rest', iif(n % 200 = 7, 2, 1), 200, {THEN_US} + n * 60000000 / {a_minute}, 1, 2,
             1 + n * 7919 % 10000, 0, 128, 0, '', x'7b7d', zeroblob(100) FROM n;
         INSERT INTO invocation_minute SELECT created_us / 60000000, min(id), max(id) FROM invocation GROUP BY 1;"
    );
    fixture.other_program().execute_batch(&sql).unwrap();
}

/// Four functions that have the ids of [`fill`], of which the third is in a namespace of its own.
fn four(fixture: &Fixture, store: &Store) {
    let ids = ["one", "two", "three", "four"].map(|name| deploy(store, name).id);
    assert_eq!(ids, [1, 2, 3, 4]);
    let other = fixture.other_program();
    other.execute_batch("UPDATE function SET namespace = 'shop' WHERE name IN ('two', 'three')").unwrap();
}

#[track_caller]
fn check_near(found: u64, expected: u64, percent: u64) {
    assert!(found.abs_diff(expected) * 100 <= expected * percent, "{found} is not near {expected}");
}

#[test]
fn many_runs_are_estimated() {
    let fixture = Fixture::new();
    let store = fixture.open();
    four(&fixture, &store);
    fill(&fixture, 10, 20_000);
    let check = |query: RunsByTimeQuery, runs: u64, failed: u64, percent: u64| {
        let found = store.runs_by_time(&query).unwrap();
        assert_eq!(found.len(), 10);
        for bucket in found {
            assert!(bucket.is_sampled && bucket.max_us.is_none(), "{bucket:?}");
            check_near(bucket.runs, runs, percent);
            check_near(bucket.failed, failed, 20);
            check_near(bucket.p50_us.unwrap().unsigned_abs(), 5000, 20);
            check_near(bucket.p99_us.unwrap().unsigned_abs(), 9900, 2);
        }
    };
    let of = |function_id| RunsByTimeQuery { function_id: Some(function_id), ..minutes(10) };
    check(of(1), 10_000, 0, 5);
    check(of(2), 2000, 0, 10);
    check(of(4), 7990, 100, 10);
    // Ten runs a minute are counted one by one among however many others.
    let rare = store.runs_by_time(&of(3)).unwrap();
    assert!(rare.iter().all(|bucket| bucket.runs == 10 && !bucket.is_sampled), "{rare:?}");
    let of =
        |namespace: &str| RunsByTimeQuery { namespace: Namespace::parse(namespace).unwrap(), ..minutes(10) };
    check(of("default"), 17_990, 100, 5);
    check(of("shop"), 2010, 0, 10);
    // One namespace only: there are no gaps, and their number comes out exactly.
    let sql = "UPDATE function SET namespace = 'default'";
    fixture.other_program().execute_batch(sql).unwrap();
    check(minutes(10), 20_000, 100, 0);
    let whole = RunsByTimeQuery { buckets: Buckets::covering(THEN_US, THEN_US, 1, 900), ..minutes(10) };
    let found = store.runs_by_time(&whole).unwrap();
    assert_eq!(found.len(), 1);
    check_near(found[0].runs, 200_000, 0);
    check_near(found[0].failed, 1000, 10);
}

#[test]
fn gaps_that_retention_made_are_no_runs() {
    let fixture = Fixture::new();
    let store = fixture.open();
    four(&fixture, &store);
    fill(&fixture, 2, 20_000);
    let sql = "UPDATE function SET namespace = 'default'; DELETE FROM invocation WHERE function_id = 1 OR id > 30000";
    fixture.other_program().execute_batch(sql).unwrap();
    let found = store.runs_by_time(&minutes(2)).unwrap();
    check_near(found[0].runs, 10_000, 10);
    check_near(found[1].runs, 4500, 10);
}
