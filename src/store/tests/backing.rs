//! Backups and health, and other programs at the same file.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use super::{Fixture, deploy, run};
use crate::base::clock::{Clock, SystemClock};
use crate::store::{Options, Store};

#[test]
fn a_backup_taken_under_load_opens_and_is_sound() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    let before = store.record(run(&store, &function, &["before"])).unwrap();
    let copy = fixture.folder.path().join("copy.db");
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            for _ in 0..200 {
                store.record(run(&store, &function, &["during"])).unwrap();
            }
        });
        store.backup_to(&copy).unwrap();
        load.join().unwrap();
    });
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fixture.folder.path().join("copy.db.tmp").exists());
    let options = Options { path: copy, external_checkpointer: false, seal_key: None };
    let restored = Store::open(&options, Arc::new(SystemClock)).unwrap();
    assert_eq!(restored.invocation(&before.request_id).unwrap(), Some(before));
    assert_eq!(restored.integrity().unwrap(), Vec::<String>::new());
}

#[test]
fn a_streamed_backup_leaves_no_file() {
    let fixture = Fixture::new();
    let store = fixture.open();
    deploy(&store, "hello");
    let names = || {
        let entries = std::fs::read_dir(fixture.folder.path()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect::<std::collections::BTreeSet<_>>()
    };
    let before = names();
    let mut file = store.backup_file().unwrap();
    assert_eq!(names(), before);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    assert!(bytes.starts_with(b"SQLite format 3\0"));
}

#[test]
fn copies_that_a_crash_left_are_removed_at_the_next_start() {
    let fixture = Fixture::new();
    let left =
        [".fnlite.db-backup-x.tmp", ".other.db-backup-x.tmp"].map(|name| fixture.folder.path().join(name));
    left.iter().for_each(|path| std::fs::write(path, "half").unwrap());
    fixture.open();
    assert_eq!(left.map(|path| path.exists()), [false, true]);
}

#[test]
fn an_old_backup_is_replaced_and_a_folder_is_not() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let copy = fixture.folder.path().join("copy.db");
    std::fs::write(&copy, "old").unwrap();
    store.backup_to(&copy).unwrap();
    assert!(std::fs::read(&copy).unwrap().starts_with(b"SQLite format 3\0"));
    let folder = fixture.folder.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    assert!(store.backup_to(&folder).is_err());
    assert!(!fixture.folder.path().join("folder.tmp").exists());
}

#[test]
fn the_log_is_checkpointed_while_runs_come_in() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    let before = store.sizes().unwrap().db_bytes;
    // Far more than the checkpoint's 4 MiB, so that it must have run.
    for _ in 0..40 {
        let mut finished = run(&store, &function, &[]);
        finished.record.event = vec![b' '; 300_000];
        store.record(finished).unwrap();
    }
    let start = SystemClock.now();
    while store.sizes().unwrap().db_bytes < before + 1_000_000 {
        assert!(SystemClock.now() - start < Duration::from_secs(30), "never checkpointed");
        std::thread::yield_now();
    }
    assert!(store.sizes().unwrap().wal_bytes < 64 * 1024 * 1024);
}

#[test]
fn the_log_stays_short_however_much_is_written() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    let start = SystemClock.now();
    let mut written = 0;
    while written < 100_000_000 || store.sizes().unwrap().wal_bytes > written / 2 {
        assert!(SystemClock.now() - start < Duration::from_secs(30), "never cut");
        let mut finished = run(&store, &function, &[]);
        finished.record.event = vec![b' '; 1_000_000];
        store.record(finished).unwrap();
        written += 1_000_000;
    }
}

#[test]
fn an_external_checkpointer_finds_everything_in_the_log() {
    let fixture = Fixture::new();
    let options = Options { path: fixture.path(), external_checkpointer: true, seal_key: None };
    let store = Store::open(&options, Arc::new(SystemClock)).unwrap();
    let function = deploy(&store, "hello");
    for _ in 0..40 {
        let mut finished = run(&store, &function, &[]);
        finished.record.event = vec![b' '; 300_000];
        store.record(finished).unwrap();
    }
    store.close();
    assert!(std::fs::metadata(fixture.folder.path().join("fnlite.db-wal")).unwrap().len() > 12_000_000);
}
