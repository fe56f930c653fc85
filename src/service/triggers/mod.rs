//! Triggers of functions: made, changed, listed, deleted, and what has come of each. What is kept is checked whole; what fires
//! them (`trigger/`) reads it here, and hears of changes.

use std::sync::Arc;

use crate::base::clock::Clock;
use crate::error::{About, Error, Result};
use crate::model::alias::AliasName;
use crate::model::function::{Function, FunctionName, LATEST, Namespace, no_function};
use crate::model::trigger::{Kind, Placed, State, Trigger};
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
    changes: Arc<Changes>,
    counts: Counts,
}

impl Triggers {
    /// Those in `store`.
    pub fn new(store: Store, clock: Arc<dyn Clock>, changes: Arc<Changes>) -> Triggers {
        Triggers { store, clock, changes, counts: Counts::default() }
    }

    /// Every trigger of a function, the last changed first. Fails with `NotFound`.
    pub fn list(&self, namespace: &Namespace, name: &FunctionName) -> Result<Vec<Placed>> {
        let mut triggers = self.store.triggers(self.function(namespace, name)?.id)?;
        for placed in &mut triggers {
            placed.state.add(self.counts.pending(placed.id));
        }
        Ok(triggers)
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
    pub fn create(&self, namespace: &Namespace, name: &FunctionName, trigger: &Trigger) -> Result<Trigger> {
        trigger.check()?;
        let function = self.function(namespace, name)?;
        self.check_qualifier(&function, &trigger.qualifier)?;
        self.store.create_trigger(function.id, trigger).inspect(|_| self.changes.tell())
    }

    /// Changes one by `change`; how it is then. Fails as [`create`](Triggers::create).
    pub fn update(
        &self,
        of: &TriggerRef,
        change: impl FnOnce(&mut Trigger) + Send + 'static,
    ) -> Result<Trigger> {
        let changed = self.store.update_trigger(of, |trigger| {
            change(trigger);
            trigger.check()
        });
        changed.inspect(|_| self.changes.tell())
    }

    /// Deletes one. Fails with `NotFound`.
    pub fn delete(&self, of: &TriggerRef) -> Result<()> {
        self.store.delete_trigger(of).inspect(|()| self.changes.tell())
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
