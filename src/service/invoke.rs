//! Where all ways to invoke meet: name to version, admission, run, record, answer.
//!
//! An order that is refused before it runs (no such function, an event that is no JSON) is an `Error` and leaves nothing
//! behind. From admission on there is a record, whatever happens, and the caller hears of it only once it is committed.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use crate::base::clock::Clock;
use crate::base::id::{IdSource, RequestId};
use crate::base::json;
use crate::error::{Error, Result};
use crate::model::function::{FunctionName, LATEST, Namespace, Version};
use crate::model::invocation::{
    Event, FinishedRun, FunctionNames, Invocation, Outcome, Record, Source, State,
};
use crate::model::limits;
use crate::pool::{Pool, Ran};
use crate::service::metrics::Metrics;
use crate::service::run_log::{self, End, RunLog};
use crate::store::Store;

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
}

#[derive(Clone, Debug)]
struct Known {
    version: Arc<Version>,
    names: Arc<FunctionNames>,
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
        Ok(Invoker { store, pool, clock, ids, known, generation, running, metrics: Metrics::default() })
    }

    /// Runs one event and waits until it ended and its record is committed.
    ///
    /// Fails with `Busy` (the disk is nearly full), `Invalid` (event no JSON), `Limit` (event too large) or `NotFound` (no
    /// such function or qualifier) before anything runs; every other ending is a record.
    pub fn invoke(&self, order: Order) -> Result<Finished> {
        self.store.check_room_for_run()?;
        let event = event(order.event)?;
        if let Some(qualifier) = order.qualifier.as_deref().filter(|qualifier| *qualifier != LATEST) {
            return Err(Error::not_found(format!("{} has no version or alias {qualifier}", order.name)));
        }
        let created_us = self.clock.wall_us();
        let (id, request_id) = (self.store.next_run_id(), self.ids.request_id(created_us));
        let key = (order.namespace, order.name);
        loop {
            let generation = self.generation.load(Ordering::Acquire);
            let Known { version, names } = self.resolve(&key, generation)?;
            let invocation = Arc::new(Invocation {
                id,
                request_id: request_id.clone(),
                version,
                function: names,
                event: event.clone(),
                source: order.source,
                created_us,
            });
            let current = || self.generation.load(Ordering::Acquire) == generation;
            let replaced = || self.is_replaced(&key, &invocation.version);
            if let Some(finished) = self.run(&invocation, &current, &replaced)? {
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

    /// Called after a deploy or delete has been committed: no run that starts later uses the old version.
    pub fn forget(&self, function_id: i64) {
        let mut known = self.known.write().expect("no holder of this lock can panic");
        self.generation.fetch_add(1, Ordering::AcqRel);
        known.retain(|_, known| known.version.function_id != function_id);
        // Under the same lock, or it could undo what somebody who looks the function up has just reserved for it.
        self.pool.reserve(function_id, None);
        drop(known);
        self.pool.retire(function_id);
    }

    /// Called after a deploy has been committed: as [`forget`](Invoker::forget), and what the new version has reserved is
    /// taken from all others from now on.
    pub fn replaced(&self, namespace: &Namespace, name: &FunctionName, function_id: i64) {
        self.forget(function_id);
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
        let names = FunctionNames { namespace: namespace.to_string(), name: name.to_string() };
        let found = Known { version: Arc::new(function.version), names: Arc::new(names) };
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
        current: &dyn Fn() -> bool,
        replaced: &dyn Fn() -> bool,
    ) -> Result<Option<Finished>> {
        let (id, function_id) = (invocation.id, invocation.version.function_id);
        let wall_us = || self.clock.wall_us();
        let mut begun = false;
        let mut early = |lines| {
            // Lines of a run need its row, or they cannot be told whose they are.
            if !std::mem::replace(&mut begun, true)
                && let Err(error) = self.store.begin(record(invocation, invocation.event.0.to_vec()))
            {
                log::warn!("a long run's beginning was not stored: {error:#}");
            }
            if let Err(error) = self.store.append_lines(id, function_id, lines) {
                log::warn!("lines of a long run were not stored: {error:#}");
            }
        };
        let memory_mb = invocation.version.config.memory_mb;
        let mut log =
            RunLog::start(&invocation.request_id, memory_mb, invocation.created_us, &wall_us, &mut early);
        self.lock_running().insert(id, Arc::clone(invocation));
        let ran = self.pool.run(invocation, current, replaced, &mut log);
        let finished = ran.map(|ran| self.keep(invocation, ran, log)).transpose();
        self.lock_running().remove(&id);
        finished
    }

    /// Writes record and log, and waits until they are committed.
    fn keep(&self, invocation: &Invocation, ran: Ran, log: RunLog<'_>) -> Result<Finished> {
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
        let record = self.store.record(FinishedRun { record: Record { result, ..ended }, lines })?;
        self.metrics.observe(&record);
        Ok(Finished { record, after: ran.after })
    }
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finished").field("record", &self.record).finish_non_exhaustive()
    }
}

/// The event, checked: JSON of at most 6 MB; nothing at all means an empty object.
fn event(bytes: Vec<u8>) -> Result<Event> {
    if bytes.is_empty() {
        return Ok(Event(Arc::from(&b"{}"[..])));
    }
    if bytes.len() > limits::EVENT_BYTES_MAX {
        return Err(Error::limit(format!("the event must be at most {} bytes", limits::EVENT_BYTES_MAX)));
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
        retry_num: 0,
        due_us: 0,
        status: 202,
        created_us: invocation.created_us,
        started_us: invocation.created_us,
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

fn micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
