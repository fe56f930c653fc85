//! Triggers of type `ckafka`: messages of a Kafka topic, in batches, to a function.
//!
//! A keeper's thread has one consumer for each trigger that is on, and a new one when the trigger changes. A consumer is a thread
//! that polls (`poller`), workers that run batches (`worker`), and between them the board (`board`): what was fetched, by
//! partition. A partition's messages are gathered into a batch (`batch`) that is closed by count, by size, by the time since its
//! first message, or, because here nobody else waits for that time, early: once nothing has come for a moment. It becomes one
//! event (`event`), which goes to the [`Invoker`] as a caller's would.
//!
//! What must stay true:
//!
//! - Of a partition one batch at a time runs, in order, and none while the end of the one before is not committed.
//! - An offset is committed only once the run of all that comes before it has ended well, or its dead letter is on the disk. So a
//!   message may come twice, after a crash, and is never lost.
//! - What the function failed is tried again as often as the trigger says, with pauses that grow; what the platform failed, for
//!   ever. Neither holds a thread meanwhile, and least of all the one that polls: a group throws out who does not poll.
//! - Where a partition begins is committed before its first message is asked for (`offsets`), or what comes between a first start
//!   at the latest message and the first batch would be lost with a crash.
//! - What is fetched and not run yet has a bound: the poller waits, and lays a partition aside that keeps it waiting.
//!
//! Without `--kafka-share` a consumer takes all partitions for itself and is in no group, though its offsets are kept under the
//! group's name: nobody has to wait for anybody after a crash. With it, consumers of many servers share them.

use std::fmt;
use std::sync::Arc;

use crossbeam_channel::{Sender, bounded};

use crate::base::clock::Clock;
use crate::base::thread;
use crate::error::Result;
use crate::model::event::Pace;
use crate::service::events::Events;
use crate::service::invoke::Invoker;
use crate::service::triggers::Triggers;

#[cfg(not(feature = "kafka"))]
#[path = "absent.rs"]
mod consumer;
#[cfg(feature = "kafka")]
mod consumer;
mod keeper;
mod plan;

#[cfg(feature = "kafka")]
mod batch;
#[cfg(feature = "kafka")]
mod board;
#[cfg(feature = "kafka")]
mod client;
#[cfg(feature = "kafka")]
mod crew;
#[cfg(feature = "kafka")]
mod event;
#[cfg(feature = "kafka")]
mod offsets;
#[cfg(feature = "kafka")]
mod poller;
#[cfg(feature = "kafka")]
mod worker;

/// What consumers work with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// What there is to consume, and where to tell what came of it.
    pub triggers: Arc<Triggers>,
    /// What runs batches.
    pub invoker: Arc<Invoker>,
    /// What keeps those that were given up.
    pub events: Arc<Events>,
    /// Now.
    pub clock: Arc<dyn Clock>,
}

/// How they are consumed.
#[derive(Clone, Debug)]
pub struct Options {
    /// The brokers of triggers that name none, `host:port`.
    pub brokers: Vec<String>,
    /// Whether other servers share the partitions.
    pub share: bool,
    /// What this server is called within a group, so that it has its partitions back after a restart; empty for no name.
    pub member: String,
    /// How fast pauses pass.
    pub pace: Pace,
}

/// The consumers of all triggers; ended when this is dropped.
pub struct Kafka {
    /// Nothing is ever sent: closing it ends the keeper.
    stop: Option<Sender<()>>,
    keeper: Option<std::thread::JoinHandle<()>>,
}

impl Kafka {
    /// Starts the keeper.
    pub fn start(parts: Parts, options: Options) -> Result<Kafka> {
        let (stop, stopped) = bounded(0);
        let keeper = keeper::Keeper::new(parts, options);
        let keeper = thread::spawn("kafka", move || keeper.keep(&stopped))?;
        Ok(Kafka { stop: Some(stop), keeper: Some(keeper) })
    }

    /// No batch is begun any more.
    pub fn stop(&mut self) {
        self.stop.take();
    }

    /// Waits until the batches that run have ended.
    pub fn join(&mut self) {
        self.stop();
        if self.keeper.take().is_some_and(|keeper| keeper.join().is_err()) {
            log::error!("the thread kafka had panicked");
        }
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.join();
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka").finish_non_exhaustive()
    }
}
