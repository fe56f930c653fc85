//! Functions: deployed, found, listed, deleted.
//!
//! A deploy is checked whole before anything is stored, and once it is committed the invoker forgets what it knew, so
//! that no run which begins after the answer uses the old code.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{About, Error, Result};
use crate::instance::host::Host;
use crate::instance::network::Policies;
use crate::instance::package::{self, pack};
use crate::model::function::{
    Config, Function, FunctionName, Namespace, NetworkPolicy, Only, Version, check_names, no_function,
};
use crate::model::limits;
use crate::model::query::{Page, PageLimit};
use crate::pool::Pool;
use crate::service::events::Events;
use crate::service::invoke::Invoker;
use crate::service::loading::Bell;
use crate::service::triggers::changes::Changes;
use crate::store::Store;
use crate::store::functions::{Content, Haste};
use crate::store::listing::FunctionQuery;

/// How long it is waited for code to be loaded, and what lies between two looks.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);
const SETTLED_LOOK: Duration = Duration::from_millis(10);

/// Code as a caller brings it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// A zip archive.
    Zip(Vec<u8>),
    /// Paths and texts, to be packed here.
    Files(Vec<(String, String)>),
}

/// A function that was just deployed.
#[derive(Debug)]
pub struct Deployed {
    /// As it stands now.
    pub function: Function,
    /// Whether there was none of that name.
    pub is_new: bool,
    /// What the deployer should know, for example which interpreter stands in.
    pub notes: Vec<String>,
}

/// The functions of all namespaces.
#[derive(Debug)]
pub struct Functions {
    store: Store,
    invoker: Arc<Invoker>,
    pool: Arc<Pool>,
    host: Arc<Host>,
    events: Arc<Events>,
    /// Rung when something is to be loaded.
    bell: Bell,
    /// Told when triggers go with their function.
    changes: Arc<Changes>,
}

impl Functions {
    /// The functions in `store`, run by `invoker` and `pool` on `host`, and asynchronously by `events`; `bell` calls those who
    /// load, `changes` those who fire triggers.
    pub fn new(
        store: Store,
        invoker: Arc<Invoker>,
        pool: Arc<Pool>,
        host: Arc<Host>,
        events: Arc<Events>,
        bell: Bell,
        changes: Arc<Changes>,
    ) -> Functions {
        Functions { store, invoker, pool, host, events, bell, changes }
    }

    /// Creates the function or replaces its configuration and code.
    ///
    /// Fails with `Invalid` or `Limit`, naming the field and the allowed range, with `Conflict` where it is not as `only` says,
    /// and with `Busy` when the disk is nearly full; then nothing is stored.
    pub fn deploy(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        config: &Config,
        code: Code,
        only: Only,
    ) -> Result<Deployed> {
        let notes = self.check(namespace, name, config)?;
        let content = self.content(config, code)?;
        let function = self.store.deploy(namespace, name, config, content, Haste::AtOnce(only))?;
        self.invoker.replaced(&function);
        self.events.deployed(&function);
        let is_new = function.created_us == function.modified_us;
        Ok(Deployed { function, is_new, notes })
    }

    /// Creates a function that is in force once its code has been loaded; until then its status says so. Fails as
    /// [`deploy`](Functions::deploy), and with `Conflict` where there is one of that name.
    pub fn create(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        config: &Config,
        code: Code,
    ) -> Result<Function> {
        self.check(namespace, name, config)?;
        let content = self.content(config, code)?;
        let function = self.store.deploy(namespace, name, config, content, Haste::Created)?;
        self.bell.ring();
        Ok(function)
    }

    /// Gives a function other configuration, and other code if there is some, once that has been loaded; what is there serves
    /// until then, and on if it cannot be loaded. Fails as [`deploy`](Functions::deploy), with `NotFound`, and with `Conflict`
    /// while it is being changed.
    pub fn update(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        code: Option<Code>,
        change: impl FnOnce(&mut Config) -> Result<()>,
    ) -> Result<Function> {
        let before = self.find(namespace, name)?;
        before.status.check_changeable()?;
        let base = before.version.id;
        let mut config = before.version.config;
        change(&mut config)?;
        self.check(namespace, name, &config)?;
        let content = match code {
            Some(code) => self.content(&config, code)?,
            None => Content::Same(before.version.package),
        };
        let function = self.store.deploy(namespace, name, &config, content, Haste::Updated(base))?;
        self.bell.ring();
        Ok(function)
    }

    /// Changes what does not matter to loaded code, at once. Fails as [`update`](Functions::update).
    pub fn change(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        change: impl FnOnce(&mut Config),
    ) -> Result<Function> {
        let before = self.find(namespace, name)?;
        before.status.check_changeable()?;
        before.status.check_runnable()?;
        let base = before.version.id;
        let mut config = before.version.config;
        change(&mut config);
        self.check(namespace, name, &config)?;
        let content = Content::Same(before.version.package);
        let function = self.store.deploy(namespace, name, &config, content, Haste::Changed(base))?;
        self.invoker.replaced(&function);
        self.events.deployed(&function);
        Ok(function)
    }

    /// Copies a function as it stands, without versions, aliases and triggers; with `replaces` one that is there already is deleted
    /// first, once the copy is known to be good. Fails as [`create`](Functions::create).
    pub fn copy(
        &self,
        from: (&Namespace, &FunctionName),
        to: (&Namespace, &FunctionName),
        replaces: bool,
        change: impl FnOnce(&mut Config),
    ) -> Result<Function> {
        let (function, archive) = self.code(from.0, from.1)?;
        let mut config = function.version.config;
        // What is reserved is the function's own.
        config.reserved_mb = None;
        change(&mut config);
        if replaces && from != to && self.store.function(to.0, to.1)?.is_some() {
            self.check(to.0, to.1, &config)?;
            self.delete(to.0, to.1)?;
        }
        self.create(to.0, to.1, &config, Code::Zip(archive))
    }

    /// Checks what was configured against this host; what its deployer should know.
    fn check(&self, namespace: &Namespace, name: &FunctionName, config: &Config) -> Result<Vec<String>> {
        self.store.check_room_for_event()?;
        check_names(namespace, name)?;
        config.check()?;
        self.check_reservation(namespace, name, config)?;
        if config.network != NetworkPolicy::Host {
            check_network(&self.host.policies(), config.network)?;
        }
        let runtime = self.host.runtime(config.runtime)?.note;
        let runtime = runtime.into_iter().chain(self.reuse_note(config));
        Ok(runtime.chain(self.mourner_note(namespace, name, config)?).collect())
    }

    fn content(&self, config: &Config, code: Code) -> Result<Content> {
        let archive = archive(code)?;
        let checked = package::check(&archive).map_err(|error| error.about(About::Code))?;
        if let Some(program) = self.host.program(config) {
            let checked = package::program::check(&archive, program, config.runtime);
            checked.map_err(|error| error.about(About::Code))?;
        }
        Ok(Content::New(archive, checked.digest))
    }

    fn reuse_note(&self, config: &Config) -> Option<String> {
        (config.processes.reuse && !self.host.reuses(config)).then(|| {
            "no process is reused here, each run has a fresh one: reuse needs isolation level 3".to_owned()
        })
    }

    /// Whom dead letters go to need not be there yet, so it is only told.
    fn mourner_note(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        config: &Config,
    ) -> Result<Option<String>> {
        let Some(told) = &config.event.dead_letter else { return Ok(None) };
        if told == name || self.store.function(namespace, told)?.is_some() {
            return Ok(None);
        }
        Ok(Some(format!(
            "there is no function {told} in {namespace} yet: until there is, it is told of no dead letter"
        )))
    }

    /// All functions together reserve at most the total: what is reserved is taken from everybody else.
    fn check_reservation(&self, namespace: &Namespace, name: &FunctionName, config: &Config) -> Result<()> {
        let Some(wanted_mb) = config.reserved_mb else { return Ok(()) };
        let own = self.store.function(namespace, name)?.map(|function| function.id);
        let reserved = self.store.reservations()?;
        let others = reserved.into_iter().filter(|(id, _)| Some(*id) != own);
        let others_mb = others.fold(0u32, |sum, (_, mb)| sum.saturating_add(mb));
        let total_mb = self.pool.numbers().total_mb;
        let free_mb = total_mb.saturating_sub(others_mb);
        if wanted_mb > free_mb {
            return Err(Error::invalid(format!(
                "reserved_mb must be 0 to {free_mb}, what is not reserved yet of {total_mb} MB, not {wanted_mb}"
            ))
            .about(About::Reserved));
        }
        Ok(())
    }

    /// The function of that name; fails with `NotFound`.
    pub fn find(&self, namespace: &Namespace, name: &FunctionName) -> Result<Function> {
        let found = self.store.function(namespace, name)?;
        found.ok_or_else(|| no_function(namespace, name))
    }

    /// A page of functions by number, and how many there are in all.
    pub fn listed(&self, query: &FunctionQuery) -> Result<(Vec<Function>, usize)> {
        self.store.listed_functions(query)
    }

    /// Waits until nothing is under way with a function, as long as its code may take to load. Fails with `NotFound`, and with
    /// `Conflict` when it takes longer.
    pub fn wait_until_settled(&self, namespace: &Namespace, name: &FunctionName) -> Result<Function> {
        let mut left = SETTLED_WITHIN;
        loop {
            let function = self.find(namespace, name)?;
            if !function.status.stand.is_passing() || left.is_zero() {
                return function.status.check_changeable().map(|()| function);
            }
            std::thread::sleep(SETTLED_LOOK);
            left = left.saturating_sub(SETTLED_LOOK);
        }
    }

    /// The text of the file that a version's handler is in, if it is not larger than people read (contract 8.3); empty where
    /// there is none.
    pub fn entry_file(&self, version: &Version) -> Result<String> {
        let Some(extension) = version.config.runtime.language.extension() else { return Ok(String::new()) };
        let path = format!("{}.{extension}", version.config.handler.file());
        let Some(archive) = self.store.package(version.package)? else { return Ok(String::new()) };
        let bytes = package::file(&archive, &path, limits::ENTRY_FILE_BYTES_MAX)?;
        Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
    }

    /// What there is to know about how a function runs here: a stand-in interpreter, a network it cannot have, why it cannot
    /// be forked.
    pub fn notes(&self, function: &Function) -> Vec<String> {
        let runtime = match self.host.runtime(function.version.config.runtime) {
            Ok(found) => found.note,
            Err(missing) => Some(missing.message),
        };
        let network = check_network(&self.host.policies_known(), function.version.config.network);
        let spawned = self.pool.spawned_because(function.version.id);
        let spawned = spawned.map(|why| format!("each run is a process of its own making: {why}"));
        let reuse = self.reuse_note(&function.version.config);
        runtime
            .into_iter()
            .chain(reuse)
            .chain(network.err().map(|error| error.message))
            .chain(spawned)
            .collect()
    }

    /// A page of a namespace's functions by name, from behind `after`.
    pub fn list(
        &self,
        namespace: &Namespace,
        after: Option<&str>,
        limit: PageLimit,
    ) -> Result<Page<Function, String>> {
        self.store.functions(namespace, after, limit)
    }

    /// The function's code, a zip archive; fails with `NotFound`.
    pub fn code(&self, namespace: &Namespace, name: &FunctionName) -> Result<(Function, Vec<u8>)> {
        let function = self.find(namespace, name)?;
        match self.store.package(function.version.package)? {
            Some(archive) => Ok((function, archive)),
            // A deploy or delete came between the two looks.
            None => Err(Error::not_found(format!("the code of {name} was replaced just now; ask again"))),
        }
    }

    /// Deletes the function; its records and logs stay, and its events that wait become dead letters. Fails with `NotFound`.
    pub fn delete(&self, namespace: &Namespace, name: &FunctionName) -> Result<()> {
        let function = self.store.delete_function(namespace, name)?;
        self.invoker.forget(function.id);
        self.events.deleted(&function);
        self.changes.tell();
        Ok(())
    }
}

/// A function never reaches more than it asked for, so what the host cannot keep from it is not deployed.
fn check_network(policies: &Policies, policy: NetworkPolicy) -> Result<()> {
    policies.of(policy).map_err(|why| {
        Error::invalid(format!(
            "network must be {} on this host, not {}: {why}",
            policies.names().join(" or "),
            policy.as_str()
        ))
    })
}

/// The archive that the code is, or is packed into; fails with `Limit` where it is too large.
pub(crate) fn archive(code: Code) -> Result<Vec<u8>> {
    let archive = match code {
        Code::Zip(bytes) => bytes,
        Code::Files(files) => pack::from_files(&files)?,
    };
    if archive.len() > limits::PACKAGE_BYTES_MAX {
        return Err(Error::limit(format!(
            "code must be at most {} bytes zipped, not {}",
            limits::PACKAGE_BYTES_MAX,
            archive.len()
        ))
        .about(About::Code));
    }
    Ok(archive)
}
