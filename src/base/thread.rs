//! Threads with names and owners.

use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::error::{Error, Result};

/// Stack of every thread we start. Nothing we run recurses deeply; a small stack keeps idle threads cheap to map.
const STACK_BYTES: usize = 512 * 1024;

/// Starts a named thread; whoever gets the handle joins it.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    Builder::new()
        .name(name.to_owned())
        .stack_size(STACK_BYTES)
        .spawn(body)
        .map_err(|cause| Error::internal(format!("no thread could be started for {name}")).because(cause))
}

/// A thread that works until this is dropped, which waits for its end.
#[derive(Debug)]
pub struct Worker {
    name: &'static str,
    /// Nothing is ever sent: closing it ends the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts it. `body` is to return once what it is given is disconnected.
    pub fn start(name: &'static str, body: impl FnOnce(Receiver<()>) + Send + 'static) -> Result<Worker> {
        let (stop, stopped) = bounded(0);
        let thread = spawn(name, move || body(stopped))?;
        Ok(Worker { name, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.take();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("the thread {} had panicked", self.name);
        }
    }
}

/// Gives the calling thread less of the processor than others where there is not enough: `by` of Linux's 19 steps.
pub fn yield_to_others(by: i32) {
    // On Linux this is a thread's own.
    if let Err(errno) = rustix::process::nice(by) {
        log::debug!("a thread keeps its priority: {errno}");
    }
}
