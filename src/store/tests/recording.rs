//! What was answered is on record, whoever else writes and however it ended.

use std::sync::mpsc;
use std::time::Duration;

use super::{Fixture, all_lines, deploy, line, messages, of, of_run, run, running};
use crate::error::{Error, Kind};
use crate::model::finished::FinishedRun;
use crate::model::invocation::{Record, State};

#[test]
fn a_record_comes_back_byte_for_byte() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let finished = run(&store, &deploy(&store, "hello"), &["one", "", "tab\there", "nul\0here", "é"]);
    let written = finished.record.clone();
    assert_eq!(store.record(finished).unwrap(), written);
    assert_eq!(store.invocation(&written.request_id).unwrap(), Some(written.clone()));
    assert_eq!(messages(&store, &of_run(written.id)), ["one", "", "tab\there", "nul\0here", "é"]);
}

#[test]
fn a_run_that_lasts_is_found_while_it_runs() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    let finished = run(&store, &function, &["last"]);
    let id = finished.record.id;
    store.begin(running(&finished)).unwrap();
    store.append_lines(of(id, &function), vec![line(1, "first")]).unwrap();
    store.flush().unwrap();
    assert_eq!(store.invocation(&finished.record.request_id).unwrap(), Some(running(&finished)));
    assert_eq!(store.logs(&of_run(id)).unwrap().rows[0].request_id, Some(finished.record.request_id.clone()));
    let record = store.record(finished).unwrap();
    assert_eq!(store.invocation(&record.request_id).unwrap(), Some(record));
    assert_eq!(messages(&store, &of_run(id)), ["first", "last"]);
}

#[test]
fn a_run_cut_off_by_a_crash_is_recorded_as_failed() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let finished = run(&store, &deploy(&store, "hello"), &[]);
    store.begin(running(&finished)).unwrap();
    store.close();
    drop(store);
    let found = fixture.open().invocation(&finished.record.request_id).unwrap().unwrap();
    assert_eq!((found.state, found.status), (State::Failed, 500));
    let body = format!(
        r#"{{"errorCode":-1,"errorMessage":"{}","requestId":"{}","stackTrace":"","statusCode":500}}"#,
        found.error, found.request_id
    );
    assert_eq!(String::from_utf8(found.result).unwrap(), body);
}

#[test]
fn many_callers_at_once_are_all_on_record() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let record = store.record(run(&store, &function, &["a", "b", "c"])).unwrap();
                    assert!(store.invocation(&record.request_id).unwrap().is_some());
                }
            });
        }
    });
    let count: i64 = fixture
        .other_program()
        .query_row("SELECT count(*) FROM logs WHERE SCF_StatusCode = 200", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 16 * 50 * 3);
}

/// Keeps the recorder busy until told, so that what is ordered meanwhile becomes one batch.
fn one_batch(store: &crate::store::Store, order: impl FnOnce() + Send) {
    let (started, has_started) = mpsc::channel();
    let (go, gone) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            store.write(move |_| {
                started.send(()).unwrap();
                gone.recv_timeout(Duration::from_secs(10)).unwrap();
                Ok(())
            })
        });
        has_started.recv().unwrap();
        scope.spawn(order);
        while store.sizes().unwrap().queued < 3 {
            std::thread::yield_now();
        }
        go.send(()).unwrap();
    });
}

#[test]
fn one_failing_order_fails_alone() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    let good = run(&store, &function, &["good"]);
    let twin = FinishedRun {
        record: Record { id: store.next_run_id(), ..good.record.clone() },
        lines: vec![line(1, "twin")],
        settlement: None,
    };
    let also_good = run(&store, &function, &["also good"]);
    let (good_id, also_good_id) = (good.record.request_id.clone(), also_good.record.request_id.clone());
    one_batch(&store, || {
        std::thread::scope(|scope| {
            let good = scope.spawn(|| store.record(good));
            while store.sizes().unwrap().queued < 1 {
                std::thread::yield_now();
            }
            let twin = scope.spawn(|| store.record(twin));
            let also_good = scope.spawn(|| store.record(also_good));
            assert!(good.join().unwrap().is_ok());
            assert_eq!(twin.join().unwrap().unwrap_err().kind, Kind::Internal);
            assert!(also_good.join().unwrap().is_ok());
        });
    });
    assert!(store.invocation(&good_id).unwrap().is_some());
    assert!(store.invocation(&also_good_id).unwrap().is_some());
    let mut all = messages(&store, &all_lines());
    all.sort();
    assert_eq!(all, ["also good", "good"]);
}

#[test]
fn an_order_that_fails_alone_in_its_batch_leaves_nothing() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let failed = store.write(|tx| -> crate::error::Result<()> {
        tx.execute("INSERT INTO log_minute VALUES (1, 1, 1)", [])?;
        Err(Error::invalid("no"))
    });
    assert_eq!(failed.unwrap_err().kind, Kind::Invalid);
    let rows: i64 =
        store.read(|tx| Ok(tx.query_row("SELECT count(*) FROM log_minute", [], |row| row.get(0))?)).unwrap();
    assert_eq!(rows, 0);
    deploy(&store, "hello");
}

/// Nobody wrote any more after a panic, and everybody waited and was refused for ever.
#[test]
fn an_order_that_panics_fails_and_the_next_one_is_written() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    let panics = || {
        store.write(|tx| -> crate::error::Result<()> {
            tx.execute("INSERT INTO log_minute VALUES (1, 1, 1)", [])?;
            panic!("for the test")
        })
    };
    assert_eq!(panics().unwrap_err().kind, Kind::Internal);
    let record = store.record(run(&store, &function, &["a"])).unwrap();
    one_batch(&store, || {
        std::thread::scope(|scope| {
            let good = scope.spawn(|| store.record(run(&store, &function, &["b"])));
            let panicked = scope.spawn(panics);
            let also_good = scope.spawn(|| store.record(run(&store, &function, &["c"])));
            assert_eq!(panicked.join().unwrap().unwrap_err().kind, Kind::Internal);
            assert!(good.join().unwrap().is_ok() && also_good.join().unwrap().is_ok());
        });
    });
    let rows = "SELECT count(*) FROM log_minute WHERE minute = 1";
    let left: i64 = store.read(|tx| Ok(tx.query_row(rows, [], |row| row.get(0))?)).unwrap();
    assert_eq!((left, messages(&store, &of_run(record.id))), (0, vec!["a".to_owned()]));
}

#[test]
fn another_program_that_writes_for_a_while_is_waited_for() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    let other = fixture.other_program();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::scope(|scope| {
        let recorded = scope.spawn(|| store.record(run(&store, &function, &["a"])));
        // The length is the point: longer than a glance, shorter than every time-out.
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!recorded.is_finished());
        other.execute_batch("COMMIT").unwrap();
        assert!(recorded.join().unwrap().is_ok());
    });
}

#[test]
fn a_full_disk_fails_the_order_and_heals_by_itself() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    let limit = |pages: i64| {
        store.write(move |tx| Ok(tx.pragma_update(None, "max_page_count", pages)?)).unwrap();
    };
    limit(60);
    let big = |store: &crate::store::Store| {
        let mut finished = run(store, &function, &["a"]);
        finished.record.event = vec![b' '; 1_000_000];
        store.record(finished)
    };
    assert_eq!(big(&store).unwrap_err().kind, Kind::Busy);
    limit(1_000_000);
    assert!(big(&store).is_ok());
    assert_eq!(store.integrity().unwrap(), Vec::<String>::new());
}
