//! What a check finds, in a file that is served and in one that is not.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{Fixture, deploy, run};
use crate::error::Kind;
use crate::model::invocation::State;
use crate::store::check::{Counts, Found, Rule, check_file};
use crate::store::{Store, connection};

/// Three runs with a line each; the ids of them.
fn some_runs(store: &Store) -> Vec<i64> {
    let function = deploy(store, "hello");
    (0..3).map(|_| store.record(run(store, &function, &["a line"])).unwrap().id).collect()
}

fn change(store: &Store, sql: &'static str) {
    store.write(move |tx| Ok(tx.execute_batch(sql)?)).unwrap();
}

/// Every file of a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn a_sound_database_is_counted() {
    let fixture = Fixture::new();
    let store = fixture.open();
    some_runs(&store);
    change(
        &store,
        "UPDATE invocation SET state = 3 WHERE id = 1; INSERT INTO queued VALUES (1, 1, 1, 1, 1, 1, 0, 0, 0, NULL, NULL);
         UPDATE invocation SET state = 6 WHERE id = 2; INSERT INTO dead_letter VALUES (2, 1, 1, 'why');
         INSERT INTO attempt VALUES (2, 0, 430, 1, 1, 1, 1, 1, '', x'')",
    );
    let found = store.check().unwrap();
    let invocations = vec![(State::Succeeded, 1), (State::Queued, 1), (State::Dead, 1)];
    let Counts { bytes, free_bytes, .. } = found.counts;
    let counts = Counts {
        functions: 1,
        invocations,
        lines: 3,
        indexed_lines: 0,
        queued: 1,
        dead_letters: 1,
        bytes,
        free_bytes,
    };
    assert_eq!(found, Found { counts, ..Found::default() });
    assert!(bytes > 50_000 && free_bytes < bytes && bytes.is_multiple_of(4096), "{bytes} {free_bytes}");
}

#[test]
fn each_rule_that_does_not_hold_is_told_with_how_many_rows_break_it() {
    for (sql, expected) in [
        ("INSERT INTO queued VALUES (1, 1, 1, 1, 1, 1, 0, 0, 0, NULL, NULL)", Rule::QueuedWaits),
        ("INSERT INTO queued VALUES (99, 1, 1, 1, 1, 1, 0, 0, 0, NULL, NULL)", Rule::QueuedWaits),
        ("UPDATE invocation SET state = 3 WHERE id = 1", Rule::WaitingIsQueued),
        ("UPDATE invocation SET state = 4 WHERE id = 1", Rule::WaitingIsQueued),
        ("INSERT INTO dead_letter VALUES (1, 1, 1, 'why')", Rule::DeadLetterIsDead),
        ("INSERT INTO dead_letter VALUES (99, 1, 1, 'why')", Rule::DeadLetterIsDead),
        ("INSERT INTO attempt VALUES (99, 0, 430, 1, 1, 1, 1, 1, '', x'')", Rule::AttemptHasInvocation),
    ] {
        let fixture = Fixture::new();
        let store = fixture.open();
        some_runs(&store);
        change(&store, sql);
        assert_eq!(store.check().unwrap().broken, [(expected, 1)], "{sql}");
    }
}

#[test]
fn rows_that_name_what_is_not_there_are_told() {
    let fixture = Fixture::new();
    drop(fixture.open());
    let other = fixture.other_program();
    other
        .execute_batch("PRAGMA foreign_keys = OFF; INSERT INTO package_chunk VALUES (7, 99, 0, x'')")
        .unwrap();
    drop(other);
    let found = check_file(&fixture.path()).unwrap();
    assert_eq!(found.foreign_keys, ["row 7 of package_chunk names a row of package that is not there"]);
}

#[test]
fn a_file_that_is_not_served_is_checked_and_left_as_it_is() {
    let fixture = Fixture::new();
    let store = fixture.open();
    some_runs(&store);
    let served = store.check().unwrap();
    store.close();
    drop(store);
    let before = files(fixture.folder.path());
    assert_eq!(check_file(&fixture.path()).unwrap(), served);
    assert!(files(fixture.folder.path()) == before, "{:?}", files(fixture.folder.path()).keys());
}

#[test]
fn what_a_killed_server_left_in_its_log_is_checked_too() {
    let fixture = Fixture::new();
    let store = fixture.open();
    some_runs(&store);
    // As a kill leaves them: what was committed stands in the log.
    let left = tempfile::tempdir().unwrap();
    let db = left.path().join("fnlite.db");
    fs::copy(fixture.path(), &db).unwrap();
    fs::copy(connection::beside(&fixture.path(), "-wal"), connection::beside(&db, "-wal")).unwrap();
    let before = files(left.path());
    let found = check_file(&db).unwrap();
    assert_eq!((found.counts.lines, found.broken.len()), (3, 0));
    for (name, bytes) in before {
        assert!(fs::read(left.path().join(&name)).unwrap() == bytes, "{name} was changed");
    }
}

#[test]
fn a_name_with_signs_of_an_address_is_only_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::new();
    drop(fixture.open());
    let path = folder.path().join("what? 100%#é.db");
    fs::copy(fixture.path(), &path).unwrap();
    assert_eq!(check_file(&path).unwrap().integrity, Vec::<String>::new());
}

#[test]
fn damage_is_found_and_nothing_is_counted() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    for _ in 0..200 {
        store.record(run(&store, &function, &["a line"; 20])).unwrap();
    }
    store.close();
    drop(store);
    let mut bytes = fs::read(fixture.path()).unwrap();
    // Behind the schema, which is at the beginning.
    let from = bytes.len() * 3 / 4 / 4096 * 4096;
    bytes[from..from + 8192].fill(0x5a);
    fs::write(fixture.path(), bytes).unwrap();
    let found = check_file(&fixture.path()).unwrap();
    assert!(!found.integrity.is_empty());
    assert_eq!(found.counts, Counts::default());
}

#[test]
fn a_file_in_use_and_one_that_is_not_ours_are_refused() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let refused = check_file(&fixture.path()).unwrap_err();
    let owner = format!("another server (process {}) is using", std::process::id());
    assert!(refused.kind == Kind::Conflict && refused.message.starts_with(&owner), "{refused}");
    drop(store);
    let other = fixture.other_program();
    other.pragma_update(None, "user_version", 1).unwrap();
    let refused = check_file(&fixture.path()).unwrap_err();
    assert!(refused.kind == Kind::Invalid && refused.message.contains("older release"), "{refused}");
    other.pragma_update(None, "application_id", 7).unwrap();
    drop(other);
    assert_eq!(check_file(&fixture.path()).unwrap_err().kind, Kind::Invalid);
    let missing = fixture.folder.path().join("missing.db");
    assert_eq!(check_file(&missing).unwrap_err().kind, Kind::Invalid);
    assert!(!missing.exists());
}
