//! What the queue of events needs of the invoker, as a trait, so that the queue can be tried without processes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::base::id::RequestId;
use crate::error::Result;
use crate::model::alias::{RoutingKey, is_number};
use crate::model::event::Claimed;
use crate::model::function::{FunctionName, Namespace};
use crate::model::invocation::{Event, Record, Source};
use crate::pool::Permit;
use crate::pool::admission::Asks;
use crate::service::invoke::run::{Attempting, Settle, Wanted};
use crate::service::invoke::{Aim, Finished, Invoker, Known};

/// Room for an attempt; none is needed where nothing will run.
#[derive(Debug, Default)]
pub(crate) struct Room(Option<Permit>);

impl Room {
    /// The pool's permit; none in a test.
    pub(super) fn permit(&self) -> Option<&Permit> {
        self.0.as_ref()
    }
}

/// What runs the events of the queue.
pub(crate) trait Runner: Send + Sync + fmt::Debug {
    /// What that name means now; fails with `NotFound`.
    fn find(&self, namespace: &Namespace, name: &FunctionName) -> Result<Known>;

    /// Where an event with that qualifier goes; fails with `NotFound`.
    fn aim(
        &self,
        key: &(Namespace, FunctionName),
        qualifier: Option<&str>,
        routing_key: &RoutingKey,
    ) -> Result<(Aim, Known)>;

    /// Room for an event of that function, if there is some.
    fn room(&self, known: &Known) -> Option<Room>;

    /// One attempt of an event that has room, its settlement stored with its record.
    ///
    /// Fails with `NotFound` when the function is not there any more, before anything runs, and with `Busy` or `Internal` when
    /// the record could not be stored: then the queue knows nothing of the attempt.
    fn attempt(&self, claimed: &Claimed, room: &Room, settle: Settle<'_>) -> Result<Finished>;

    /// Has the run of that row id ended, killed or told to; whether it goes on.
    fn terminate(&self, run_id: i64, is_graceful: bool) -> bool;

    /// Whether runs are being ended because we stop.
    fn is_stopping(&self) -> bool;

    /// An invocation is over, and its record is committed.
    fn ended(&self, request_id: &RequestId);
}

impl Runner for Invoker {
    fn find(&self, namespace: &Namespace, name: &FunctionName) -> Result<Known> {
        let generation = self.generation.load(Ordering::Acquire);
        self.resolve(&(namespace.clone(), name.clone()), generation)
    }

    fn aim(
        &self,
        key: &(Namespace, FunctionName),
        qualifier: Option<&str>,
        routing_key: &RoutingKey,
    ) -> Result<(Aim, Known)> {
        let generation = self.generation.load(Ordering::Acquire);
        let aim = Invoker::aim(self, key, qualifier, routing_key)?;
        let known = self.aimed_at(key, &aim, generation)?;
        Ok((aim, known))
    }

    fn room(&self, known: &Known) -> Option<Room> {
        self.pool.admit(&known.version, Asks::Event).ok().map(|permit| Room(Some(permit)))
    }

    fn attempt(&self, claimed: &Claimed, room: &Room, settle: Settle<'_>) -> Result<Finished> {
        let Claimed { record, function_created_us, .. } = claimed;
        let source = Source::parse(&record.source).unwrap_or(Source::Rest);
        let retry_num = record.retry_num;
        self.drive(Wanted {
            id: record.id,
            key: record.key()?,
            aim: aim_of(record),
            request_id: record.request_id.clone(),
            event: Event(Arc::from(record.event.as_slice())),
            source,
            created_us: record.created_us,
            attempt: Some(Attempting { room, retry_num, function_created_us: *function_created_us, settle }),
        })
    }

    fn terminate(&self, run_id: i64, is_graceful: bool) -> bool {
        Invoker::terminate(self, run_id, is_graceful)
    }

    fn is_stopping(&self) -> bool {
        self.pool.is_stopping()
    }

    fn ended(&self, request_id: &RequestId) {
        self.endings.ended(request_id);
    }
}

/// An event goes to the version that it was accepted for, however its alias was moved since.
fn aim_of(record: &Record) -> Aim {
    let number = is_number(&record.qualifier).then(|| record.qualifier.clone());
    Aim { number, alias: Arc::from(record.alias.as_str()) }
}
