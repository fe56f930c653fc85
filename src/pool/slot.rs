//! One Version in the pool: its zygote, its parked Instances, and who waits for the code to be loaded.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use crate::base::clock::Clock;
use crate::error::{Error, Result};
use crate::instance::Instance;
use crate::instance::host::Host;
use crate::instance::network::Network;
use crate::instance::package::cache::Unpacked;
use crate::instance::protocol::{LaunchOrder, Role};
use crate::instance::run::Init;
use crate::instance::tree::Holdings;
use crate::instance::zygote::{LoadResult, Loaded, Zygote};
use crate::model::function::{NetworkPolicy, Version};
use crate::model::invocation::{FunctionNames, Outcome};
use crate::pool::warm::Demand;

/// Most singles started ahead: each is a whole interpreter with the code loaded.
const SINGLES_AHEAD_MAX: usize = 2;

/// How often the code is loaded for one who waits for an Instance of it: once, unless what was loaded is killed before it forks.
const LOADS_MAX: u32 = 8;

/// Control groups that a Version keeps which is not busy, for the next run and the one parked after it.
const GROUPS_AT_REST: usize = 2;

/// A Version that runs, ran, or is about to.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) version: Arc<Version>,
    names: Arc<FunctionNames>,
    package: Unpacked,
    state: Mutex<State>,
    /// Rung when an attempt to load the code has ended.
    loaded: Condvar,
    /// The network its processes share, while there are any. The one lock that is held while processes are started: who waits
    /// for it would otherwise build another network.
    network: Mutex<Weak<Network>>,
}

#[derive(Debug)]
struct State {
    way: Way,
    parked: VecDeque<Instance>,
    running: usize,
    demand: Demand,
    /// What loading the code was like, where it was loaded for nobody's run: the next run tells of it.
    untold: Option<Init>,
    /// So many stay parked, whether somebody comes or not.
    provisioned: usize,
    /// Not loaded again for that before then, since it failed.
    revive_at: Option<Instant>,
    /// No run has taken the Init Report yet.
    first: bool,
    /// Nobody will come again: the Version was replaced or deleted.
    retired: bool,
    /// Counts attempts to load; `loading` while one is under way.
    attempt: u64,
    loading: bool,
    /// How the last attempt failed, for those who waited for it.
    failed: Option<(u64, Outcome)>,
}

/// How this Version's Instances come to be.
#[derive(Debug)]
enum Way {
    /// Not known before the code is loaded.
    Unknown,
    /// Forked from a zygote.
    Forked(Arc<Zygote>),
    /// Started one by one; the phrase says why.
    Spawned(String),
}

/// An Instance for one run.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) instance: Instance,
    /// What loading the code was like, where it was loaded for this run.
    pub(crate) init: Option<Init>,
    /// This is the Version's first run here.
    pub(crate) first: bool,
}

/// Why there is no Instance.
#[derive(Debug)]
pub(crate) enum NoInstance {
    /// The function's own fault.
    Outcome(Outcome, Option<Init>),
    /// Ours.
    Error(Error),
}

/// What loading takes from the pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Means<'a> {
    pub(crate) host: &'a Host,
    pub(crate) clock: &'a dyn Clock,
    /// Set when the server can wait no longer.
    pub(crate) stopping: &'a AtomicBool,
}

impl Slot {
    pub(crate) fn new(
        version: Arc<Version>,
        names: Arc<FunctionNames>,
        package: Unpacked,
        clock: &dyn Clock,
    ) -> Slot {
        let state = State {
            way: Way::Unknown,
            parked: VecDeque::new(),
            running: 0,
            demand: Demand::new(clock.now()),
            untold: None,
            provisioned: 0,
            revive_at: None,
            first: true,
            retired: false,
            attempt: 0,
            loading: false,
            failed: None,
        };
        Slot {
            version,
            names,
            package,
            state: Mutex::new(state),
            loaded: Condvar::new(),
            network: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock can panic")
    }

    /// A run begins; it ends when the result is dropped.
    pub(crate) fn enter(&self, clock: &dyn Clock) -> Entered<'_> {
        let mut state = self.lock();
        state.running += 1;
        let running = state.running;
        state.demand.note(running, clock.now());
        Entered(self)
    }

    /// A parked Instance, or a new one; loads the code first if nobody has, or waits for whoever is at it. What it is forked
    /// from may be killed at any moment, by the function itself for one: then the code is loaded anew.
    pub(crate) fn take(&self, means: Means<'_>) -> std::result::Result<Taken, NoInstance> {
        let (mut init, mut first, mut loads) = (None, false, 0);
        let mut state = self.lock();
        loop {
            if let Some(instance) = state.parked.pop_front() {
                let init = init.or_else(|| state.untold.take());
                return Ok(Taken { instance, init, first: first | std::mem::take(&mut state.first) });
            }
            match &state.way {
                Way::Forked(zygote) if zygote.is_gone() => state.way = Way::Unknown,
                Way::Forked(zygote) => {
                    let zygote = Arc::clone(zygote);
                    first |= std::mem::take(&mut state.first);
                    drop(state);
                    match Instance::fork(&zygote) {
                        Ok(instance) => return Ok(Taken { instance, init, first }),
                        // It ended between the look and the order.
                        Err(_) if zygote.is_gone() => state = self.lock(),
                        Err(error) => return Err(NoInstance::Error(error)),
                    }
                }
                Way::Spawned(_) => {
                    first |= std::mem::take(&mut state.first);
                    drop(state);
                    let instance = self.start_single(means).map_err(NoInstance::Error)?;
                    return Ok(Taken { instance, init, first });
                }
                Way::Unknown if state.loading => state = self.wait_for_load(state)?,
                Way::Unknown if loads == LOADS_MAX => {
                    let sentence =
                        "what was loaded to fork Instances from ended each time before it had forked one";
                    return Err(NoInstance::Error(Error::internal(sentence)));
                }
                Way::Unknown => {
                    loads += 1;
                    state.loading = true;
                    state.attempt += 1;
                    drop(state);
                    let (loaded, is_first) = self.load_for_all(means)?;
                    (init, first) = (loaded.or(init), first | is_first);
                    state = self.lock();
                }
            }
        }
    }

    /// Loads the code for whoever comes next, and parks one; fails as [`take`](Slot::take) does.
    pub(crate) fn load_ahead(&self, means: Means<'_>) -> std::result::Result<(), NoInstance> {
        let Taken { instance, init, first } = self.take(means)?;
        let mut state = self.lock();
        state.first |= first;
        state.untold = init.or(state.untold.take());
        if !state.retired {
            state.parked.push_front(instance);
        }
        Ok(())
    }

    /// Whether some stay parked, whoever comes.
    pub(crate) fn stays(&self) -> bool {
        let state = self.lock();
        state.provisioned > 0 && !state.retired
    }

    /// Whether what some were to be forked from has died, and it is time to load it again.
    pub(crate) fn is_lost(&self, now: Instant) -> bool {
        let state = self.lock();
        let stays = state.provisioned > 0 && !state.retired && !state.loading;
        stays && matches!(state.way, Way::Unknown) && state.revive_at.is_none_or(|at| now >= at)
    }

    /// Loads and parks again what is lost; not before `again` if that fails.
    pub(crate) fn revive(&self, means: Means<'_>, again: Instant) {
        self.lock().revive_at = Some(again);
        match self.load_ahead(means) {
            Ok(()) => {
                self.lock().revive_at = None;
                self.top_up(means);
            }
            Err(_) => log::warn!("{}: what should stay parked cannot be loaded", self.names.name),
        }
    }

    /// Has so many stay parked from now on.
    pub(crate) fn provision(&self, instances: usize) {
        self.lock().provisioned = instances;
    }

    fn wait_for_load<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
    ) -> std::result::Result<MutexGuard<'a, State>, NoInstance> {
        let attempt = state.attempt;
        // The one who loads has a deadline of its own; this one only guards against its thread being lost.
        let patience = Duration::from_secs(u64::from(self.version.config.init_timeout_s) + 10);
        let waiting = |state: &mut State| waiting_still(state, attempt);
        let (state, _) = self
            .loaded
            .wait_timeout_while(state, patience, waiting)
            .expect("no holder of this lock can panic");
        match &state.failed {
            Some((failed, outcome)) if *failed == attempt => Err(NoInstance::Outcome(outcome.clone(), None)),
            _ if waiting_still(&state, attempt) => {
                Err(NoInstance::Error(Error::internal("the code is not loaded in time")))
            }
            _ => Ok(state),
        }
    }

    /// Loads the code and tells those who wait for it; what that was like, and whether it was for the Version's first run here.
    fn load_for_all(&self, means: Means<'_>) -> std::result::Result<(Option<Init>, bool), NoInstance> {
        let loaded = self.load(means);
        let mut state = self.lock();
        state.loading = false;
        let settled = self.settle(&mut state, loaded);
        let first = settled.is_ok() && std::mem::take(&mut state.first);
        drop(state);
        self.loaded.notify_all();
        Ok((settled?, first))
    }

    /// Keeps what loading came to; what it was like, where that is to be told.
    fn settle(
        &self,
        state: &mut State,
        loaded: Result<Option<Loaded>>,
    ) -> std::result::Result<Option<Init>, NoInstance> {
        let Some(loaded) = loaded.map_err(NoInstance::Error)? else {
            state.way = Way::Spawned("it is deployed with spawn".to_owned());
            return Ok(None);
        };
        let init = loaded.init;
        match loaded.result {
            LoadResult::Ready(zygote) => {
                state.way = Way::Forked(zygote);
                // Where the zygote loads nothing, each run tells of its own loading.
                Ok(self.version.config.runtime.language.is_loaded_by_us().then_some(init))
            }
            LoadResult::Unforkable(why) => {
                log::info!("{} is spawned for every run: {why}", self.names.name);
                state.way = Way::Spawned(why);
                // What this loading printed, the run's own loading prints again.
                Ok(None)
            }
            LoadResult::Failed(outcome) => {
                state.failed = Some((state.attempt, outcome.clone()));
                Err(NoInstance::Outcome(outcome, Some(init)))
            }
        }
    }

    /// Loads the code to fork from it, unless nothing is to be forked.
    fn load(&self, means: Means<'_>) -> Result<Option<Loaded>> {
        if self.version.config.processes.spawn {
            return Ok(None);
        }
        let (order, holdings) = self.order(means, Role::Zygote)?;
        let patience = Duration::from_secs(u64::from(self.version.config.init_timeout_s));
        Zygote::load(&order, holdings, patience, means.stopping, means.clock).map(Some)
    }

    fn start_single(&self, means: Means<'_>) -> Result<Instance> {
        let (order, holdings) = self.order(means, Role::Single)?;
        Instance::start(&order, holdings)
    }

    fn order(&self, means: Means<'_>, role: Role) -> Result<(LaunchOrder, Holdings)> {
        let network = self.network(means.host)?;
        means.host.order(&self.version, &self.names, &self.package, role, network)
    }

    /// The network its processes join, where its policy needs one; built anew if there is none or nothing carries it.
    fn network(&self, host: &Host) -> Result<Option<Arc<Network>>> {
        if self.version.config.network != NetworkPolicy::NoLocal {
            return Ok(None);
        }
        let mut known = self.network.lock().expect("no holder of this lock can panic");
        if let Some(network) = known.upgrade().filter(|network| !network.is_gone()) {
            return Ok(Some(network));
        }
        let network = Arc::new(host.build_network(&self.version)?);
        *known = Arc::downgrade(&network);
        Ok(Some(network))
    }

    /// Parks as many Instances as are wanted now.
    pub(crate) fn top_up(&self, means: Means<'_>) {
        while let Some(zygote) = self.lacks(means.clock) {
            let made = match zygote {
                Some(zygote) => Instance::fork(&zygote),
                None => self.start_single(means),
            };
            match made {
                Ok(instance) => self.park(instance),
                Err(error) => {
                    log::warn!("{}: no Instance could be parked: {error:#}", self.names.name);
                    return;
                }
            }
        }
    }

    /// Whether another Instance should be parked, and from which zygote.
    fn lacks(&self, clock: &dyn Clock) -> Option<Option<Arc<Zygote>>> {
        let state = self.lock();
        let wanted = state.parked_wanted(clock.now());
        if state.retired {
            return None;
        }
        match &state.way {
            Way::Unknown => None,
            Way::Forked(zygote) => {
                (state.parked.len() < wanted && !zygote.is_gone()).then(|| Some(Arc::clone(zygote)))
            }
            Way::Spawned(_) => {
                let wanted = wanted.min(SINGLES_AHEAD_MAX.max(state.provisioned));
                (state.parked.len() < wanted).then_some(None)
            }
        }
    }

    fn park(&self, instance: Instance) {
        let mut state = self.lock();
        if !state.retired {
            state.parked.push_back(instance);
        }
    }

    /// Does for those that are parked what a run would do first; what will never announce itself goes.
    pub(crate) fn meet(&self) {
        let mut lost = Vec::new();
        let mut state = self.lock();
        for mut instance in std::mem::take(&mut state.parked) {
            if instance.is_met() || instance.meet_ahead().is_ok() {
                state.parked.push_back(instance);
            } else {
                lost.push(instance);
            }
        }
        drop(state);
        drop(lost);
    }

    /// Takes back one that has run and may run again, to be taken before any other: its memory is the warmest. Gives it back
    /// where nobody will come.
    pub(crate) fn park_again(&self, instance: Instance) -> Option<Instance> {
        let mut state = self.lock();
        if state.retired {
            return Some(instance);
        }
        state.parked.push_front(instance);
        None
    }

    /// Takes out what is parked beyond what is wanted and, after a long rest, the zygote; the caller drops it, which takes
    /// its time. True once nothing is left to keep.
    pub(crate) fn cool(&self, clock: &dyn Clock, leftovers: &mut Leftovers) -> bool {
        let mut state = self.lock();
        let now = clock.now();
        let wanted = if state.retired { 0 } else { state.parked_wanted(now) };
        while state.parked.len() > wanted {
            leftovers.instances.extend(state.parked.pop_back());
        }
        if matches!(&state.way, Way::Forked(zygote) if zygote.is_gone()) {
            leftovers.instances.extend(state.parked.drain(..));
            leftovers.unload(&mut state.way);
        }
        let rests = state.running == 0 && !state.loading;
        if rests && (state.retired || (state.provisioned == 0 && !state.demand.keeps_loaded(now))) {
            leftovers.unload(&mut state.way);
        }
        let is_over = rests && matches!(state.way, Way::Unknown) && (state.retired || state.provisioned == 0);
        let resting = match &state.way {
            Way::Forked(zygote) if wanted <= 1 => zygote.groups.clone(),
            _ => None,
        };
        drop(state);
        resting.inspect(|groups| groups.shrink(GROUPS_AT_REST));
        is_over
    }

    /// Lets the code go although it may be wanted soon, because others need the room; does nothing while it runs.
    pub(crate) fn unload(&self, leftovers: &mut Leftovers) {
        let mut state = self.lock();
        if state.running == 0 && !state.loading && state.provisioned == 0 {
            leftovers.instances.extend(state.parked.drain(..));
            leftovers.unload(&mut state.way);
        }
    }

    /// No run that starts later uses this Version: what is parked goes, running ones finish.
    pub(crate) fn retire(&self, leftovers: &mut Leftovers) {
        let mut state = self.lock();
        state.retired = true;
        leftovers.instances.extend(state.parked.drain(..));
        leftovers.unload(&mut state.way);
    }

    /// Has the zygote reap what was killed.
    pub(crate) fn reap(&self) {
        if let Way::Forked(zygote) = &self.lock().way {
            zygote.reap();
        }
    }

    /// What there is of it now.
    pub(crate) fn look(&self) -> Look {
        let state = self.lock();
        let (zygotes, spawned_because) = match &state.way {
            Way::Unknown => (0, None),
            Way::Forked(_) => (1, None),
            Way::Spawned(why) => (0, Some(why.clone())),
        };
        Look { parked: state.parked.len(), zygotes, last_used: state.demand.last_used(), spawned_because }
    }
}

impl State {
    fn parked_wanted(&self, now: Instant) -> usize {
        self.demand.parked_wanted(now).max(self.provisioned)
    }
}

/// A run of a slot, while it lasts.
#[derive(Debug)]
pub(crate) struct Entered<'a>(&'a Slot);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
    }
}

fn waiting_still(state: &State, attempt: u64) -> bool {
    state.loading && state.attempt == attempt
}

/// Processes taken out of the pool and not yet ended. Dropping them ends them, which should be done holding no lock.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    instances: Vec<Instance>,
    zygotes: Vec<Arc<Zygote>>,
}

impl Leftovers {
    fn unload(&mut self, way: &mut Way) {
        if let Way::Forked(zygote) = std::mem::replace(way, Way::Unknown) {
            self.zygotes.push(zygote);
        }
    }
}

/// One slot, looked at.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) parked: usize,
    pub(crate) zygotes: usize,
    pub(crate) last_used: Instant,
    pub(crate) spawned_because: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;
    use crate::model::function::{Config, Digest};

    fn slot(clock: &dyn Clock) -> Slot {
        let config = Config { init_timeout_s: 3, ..Config::usual() };
        let version = Version {
            id: 1,
            function_id: 1,
            qualifier: "$LATEST".to_owned(),
            config,
            package: Digest([0; 32]),
            package_bytes: 0,
            layer_packages: Vec::new(),
            created_us: 0,
        };
        let names = FunctionNames { namespace: "default".to_owned(), name: "hello".to_owned() };
        Slot::new(Arc::new(version), Arc::new(names), Unpacked::default(), clock)
    }

    fn failed() -> Result<Loaded> {
        let init = Init { lines: Vec::new(), took: Duration::ZERO, function: None, memory_kb: 0 };
        let outcome = Outcome::Raised { trace: "in the module".to_owned() };
        Ok(Loaded { result: LoadResult::Failed(outcome), init })
    }

    #[test]
    fn a_failed_load_is_told_to_those_who_waited_for_it_and_to_nobody_later() {
        let slot = slot(&ManualClock::new(0));
        let mut state = slot.lock();
        state.attempt = 1;
        assert!(slot.settle(&mut state, failed().map(Some)).is_err());
        let told = slot.wait_for_load(state).map(drop);
        assert!(matches!(told, Err(NoInstance::Outcome(Outcome::Raised { .. }, None))), "{told:?}");
        let mut state = slot.lock();
        state.attempt = 2;
        assert!(slot.wait_for_load(state).is_ok());
    }

    #[test]
    fn a_slot_is_kept_while_it_runs_and_forgotten_when_nothing_is_loaded() {
        let clock = ManualClock::new(0);
        let slot = slot(&clock);
        let entered = slot.enter(&clock);
        clock.advance(Duration::from_secs(3600));
        assert!(!slot.cool(&clock, &mut Leftovers::default()));
        drop(entered);
        assert!(slot.cool(&clock, &mut Leftovers::default()));
    }

    #[test]
    fn few_singles_are_started_ahead_and_none_once_retired() {
        let clock = ManualClock::new(0);
        let slot = slot(&clock);
        let entered: Vec<_> = (0..8).map(|_| slot.enter(&clock)).collect();
        assert!(slot.lacks(&clock).is_none(), "nothing is parked before the way is known");
        slot.lock().way = Way::Spawned("a thread was started at import".to_owned());
        assert!(matches!(slot.lacks(&clock), Some(None)));
        assert_eq!(slot.look().spawned_because.as_deref(), Some("a thread was started at import"));
        drop(entered);
        slot.retire(&mut Leftovers::default());
        assert!(slot.lacks(&clock).is_none());
        assert!(slot.cool(&clock, &mut Leftovers::default()));
    }
}
