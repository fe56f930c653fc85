//! The store as its callers see it, over real files.

use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use crate::base::clock::{Clock, SystemClock};
use crate::base::id::{IdSource, RequestId, SystemIds};
use crate::error::Result;
use crate::model::finished::FinishedRun;
use crate::model::function::{Config, Digest, Function, FunctionName, Namespace, Only};
use crate::model::invocation::{Record, State};
use crate::model::limits;
use crate::model::log::{Level, LogLine, Stream};
use crate::model::query::{InvocationQuery, LogQuery, Order, PageLimit};
use crate::store::functions::{Content, Haste};
use crate::store::logs::Of;
use crate::store::{Options, Store};

mod backing;
mod checking;
mod counting;
mod deploying;
mod finding;
mod objects;
mod opening;
mod recording;
mod retention;
mod searching;
mod tailing;
mod timers;

/// A database in a folder of its own.
pub(super) struct Fixture {
    folder: TempDir,
}

impl Fixture {
    pub(super) fn new() -> Fixture {
        Fixture { folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("fnlite.db")
    }

    fn try_open(&self) -> Result<Store> {
        let options = Options { path: self.path(), external_checkpointer: false, seal_key: None };
        Store::open(&options, Arc::new(SystemClock))
    }

    pub(super) fn open(&self) -> Store {
        self.try_open().unwrap()
    }

    /// The file as another program sees it.
    pub(super) fn other_program(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }
}

fn namespace() -> Namespace {
    Namespace::default()
}

pub(super) fn name(text: &str) -> FunctionName {
    FunctionName::parse(text).unwrap()
}

fn digest(bytes: &[u8]) -> Digest {
    use sha2::{Digest as _, Sha256};
    Digest(Sha256::digest(bytes).into())
}

fn config() -> Config {
    let env = vec![("ZEBRA".to_owned(), "1".to_owned()), ("APE".to_owned(), "2".to_owned())];
    Config { env, ..Config::usual() }
}

pub(super) fn deploy(store: &Store, function: &str) -> Function {
    let package = b"a package".to_vec();
    let digest = digest(&package);
    store
        .deploy(
            &namespace(),
            &name(function),
            &config(),
            Content::New(package, digest),
            Haste::AtOnce(Only::Always),
        )
        .unwrap()
}

/// A run of `function` that ended well just now, and printed `lines`.
pub(super) fn run(store: &Store, function: &Function, lines: &[&str]) -> FinishedRun {
    run_at(store, function, SystemClock.wall_us(), lines)
}

fn run_at(store: &Store, function: &Function, at_us: i64, lines: &[&str]) -> FinishedRun {
    let record = Record {
        id: store.next_run_id(),
        request_id: SystemIds.request_id(at_us),
        function_id: function.id,
        namespace: function.namespace.to_string(),
        function: function.name.to_string(),
        qualifier: "$LATEST".to_owned(),
        alias: String::new(),
        is_event: false,
        source: "rest".to_owned(),
        trigger_id: 0,
        state: State::Succeeded,
        retry_num: 0,
        due_us: 0,
        status: 200,
        created_us: at_us,
        started_us: at_us + 10,
        ended_us: at_us + 1010,
        duration_us: 1000,
        init_us: 0,
        memory_mb: 128,
        memory_used_kb: 9000,
        event: br#"{"n": 1.10, "n": 18446744073709551616}"#.to_vec(),
        result: b"\"\xc3\xa9\"".to_vec(),
        error: String::new(),
    };
    FinishedRun { record, lines: lines.iter().map(|text| line(at_us, text)).collect(), settlement: None }
}

fn line(ts_us: i64, message: &str) -> LogLine {
    LogLine { ts_us, stream: Stream::Stdout, level: Level::Info, message: message.to_owned() }
}

fn running(finished: &FinishedRun) -> Record {
    Record { state: State::Running, status: 202, ended_us: 0, result: Vec::new(), ..finished.record.clone() }
}

fn of(run_id: i64, function: &Function) -> Of {
    Of { run_id, function_id: function.id, retry_num: 0 }
}

fn of_run(run_id: i64) -> LogQuery {
    LogQuery { run_id: Some(run_id), ..all_lines() }
}

fn all_lines() -> LogQuery {
    LogQuery {
        run_id: None,
        function_id: None,
        namespace: None,
        since_us: None,
        until_us: None,
        order: Order::Ascending,
        after: None,
        limit: PageLimit::new(limits::PAGE_MAX).unwrap(),
    }
}

fn messages(store: &Store, query: &LogQuery) -> Vec<String> {
    store.logs(query).unwrap().rows.into_iter().map(|found| found.line.message).collect()
}

fn request_ids(store: &Store, query: &InvocationQuery) -> Vec<RequestId> {
    store.invocations(query).unwrap().rows.into_iter().map(|record| record.request_id).collect()
}
