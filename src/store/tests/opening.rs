//! Who may open which file.

use std::os::unix::fs::PermissionsExt;

use super::{Fixture, deploy, run};
use crate::error::Kind;
use crate::model::function::{FunctionName, Namespace, NetworkPolicy};

#[test]
fn a_new_file_is_readable_by_its_owner_only() {
    let fixture = Fixture::new();
    let store = fixture.open();
    deploy(&store, "hello");
    for name in ["fnlite.db", "fnlite.db-wal", "fnlite.db-shm", "fnlite.db.lock"] {
        let mode = std::fs::metadata(fixture.folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_second_server_is_refused_with_the_first_ones_process() {
    let fixture = Fixture::new();
    let first = fixture.open();
    let refused = fixture.try_open().unwrap_err();
    assert_eq!(refused.kind, Kind::Conflict);
    let owner = format!("another server (process {})", std::process::id());
    assert!(refused.message.starts_with(&owner), "{refused}");
    drop(first);
    fixture.open();
}

#[test]
fn the_lock_writes_through_no_link() {
    let fixture = Fixture::new();
    let precious = fixture.folder.path().join("precious");
    std::fs::write(&precious, "kept").unwrap();
    std::os::unix::fs::symlink(&precious, fixture.folder.path().join("fnlite.db.lock")).unwrap();
    assert_eq!(fixture.try_open().unwrap_err().kind, Kind::Invalid);
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "kept");
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let fixture = Fixture::new();
    drop(fixture.open());
    fixture.other_program().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(fixture.path()).unwrap();
    let refused = fixture.try_open().unwrap_err();
    assert_eq!(refused.kind, Kind::Invalid);
    assert!(refused.message.contains("version 99"), "{refused}");
    assert_eq!(std::fs::read(fixture.path()).unwrap(), before);
}

#[test]
fn another_programs_database_is_refused_and_left_alone() {
    let fixture = Fixture::new();
    fixture.other_program().execute_batch("CREATE TABLE notes (text)").unwrap();
    let before = std::fs::read(fixture.path()).unwrap();
    assert_eq!(fixture.try_open().unwrap_err().kind, Kind::Invalid);
    assert_eq!(std::fs::read(fixture.path()).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let fixture = Fixture::new();
    std::fs::write(
        fixture.path(),
        "not a database, but long enough to hold a header of one hundred bytes. ".repeat(20),
    )
    .unwrap();
    assert_eq!(fixture.try_open().unwrap_err().kind, Kind::Invalid);
}

#[test]
fn a_missing_folder_is_refused_by_name() {
    let fixture = Fixture::new();
    let options = crate::store::Options {
        path: fixture.folder.path().join("no/such/fnlite.db"),
        external_checkpointer: false,
        seal_key: None,
    };
    let refused = crate::store::Store::open(&options, std::sync::Arc::new(crate::base::clock::SystemClock))
        .unwrap_err();
    assert_eq!(refused.kind, Kind::Invalid);
    assert!(refused.message.contains("no/such/fnlite.db"), "{refused}");
}

#[test]
fn run_ids_go_on_after_reopening() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    let last = store.record(run(&store, &function, &["a"])).unwrap().id;
    // Lines whose run never got its row count too.
    store.append_lines(super::of(last + 7, &function), vec![super::line(1, "orphan")]).unwrap();
    store.close();
    drop(store);
    assert_eq!(fixture.open().next_run_id(), last + 8);
}

#[test]
fn closing_leaves_one_file_and_refuses_what_comes_later() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    store.invocations(&Default::default()).unwrap();
    store.close();
    assert!(!fixture.folder.path().join("fnlite.db-wal").exists());
    assert_eq!(store.record(run(&store, &function, &[])).unwrap_err().kind, Kind::Busy);
}

#[test]
fn the_schema_has_the_settings_it_promises() {
    let fixture = Fixture::new();
    let store = fixture.open();
    deploy(&store, "hello");
    let other = fixture.other_program();
    let pragma = |name: &str| {
        other.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap()
    };
    assert_eq!(pragma("auto_vacuum"), 2.into());
    assert_eq!(pragma("page_size"), 4096.into());
    assert_eq!(pragma("journal_mode"), "wal".to_owned().into());
    assert_eq!(pragma("application_id"), 0x464e_4c54.into());
}

#[test]
fn a_file_of_the_first_release_opens_and_its_functions_have_the_hosts_network() {
    let fixture = Fixture::new();
    let first = fixture.other_program();
    first.execute_batch(include_str!("../../../migrations/0001_heart.sql")).unwrap();
    first
        .execute_batch(
            "INSERT INTO function VALUES (1, 'default', 'hello', 1, 2, NULL);
             INSERT INTO package VALUES (1, zeroblob(32), 3, 1);
             INSERT INTO package_chunk VALUES (1, 1, 0, x'504b03');
             INSERT INTO version VALUES (1, 1, '$LATEST', 'Python3.10', 'index.main', 3, 65, 128, NULL, '{}', '', 1);
             PRAGMA application_id = 0x464e4c54; PRAGMA user_version = 1; PRAGMA auto_vacuum = 2; VACUUM",
        )
        .unwrap();
    drop(first);
    let store = fixture.open();
    let (namespace, name) = (Namespace::default(), FunctionName::parse("hello").unwrap());
    let function = store.function(&namespace, &name).unwrap().unwrap();
    assert_eq!(function.version.config.network, NetworkPolicy::Host);
    let shown: String =
        fixture.other_program().query_row("SELECT network FROM functions", [], |row| row.get(0)).unwrap();
    assert_eq!(shown, "host");
}
