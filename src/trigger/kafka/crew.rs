//! The workers of a client: hired as there are partitions, dismissed when the client goes.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::base::thread;
use crate::error::Result;
use crate::trigger::kafka::board::Board;
use crate::trigger::kafka::client::Client;
use crate::trigger::kafka::consumer::Life;
use crate::trigger::kafka::offsets::{Beginnings, Committer};
use crate::trigger::kafka::worker::Worker;

/// Partitions that run at once, of one trigger: beyond that they take turns.
const WORKERS_MAX: usize = 8;

/// How long is polled at a time for who is dismissed.
const LOOK: Duration = Duration::from_millis(20);

/// The workers of a client.
pub(super) struct Crew<'a> {
    pub(super) life: &'a Life,
    pub(super) board: &'a Arc<Board>,
    pub(super) client: &'a Arc<Client>,
    pub(super) beginnings: &'a Arc<Beginnings>,
    pub(super) hired: Vec<JoinHandle<()>>,
}

impl Crew<'_> {
    /// As many workers as there are partitions, up to a bound.
    pub(super) fn hire(&mut self, partitions: usize) -> Result<()> {
        while self.hired.len() < partitions.min(WORKERS_MAX) {
            let committer = Committer {
                client: Arc::clone(self.client),
                beginnings: Arc::clone(self.beginnings),
                is_member: self.life.options.share,
            };
            let worker = Worker {
                parts: self.life.parts.clone(),
                plan: self.life.plan.clone(),
                pace: self.life.options.pace,
                board: Arc::clone(self.board),
                offsets: Arc::new(committer),
            };
            let name = format!("kafka-{}-{}", self.life.plan.trigger_id, self.hired.len());
            self.hired.push(thread::spawn(&name, move || worker.work())?);
        }
        Ok(())
    }

    /// Waits until what runs has ended; polls meanwhile, so that the group does not wait for us.
    pub(super) fn dismiss(self) {
        while !self.hired.iter().all(JoinHandle::is_finished) {
            drop(self.client.poll(LOOK));
        }
        for worker in self.hired {
            if worker.join().is_err() {
                log::error!("a thread that ran batches had panicked");
            }
        }
    }
}
