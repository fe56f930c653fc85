//! Where all ways to invoke meet: name to version, admission, run, record, answer.
//!
//! An order that is refused before it runs (no such function, an event that is no JSON) is an `Error` and leaves nothing
//! behind. From admission on there is a record, whatever happens, and the caller hears of it only once it is committed.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

use crate::base::clock::Clock;
use crate::base::id::{IdSource, RequestId};
use crate::base::json;
use crate::error::{Error, Result};
use crate::model::function::{Function, FunctionName, LATEST, Namespace, Version};
use crate::model::invocation::{Event, FunctionNames, Invocation, Record, Source};
use crate::model::limits;
use crate::pool::Pool;
use crate::service::endings::Endings;
use crate::service::invoke::run::{Wanted, record};
use crate::service::metrics::Metrics;
use crate::store::Store;

pub(crate) mod run;
pub(crate) mod runner;

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
    endings: Endings,
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

    /// The runs that have not ended, newest first, as records in state running and without their events, which may be
    /// large.
    pub fn running(&self) -> Vec<Record> {
        self.lock_running().values().rev().map(|invocation| record(invocation, Vec::new())).collect()
    }

    /// The row id of the run of that request id, if it has not ended.
    pub fn running_run_id(&self, request_id: &RequestId) -> Option<i64> {
        let running = self.lock_running();
        running
            .values()
            .find(|invocation| invocation.request_id == *request_id)
            .map(|invocation| invocation.id)
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

    fn lock_running(&self) -> MutexGuard<'_, BTreeMap<i64, Arc<Invocation>>> {
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
