//! Where all ways to invoke meet: name to version, admission, run, record, answer.

use std::fmt;

use crate::error::{Error, Result};
use crate::model::function::{FunctionName, Namespace};
use crate::model::invocation::{Record, Source};

/// What a door asks for.
#[derive(Debug)]
pub struct Order {
    /// The namespace asked in.
    pub namespace: Namespace,
    /// The function asked for.
    pub name: FunctionName,
    /// The version or alias asked for; none means `$LATEST`.
    pub qualifier: Option<String>,
    /// The event as it came; empty means `{}`.
    pub event: Vec<u8>,
    /// What caused it.
    pub source: Source,
}

/// A run that ended and whose record is committed.
pub struct Finished {
    /// The record; `result` is what the caller is given.
    pub record: Record,
    /// To be called once the answer has gone out: ends the Instance and orders its replacement.
    pub after: Box<dyn FnOnce() + Send>,
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finished").field("record", &self.record).finish_non_exhaustive()
    }
}

/// Runs functions.
#[derive(Debug)]
pub struct Invoker {}

impl Invoker {
    /// Runs one event and waits until it ended and its record is committed.
    ///
    /// Fails with `Invalid` (event no JSON), `Limit` (event too large) or `NotFound` (no such function or qualifier)
    /// before anything runs; every other ending is a record.
    pub fn invoke(&self, _order: Order) -> Result<Finished> {
        Err(Error::internal("to come"))
    }

    /// The runs that have not ended, newest first, as records in state running.
    pub fn running(&self) -> Vec<Record> {
        Vec::new()
    }

    /// Called after a deploy or delete has been committed: no run that starts later uses the old version.
    pub fn forget(&self, _function_id: i64) {}
}
