//! Threads with names and owners.

use std::thread::{Builder, JoinHandle};

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

/// Gives the calling thread less of the processor than others where there is not enough: `by` of Linux's 19 steps.
pub fn yield_to_others(by: i32) {
    // On Linux this is a thread's own.
    if let Err(errno) = rustix::process::nice(by) {
        log::debug!("a thread keeps its priority: {errno}");
    }
}
