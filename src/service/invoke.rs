//! Where all ways to invoke meet: name to version, admission, run, record, answer.
//!
//! An order that is refused before it runs (no such function, an event that is no JSON) is an `Error` and leaves nothing
//! behind. From admission on there is a record, whatever happens, and the caller hears of it only once it is committed.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::Duration;

use crate::base::clock::Clock;
use crate::base::id::{IdSource, RequestId};
use crate::base::json;
use crate::error::{About, Error, Result};
use crate::instance::run::Termination;
use crate::model::alias::{Alias, AliasName, RoutingKey, is_number};
use crate::model::function::{Function, FunctionName, LATEST, Namespace, Version, no_function};
use crate::model::invocation::{Event, FunctionNames, Invocation, Record, Source};
use crate::model::limits;
use crate::model::trigger::Placed;
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
    /// What the caller says of himself, for aliases that send by it.
    pub routing_key: RoutingKey,
    /// The event as it came; empty means `{}`.
    pub event: Vec<u8>,
    /// What caused it.
    pub source: Source,
}

impl Order {
    /// That `event` runs what a trigger is for.
    pub fn of(trigger: &Placed, event: Vec<u8>, source: Source) -> Order {
        Order {
            namespace: trigger.namespace.clone(),
            name: trigger.function.clone(),
            qualifier: Some(trigger.trigger.qualifier.clone()),
            routing_key: RoutingKey::default(),
            event,
            source,
        }
    }
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
    /// The same for what was asked for by a qualifier.
    qualified: RwLock<HashMap<Qualified, Target>>,
    /// Grows with every deploy and delete: what was looked up before one may not be kept after it.
    generation: AtomicU64,
    running: Mutex<BTreeMap<i64, Going>>,
    metrics: Metrics,
    endings: Endings,
}

/// A run that goes on, and how it is ended.
#[derive(Clone, Debug)]
struct Going {
    invocation: Arc<Invocation>,
    termination: Arc<Termination>,
}

/// A function's names and a qualifier.
type Qualified = (Namespace, FunctionName, String);

/// What a qualifier means.
#[derive(Clone, Debug)]
enum Target {
    Version(Known),
    Alias { function_id: i64, alias: Arc<Alias> },
}

impl Target {
    fn function_id(&self) -> i64 {
        match self {
            Target::Version(known) => known.version.function_id,
            Target::Alias { function_id, .. } => *function_id,
        }
    }
}

/// Where an order goes: the version, and the alias that it was asked for by.
#[derive(Clone, Debug)]
pub(crate) struct Aim {
    /// The version's number; none for `$LATEST`.
    pub(crate) number: Option<String>,
    /// The alias; empty where it was asked for by version.
    pub(crate) alias: Arc<str>,
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
        let (known, qualified) = (RwLock::default(), RwLock::default());
        let (generation, running) = (AtomicU64::new(0), Mutex::default());
        let (metrics, endings) = (Metrics::default(), Endings::default());
        Ok(Invoker { store, pool, clock, ids, known, qualified, generation, running, metrics, endings })
    }

    /// Runs one event and waits until it ended and its record is committed.
    ///
    /// Fails with `Busy` (the disk is nearly full), `Invalid` (event no JSON), `Limit` (event too large) or `NotFound` (no
    /// such function or qualifier) before anything runs; every other ending is a record.
    pub fn invoke(&self, order: Order) -> Result<Finished> {
        let request_id = self.ids.request_id(self.clock.wall_us());
        self.invoke_as(order, request_id)
    }

    /// The same under an id that the caller has made, which nobody may have seen before.
    pub fn invoke_as(&self, order: Order, request_id: RequestId) -> Result<Finished> {
        self.store.check_room_for_run()?;
        let event = event(order.event, limits::EVENT_BYTES_MAX)?;
        let key = (order.namespace, order.name);
        let aim = self.aim(&key, order.qualifier.as_deref(), &order.routing_key)?;
        let created_us = self.clock.wall_us();
        let wanted = Wanted {
            id: self.store.next_run_id(),
            request_id,
            key,
            aim,
            event,
            source: order.source,
            created_us,
            attempt: None,
        };
        let finished = self.drive(wanted)?;
        self.endings.ended(&finished.record.request_id);
        Ok(finished)
    }

    /// How long a run that is ordered so may take at most once its code is loaded, whichever version an alias sends it to. Fails
    /// with `NotFound`.
    pub fn may_take(&self, order: &Order) -> Result<Duration> {
        let key = (order.namespace.clone(), order.name.clone());
        let length = |number: Option<&str>| {
            let aim = Aim { number: number.map(str::to_owned), alias: Arc::from("") };
            let known = self.aimed_at(&key, &aim, self.generation.load(Ordering::Acquire))?;
            Ok(Duration::from_secs(known.version.config.timeout_s.into()))
        };
        let numbered = |version: &str| length(Some(version).filter(|version| is_number(version)));
        match order.qualifier.as_deref() {
            None | Some(LATEST) => length(None),
            Some(name) => match self.target(&key, name)? {
                Target::Version(known) => numbered(&known.version.qualifier),
                Target::Alias { alias, .. } => {
                    let other = alias.other.as_ref().map(|other| numbered(&other.version)).transpose()?;
                    Ok(numbered(&alias.version)?.max(other.unwrap_or_default()))
                }
            },
        }
    }

    /// The runs that have not ended, newest first, as records in state running and without their events, which may be
    /// large.
    pub fn running(&self) -> Vec<Record> {
        self.lock_running().values().rev().map(|going| record(&going.invocation, Vec::new())).collect()
    }

    /// The row id of the run of that request id, if it has not ended.
    pub fn running_run_id(&self, request_id: &RequestId) -> Option<i64> {
        let running = self.lock_running();
        running
            .values()
            .find(|going| going.invocation.request_id == *request_id)
            .map(|going| going.invocation.id)
    }

    /// The run of that request id, if it has not ended, with its event.
    pub fn running_run(&self, request_id: &RequestId) -> Option<Record> {
        let running = self.lock_running();
        let found = running.values().find(|going| going.invocation.request_id == *request_id)?;
        Some(record(&found.invocation, found.invocation.event.0.to_vec()))
    }

    /// Has the run of that row id ended: killed, or only told to; whether it goes on.
    pub(crate) fn terminate(&self, run_id: i64, is_graceful: bool) -> bool {
        let running = self.lock_running();
        let Some(going) = running.get(&run_id) else { return false };
        if is_graceful {
            going.termination.tell();
        } else {
            going.termination.kill();
        }
        true
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
        self.pool.retire(function_id);
    }

    fn forget_for(&self, function_id: i64, reserved_mb: Option<u32>) {
        let mut known = self.known.write().expect("no holder of this lock can panic");
        self.generation.fetch_add(1, Ordering::AcqRel);
        known.retain(|_, known| known.version.function_id != function_id);
        let mut qualified = self.qualified.write().expect("no holder of this lock can panic");
        qualified.retain(|_, target| target.function_id() != function_id);
        drop(qualified);
        // Under the same lock, or it could undo what somebody who looks the function up has just reserved for it.
        self.pool.reserve(function_id, reserved_mb);
    }

    /// Called after a function's aliases or published versions have changed: whoever asks next looks them up again.
    pub fn renamed(&self, function_id: i64) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        let mut qualified = self.qualified.write().expect("no holder of this lock can panic");
        qualified.retain(|_, target| target.function_id() != function_id);
    }

    /// Called after a deploy has been committed: as [`forget`](Invoker::forget), and what the new version has reserved is
    /// taken from all others from now on.
    pub fn replaced(&self, function: &Function) {
        let (namespace, name) = (&function.namespace, &function.name);
        self.forget_for(function.id, function.version.config.reserved_mb);
        self.pool.retire_before(function.id, function.version.id);
        let generation = self.generation.load(Ordering::Acquire);
        // Whoever runs it first looks it up again.
        if let Err(error) = self.resolve(&(namespace.clone(), name.clone()), generation) {
            log::warn!("what {name} has reserved is not known before its first run: {error:#}");
        }
    }

    fn lock_running(&self) -> MutexGuard<'_, BTreeMap<i64, Going>> {
        self.running.lock().expect("no holder of this lock can panic")
    }

    fn resolve(&self, key: &(Namespace, FunctionName), generation: u64) -> Result<Known> {
        if let Some(known) = self.known.read().expect("no holder of this lock can panic").get(key) {
            return Ok(known.clone());
        }
        let (namespace, name) = key;
        let function = self.store.function(namespace, name)?;
        let function = function.ok_or_else(|| no_function(namespace, name))?;
        function.status.check_runnable()?;
        let found = Known::of(function);
        let mut known = self.known.write().expect("no holder of this lock can panic");
        if self.generation.load(Ordering::Acquire) == generation {
            self.pool.reserve(found.version.function_id, found.version.config.reserved_mb);
            known.insert(key.clone(), found.clone());
        }
        Ok(found)
    }

    /// Where an order with that qualifier goes. Fails with `NotFound`.
    pub(crate) fn aim(
        &self,
        key: &(Namespace, FunctionName),
        qualifier: Option<&str>,
        routing_key: &RoutingKey,
    ) -> Result<Aim> {
        let to = |version: &str, alias| Aim { number: is_number(version).then(|| version.to_owned()), alias };
        match qualifier {
            None | Some(LATEST) => Ok(to(LATEST, Arc::from(""))),
            Some(number) if is_number(number) => Ok(to(number, Arc::from(""))),
            Some(name) => match self.target(key, name)? {
                Target::Version(known) => Ok(to(&known.version.qualifier, Arc::from(""))),
                Target::Alias { alias, .. } => {
                    Ok(to(alias.choose(self.ids.chance(), routing_key), Arc::from(name)))
                }
            },
        }
    }

    /// The version that an aim is at, as it stands now.
    pub(crate) fn aimed_at(
        &self,
        key: &(Namespace, FunctionName),
        aim: &Aim,
        generation: u64,
    ) -> Result<Known> {
        match &aim.number {
            None => self.resolve(key, generation),
            Some(number) => match self.target(key, number)? {
                Target::Version(known) => Ok(known),
                Target::Alias { .. } => Err(no_qualifier(key, number)),
            },
        }
    }

    fn target(&self, key: &(Namespace, FunctionName), qualifier: &str) -> Result<Target> {
        let generation = self.generation.load(Ordering::Acquire);
        let whole = (key.0.clone(), key.1.clone(), qualifier.to_owned());
        if let Some(target) = self.qualified.read().expect("no holder of this lock can panic").get(&whole) {
            return Ok(target.clone());
        }
        let found = self.look_up(key, qualifier, generation)?;
        let mut qualified = self.qualified.write().expect("no holder of this lock can panic");
        if self.generation.load(Ordering::Acquire) == generation {
            qualified.insert(whole, found.clone());
        }
        Ok(found)
    }

    fn look_up(&self, key: &(Namespace, FunctionName), qualifier: &str, generation: u64) -> Result<Target> {
        let latest = self.resolve(key, generation)?;
        let function_id = latest.version.function_id;
        if is_number(qualifier) {
            let version = self.store.version(function_id, qualifier)?;
            let version = version.ok_or_else(|| no_qualifier(key, qualifier))?;
            return Ok(Target::Version(Known { version: Arc::new(version), ..latest }));
        }
        let name = AliasName::parse(qualifier).map_err(|_| no_qualifier(key, qualifier))?;
        let alias = self.store.alias(function_id, &name)?.ok_or_else(|| no_qualifier(key, qualifier))?;
        Ok(Target::Alias { function_id, alias: Arc::new(alias) })
    }

    /// Whether the database has another version by that name; if so, this one is forgotten here.
    fn is_replaced(&self, key: &(Namespace, FunctionName), version: &Version) -> bool {
        let (namespace, name) = key;
        let stored = self.store.function(namespace, name);
        let is_replaced = match stored {
            Err(_) => false,
            Ok(None) => true,
            Ok(Some(function)) if version.qualifier == LATEST => function.version.id != version.id,
            Ok(Some(function)) => {
                let stored = self.store.version(function.id, &version.qualifier);
                stored.is_ok_and(|stored| stored.is_none_or(|stored| stored.id != version.id))
            }
        };
        if is_replaced {
            self.renamed(version.function_id);
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

fn no_qualifier(key: &(Namespace, FunctionName), qualifier: &str) -> Error {
    Error::not_found(format!("{} has no version or alias {qualifier}", key.1)).about(About::Qualifier)
}

/// The event, checked: JSON of at most so many bytes; nothing at all means an empty object.
pub(crate) fn event(bytes: Vec<u8>, bytes_max: usize) -> Result<Event> {
    if bytes.is_empty() {
        return Ok(Event(Arc::from(&b"{}"[..])));
    }
    if bytes.len() > bytes_max {
        return Err(Error::limit(format!("the event must be at most {bytes_max} bytes")).about(About::Event));
    }
    json::check(&bytes).map_err(|why| {
        Error::invalid(format!("the event must be JSON (RFC 8259): {why}")).about(About::Event)
    })?;
    Ok(Event(bytes.into()))
}
