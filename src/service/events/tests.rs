//! The queue against a model of it: whatever is accepted, tried, deleted, crashed and however the clocks go, each event is
//! where the model says, and none is lost.
//!
//! Store, line and rules are the real ones; functions are scripted, and time moves when told. The model does not say which
//! event goes next: it checks that the one that went was allowed to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::{Account, Events, Options, Parts};
use crate::base::clock::{Clock, ManualClock};
use crate::base::id::{RequestId, SystemIds};
use crate::error::{Error, Kind, Result};
use crate::model::alias::RoutingKey;
use crate::model::event::{Claimed, Pace};
use crate::model::finished::FinishedRun;
use crate::model::function::{Config, Digest, EventConfig, FunctionName, Namespace, Only};
use crate::model::invocation::{Source, State};
use crate::service::invoke::run::Settle;
use crate::service::invoke::runner::{Room, Runner};
use crate::service::invoke::{Aim, Finished, Known, Order};
use crate::service::run_log;
use crate::store::functions::{Content, Haste};
use crate::store::{self, Store};

/// Functions there are.
const NAMES: [&str; 2] = ["first", "second"];
/// How old their events may get, and how often they are tried again.
const RULES: [(u32, u32); 2] = [(600, 1), (300, 2)];
/// Events that may wait at once.
const EVENTS_MAX: u64 = 6;
const MINUTE_S: i64 = 60;

/// What happens.
#[derive(Clone, Debug)]
enum Op {
    /// An event is sent to a function, perhaps under a key, and one of two bodies.
    Accept { function: usize, key: Option<u8>, body: u8 },
    /// Whoever may go next goes, and its run ends with that status.
    Run { status: u16 },
    /// The same, and the server dies while it runs.
    Die,
    /// The server dies and comes back.
    Crash,
    /// Time passes, seconds.
    Wait(i64),
    /// The wall clock is set, seconds forward or back; the next server may notice.
    Jump(i64),
    /// A function has room for events, or none.
    Room { function: usize, open: bool },
    /// A function is deleted and deployed anew.
    Delete { function: usize },
}

fn op() -> impl Strategy<Value = Op> {
    let function = || 0..NAMES.len();
    prop_oneof![
        6 => (function(), prop::option::weighted(0.3, 0..2u8), 0..2u8)
            .prop_map(|(function, key, body)| Op::Accept { function, key, body }),
        8 => prop::sample::select(vec![200u16, 200, 430, 433, 500]).prop_map(|status| Op::Run { status }),
        2 => Just(Op::Die),
        1 => Just(Op::Crash),
        5 => prop::sample::select(vec![1i64, 30, 61, 200]).prop_map(Op::Wait),
        1 => prop::sample::select(vec![-3600i64, 3600]).prop_map(Op::Jump),
        2 => (function(), any::<bool>()).prop_map(|(function, open)| Op::Room { function, open }),
        1 => function().prop_map(|function| Op::Delete { function }),
    ]
}

/// Functions that end as they are told.
#[derive(Debug)]
struct Script {
    store: Store,
    clock: Arc<ManualClock>,
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Told {
    /// Whether a function has room.
    open: [bool; 2],
    /// How the next run ends; none while the server dies.
    status: Option<u16>,
    /// What ran last.
    ran: Option<RequestId>,
}

impl Script {
    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }
}

impl Runner for Script {
    fn find(&self, namespace: &Namespace, name: &FunctionName) -> Result<Known> {
        let found = self.store.function(namespace, name)?;
        found.map(Known::of).ok_or_else(|| Error::not_found("gone"))
    }

    fn aim(&self, key: &(Namespace, FunctionName), _: Option<&str>, _: &RoutingKey) -> Result<(Aim, Known)> {
        Ok((Aim { number: None, alias: Arc::from("") }, self.find(&key.0, &key.1)?))
    }

    fn terminate(&self, _: i64, _: bool) -> bool {
        false
    }

    fn room(&self, known: &Known) -> Option<Room> {
        let at = NAMES.iter().position(|name| *name == known.names.name).unwrap();
        self.told().open[at].then(Room::default)
    }

    fn attempt(&self, claimed: &Claimed, _: &Room, settle: Settle<'_>) -> Result<Finished> {
        let mut record = claimed.record.clone();
        let mut told = self.told();
        told.ran = Some(record.request_id.clone());
        let Some(status) = told.status else { return Err(Error::internal("the server dies")) };
        drop(told);
        record.status = status;
        record.state = if status == 200 { State::Succeeded } else { State::Failed };
        (record.started_us, record.ended_us) = (self.clock.wall_us(), self.clock.wall_us());
        record.result = run_log::error_body(&record.request_id, "", "", status);
        let settlement = Some(settle(&mut record));
        let record = self.store.record(FinishedRun { record, lines: Vec::new(), settlement })?;
        Ok(Finished { record, after: Box::new(|| {}) })
    }

    fn is_stopping(&self) -> bool {
        false
    }

    fn ended(&self, _: &RequestId) {}
}

/// What the model knows of an event.
#[derive(Clone, Debug)]
struct Event {
    id: RequestId,
    function: usize,
    /// By the clock that never jumps, seconds.
    born_s: i64,
    due_s: i64,
    /// The same by the wall clock as it was then, which is what is stored.
    born_wall_s: i64,
    due_wall_s: i64,
    attempts: u32,
    failures: u32,
    deaths: u32,
    state: State,
    /// Its function was deleted.
    is_doomed: bool,
    /// The server died while it ran, and it has not ended since.
    is_suspect: bool,
}

impl Event {
    fn waits(&self) -> bool {
        !self.state.is_over()
    }
}

/// The queue, and the model beside it.
struct World {
    folder: TempDir,
    clock: Arc<ManualClock>,
    /// None while it is between two lives.
    server: Option<(Arc<Script>, Arc<Events>)>,
    model: Vec<Event>,
    keys: HashMap<(usize, u8), (u8, RequestId, i64)>,
    now_s: i64,
    /// How far the wall clock is from where it would be.
    jumped_s: i64,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(1_000_000_000_000_000));
        let told = Told { open: [true; 2], status: None, ran: None };
        let server = Some(open(&folder, &clock, told));
        let (model, keys) = (Vec::new(), HashMap::new());
        let world = World { folder, clock, server, model, keys, now_s: 0, jumped_s: 0 };
        (0..NAMES.len()).for_each(|function| world.deploy(function));
        world
    }

    fn script(&self) -> Arc<Script> {
        self.server.as_ref().unwrap().0.clone()
    }

    fn events(&self) -> Arc<Events> {
        self.server.as_ref().unwrap().1.clone()
    }

    fn deploy(&self, function: usize) {
        let (msg_ttl_s, retry_num) = RULES[function];
        let event = EventConfig { retry_num, msg_ttl_s, dead_letter: None };
        let config = Config { event, ..Config::usual() };
        let (name, package) = (FunctionName::parse(NAMES[function]).unwrap(), b"code".to_vec());
        let digest = {
            use sha2::{Digest as _, Sha256};
            Digest(Sha256::digest(&package).into())
        };
        self.script()
            .store
            .deploy(
                &Namespace::default(),
                &name,
                &config,
                Content::New(package, digest),
                Haste::AtOnce(Only::Always),
            )
            .unwrap();
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Accept { function, key, body } => self.accept(function, key, body),
            Op::Run { status } => self.run(Some(status)),
            Op::Die => {
                self.run(None);
                let died = self.script().told().ran.take();
                if let Some(id) = &died {
                    // It could not be put back in time.
                    let store = &self.script().store;
                    store.claim(store.invocation(id).unwrap().unwrap().id).unwrap();
                }
                self.reopen(died);
            }
            Op::Crash => self.reopen(None),
            Op::Wait(seconds) => {
                self.clock.advance(Duration::from_secs(seconds.unsigned_abs()));
                self.now_s += seconds;
            }
            Op::Jump(seconds) => {
                self.clock.jump(seconds * 1_000_000);
                self.jumped_s += seconds;
            }
            Op::Room { function, open } => {
                self.script().told().open[function] = open;
                self.events().room();
            }
            Op::Delete { function } => self.delete(function),
        }
    }

    fn accept(&mut self, function: usize, key: Option<u8>, body: u8) {
        let event = format!("[{body}]").into_bytes();
        let order = Order {
            routing_key: RoutingKey::default(),
            namespace: Namespace::default(),
            name: FunctionName::parse(NAMES[function]).unwrap(),
            qualifier: None,
            event: event.clone(),
            source: Source::Rest,
        };
        let idempotency = key.map(|key| key.to_string());
        let wall_s = self.now_s + self.jumped_s;
        let used = key.and_then(|key| self.keys.get(&(function, key)).cloned());
        let used = used.filter(|(_, _, at_s)| *at_s > wall_s - 86_400);
        let is_full = self.model.iter().filter(|event| event.waits()).count() as u64 >= EVENTS_MAX;
        match (self.events().accept(order, idempotency.as_deref()), used) {
            (Ok(id), Some((was, known, _))) => assert_eq!((was, &known), (body, &id)),
            (Err(error), Some((was, ..))) => {
                assert_eq!(error.kind, Kind::Conflict, "{error}");
                assert_ne!(was, body);
            }
            (Ok(id), None) => {
                assert!(!is_full);
                if let Some(key) = key {
                    self.keys.insert((function, key), (body, id.clone(), wall_s));
                }
                self.model.push(Event {
                    id,
                    function,
                    born_s: self.now_s,
                    due_s: self.now_s,
                    born_wall_s: wall_s,
                    due_wall_s: wall_s,
                    attempts: 0,
                    failures: 0,
                    deaths: 0,
                    state: State::Queued,
                    is_doomed: false,
                    is_suspect: false,
                });
            }
            (Err(error), None) => {
                assert_eq!(error.kind, Kind::Full, "{error:#}");
                assert!(is_full);
            }
        }
    }

    /// Has whoever may go next go; `None` means that the server dies meanwhile.
    fn run(&mut self, status: Option<u16>) {
        let taken = {
            let (script, events) = (self.script(), self.events());
            let mut told = script.told();
            (told.status, told.ran) = (status, None);
            drop(told);
            let now_us = events.now_us();
            events.take(&mut events.lock(), now_us)
        };
        let Some(taken) = taken else {
            let open = self.script().told().open;
            let stuck: Vec<&Event> = self
                .model
                .iter()
                .filter(|event| event.waits() && event.due_s <= self.now_s && open[event.function])
                .collect();
            assert!(stuck.is_empty(), "nobody goes, though these could: {stuck:?}");
            return;
        };
        let id = self.script().store.claim(taken.entry.id).unwrap().unwrap().record.request_id;
        let has_room = taken.permit.is_some();
        self.events().serve(taken);
        let ran = self.script().told().ran.clone();
        let (now_s, jumped_s, open) = (self.now_s, self.jumped_s, self.script().told().open);
        let earlier = |event: &Event, mine: &Event| {
            event.waits()
                && !mine.is_suspect
                && !event.is_suspect
                && event.function == mine.function
                && event.due_s < mine.due_s
                && event.id != mine.id
        };
        let mine = self.model.iter().position(|event| event.id == id).expect("only what was accepted runs");
        let too_old = |event: &Event| now_s - event.born_s >= i64::from(RULES[event.function].0);
        let is_too_old = too_old(&self.model[mine]);
        let behind = !is_too_old && self.model.iter().any(|event| earlier(event, &self.model[mine]));
        assert!(!behind, "{:?} went before an earlier one", self.model[mine]);
        let event = &mut self.model[mine];
        let (ttl_s, retry_num) = (i64::from(RULES[event.function].0), RULES[event.function].1);
        assert!(event.waits() && (event.due_s <= now_s || event.is_doomed), "{event:?} was not due");
        assert!(has_room || is_too_old || event.is_doomed, "{event:?} had no room");
        assert!(!has_room || open[event.function] || event.is_doomed, "{event:?} had no room");
        if event.is_doomed || event.deaths >= 3 {
            event.state = State::Dead;
        } else if is_too_old {
            event.state = State::Expired;
        } else {
            assert_eq!(ran, Some(event.id.clone()), "{event:?} did not run");
            let Some(status) = status else { return };
            event.is_suspect = false;
            event.attempts += 1;
            event.failures += u32::from(!matches!(status, 200 | 500));
            let too_old = now_s + MINUTE_S - event.born_s > ttl_s;
            event.state = match status {
                200 => State::Succeeded,
                430 | 433 if event.failures > retry_num => State::Dead,
                _ if too_old => State::Expired,
                _ => State::Retrying,
            };
            event.due_s = now_s + MINUTE_S;
            event.due_wall_s = event.due_s + jumped_s;
        }
    }

    /// The server dies and comes back. What it claimed counts as tried, and is due; what waits is due no later than it was,
    /// or than a minute from now where the clock was set back.
    fn reopen(&mut self, died: Option<RequestId>) {
        let open_before = self.script().told().open;
        let told = Told { open: open_before, status: None, ran: None };
        self.server = None;
        self.server = Some(open(&self.folder, &self.clock, told));
        let (now_s, wall_s) = (self.now_s, self.now_s + self.jumped_s);
        for event in self.model.iter_mut().filter(|event| event.waits()) {
            if died.as_ref() == Some(&event.id) {
                event.attempts += 1;
                event.deaths += 1;
                (event.due_wall_s, event.state) = (wall_s, State::Retrying);
            }
            event.is_suspect = event.deaths > 0;
            event.due_s = now_s + (event.due_wall_s - wall_s).min(MINUTE_S);
            event.born_s = now_s - (wall_s - event.born_wall_s).max(0);
        }
    }

    /// Its events are given up when their turn comes, which is now; a new function of its name runs none of them.
    fn delete(&mut self, function: usize) {
        let name = FunctionName::parse(NAMES[function]).unwrap();
        let deleted = self.script().store.delete_function(&Namespace::default(), &name).unwrap();
        self.events().deleted(&deleted);
        // A function is told from the one before by when it was made.
        self.clock.advance(Duration::from_secs(1));
        self.now_s += 1;
        self.deploy(function);
        for event in self.model.iter_mut().filter(|event| event.waits() && event.function == function) {
            event.is_doomed = true;
        }
        self.keys.retain(|(of, _), _| *of != function);
    }

    /// What the database has is what the model has.
    fn check(&self) {
        for event in &self.model {
            let record = self.script().store.invocation(&event.id).unwrap().expect("no event is lost");
            assert_eq!(record.state, event.state, "{event:?} {record:?}");
            assert_eq!(record.due_us > 0, event.waits(), "{event:?} {record:?}");
            let letter = self.script().store.dead_letter(&event.id).unwrap();
            let is_dead = matches!(event.state, State::Dead | State::Expired);
            assert_eq!(letter.is_some(), is_dead, "{event:?}");
            if event.waits() || event.state == State::Succeeded {
                let tried = self.script().store.attempts(record.id, u32::MAX).unwrap().len();
                let earlier =
                    if event.state == State::Succeeded { event.attempts - 1 } else { event.attempts };
                assert_eq!(tried, earlier as usize, "{event:?}");
            }
        }
        let waiting = self.model.iter().filter(|event| event.waits()).count() as u64;
        let numbers = self.events().numbers();
        assert_eq!((numbers.events, numbers.bytes), (waiting, waiting * 3));
    }
}

fn open(folder: &TempDir, clock: &Arc<ManualClock>, told: Told) -> (Arc<Script>, Arc<Events>) {
    let options = store::Options {
        path: folder.path().join("fnlite.db"),
        external_checkpointer: false,
        seal_key: None,
    };
    let clock = Arc::clone(clock);
    let store = Store::open(&options, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let script = Arc::new(Script { store: store.clone(), clock: Arc::clone(&clock), told: Mutex::new(told) });
    let parts = Parts { store, clock, ids: Arc::new(SystemIds) };
    let options = Options {
        events_max: EVENTS_MAX,
        bytes_max: 1024,
        // The test's own thread runs them.
        threads_max: 0,
        few: 4,
        pace: Pace::default(),
        account: Account { appid: "1".to_owned(), uin: "2".to_owned() },
    };
    let events = Events::with(parts, Arc::clone(&script) as Arc<dyn Runner>, options).unwrap();
    (script, events)
}

/// Sixty stories, or as many as PROPTEST_CASES says.
fn config() -> ProptestConfig {
    let told =
        ProptestConfig { failure_persistence: None, max_shrink_iters: 300, ..ProptestConfig::default() };
    let cases = if told.cases == 256 { 60 } else { told.cases };
    ProptestConfig { cases, ..told }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_queue_is_what_its_model_says(ops in prop::collection::vec(op(), 1..60)) {
        let mut world = World::new();
        for op in &ops {
            world.apply(op);
            world.check();
        }
    }
}
