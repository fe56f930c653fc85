//! The door as a client sees it, over a real store, without sockets and without running functions (that is what the
//! tests over a real server do).

use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::Value;
use tempfile::TempDir;

use crate::api::rest::Rest;
use crate::api::{Base, Parts};
use crate::base::clock::{Clock, SystemClock};
use crate::base::id::{IdSource, RequestId, SystemIds};
use crate::http::Handler;
use crate::http::body::Body;
use crate::http::head::Head;
use crate::http::request::{Peer, Request};
use crate::http::response::{Content, Response};
use crate::instance::host::{Account, Host};
use crate::instance::package::cache::Packages;
use crate::model::event::{Claimed, Letter, Pace, Reason, Settlement};
use crate::model::finished::FinishedRun;
use crate::model::function::{FunctionName, Namespace};
use crate::model::invocation::{Record, State};
use crate::model::key::Scope;
use crate::model::log::{Level, LogLine, Stream};
use crate::model::schedule::Zone;
use crate::pool::Pool;
use crate::service::events::{self, Events};
use crate::service::invoke::Invoker;
use crate::service::keys::Keys;
use crate::service::loading;
use crate::service::objects::event::Owner;
use crate::store::objects::files::ObjectFiles;
use crate::store::{Options, Store};

mod accepting;
mod deploying;
mod describing;
mod finding;
mod json_texts;
mod keys;
mod schema;
mod searching;
mod serving;
mod tailing;
mod uploads;

/// A door before a store of its own.
struct Door {
    rest: Rest,
    store: Store,
    admin: String,
    stopping: Arc<AtomicBool>,
    _folder: TempDir,
}

/// What came back.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

const STRANGER: &str = "192.0.2.1:40000";

/// A queue that takes a few small events and runs none.
fn queue(
    store: &Store,
    invoker: &Arc<Invoker>,
    pool: &Pool,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn IdSource>,
) -> Arc<Events> {
    let parts = events::Parts { store: store.clone(), clock: clock.clone(), ids: ids.clone() };
    let options = events::Options {
        events_max: 3,
        bytes_max: 1024 * 1024,
        threads_max: 0,
        few: 4,
        pace: Pace::default(),
        account: events::Account { appid: "1".into(), uin: "2".into() },
    };
    Events::open(parts, invoker.clone(), pool, options).unwrap()
}

impl Door {
    fn new() -> Door {
        Door::with(false)
    }

    fn with(socket_needs_key: bool) -> Door {
        let folder = tempfile::tempdir().unwrap();
        let (clock, ids): (Arc<dyn Clock>, Arc<dyn IdSource>) = (Arc::new(SystemClock), Arc::new(SystemIds));
        let options =
            Options { path: folder.path().join("fnlite.db"), external_checkpointer: false, seal_key: None };
        let store = Store::open(&options, clock.clone()).unwrap();
        let account = Account { region: "r".into(), appid: "1".into(), uin: "2".into() };
        let search = vec![PathBuf::from("/usr/bin")];
        let host = Arc::new(Host::new(1, account, search, &folder.path().join("scratch"), 0).unwrap());
        let packages = Arc::new(Packages::open(&folder.path().join("packages"), |_| true).unwrap());
        let code = store.clone();
        let fetch = Box::new(move |digest| Ok(code.package(digest)?.unwrap_or_default()));
        let pool = Arc::new(Pool::new(host.clone(), packages, fetch, clock.clone(), 1024).unwrap());
        let invoker =
            Arc::new(Invoker::new(store.clone(), pool.clone(), clock.clone(), ids.clone()).unwrap());
        let keys = Arc::new(Keys::new(store.clone(), ids.clone()).unwrap());
        let admin = keys.ensure_first().unwrap().unwrap();
        let stopping = Arc::new(AtomicBool::new(false));
        let events = queue(&store, &invoker, &pool, &clock, &ids);
        let rest = Rest::new(Arc::new(Parts::of(Base {
            store: store.clone(),
            invoker,
            events,
            pool,
            host,
            keys,
            bell: loading::bell().0,
            clock,
            files: ObjectFiles::open(&store, ids.clone()).unwrap(),
            owner: Owner { region: "r".into(), appid: "1".into() },
            ids,
            stopping: stopping.clone(),
            total_mb_max: 1024,
            socket_needs_key,
            timer_zone: Zone::default(),
        })));
        Door { rest, store, admin, stopping, _folder: folder }
    }

    /// Sends `line`, a method and a target, with the admin's key.
    fn ask(&self, line: &str, body: impl AsRef<[u8]>) -> Reply {
        self.ask_with(&[("Authorization", &format!("Bearer {}", self.admin))], line, body)
    }

    fn ask_with(&self, headers: &[(&str, &str)], line: &str, body: impl AsRef<[u8]>) -> Reply {
        self.ask_from(Peer::Tcp(STRANGER.parse::<SocketAddr>().unwrap()), headers, line, body)
    }

    fn ask_from(&self, peer: Peer, headers: &[(&str, &str)], line: &str, body: impl AsRef<[u8]>) -> Reply {
        let response = self.answer(head(headers, line), peer, body.as_ref().to_vec());
        let body = match response.content {
            Content::Bytes(bytes) => bytes.into_owned(),
            Content::File { mut file, length, .. } => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).unwrap();
                assert_eq!(bytes.len() as u64, length);
                bytes
            }
            // It need not have an end: what comes first must do.
            Content::Stream(mut reader) if is_endless(&response.headers) => {
                let mut bytes = vec![0; 1000];
                let length = reader.read(&mut bytes).unwrap();
                bytes.truncate(length);
                bytes
            }
            Content::Stream(mut reader) => {
                let mut bytes = Vec::new();
                // What gives nothing yet is asked again, as the front does.
                reader.read_to_end(&mut bytes).unwrap();
                bytes
            }
        };
        let headers = response.headers.into_iter().map(|header| (header.name.into(), header.value.into()));
        Reply { status: response.status.0, headers: headers.collect(), body }
    }

    /// The answer as the front gets it.
    fn response(&self, headers: &[(&str, &str)], line: &str) -> Response {
        self.answer(head(headers, line), Peer::Tcp(STRANGER.parse().unwrap()), Vec::new())
    }

    /// As the front does it: the door is asked about a body before there is one.
    fn answer(&self, head: Head, peer: Peer, body: Vec<u8>) -> Response {
        if !body.is_empty() {
            match self.rest.before_body(&head, peer) {
                Ok(length_max) => {
                    assert!(body.len() as u64 <= length_max, "the front would refuse this body")
                }
                Err(response) => return response,
            }
        }
        self.rest.handle(Request { head, body: Body::new(body), peer, began: SystemClock.now(), line: None })
    }

    /// A new key's secret.
    fn key(&self, scope: Scope) -> String {
        let name = format!("key {}", self.rest.parts.keys.list().len());
        self.rest.parts.keys.create(&name, scope).unwrap().1
    }

    fn deploy(&self, name: &str) {
        let reply = self.ask(&format!("PUT /v1/functions/{name}"), HELLO);
        assert!(matches!(reply.status, 200 | 201), "{reply:?}");
    }

    /// Accepts an event of that function and gives it up after one attempt; its request id.
    fn dead_letter(&self, function: &str) -> RequestId {
        let reply = self.ask(&format!("POST /v1/functions/{function}/invoke?type=event"), r#"{"n":1.10}"#);
        assert_eq!(reply.status, 202, "{reply:?}");
        let id = RequestId::parse(reply.json()["request_id"].as_str().unwrap()).unwrap();
        let waiting = self.store.invocation(&id).unwrap().unwrap();
        let Claimed { record, .. } = self.store.claim(waiting.id).unwrap().unwrap();
        let (now_us, result) = (record.created_us + 1, br#"{"errorCode":-1}"#.to_vec());
        let record = Record { state: State::Dead, status: 430, ended_us: now_us, result, ..record };
        let letter = Letter { reason: Reason::Retries, forward: None };
        let settlement = Some(Settlement::GivenUp(letter));
        self.store.record(FinishedRun { record, lines: Vec::new(), settlement }).unwrap();
        id
    }

    /// Puts a run of `function` on record, as the invoker would.
    fn record(&self, function: &str, lines: &[&str]) -> Record {
        let namespace = Namespace::default();
        let function =
            self.store.function(&namespace, &FunctionName::parse(function).unwrap()).unwrap().unwrap();
        let now_us = SystemClock.wall_us();
        let record = Record {
            id: self.store.next_run_id(),
            request_id: SystemIds.request_id(now_us),
            function_id: function.id,
            namespace: function.namespace.to_string(),
            function: function.name.to_string(),
            qualifier: function.version.qualifier,
            alias: String::new(),
            is_event: false,
            source: "rest".to_owned(),
            trigger_id: 0,
            state: State::Succeeded,
            retry_num: 0,
            due_us: 0,
            status: 200,
            created_us: now_us,
            started_us: now_us,
            ended_us: now_us,
            duration_us: 1234,
            init_us: 0,
            memory_mb: 128,
            memory_used_kb: 9000,
            event: EVENT.to_vec(),
            result: b"1.10".to_vec(),
            error: String::new(),
        };
        let line = |text: &&str| LogLine {
            ts_us: now_us,
            stream: Stream::Stdout,
            level: Level::Info,
            message: (*text).to_owned(),
        };
        let run = FinishedRun { record, lines: lines.iter().map(line).collect(), settlement: None };
        self.store.record(run).unwrap()
    }
}

fn head(headers: &[(&str, &str)], line: &str) -> Head {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    Head::parse(format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes()).unwrap()
}

/// Whether a stream of these headers goes on until somebody leaves.
fn is_endless(headers: &[crate::http::response::Header]) -> bool {
    headers.iter().any(|header| header.value == "text/event-stream")
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The refusal's message; it must be one of that status, in the one shape.
    fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        let error = &self.json()["error"];
        assert!(RequestId::parse(error["request_id"].as_str().unwrap()).is_some(), "{error}");
        assert!(error["code"].is_string(), "{error}");
        error["message"].as_str().unwrap().to_owned()
    }
}

const HELLO: &str = r#"{"runtime":"python3.10","handler":"index.main_handler","env":{"Z":"1","A":"2"},
    "code":{"files":{"index.py":"def main_handler(event, context):\n    return event\n"}}}"#;

/// What a parser that makes a tree of it would change.
const EVENT: &[u8] = br#"{"n": 1.10,  "big": 123456789012345678901234567890, "n": 2}"#;
