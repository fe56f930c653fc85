//! What functions may use at once: reserved for one, kept parked for a version, and all together (contract 6.12, 9.4).

use std::sync::Arc;

use crate::error::{About, Error, Kind, Result};
use crate::model::alias::is_number;
use crate::model::function::{Function, FunctionName, Namespace, Version};
use crate::model::invocation::FunctionNames;
use crate::model::limits;
use crate::pool::Pool;
use crate::service::functions::Functions;
use crate::store::Store;
use crate::store::concurrency::Provisioned;

/// Concurrency of all functions.
#[derive(Debug)]
pub struct Concurrency {
    store: Store,
    pool: Arc<Pool>,
    functions: Arc<Functions>,
    /// What the server was started with, which its threads are made for.
    total_mb_max: u32,
}

/// What is kept parked for a version, and what of it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The version's number.
    pub qualifier: String,
    /// How many are to be parked.
    pub wanted: u32,
    /// How many are.
    pub parked: u32,
}

impl Concurrency {
    /// Of the functions in `store`, run in `pool`; the server was started for `total_mb_max`.
    pub fn new(store: Store, pool: Arc<Pool>, functions: Arc<Functions>, total_mb_max: u32) -> Concurrency {
        Concurrency { store, pool, functions, total_mb_max }
    }

    /// Reserves so many MB for a function, or gives back what it had. Fails with `NotFound`, `Limit` (others have reserved
    /// too much) and `Conflict` (the function is being changed).
    pub fn reserve(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        reserved_mb: Option<u32>,
    ) -> Result<()> {
        self.functions.change(namespace, name, |config| config.reserved_mb = reserved_mb).map(drop)
    }

    /// Keeps so many Instances of a published version parked from now on; gives them back for 0. Fails with `NotFound`,
    /// `Invalid` and `Limit`.
    pub fn provision(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        qualifier: &str,
        instances: u32,
    ) -> Result<()> {
        let (function, version) = self.published(namespace, name, qualifier)?;
        self.check_share(&function, &version, instances)?;
        let provisioned =
            Provisioned { function_id: function.id, qualifier: version.qualifier.clone(), instances };
        self.store.provision(provisioned)?;
        self.keep(&function, version, instances)
    }

    /// What is kept parked for a function's versions.
    pub fn provisioned(&self, namespace: &Namespace, name: &FunctionName) -> Result<Vec<Kept>> {
        let function = self.functions.find(namespace, name)?;
        let rows = self.store.provisioned()?;
        let own = rows.into_iter().filter(|row| row.function_id == function.id);
        let kept = |row: Provisioned| {
            let version = self.store.version(function.id, &row.qualifier)?;
            let parked = version.map_or(0, |version| self.pool.parked_of(version.id));
            let parked = u32::try_from(parked).unwrap_or(u32::MAX).min(row.instances);
            Ok(Kept { qualifier: row.qualifier, wanted: row.instances, parked })
        };
        own.map(kept).collect()
    }

    /// Parks what the database says is to be parked; for the start.
    pub fn restore(&self) {
        let rows = self.store.provisioned().unwrap_or_else(|error| {
            log::error!("what is to be kept parked is not known: {error:#}");
            Vec::new()
        });
        for row in rows {
            if let Err(error) = self.restore_one(&row) {
                log::warn!("version {} of a function is not kept parked: {error:#}", row.qualifier);
            }
        }
    }

    fn restore_one(&self, row: &Provisioned) -> Result<()> {
        let Some(function) = self.store.function_by_id(row.function_id)? else { return Ok(()) };
        let Some(version) = self.store.version(function.id, &row.qualifier)? else { return Ok(()) };
        self.keep(&function, version, row.instances)
    }

    /// What may run at once, MB.
    pub fn total_mb(&self) -> u32 {
        self.pool.numbers().total_mb
    }

    /// The most that may be set, MB.
    pub fn total_mb_max(&self) -> u32 {
        self.total_mb_max
    }

    /// Sets what may run at once, MB; it lasts beyond this server. Fails with `Limit` where functions have reserved more, or
    /// the server was started for less.
    pub fn set_total_mb(&self, total_mb: u32) -> Result<()> {
        let reserved_mb = self.reserved_mb()?;
        if total_mb < reserved_mb.max(limits::MEMORY_MB_MIN) {
            return Err(Error::invalid(format!(
                "the total must be at least the {reserved_mb} MB that functions have reserved, and {} MB",
                limits::MEMORY_MB_MIN
            ))
            .about(About::Reserved));
        }
        if total_mb > self.total_mb_max {
            return Err(Error::invalid(format!(
                "the total must be at most {} MB, which this server was started for (--total-concurrency-mb)",
                self.total_mb_max
            ))
            .about(About::Total));
        }
        self.store.set_total_concurrency_mb(total_mb)?;
        self.pool.set_total_mb(total_mb);
        Ok(())
    }

    /// What all functions together have reserved, MB.
    pub fn reserved_mb(&self) -> Result<u32> {
        let reserved = self.store.reservations()?;
        Ok(reserved.into_iter().fold(0, |sum, (_, mb)| sum.saturating_add(mb)))
    }

    fn keep(&self, function: &Function, version: Version, instances: u32) -> Result<()> {
        let names =
            FunctionNames { namespace: function.namespace.to_string(), name: function.name.to_string() };
        let instances = usize::try_from(instances).unwrap_or(usize::MAX);
        self.pool.provision(&Arc::new(version), &Arc::new(names), instances)
    }

    fn published(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        qualifier: &str,
    ) -> Result<(Function, Version)> {
        let function = self.functions.find(namespace, name)?;
        if !is_number(qualifier) {
            return Err(
                Error::invalid("qualifier must be the number of a published version").about(About::Qualifier)
            );
        }
        let version = self.store.version(function.id, qualifier)?;
        let missing = || Error::not_found(format!("{name} has no version {qualifier}")).about(About::Version);
        Ok((function, version.ok_or_else(missing)?))
    }

    fn check_share(&self, function: &Function, version: &Version, instances: u32) -> Result<()> {
        if instances > limits::PROVISIONED_MAX {
            return Err(Error::invalid(format!(
                "at most {} Instances of a version are kept parked, not {instances}",
                limits::PROVISIONED_MAX
            ))
            .about(About::Provisioned));
        }
        let wanted_mb = instances.saturating_mul(version.config.memory_mb);
        let room_mb = function.version.config.reserved_mb.unwrap_or_else(|| self.total_mb());
        if wanted_mb > room_mb {
            let sentence =
                format!("{instances} Instances need {wanted_mb} MB, more than the {room_mb} MB that may run");
            return Err(Error::new(Kind::Conflict, sentence).about(About::Reserved));
        }
        Ok(())
    }
}
