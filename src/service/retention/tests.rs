//! What a pass deletes, by age and by size, and when it does not believe the clock.

use std::sync::Mutex;

use crossbeam_channel::{Sender, bounded};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::*;
use crate::base::clock::SystemClock;
use crate::base::id::{IdSource, SystemIds};
use crate::model::finished::FinishedRun;
use crate::model::function::{Config, Digest, FunctionName, Namespace, Only};
use crate::model::invocation::{Record, State};
use crate::store::Options;
use crate::store::functions::{Content, Haste};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Where the clock begins.
const START_US: i64 = 1_800_000_000_000_000;

/// Two clocks that are moved apart from each other.
#[derive(Debug)]
struct Clocks(Mutex<(i64, Instant)>);

impl Clocks {
    /// Moves the wall clock by hours, the monotonic one by others.
    fn moved(&self, wall_hours: i64, hours: u32) {
        let mut clocks = self.0.lock().unwrap();
        clocks.0 += wall_hours * 3_600_000_000;
        clocks.1 += HOUR * hours;
    }
}

impl Clock for Clocks {
    fn wall_us(&self) -> i64 {
        self.0.lock().unwrap().0
    }

    fn now(&self) -> Instant {
        self.0.lock().unwrap().1
    }
}

/// A keeper over a store of its own.
struct Fixture {
    clocks: Arc<Clocks>,
    store: Store,
    keeper: Keeper,
    _stop: Sender<()>,
    _folder: TempDir,
}

impl Fixture {
    fn new(keep: Keep) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let clocks = Arc::new(Clocks(Mutex::new((START_US, SystemClock.now()))));
        let options =
            Options { path: folder.path().join("fnlite.db"), external_checkpointer: false, seal_key: None };
        // The store's own deadlines are real.
        let store = Store::open(&options, Arc::new(SystemClock)).unwrap();
        let (stop, stopped) = bounded(0);
        let keeper = Keeper::new(store.clone(), clocks.clone(), keep, stopped);
        Fixture { clocks, store, keeper, _stop: stop, _folder: folder }
    }

    fn deploy(&self, name: &str, keep_s: Option<u32>) -> i64 {
        let config = Config { keep_s, ..Config::usual() };
        let digest = Digest(Sha256::digest(b"code").into());
        let name = FunctionName::parse(name).unwrap();
        let content = Content::New(b"code".to_vec(), digest);
        self.store
            .deploy(&Namespace::default(), &name, &config, content, Haste::AtOnce(Only::Always))
            .unwrap()
            .id
    }

    /// A run of a function, stored so many hours before the clock began.
    fn record(&self, function_id: i64, hours: i64, event_bytes: usize) {
        let created_us = START_US - hours * 3_600_000_000;
        let record = Record {
            id: self.store.next_run_id(),
            request_id: SystemIds.request_id(created_us),
            function_id,
            namespace: String::new(),
            function: String::new(),
            qualifier: "$LATEST".to_owned(),
            alias: String::new(),
            is_event: false,
            source: "rest".to_owned(),
            trigger_id: 0,
            state: State::Succeeded,
            retry_num: 0,
            due_us: 0,
            status: 200,
            created_us,
            started_us: created_us,
            ended_us: created_us,
            duration_us: 1,
            init_us: 0,
            memory_mb: 128,
            memory_used_kb: 1,
            event: vec![b' '; event_bytes],
            result: b"1".to_vec(),
            error: String::new(),
        };
        self.store.record(FinishedRun { record, lines: Vec::new(), settlement: None }).unwrap();
    }

    /// How many runs a pass deletes.
    fn pass(&mut self) -> u64 {
        let mut deleted = Deleted::default();
        self.keeper.pass(&mut deleted).unwrap();
        deleted.runs
    }
}

fn keep(age: Option<Duration>, size_bytes: Option<u64>) -> Keep {
    Keep { age, size_bytes, dead: None }
}

#[test]
fn a_functions_own_age_counts_more_than_the_servers() {
    for (age, keep_s, expected) in [
        (Some(DAY), None, 2),
        (Some(DAY), Some(2 * 3600), 3),
        (Some(DAY), Some(1000 * 3600), 0),
        (None, None, 0),
        (None, Some(2 * 3600), 3),
    ] {
        let mut fixture = Fixture::new(keep(age, None));
        let function = fixture.deploy("hello", keep_s);
        // The last one is the newest, which stays.
        [100, 50, 3, 1, 1].into_iter().for_each(|hours| fixture.record(function, hours, 1));
        assert_eq!(fixture.pass(), expected, "{age:?} {keep_s:?}");
        assert_eq!(fixture.pass(), 0, "once is enough");
    }
}

#[test]
fn a_clock_that_jumps_ahead_deletes_nothing_for_an_hour() {
    let mut fixture = Fixture::new(keep(Some(DAY), None));
    let function = fixture.deploy("hello", None);
    [3, 2, 1].into_iter().for_each(|hours| fixture.record(function, hours, 1));
    assert_eq!(fixture.pass(), 0);
    fixture.clocks.moved(10_000, 0);
    assert_eq!(fixture.pass(), 0, "it has just jumped");
    fixture.clocks.moved(-10_000, 0);
    assert_eq!(fixture.pass(), 0, "it was set back");
    fixture.clocks.moved(10_000, 0);
    assert_eq!(fixture.pass(), 0, "and jumped again");
    fixture.clocks.moved(1, 1);
    assert_eq!(fixture.pass(), 2, "nobody has set it back");
}

#[test]
fn the_oldest_go_for_size_whatever_the_clock_does() {
    let mut fixture = Fixture::new(keep(None, Some(3 << 20)));
    let function = fixture.deploy("hello", Some(u32::MAX));
    (1..=8).rev().for_each(|hours| fixture.record(function, hours, 500_000));
    assert_eq!(fixture.pass(), 3);
    fixture.clocks.moved(10_000, 0);
    assert_eq!(fixture.pass(), 0, "it fits");
    fixture.record(function, 0, 500_000);
    assert_eq!(fixture.pass(), 1);
}

#[test]
fn a_database_that_is_large_without_any_run_is_told_of_once() {
    let mut fixture = Fixture::new(keep(None, Some(1)));
    let function = fixture.deploy("hello", None);
    [3, 2, 1].into_iter().for_each(|hours| fixture.record(function, hours, 1));
    assert_eq!((fixture.pass(), fixture.keeper.told_large), (2, true));
    fixture.keeper.keep.size_bytes = Some(1 << 30);
    assert_eq!((fixture.pass(), fixture.keeper.told_large), (0, false));
}

#[test]
fn for_ever_ago_is_before_everything() {
    assert_eq!(before(5, None), i64::MIN);
    assert_eq!(before(5_000_000, Some(Duration::from_secs(2))), 3_000_000);
}
