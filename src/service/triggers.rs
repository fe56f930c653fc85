//! Triggers of functions: made, changed, listed, deleted. What is kept is checked whole; what fires them reads it.

use crate::error::{About, Error, Result};
use crate::model::alias::AliasName;
use crate::model::function::{Function, FunctionName, LATEST, Namespace, no_function};
use crate::model::trigger::Trigger;
use crate::store::Store;
use crate::store::triggers::TriggerRef;

/// The triggers of all functions.
#[derive(Debug)]
pub struct Triggers {
    store: Store,
}

impl Triggers {
    /// Those in `store`.
    pub fn new(store: Store) -> Triggers {
        Triggers { store }
    }

    /// Every trigger of a function, the last changed first. Fails with `NotFound`.
    pub fn list(&self, namespace: &Namespace, name: &FunctionName) -> Result<Vec<Trigger>> {
        self.store.triggers(self.function(namespace, name)?.id)
    }

    /// Makes one. Fails with `NotFound` (the function, or what it is to run), `Invalid`, `Conflict` (its name is taken, or it
    /// means objects that another means) and `Limit`.
    pub fn create(&self, namespace: &Namespace, name: &FunctionName, trigger: &Trigger) -> Result<Trigger> {
        trigger.check()?;
        let function = self.function(namespace, name)?;
        self.check_qualifier(&function, &trigger.qualifier)?;
        self.store.create_trigger(function.id, trigger)
    }

    /// Changes one by `change`; how it is then. Fails as [`create`](Triggers::create).
    pub fn update(
        &self,
        of: &TriggerRef,
        change: impl FnOnce(&mut Trigger) + Send + 'static,
    ) -> Result<Trigger> {
        self.store.update_trigger(of, |trigger| {
            change(trigger);
            trigger.check()
        })
    }

    /// Deletes one. Fails with `NotFound`.
    pub fn delete(&self, of: &TriggerRef) -> Result<()> {
        self.store.delete_trigger(of)
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
