//! Where all ways to invoke meet: name to version, admission, run, record, answer.
//!
//! An order that is refused before it runs (no such function, an event that is no JSON) is an `Error` and leaves nothing
//! behind. From admission on there is a record, whatever happens, and the caller hears of it only once it is committed.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use crate::base::clock::Clock;
use crate::base::failpoint;
use crate::base::id::{IdSource, RequestId};
use crate::base::json;
use crate::error::{Error, Result};
use crate::model::event::{Claimed, Settlement};
use crate::model::function::{Function, FunctionName, LATEST, Namespace, Version};
use crate::model::invocation::{
    Event, FinishedRun, FunctionNames, Invocation, Outcome, Record, Source, State,
};
use crate::model::limits;
use crate::pool::admission::Asks;
use crate::pool::{Permit, Pool, Ran};
use crate::service::endings::Endings;
use crate::service::metrics::Metrics;
use crate::service::run_log::{self, End, RunLog};
use crate::store::Store;
use crate::store::logs::Of;

/// How often it is tried to store how an event's attempt ended, and what lies between two tries: ten minutes in all.
const STORE_TRIES: u32 = 600;
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// What a door asks for.
#[derive(Debug)]
pub struct Order {
    /// The namespace asked in.
    pub namespace: Namespace,
    /// The function asked for.
    pub name: FunctionName,
    /// The version or alias asked for; none means `$LATEST`.
    pub qualifier: Option<String>,
    /// The event as it came; empty means `{}`.
    pub event: Vec<u8>,
    /// What caused it.
    pub source: Source,
}

/// A run that ended and whose record is committed.
pub struct Finished {
    /// The record; `result` is what the caller is given.
    pub record: Record,
    /// To be called once the answer has gone out: ends the Instance and orders its replacement.
    pub after: Box<dyn FnOnce() + Send>,
}

/// Decides what the queue does with the event whose attempt this record tells of, and notes its state there.
pub(crate) type Settle<'a> = &'a mut dyn FnMut(&mut Record) -> Settlement;

/// A run that is to be, whichever version it will be of.
struct Wanted<'a> {
    id: i64,
    request_id: RequestId,
    key: (Namespace, FunctionName),
    event: Event,
    source: Source,
    created_us: i64,
    attempt: Option<Attempting<'a>>,
}

/// What an attempt of a queued event has beyond a run whose caller waits.
struct Attempting<'a> {
    room: &'a Room,
    retry_num: u32,
    /// When the function meant was created.
    function_created_us: i64,
    settle: Settle<'a>,
}

/// Whether a version is still the one to run; see [`Pool::run`].
struct Checks<'a> {
    current: &'a dyn Fn() -> bool,
    replaced: &'a dyn Fn() -> bool,
}

/// Runs functions.
#[derive(Debug)]
pub struct Invoker {
    store: Store,
    pool: Arc<Pool>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    /// What names mean now, so that a run need not ask the database.
    known: RwLock<HashMap<(Namespace, FunctionName), Known>>,
    /// Grows with every deploy and delete: what was looked up before one may not be kept after it.
    generation: AtomicU64,
    running: Mutex<BTreeMap<i64, Arc<Invocation>>>,
    metrics: Metrics,
    endings: Endings,
}

/// Room for an attempt; none is needed where nothing will run.
#[derive(Debug, Default)]
pub(crate) struct Room(Option<Permit>);

/// What runs the events of the queue; of its own, so that the queue can be tried without processes.
pub(crate) trait Runner: Send + Sync + fmt::Debug {
    /// What that name means now; fails with `NotFound`.
    fn find(&self, namespace: &Namespace, name: &FunctionName) -> Result<Known>;

    /// Room for an event of that function, if there is some.
    fn room(&self, known: &Known) -> Option<Room>;

    /// One attempt of an event that has room, its settlement stored with its record.
    ///
    /// Fails with `NotFound` when the function is not there any more, before anything runs, and with `Busy` or `Internal` when
    /// the record could not be stored: then the queue knows nothing of the attempt.
    fn attempt(&self, claimed: &Claimed, room: &Room, settle: Settle<'_>) -> Result<Finished>;

    /// Whether runs are being ended because we stop.
    fn is_stopping(&self) -> bool;

    /// An invocation is over, and its record is committed.
    fn ended(&self, request_id: &RequestId);
}

/// What a name means.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// The version that runs.
    pub(crate) version: Arc<Version>,
    /// The function's names.
    pub(crate) names: Arc<FunctionNames>,
    /// When the function was created, microseconds since the epoch, which tells it from an earlier one of its name.
    pub(crate) created_us: i64,
}

impl Known {
    /// What a function's name means while it stands as it does.
    pub(crate) fn of(function: Function) -> Known {
        let names =
            FunctionNames { namespace: function.namespace.to_string(), name: function.name.to_string() };
        Known { version: Arc::new(function.version), names: Arc::new(names), created_us: function.created_us }
    }
}

impl Invoker {
    /// An invoker of what is in `store`, run by `pool`. Reads every function once, since what one has reserved is taken
    /// from all.
    pub fn new(
        store: Store,
        pool: Arc<Pool>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Result<Invoker> {
        for (function_id, reserved_mb) in store.reservations()? {
            pool.reserve(function_id, Some(reserved_mb));
        }
        let (known, generation, running) = (RwLock::default(), AtomicU64::new(0), Mutex::default());
        let (metrics, endings) = (Metrics::default(), Endings::default());
        Ok(Invoker { store, pool, clock, ids, known, generation, running, metrics, endings })
    }

    /// Runs one event and waits until it ended and its record is committed.
    ///
    /// Fails with `Busy` (the disk is nearly full), `Invalid` (event no JSON), `Limit` (event too large) or `NotFound` (no
    /// such function or qualifier) before anything runs; every other ending is a record.
    pub fn invoke(&self, order: Order) -> Result<Finished> {
        self.store.check_room_for_run()?;
        let event = event(order.event, limits::EVENT_BYTES_MAX)?;
        check_qualifier(&order.name, order.qualifier.as_deref())?;
        let created_us = self.clock.wall_us();
        let wanted = Wanted {
            id: self.store.next_run_id(),
            request_id: self.ids.request_id(created_us),
            key: (order.namespace, order.name),
            event,
            source: order.source,
            created_us,
            attempt: None,
        };
        let finished = self.drive(wanted)?;
        self.endings.ended(&finished.record.request_id);
        Ok(finished)
    }

    /// Runs until the version that ran is the one that should have.
    fn drive(&self, mut wanted: Wanted<'_>) -> Result<Finished> {
        loop {
            let generation = self.generation.load(Ordering::Acquire);
            let Known { version, names, created_us } = self.resolve(&wanted.key, generation)?;
            let meant = wanted.attempt.as_ref().map(|attempt| attempt.function_created_us);
            if meant.is_some_and(|meant_us| meant_us != created_us) {
                return Err(Error::not_found("the function was deleted, and another one has its name"));
            }
            let invocation = Arc::new(Invocation {
                id: wanted.id,
                request_id: wanted.request_id.clone(),
                version,
                function: names,
                event: wanted.event.clone(),
                source: wanted.source,
                created_us: wanted.created_us,
                begun_us: if wanted.attempt.is_some() { self.clock.wall_us() } else { wanted.created_us },
                retry_num: wanted.attempt.as_ref().map_or(0, |attempt| attempt.retry_num),
            });
            let current = || self.generation.load(Ordering::Acquire) == generation;
            let replaced = || self.is_replaced(&wanted.key, &invocation.version);
            let checks = Checks { current: &current, replaced: &replaced };
            if let Some(finished) = self.run(&invocation, &checks, wanted.attempt.as_mut())? {
                return Ok(finished);
            }
        }
    }

    /// The runs that have not ended, newest first, as records in state running and without their events, which may be
    /// large.
    pub fn running(&self) -> Vec<Record> {
        self.lock_running().values().rev().map(|invocation| record(invocation, Vec::new())).collect()
    }

    /// The run of that request id, if it has not ended, with its event.
    pub fn running_run(&self, request_id: &RequestId) -> Option<Record> {
        let running = self.lock_running();
        let found = running.values().find(|invocation| invocation.request_id == *request_id)?;
        Some(record(found, found.event.0.to_vec()))
    }

    /// What ran since the start, counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Who waits for runs to end.
    pub fn endings(&self) -> &Endings {
        &self.endings
    }

    /// Called after a delete has been committed: no run that starts later uses the old version.
    pub fn forget(&self, function_id: i64) {
        self.forget_for(function_id, None);
    }

    fn forget_for(&self, function_id: i64, reserved_mb: Option<u32>) {
        let mut known = self.known.write().expect("no holder of this lock can panic");
        self.generation.fetch_add(1, Ordering::AcqRel);
        known.retain(|_, known| known.version.function_id != function_id);
        // Under the same lock, or it could undo what somebody who looks the function up has just reserved for it.
        self.pool.reserve(function_id, reserved_mb);
        drop(known);
        self.pool.retire(function_id);
    }

    /// Called after a deploy has been committed: as [`forget`](Invoker::forget), and what the new version has reserved is
    /// taken from all others from now on.
    pub fn replaced(&self, function: &Function) {
        let (namespace, name) = (&function.namespace, &function.name);
        self.forget_for(function.id, function.version.config.reserved_mb);
        let generation = self.generation.load(Ordering::Acquire);
        // Whoever runs it first looks it up again.
        if let Err(error) = self.resolve(&(namespace.clone(), name.clone()), generation) {
            log::warn!("what {name} has reserved is not known before its first run: {error:#}");
        }
    }

    fn lock_running(&self) -> std::sync::MutexGuard<'_, BTreeMap<i64, Arc<Invocation>>> {
        self.running.lock().expect("no holder of this lock can panic")
    }

    fn resolve(&self, key: &(Namespace, FunctionName), generation: u64) -> Result<Known> {
        if let Some(known) = self.known.read().expect("no holder of this lock can panic").get(key) {
            return Ok(known.clone());
        }
        let (namespace, name) = key;
        let function = self.store.function(namespace, name)?;
        let function = function
            .ok_or_else(|| Error::not_found(format!("there is no function {name} in {namespace}")))?;
        let found = Known::of(function);
        let mut known = self.known.write().expect("no holder of this lock can panic");
        if self.generation.load(Ordering::Acquire) == generation {
            self.pool.reserve(found.version.function_id, found.version.config.reserved_mb);
            known.insert(key.clone(), found.clone());
        }
        Ok(found)
    }

    /// Whether the database has another version by that name; if so, this one is forgotten here.
    fn is_replaced(&self, key: &(Namespace, FunctionName), version: &Version) -> bool {
        let (namespace, name) = key;
        let stored = self.store.function(namespace, name);
        let is_replaced =
            stored.is_ok_and(|function| function.is_none_or(|function| function.version.id != version.id));
        if is_replaced {
            let mut known = self.known.write().expect("no holder of this lock can panic");
            if known.get(key).is_some_and(|known| known.version.id == version.id) {
                known.remove(key);
            }
        }
        is_replaced
    }

    /// One run and its record; `None` when the version was replaced before it began.
    fn run(
        &self,
        invocation: &Arc<Invocation>,
        checks: &Checks<'_>,
        attempt: Option<&mut Attempting<'_>>,
    ) -> Result<Option<Finished>> {
        let of = Of {
            run_id: invocation.id,
            function_id: invocation.version.function_id,
            retry_num: invocation.retry_num,
        };
        let wall_us = || self.clock.wall_us();
        // An event's row is there already.
        let mut begun = attempt.is_some();
        let mut early = |lines| {
            // Lines of a run need its row, or they cannot be told whose they are.
            if !std::mem::replace(&mut begun, true)
                && let Err(error) = self.store.begin(record(invocation, invocation.event.0.to_vec()))
            {
                log::warn!("a long run's beginning was not stored: {error:#}");
            }
            if let Err(error) = self.store.append_lines(of, lines) {
                log::warn!("lines of a long run were not stored: {error:#}");
            }
        };
        let memory_mb = invocation.version.config.memory_mb;
        let begun_us = invocation.begun_us;
        let mut log = RunLog::start(&invocation.request_id, memory_mb, begun_us, &wall_us, &mut early);
        let _running = Running::list(&self.running, invocation);
        let permit = attempt.as_ref().and_then(|attempt| attempt.room.0.as_ref());
        let ran = self.admitted(invocation, checks, permit, &mut log);
        ran.map(|ran| self.keep(invocation, ran, log, attempt)).transpose()
    }

    /// The run, in the room it has or in room it gets now.
    fn admitted(
        &self,
        invocation: &Invocation,
        checks: &Checks<'_>,
        permit: Option<&Permit>,
        log: &mut RunLog<'_>,
    ) -> Option<Ran> {
        let run =
            |permit: &Permit, log| self.pool.run(permit, invocation, checks.current, checks.replaced, log);
        if let Some(permit) = permit {
            return run(permit, log);
        }
        match self.pool.admit(&invocation.version, Asks::Caller) {
            Ok(permit) => run(&permit, log),
            Err(refused) => {
                let sentence = refused.sentence(&invocation.function.name);
                Some(self.pool.not_run(Outcome::OverConcurrency(sentence)))
            }
        }
    }

    /// Writes record and log, and waits until they are committed.
    fn keep(
        &self,
        invocation: &Invocation,
        ran: Ran,
        log: RunLog<'_>,
        attempt: Option<&mut Attempting<'_>>,
    ) -> Result<Finished> {
        failpoint::here("run.keep")?;
        let ended_us = self.clock.wall_us();
        let memory_used_kb = ran.memory_kb.max(log.memory_kb);
        let result = run_log::result(&ran.outcome, &invocation.request_id);
        let returned = matches!(ran.outcome, Outcome::Returned(_));
        let ended = Record {
            state: if returned { State::Succeeded } else { State::Failed },
            status: ran.outcome.status(),
            started_us: ran.started_us,
            ended_us,
            duration_us: micros(ran.duration),
            init_us: log.init.map_or(0, micros),
            memory_used_kb,
            error: ran.outcome.error_message(),
            ..record(invocation, invocation.event.0.to_vec())
        };
        let end =
            End { outcome: &ran.outcome, result: &result, duration: ran.duration, memory_kb: memory_used_kb };
        let lines = log.end(ran.lines, &end, ended_us);
        let mut record = Record { result, ..ended };
        let settlement = attempt.map(|attempt| (attempt.settle)(&mut record));
        let record = self.store_run(FinishedRun { record, lines, settlement })?;
        self.metrics.observe(&record);
        Ok(Finished { record, after: ran.after })
    }
}

impl Invoker {
    /// A caller is told when his run could not be stored. An event has run, so it is stored as soon as it can be: to run it
    /// again would do twice what it did.
    fn store_run(&self, run: FinishedRun) -> Result<Record> {
        if run.settlement.is_none() {
            return self.store.record(run);
        }
        let mut failed = 0;
        loop {
            match self.store.record(run.clone()) {
                Err(error) if failed < STORE_TRIES && !self.pool.is_stopping() => {
                    failed += 1;
                    log::error!(
                        "what became of event {} is not stored yet: {error:#}",
                        run.record.request_id
                    );
                    std::thread::sleep(STORE_AGAIN);
                }
                stored => return stored,
            }
        }
    }
}

impl Runner for Invoker {
    fn find(&self, namespace: &Namespace, name: &FunctionName) -> Result<Known> {
        let generation = self.generation.load(Ordering::Acquire);
        self.resolve(&(namespace.clone(), name.clone()), generation)
    }

    fn room(&self, known: &Known) -> Option<Room> {
        self.pool.admit(&known.version, Asks::Event).ok().map(|permit| Room(Some(permit)))
    }

    fn attempt(&self, claimed: &Claimed, room: &Room, settle: Settle<'_>) -> Result<Finished> {
        let Claimed { record, function_created_us, .. } = claimed;
        let source = Source::parse(&record.source).unwrap_or(Source::Rest);
        let retry_num = record.retry_num;
        self.drive(Wanted {
            id: record.id,
            key: (Namespace::parse(&record.namespace)?, FunctionName::parse(&record.function)?),
            request_id: record.request_id.clone(),
            event: Event(Arc::from(record.event.as_slice())),
            source,
            created_us: record.created_us,
            attempt: Some(Attempting { room, retry_num, function_created_us: *function_created_us, settle }),
        })
    }

    fn is_stopping(&self) -> bool {
        self.pool.is_stopping()
    }

    fn ended(&self, request_id: &RequestId) {
        self.endings.ended(request_id);
    }
}

/// A run in the list of those that have not ended, until this is dropped: also by a panic, or it would run for ever.
struct Running<'l> {
    list: &'l Mutex<BTreeMap<i64, Arc<Invocation>>>,
    id: i64,
}

impl<'l> Running<'l> {
    fn list(list: &'l Mutex<BTreeMap<i64, Arc<Invocation>>>, invocation: &Arc<Invocation>) -> Running<'l> {
        let mut runs = list.lock().expect("no holder of this lock can panic");
        runs.insert(invocation.id, Arc::clone(invocation));
        Running { list, id: invocation.id }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.list.lock().expect("no holder of this lock can panic").remove(&self.id);
    }
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finished").field("record", &self.record).finish_non_exhaustive()
    }
}

/// Versions and aliases are still to come.
pub(crate) fn check_qualifier(name: &FunctionName, qualifier: Option<&str>) -> Result<()> {
    match qualifier {
        Some(qualifier) if qualifier != LATEST => {
            Err(Error::not_found(format!("{name} has no version or alias {qualifier}")))
        }
        _ => Ok(()),
    }
}

/// The event, checked: JSON of at most so many bytes; nothing at all means an empty object.
pub(crate) fn event(bytes: Vec<u8>, bytes_max: usize) -> Result<Event> {
    if bytes.is_empty() {
        return Ok(Event(Arc::from(&b"{}"[..])));
    }
    if bytes.len() > bytes_max {
        return Err(Error::limit(format!("the event must be at most {bytes_max} bytes")));
    }
    json::check(&bytes).map_err(|why| Error::invalid(format!("the event must be JSON (RFC 8259): {why}")))?;
    Ok(Event(bytes.into()))
}

/// The record of a run that has not ended.
fn record(invocation: &Invocation, event: Vec<u8>) -> Record {
    Record {
        id: invocation.id,
        request_id: invocation.request_id.clone(),
        function_id: invocation.version.function_id,
        namespace: invocation.function.namespace.clone(),
        function: invocation.function.name.clone(),
        qualifier: invocation.version.qualifier.clone(),
        source: invocation.source.as_str().to_owned(),
        state: State::Running,
        retry_num: invocation.retry_num,
        due_us: 0,
        status: 202,
        created_us: invocation.created_us,
        started_us: invocation.begun_us,
        ended_us: 0,
        duration_us: 0,
        init_us: 0,
        memory_mb: invocation.version.config.memory_mb,
        memory_used_kb: 0,
        event,
        result: Vec::new(),
        error: String::new(),
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
