//! Loads what was created or updated once before it is in force, so that its caller hears what is wrong with it and the first
//! run finds it loaded.
//!
//! What is to be loaded is what the database says is on its way; a crash forgets nothing, and the next server goes on. What
//! must stay true: a function is loaded by one thread at a time, and never left on its way because loading it failed.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::base::thread;
use crate::error::{Error, Kind, Result};
use crate::model::function::{Function, LATEST, NEXT, Version};
use crate::model::invocation::{FunctionNames, Outcome};
use crate::model::status::{Stand, Status};
use crate::pool::Pool;
use crate::service::events::Events;
use crate::service::invoke::Invoker;
use crate::store::Store;

/// Functions loaded at once: one that takes long must not hold all others up.
const THREADS: usize = 2;

/// Before what could not be stored is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// How often the threads look whether they are to end.
const LOOK: Duration = Duration::from_millis(200);

/// Characters of a reason: a trace can be long, and it is shown in every listing.
const REASON_CHARS_MAX: usize = 2000;

/// What loading is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Where functions are kept.
    pub store: Store,
    /// What runs them.
    pub invoker: Arc<Invoker>,
    /// What loads them.
    pub pool: Arc<Pool>,
    /// What runs them later.
    pub events: Arc<Events>,
}

/// The threads that load. They end once the pool is stopping.
pub struct Loading {
    threads: Vec<JoinHandle<()>>,
}

/// Tells the threads that there is something to load.
#[derive(Clone, Debug)]
pub struct Bell(Sender<()>);

impl Bell {
    /// Something is on its way.
    pub fn ring(&self) {
        // One call that nobody has heard yet is as good as two.
        let _ = self.0.try_send(());
    }
}

impl fmt::Debug for Loading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loading").finish_non_exhaustive()
    }
}

impl Loading {
    /// Starts the threads, and the loading of what an earlier server left.
    pub fn start(parts: &Parts, calls: &Calls) -> Result<Loading> {
        let at_work = Arc::new(Mutex::new(HashSet::new()));
        let (sender, receiver) = calls;
        let start = |number| {
            let loader = Loader { parts: parts.clone(), at_work: Arc::clone(&at_work) };
            let (receiver, again) = (receiver.clone(), sender.clone());
            thread::spawn(&format!("load-{number}"), move || loader.work(&receiver, &Bell(again)))
        };
        let threads = (0..THREADS).map(start).collect::<Result<Vec<_>>>()?;
        Bell(sender.clone()).ring();
        Ok(Loading { threads })
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a thread that loads functions had panicked");
            }
        }
    }
}

/// Both ends of the bell.
pub type Calls = (Sender<()>, Receiver<()>);

/// A bell, and what hears it.
pub fn bell() -> (Bell, Calls) {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    (Bell(sender.clone()), (sender, receiver))
}

struct Loader {
    parts: Parts,
    /// The functions that a thread is at.
    at_work: Arc<Mutex<HashSet<i64>>>,
}

impl Loader {
    fn work(&self, calls: &Receiver<()>, bell: &Bell) {
        loop {
            match calls.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(()) | Err(RecvTimeoutError::Timeout) if self.parts.pool.is_stopping() => return,
                Ok(()) => self.load_all(bell),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Loads what is on its way and nobody is at.
    fn load_all(&self, bell: &Bell) {
        loop {
            let next = match self.parts.store.passing() {
                Ok(passing) => passing.into_iter().find(|function| self.begin(function.id)),
                Err(error) => return log::error!("what is to be loaded is not known: {error:#}"),
            };
            let Some(function) = next else { return };
            // While this one takes its time, another thread looks for more.
            bell.ring();
            let loaded = self.load(&function);
            self.lock().remove(&function.id);
            if let Err(error) = loaded {
                log::error!("how {} was loaded is not stored: {error:#}", function.name);
                std::thread::sleep(AGAIN);
            }
            if self.parts.pool.is_stopping() {
                return;
            }
        }
    }

    fn begin(&self, function_id: i64) -> bool {
        self.lock().insert(function_id)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<i64>> {
        self.at_work.lock().expect("no holder of this lock can panic")
    }

    fn load(&self, function: &Function) -> Result<()> {
        let Some(version) = self.awaited(function)? else { return Ok(()) };
        let names =
            FunctionNames { namespace: function.namespace.to_string(), name: function.name.to_string() };
        let loaded = self.parts.pool.load_ahead(&Arc::new(version.clone()), &Arc::new(names));
        if self.parts.pool.is_stopping() {
            return Ok(());
        }
        let status = status(loaded);
        let is_well = status.stand == Stand::Active;
        let settled = self.parts.store.settle_function(function.id, version.id, status)?;
        match settled {
            Some(function) if is_well => {
                self.parts.invoker.replaced(&function);
                self.parts.events.deployed(&function);
            }
            _ => self.parts.pool.retire_version(version.id),
        }
        Ok(())
    }

    /// The version that is to be in force; by the name it will have then.
    fn awaited(&self, function: &Function) -> Result<Option<Version>> {
        if function.status.stand == Stand::Creating {
            return Ok(Some(function.version.clone()));
        }
        let pending = self.parts.store.version(function.id, NEXT)?;
        Ok(pending.map(|version| Version { qualifier: LATEST.to_owned(), ..version }))
    }
}

/// What is kept of how loading went. What a function's own code does wrong when it is loaded shows here; that a handler is
/// missing shows at its first run too.
fn status(loaded: Result<std::result::Result<(), Outcome>>) -> Status {
    let failed = |code: &str, message: &str| Status {
        stand: Stand::CreateFailed,
        code: code.to_owned(),
        message: message.chars().take(REASON_CHARS_MAX).collect(),
    };
    match loaded {
        Ok(Ok(())) => Status::of(Stand::Active),
        Ok(Err(outcome)) => {
            let trace = outcome.stack_trace();
            let message = outcome.error_message();
            failed(reason(&outcome), if trace.is_empty() { &message } else { trace })
        }
        Err(error) => {
            log_internal(&error);
            failed("InternalError", &error.message)
        }
    }
}

fn log_internal(error: &Error) {
    if error.kind == Kind::Internal {
        log::error!("a function could not be loaded: {error:#}");
    }
}

fn reason(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::InitTimedOut { .. } => "InitializationTimeout",
        Outcome::OutOfMemory { .. } => "MemoryExceeded",
        Outcome::HandlerNotFound(_) => "HandlerNotFound",
        Outcome::Exited { .. } => "ProcessExited",
        Outcome::PlatformFailed(_) => "InternalError",
        _ => "UserCodeException",
    }
}
