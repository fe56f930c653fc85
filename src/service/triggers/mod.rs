//! Triggers of functions: made, changed, listed, deleted, and what has come of each. What is kept is checked whole; what fires
//! them (`trigger/`) reads it here, and hears of changes.

use std::sync::{Arc, OnceLock};

use crate::base::clock::Clock;
use crate::base::id::IdSource;
use crate::error::{About, Error, Result};
use crate::model::alias::AliasName;
use crate::model::function::{Function, FunctionName, LATEST, Namespace, no_function};
use crate::model::schedule::{Schedule, Zone};
use crate::model::trigger::{Kind, Placed, Spec, State, Timer, Trigger};
use crate::service::triggers::changes::Changes;
use crate::service::triggers::counts::Counts;
use crate::store::Store;
use crate::store::triggers::TriggerRef;

pub mod changes;
mod counts;

/// The triggers of all functions.
#[derive(Debug)]
pub struct Triggers {
    store: Store,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    changes: Arc<Changes>,
    zone: Zone,
    base_url: OnceLock<String>,
    counts: Counts,
}

/// What the triggers are made of.
#[derive(Debug)]
pub struct Parts {
    /// Where they are kept.
    pub store: Store,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// What URLs are known by.
    pub ids: Arc<dyn IdSource>,
    /// Told of every change.
    pub changes: Arc<Changes>,
    /// The zone of timers that name none.
    pub zone: Zone,
}

/// What an id of a URL is made of, and how long it is: nobody can try them all.
const URL_ID_LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const URL_ID_CHARS: usize = 12;

impl Triggers {
    /// Those in the store.
    pub fn new(parts: Parts) -> Triggers {
        let Parts { store, clock, ids, changes, zone } = parts;
        Triggers { store, clock, ids, changes, zone, base_url: OnceLock::new(), counts: Counts::default() }
    }

    /// Said once it is known: where others reach the server, without a slash at its end.
    pub fn reached_at(&self, base_url: String) {
        // Only the first one to say it is right, and there is only one.
        let _ = self.base_url.set(base_url);
    }

    /// Where this server is reached; none before it listens.
    pub fn base_url(&self) -> Option<&str> {
        self.base_url.get().map(String::as_str)
    }

    /// Where what fires a trigger comes from or goes to: an expression, a URL, a bucket, a topic.
    pub fn address(&self, placed: &Placed) -> String {
        let base = self.base_url().unwrap_or_default();
        match &placed.trigger.spec {
            Spec::Timer(timer) => format!("{} {}", timer.cron, self.zone_of(timer)),
            Spec::Http(http) => format!("{base}/url/{}/", http.url_id),
            Spec::Apigw(apigw) => {
                let path = apigw.path_of(&placed.function);
                let path = path.trim_start_matches('=');
                format!("{base}/apigw/{}/{}{path}", apigw.service, apigw.environment)
            }
            Spec::Cos(_) | Spec::Ckafka(_) => placed.trigger.name.clone(),
        }
    }

    /// When a timer fires next, microseconds since the epoch; none where it does not, or is none.
    pub fn next_us(&self, placed: &Placed) -> Option<i64> {
        let now_s = self.clock.wall_us().div_euclid(1_000_000);
        let next_s = self.schedule(placed)?.next_after(now_s).filter(|_| placed.trigger.enabled)?;
        Some(next_s.saturating_mul(1_000_000))
    }

    /// The moments of a timer; none where it is none. It is made anew each time: that takes some microseconds, and keeping it
    /// kilobytes.
    pub fn schedule(&self, placed: &Placed) -> Option<Schedule> {
        let Spec::Timer(timer) = &placed.trigger.spec else { return None };
        Schedule::new(&timer.cron, self.zone_of(timer)).ok()
    }

    fn zone_of<'a>(&'a self, timer: &'a Timer) -> &'a Zone {
        timer.zone.as_ref().unwrap_or(&self.zone)
    }

    /// Every trigger of a function, the last changed first. Fails with `NotFound`.
    pub fn list(&self, namespace: &Namespace, name: &FunctionName) -> Result<Vec<Placed>> {
        Ok(self.with_pending(self.store.triggers(self.function(namespace, name)?.id)?))
    }

    /// Every trigger of a namespace, the last changed first.
    pub fn list_all(&self, namespace: &Namespace) -> Result<Vec<Placed>> {
        Ok(self.with_pending(self.store.triggers_of_namespace(namespace)?))
    }

    /// The same with what is counted and not written yet.
    fn with_pending(&self, mut triggers: Vec<Placed>) -> Vec<Placed> {
        for placed in &mut triggers {
            placed.state.add(self.counts.pending(placed.id));
        }
        triggers
    }

    /// Every trigger of that kind that is on, whatever function it is of: what is to fire.
    pub fn to_fire(&self, kind: Kind) -> Result<Vec<Placed>> {
        let mut triggers = self.store.triggers_of_kind(kind)?;
        triggers.retain(|placed| placed.trigger.enabled);
        Ok(triggers)
    }

    /// Who is told when any have changed.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Counts that a trigger fired, and what was wrong with that, if anything was. Costs no commit.
    pub fn fired(&self, id: i64, error: Option<&str>) {
        self.counts.fired(id, self.clock.wall_us(), error);
    }

    /// Notes what is wrong with a trigger although it did not fire.
    pub fn wrong(&self, id: i64, error: &str) {
        self.counts.wrong(id, self.clock.wall_us(), error);
    }

    /// Adds what has come of a trigger.
    pub fn count(&self, id: i64, later: State) {
        self.counts.add(id, later);
    }

    /// Writes what was counted since the last time; called every few seconds, and at the end. What cannot be written is counted
    /// on.
    pub fn write_counts(&self) -> Result<()> {
        let counts = self.counts.take();
        if counts.is_empty() {
            return Ok(());
        }
        self.store.count_triggers(counts.clone()).inspect_err(|_| {
            counts.into_iter().for_each(|(id, state)| self.counts.add(id, state));
        })
    }

    /// Makes one. Fails with `NotFound` (the function, or what it is to run), `Invalid`, `Conflict` (its name is taken, or it
    /// means objects that another means) and `Limit`.
    pub fn create(&self, namespace: &Namespace, name: &FunctionName, trigger: &Trigger) -> Result<Placed> {
        trigger.check()?;
        let function = self.function(namespace, name)?;
        self.check_qualifier(&function, &trigger.qualifier)?;
        let mut trigger = trigger.clone();
        if let Spec::Http(http) = &mut trigger.spec {
            http.url_id = self.url_id();
        }
        let (id, trigger) = self.store.create_trigger(function.id, &trigger)?;
        self.changes.tell();
        let (namespace, function_id) = (namespace.clone(), function.id);
        Ok(Placed { id, namespace, function: name.clone(), function_id, trigger, state: State::default() })
    }

    /// Changes one by `change`, which is given it as it stands in the very transaction; how it is then. Fails as
    /// [`create`](Triggers::create), and as `change`.
    pub fn update(
        &self,
        of: &TriggerRef,
        change: impl FnOnce(&mut Trigger) -> Result<()> + Send + 'static,
    ) -> Result<Trigger> {
        let changed = self.store.update_trigger(of, |trigger| {
            let before = trigger.spec.clone();
            change(trigger)?;
            // A URL stays what it is, whatever is said of it.
            if let (Spec::Http(before), Spec::Http(http)) = (before, &mut trigger.spec) {
                http.url_id = before.url_id;
            }
            trigger.check()
        });
        changed.inspect(|_| self.changes.tell())
    }

    /// Deletes one. Fails with `NotFound`.
    pub fn delete(&self, of: &TriggerRef) -> Result<()> {
        self.store.delete_trigger(of).inspect(|()| self.changes.tell())
    }

    fn url_id(&self) -> String {
        let letter = |byte: &u8| char::from(URL_ID_LETTERS[usize::from(byte % 32)]);
        self.ids.secret()[..URL_ID_CHARS].iter().map(letter).collect()
    }

    fn check_qualifier(&self, function: &Function, qualifier: &str) -> Result<()> {
        let is_version = qualifier == LATEST || self.store.version(function.id, qualifier)?.is_some();
        let alias = AliasName::parse(qualifier).ok();
        let is_alias = match alias {
            Some(alias) => self.store.alias(function.id, &alias)?.is_some(),
            None => false,
        };
        if is_version || is_alias {
            return Ok(());
        }
        let sentence = format!("{} has no version or alias {qualifier}", function.name);
        Err(Error::not_found(sentence).about(About::Qualifier))
    }

    fn function(&self, namespace: &Namespace, name: &FunctionName) -> Result<Function> {
        let found = self.store.function(namespace, name)?;
        found.ok_or_else(|| no_function(namespace, name))
    }
}
