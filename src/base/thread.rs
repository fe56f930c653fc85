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
