//! Many Instances: who runs what, and when.
//!
//! A run happens on its caller's thread: it is let in by the quota, takes a parked Instance of its Version or makes one, runs
//! the event, and hands the used Instance to the keeper, which ends it and parks the next. So between an event and its answer
//! there is one process, and no thread of ours but the caller's.
//!
//! What must stay true: no lock is held while a process is started, waited for or ended, but for the one that keeps a Version
//! from building two networks; a Version that was retired is never handed out again; what is parked beyond what is wanted
//! goes.

pub mod admission;
mod keeper;
mod slot;
mod warm;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::Sender;

use crate::base::clock::Clock;
use crate::error::{Error, Result};
use crate::instance::Instance;
use crate::instance::host::Host;
use crate::instance::package::cache::{Packages, Unpacked};
use crate::instance::run::{self, Ended, Listener, Task, Termination};
use crate::model::function::{Digest, LATEST, Version};
use crate::model::invocation::{FunctionNames, Invocation, Outcome};
use crate::model::log::LogLine;
use crate::pool::admission::{Asks, Quota, Refused};
use crate::pool::keeper::Done;
use crate::pool::slot::{Leftovers, Means, NoInstance, Slot, Taken};

/// How many Instances may fail to take an event before the run is given up: all that can be parked, which die together with
/// their zygote, and some.
const TRIES: usize = 12;

/// Gets a code archive's bytes by its digest.
pub type Fetch = Box<dyn Fn(Digest) -> Result<Vec<u8>> + Send + Sync>;

/// Many Instances of many Versions.
pub struct Pool {
    shared: Arc<Shared>,
    orders: Option<Sender<Done>>,
    keeper: Option<JoinHandle<()>>,
}

pub(crate) struct Shared {
    host: Arc<Host>,
    packages: Arc<Packages>,
    fetch: Fetch,
    clock: Arc<dyn Clock>,
    quota: Mutex<Quota>,
    /// Called when there may be room that somebody else was refused.
    on_room: OnceLock<Box<dyn Fn() + Send + Sync>>,
    slots: RwLock<HashMap<i64, Arc<Slot>>>,
    stopping: AtomicBool,
}

/// How one run went, and what is to be done once its caller has the answer.
pub struct Ran {
    /// How it ended.
    pub outcome: Outcome,
    /// What it printed and its listener did not hear yet.
    pub lines: Vec<LogLine>,
    /// When the event was handed over, microseconds since the epoch.
    pub started_us: i64,
    /// From there to the answer.
    pub duration: Duration,
    /// Most memory seen, KiB.
    pub memory_kb: u64,
    /// Ends the Instance and parks the next; call it once the answer has gone out.
    pub after: Box<dyn FnOnce() + Send>,
}

/// The pool in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers {
    /// Loaded Versions that fork.
    pub zygotes: usize,
    /// Parked Instances.
    pub parked: usize,
    /// Memory of everything that runs, MB as configured.
    pub used_mb: u32,
    /// What may run at once, MB.
    pub total_mb: u32,
}

impl Pool {
    /// A pool that runs at most `total_mb` of functions at once.
    pub fn new(
        host: Arc<Host>,
        packages: Arc<Packages>,
        fetch: Fetch,
        clock: Arc<dyn Clock>,
        total_mb: u32,
    ) -> Result<Pool> {
        let shared = Arc::new(Shared {
            host,
            packages,
            fetch,
            clock,
            quota: Mutex::new(Quota::new(total_mb)),
            on_room: OnceLock::new(),
            slots: RwLock::default(),
            stopping: AtomicBool::new(false),
        });
        let (orders, inbox) = crossbeam_channel::bounded(keeper::ORDERS_MAX);
        let keeper = keeper::start(Arc::clone(&shared), inbox)?;
        Ok(Pool { shared, orders: Some(orders), keeper: Some(keeper) })
    }

    /// Room for one run of that Version, or which quota is used up.
    pub(crate) fn admit(&self, version: &Version, asks: Asks) -> std::result::Result<Permit, Refused> {
        let taken = self.shared.lock_quota().enter(version.function_id, version.config.memory_mb, asks);
        Ok(Permit { shared: Arc::clone(&self.shared), taken: taken?, asks })
    }

    /// Has `call` called whenever a caller's run gave its room back or a reservation changed; on that run's thread, so it
    /// must be quick. Once only.
    pub fn on_room(&self, call: impl Fn() + Send + Sync + 'static) {
        // A second one would be ours to notice while writing it.
        let _ = self.shared.on_room.set(Box::new(call));
    }

    /// Runs one event that was admitted to its end; whatever goes wrong is an outcome. `None` when the Version turned out not to be
    /// `current` any more once the run had its place in the pool, or to be `replaced` where its code cannot be had: the
    /// caller then asks for the new one. `replaced` may take its time.
    pub fn run(
        &self,
        _admitted: &Permit,
        invocation: &Invocation,
        current: &dyn Fn() -> bool,
        replaced: &dyn Fn() -> bool,
        termination: &Termination,
        listener: &mut dyn Listener,
    ) -> Option<Ran> {
        let slot = match self.shared.slot(&invocation.version, &invocation.function) {
            Ok(slot) => slot,
            // The code of a replaced Version goes with the deploy, which may not have been told here yet.
            Err(_) if !current() || replaced() => return None,
            Err(error) => return Some(self.failed(&error)),
        };
        let entered = slot.enter(&*self.shared.clock);
        let ran = current().then(|| self.run_in(&slot, invocation, termination, listener));
        drop(entered);
        ran
    }

    fn run_in(
        &self,
        slot: &Arc<Slot>,
        invocation: &Invocation,
        termination: &Termination,
        listener: &mut dyn Listener,
    ) -> Ran {
        let config = &invocation.version.config;
        let mut last = Error::internal("no Instance took the event");
        for _ in 0..TRIES {
            if self.shared.stopping.load(Ordering::Relaxed) {
                return self.not_run(Outcome::stopping());
            }
            let (mut instance, first) = match self.take(slot, listener) {
                Ok(taken) => taken,
                Err(ran) => return *ran,
            };
            if !instance.go_on(&*self.shared.clock) {
                last = Error::internal("a process that was to run another event cannot");
                continue;
            }
            let mut task = Task {
                request_id: invocation.request_id.as_str(),
                event: &invocation.event.0,
                timeout_s: config.timeout_s,
                init_timeout_s: config.init_timeout_s,
                memory_mb: config.memory_mb,
                stopping: &self.shared.stopping,
                termination,
                first,
                listener,
            };
            match run::run(&mut instance, &mut task, &*self.shared.clock) {
                Ok(ended) => return self.ran(slot, instance, ended),
                Err(error) => last = error,
            }
        }
        self.failed(&last)
    }

    /// An Instance, or the run that ends without one.
    fn take(
        &self,
        slot: &Slot,
        listener: &mut dyn Listener,
    ) -> std::result::Result<(Instance, bool), Box<Ran>> {
        let (init, first, taken) = match slot.take(self.shared.means()) {
            Ok(Taken { instance, init, first }) => (init, first, Ok((instance, first))),
            Err(NoInstance::Outcome(outcome, init)) => (init, true, Err(Box::new(self.not_run(outcome)))),
            Err(NoInstance::Error(error)) => (None, false, Err(Box::new(self.failed(&error)))),
        };
        if let Some(init) = init {
            listener.loaded(init, first);
        }
        taken
    }

    fn ran(&self, slot: &Arc<Slot>, mut instance: Instance, ended: Ended) -> Ran {
        let goes_on = matches!(ended.outcome, Outcome::Returned(_))
            && self.shared.host.reuses(&slot.version.config)
            && instance.may_go_on(slot.version.config.memory_mb);
        let (slot, shared, orders) = (Arc::clone(slot), Arc::clone(&self.shared), self.orders.clone());
        let after = Box::new(move || {
            let left = if goes_on { slot.park_again(instance) } else { Some(instance) };
            if let (Some(instance), Some(orders)) = (left, &orders) {
                keeper::order(orders, &shared, Done { slot, instance });
            }
        });
        let Ended { outcome, lines, started_us, duration, memory_kb } = ended;
        Ran { outcome, lines, started_us, duration, memory_kb, after }
    }

    /// A run that never had an Instance.
    pub fn not_run(&self, outcome: Outcome) -> Ran {
        Ran {
            outcome,
            lines: Vec::new(),
            started_us: self.shared.clock.wall_us(),
            duration: Duration::ZERO,
            memory_kb: 0,
            after: Box::new(|| {}),
        }
    }

    /// A run we could not do; the reason goes to our log, a sentence to the caller.
    fn failed(&self, error: &Error) -> Ran {
        log::error!("a run could not be started: {error:#}");
        self.not_run(Outcome::PlatformFailed(error.message.clone()))
    }

    /// Loads a Version's code and parks one that has it, so that the next run finds it; how that failed, if it did: the
    /// function's fault is an outcome.
    pub(crate) fn load_ahead(
        &self,
        version: &Arc<Version>,
        names: &Arc<FunctionNames>,
    ) -> Result<std::result::Result<(), Outcome>> {
        let slot = self.shared.slot(version, names)?;
        let _entered = slot.enter(&*self.shared.clock);
        match slot.load_ahead(self.shared.means()) {
            Ok(()) => Ok(Ok(())),
            Err(NoInstance::Outcome(outcome, _)) => Ok(Err(outcome)),
            Err(NoInstance::Error(error)) => Err(error),
        }
    }

    /// Has so many Instances of a Version stay parked from now on, if they can be had; they come to be on this thread.
    pub(crate) fn provision(
        &self,
        version: &Arc<Version>,
        names: &Arc<FunctionNames>,
        instances: usize,
    ) -> Result<()> {
        let slot = self.shared.slot(version, names)?;
        slot.provision(instances);
        if instances > 0 {
            if let Err(NoInstance::Error(error)) = slot.load_ahead(self.shared.means()) {
                return Err(error);
            }
            slot.top_up(self.shared.means());
        }
        Ok(())
    }

    /// How many Instances of that Version are parked.
    pub fn parked_of(&self, version_id: i64) -> usize {
        let slots = self.shared.slots.read().expect("no holder of this lock can panic");
        slots.get(&version_id).map_or(0, |slot| slot.look().parked)
    }

    /// Sets what may run at once, MB.
    pub fn set_total_mb(&self, total_mb: u32) {
        self.shared.lock_quota().set_total_mb(total_mb);
        self.shared.tell_of_room();
    }

    /// Notes what a function has reserved, MB.
    pub fn reserve(&self, function_id: i64, reserved_mb: Option<u32>) {
        let has_changed = self.shared.lock_quota().reserve(function_id, reserved_mb);
        if has_changed {
            self.shared.tell_of_room();
        }
    }

    /// Lets go every Version of that function: what is parked ends now, what runs finishes.
    pub fn retire(&self, function_id: i64) {
        self.retire_those(|version| version.function_id == function_id);
    }

    /// Lets go what was `$LATEST` of a function before the Version of that id.
    pub fn retire_before(&self, function_id: i64, latest_id: i64) {
        self.retire_those(|version| {
            version.function_id == function_id && version.qualifier == LATEST && version.id < latest_id
        });
    }

    /// Lets go one Version.
    pub fn retire_version(&self, version_id: i64) {
        self.retire_those(|version| version.id == version_id);
    }

    fn retire_those(&self, goes: impl Fn(&Version) -> bool) {
        let mut leftovers = Leftovers::default();
        for slot in self.shared.slots().iter().filter(|slot| goes(&slot.version)) {
            slot.retire(&mut leftovers);
            self.shared.forget_slot(slot);
        }
    }

    /// Why each run of that Version is a process of its own making, where it is.
    pub fn spawned_because(&self, version_id: i64) -> Option<String> {
        let slots = self.shared.slots.read().expect("no holder of this lock can panic");
        slots.get(&version_id).and_then(|slot| slot.look().spawned_because)
    }

    /// The pool in numbers.
    pub fn numbers(&self) -> Numbers {
        let looks: Vec<_> = self.shared.slots().iter().map(|slot| slot.look()).collect();
        let quota = self.shared.lock_quota();
        Numbers {
            zygotes: looks.iter().map(|look| look.zygotes).sum(),
            parked: looks.iter().map(|look| look.parked).sum(),
            used_mb: quota.used_mb(),
            total_mb: quota.total_mb(),
        }
    }

    /// Whether runs are being ended.
    pub fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Relaxed)
    }

    /// Ends every run within moments, as the platform's failure, and lets none begin.
    pub fn stop_runs(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("numbers", &self.numbers()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ran").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop_runs();
        self.orders = None;
        if let Some(keeper) = self.keeper.take()
            && keeper.join().is_err()
        {
            log::error!("the pool's keeper had panicked");
        }
    }
}

impl Shared {
    fn lock_quota(&self) -> MutexGuard<'_, Quota> {
        self.quota.lock().expect("no holder of this lock can panic")
    }

    fn tell_of_room(&self) {
        if let Some(call) = self.on_room.get() {
            call();
        }
    }

    pub(crate) fn means(&self) -> Means<'_> {
        Means { host: &self.host, clock: &*self.clock, stopping: &self.stopping }
    }

    /// The slots there are now.
    pub(crate) fn slots(&self) -> Vec<Arc<Slot>> {
        self.slots.read().expect("no holder of this lock can panic").values().cloned().collect()
    }

    pub(crate) fn forget_slot(&self, slot: &Arc<Slot>) {
        let mut slots = self.slots.write().expect("no holder of this lock can panic");
        if slots.get(&slot.version.id).is_some_and(|known| Arc::ptr_eq(known, slot)) {
            slots.remove(&slot.version.id);
        }
    }

    fn slot(&self, version: &Arc<Version>, names: &Arc<FunctionNames>) -> Result<Arc<Slot>> {
        let known = self.slots.read().expect("no holder of this lock can panic").get(&version.id).cloned();
        if let Some(slot) = known {
            return Ok(slot);
        }
        let package = Unpacked {
            code: self.packages.ensure(version.package, || (self.fetch)(version.package))?,
            layers: self.packages.ensure_layers(&version.layer_packages, &self.fetch)?,
        };
        let made = Slot::new(Arc::clone(version), Arc::clone(names), package, &*self.clock);
        let mut slots = self.slots.write().expect("no holder of this lock can panic");
        Ok(Arc::clone(slots.entry(version.id).or_insert_with(|| Arc::new(made))))
    }
}

/// Room for one run, given back when dropped.
pub struct Permit {
    shared: Arc<Shared>,
    taken: admission::Taken,
    asks: Asks,
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shared.lock_quota().leave(self.taken);
        // Who ran an event looks for the next one anyway.
        if self.asks == Asks::Caller {
            self.shared.tell_of_room();
        }
    }
}
