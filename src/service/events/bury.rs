//! Events that never were in the queue, and that whoever brought them gives up: a batch of messages, tried often enough. They
//! become dead letters like those of the queue, so they are found, told of and replayed like them.

use std::sync::atomic::Ordering;

use crate::error::{Error, Result};
use crate::model::event::Reason;
use crate::model::finished::FinishedRun;
use crate::model::invocation::{Record, Source, State};
use crate::model::limits;
use crate::service::events::{Events, message};
use crate::service::invoke::Order;
use crate::service::run_log;

impl Events {
    /// Gives up an event whose last run `record` tells of; when it returns, the dead letter survives a power cut. A function that
    /// is to be told of dead letters is told of this one.
    pub fn bury(&self, record: &Record, reason: Reason) -> Result<()> {
        self.parts.store.bury(record.id, reason)?;
        self.counts.given_up.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.tell_of(record) {
            log::warn!("nobody is told of the dead letter {}: {error:#}", record.request_id);
        }
        Ok(())
    }

    /// Gives up an event that is too large for any run: its record says so, and has all of it. Fails with `NotFound` when there is
    /// no such function.
    pub fn bury_too_large(&self, order: Order) -> Result<()> {
        let key = (order.namespace, order.name);
        let (aim, known) = self.runner.aim(&key, order.qualifier.as_deref(), &order.routing_key)?;
        let mut record = self.queued(&known, order.source, order.event);
        record.alias = aim.alias.to_string();
        record.is_event = false;
        record.state = State::Dead;
        record.status = 406;
        (record.started_us, record.ended_us) = (record.created_us, record.created_us);
        record.error = too_large(record.event.len());
        record.result = run_log::error_body(&record.request_id, &record.error, "", record.status);
        let line = run_log::given_up(&record.request_id, Reason::Size.as_str(), record.ended_us);
        let record = self.parts.store.record(FinishedRun { record, lines: vec![line], settlement: None })?;
        self.bury(&record, Reason::Size)
    }

    /// Sends the message about a dead letter to the function that wants to hear of it, if one does. A dead letter's own dead letter
    /// is told to nobody.
    fn tell_of(&self, record: &Record) -> Result<()> {
        let (namespace, name) = record.key()?;
        let known = self.runner.find(&namespace, &name)?;
        let Some(name) = &known.version.config.event.dead_letter else { return Ok(()) };
        let told = self.runner.find(&namespace, name)?;
        let event = message::of(record, &self.options.account);
        if event.len() > limits::EVENT_BYTES_MAX {
            return Err(Error::limit("the message would be larger than an event may be"));
        }
        let forward = self.queued(&told, Source::DeadLetter, event);
        let store = |forward| self.parts.store.accept(forward, None);
        self.keep(&told, forward, store).map(drop)
    }
}

/// What is said of an event of so many bytes that no function may be given.
pub(super) fn too_large(bytes: usize) -> String {
    format!("the event has {bytes} bytes, and an event may have at most {}", limits::EVENT_BYTES_MAX)
}
