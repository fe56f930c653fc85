//! Runs whose caller does not wait as long as they may take: the gateway gives up on one while it goes on.
//!
//! Only a function that may take longer than the gateway waits runs on a thread of its own; all others run where the request is
//! served, as every run does. How many threads there can be is what the pool lets run at once.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};

use crate::base::id::RequestId;
use crate::base::thread;
use crate::error::{Error, Result};
use crate::service::invoke::{Finished, Invoker, Order};

/// The threads, until they have ended.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<Vec<JoinHandle<()>>>);

impl Waiting {
    /// Runs it and waits, at most `patience`; nothing where that was not enough, and the run goes on. Fails as
    /// [`Invoker::invoke_as`].
    pub(super) fn run(
        &self,
        invoker: &Arc<Invoker>,
        order: Order,
        id: RequestId,
        patience: Option<Duration>,
    ) -> Result<Option<Finished>> {
        match patience {
            Some(patience) if invoker.may_take(&order)? > patience => {
                self.run_apart(invoker, order, id, patience)
            }
            _ => invoker.invoke_as(order, id).map(Some),
        }
    }

    fn run_apart(
        &self,
        invoker: &Arc<Invoker>,
        order: Order,
        id: RequestId,
        patience: Duration,
    ) -> Result<Option<Finished>> {
        let (sender, receiver) = bounded::<Result<Finished>>(0);
        let invoker = Arc::clone(invoker);
        let thread = thread::spawn("gateway-run", move || {
            // Where nobody waits any more, nobody but us ends the Instance.
            if let Err(unheard) = sender.send(invoker.invoke_as(order, id))
                && let Ok(finished) = unheard.into_inner()
            {
                (finished.after)();
            }
        })?;
        self.keep(thread);
        match receiver.recv_timeout(patience) {
            Ok(ended) => ended.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Error::internal("the run's thread had panicked")),
        }
    }

    /// Waits until what nobody waits for any more has ended.
    pub(super) fn join(&self) {
        let threads = std::mem::take(&mut *self.0.lock().expect("no holder of this lock can panic"));
        for thread in threads {
            if thread.join().is_err() {
                log::error!("a thread that ran a request of the gateway had panicked");
            }
        }
    }

    /// Keeps a thread, and lets go of those that have ended.
    fn keep(&self, thread: JoinHandle<()>) {
        let mut threads = self.0.lock().expect("no holder of this lock can panic");
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.join();
    }
}
