//! Published versions and aliases of a function.

use std::sync::Arc;

use crate::error::{About, Error, Result};
use crate::model::alias::{Alias, AliasName};
use crate::model::function::{Function, FunctionName, LATEST, Namespace, Version, no_function};
use crate::pool::Pool;
use crate::service::invoke::Invoker;
use crate::store::Store;

/// The versions and aliases of all functions.
#[derive(Debug)]
pub struct Versions {
    store: Store,
    invoker: Arc<Invoker>,
    pool: Arc<Pool>,
}

impl Versions {
    /// Those in `store`, run by `invoker` in `pool`.
    pub fn new(store: Store, invoker: Arc<Invoker>, pool: Arc<Pool>) -> Versions {
        Versions { store, invoker, pool }
    }

    /// Freezes `$LATEST` as the next number; `description` in place of the function's own, if given. Fails with `NotFound`,
    /// `Conflict` (the function is being changed, or could not be created), `Invalid` and `Limit`.
    pub fn publish(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        description: Option<&str>,
    ) -> Result<Version> {
        self.store.check_room_for_event()?;
        description.map_or(Ok(()), crate::model::namespace::check_description)?;
        self.store.publish(namespace, name, description)
    }

    /// `$LATEST` first, then the published versions, oldest first. Fails with `NotFound`.
    pub fn list(&self, namespace: &Namespace, name: &FunctionName) -> Result<Vec<Version>> {
        self.store.versions(self.function(namespace, name)?.id)
    }

    /// That version of a function; `$LATEST`, a number, or an alias, which then means its own version. Fails with
    /// `NotFound`.
    pub fn find(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        qualifier: Option<&str>,
    ) -> Result<(Function, Version)> {
        let function = self.function(namespace, name)?;
        let Some(qualifier) = qualifier.filter(|qualifier| *qualifier != LATEST) else {
            let version = function.version.clone();
            return Ok((function, version));
        };
        let missing = || {
            Error::not_found(format!("{name} has no version or alias {qualifier}")).about(About::Qualifier)
        };
        let alias = match AliasName::parse(qualifier) {
            Ok(alias) => self.store.alias(function.id, &alias)?,
            Err(_) => None,
        };
        let wanted = alias.as_ref().map_or(qualifier, |alias| &alias.version);
        let version = self.store.version(function.id, wanted)?.ok_or_else(missing)?;
        Ok((function, version))
    }

    /// Deletes a published version; runs of it finish. Fails with `NotFound`, and with `Conflict` where an alias means it.
    pub fn delete(&self, namespace: &Namespace, name: &FunctionName, number: &str) -> Result<()> {
        let function = self.function(namespace, name)?;
        let version_id = self.store.delete_version(function.id, number)?;
        self.invoker.renamed(function.id);
        self.pool.retire_version(version_id);
        Ok(())
    }

    /// Every alias of a function, `$DEFAULT` first. Fails with `NotFound`.
    pub fn aliases(&self, namespace: &Namespace, name: &FunctionName) -> Result<Vec<Alias>> {
        self.store.aliases(self.function(namespace, name)?.id)
    }

    /// One alias. Fails with `NotFound`.
    pub fn alias(&self, namespace: &Namespace, name: &FunctionName, alias: &AliasName) -> Result<Alias> {
        let found = self.store.alias(self.function(namespace, name)?.id, alias)?;
        found.ok_or_else(|| Error::not_found(format!("{name} has no alias {alias}")).about(About::Alias))
    }

    /// Makes an alias. Fails with `Conflict` where there is one of that name, and with `NotFound`, `Invalid` and `Limit`.
    pub fn create_alias(&self, namespace: &Namespace, name: &FunctionName, alias: &Alias) -> Result<()> {
        alias.check()?;
        let function = self.function(namespace, name)?;
        self.store.create_alias(function.id, alias)?;
        self.invoker.renamed(function.id);
        Ok(())
    }

    /// Changes an alias; the next run goes by it. Fails with `NotFound` and `Invalid`.
    pub fn update_alias(&self, namespace: &Namespace, name: &FunctionName, alias: &Alias) -> Result<()> {
        alias.check()?;
        let function = self.function(namespace, name)?;
        self.store.update_alias(function.id, alias)?;
        self.invoker.renamed(function.id);
        Ok(())
    }

    /// Deletes an alias. Fails with `NotFound`, and with `Invalid` for the one that every function has.
    pub fn delete_alias(&self, namespace: &Namespace, name: &FunctionName, alias: &AliasName) -> Result<()> {
        if alias.is_default() {
            return Err(Error::invalid("the alias $DEFAULT cannot be deleted").about(About::Default));
        }
        let function = self.function(namespace, name)?;
        self.store.delete_alias(function.id, alias)?;
        self.invoker.renamed(function.id);
        Ok(())
    }

    fn function(&self, namespace: &Namespace, name: &FunctionName) -> Result<Function> {
        let found = self.store.function(namespace, name)?;
        found.ok_or_else(|| no_function(namespace, name))
    }
}
