//! One turn of a batch: its run, what follows from how that ended, and the commit. Workers do this; several of them, so that
//! partitions do not wait for each other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::model::alias::RoutingKey;
use crate::model::event::{Pace, Reason, is_platforms};
use crate::model::invocation::{Record, Source};
use crate::model::limits;
use crate::service::invoke::Order;
use crate::trigger::kafka::Parts;
use crate::trigger::kafka::batch::Batch;
use crate::trigger::kafka::board::{Board, Turn};
use crate::trigger::kafka::plan::Plan;

/// The first pause before another try, and the longest.
const PAUSE_S: u32 = 1;
const PAUSE_S_MAX: u32 = 60;

/// Where offsets are committed.
pub(super) trait Offsets: Send + Sync {
    /// Commits that everything before `next` is over; returns once the broker has it. Fails with `Busy` while the group deals its
    /// partitions out.
    fn commit(&self, partition: i32, next: i64) -> Result<()>;
}

/// What a worker works with.
pub(super) struct Worker {
    pub(super) parts: Parts,
    pub(super) plan: Plan,
    pub(super) pace: Pace,
    pub(super) board: Arc<Board>,
    pub(super) offsets: Arc<dyn Offsets>,
}

/// What follows a try.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// It is over and is to be committed.
    Over,
    /// It is given up.
    GivenUp,
    /// It is tried again after that many pauses that grow.
    Again(u32),
}

impl Worker {
    /// Sees to batches until we stop.
    pub(super) fn work(&self) {
        while let Some(mut turn) = self.board.take() {
            // A panic of ours costs the try, and neither the thread nor the batch.
            let seen = catch_unwind(AssertUnwindSafe(|| self.see_to(&mut turn)));
            match seen.unwrap_or(Some(PAUSE_S_MAX)) {
                None => self.board.done(&turn, self.parts.clock.now()),
                Some(tries) => {
                    let due = self.parts.clock.now() + pause(tries, self.pace);
                    self.board.again(turn, due);
                }
            }
        }
    }

    /// Has a batch run and committed; or after how many failed tries it comes again.
    fn see_to(&self, turn: &mut Turn) -> Option<u32> {
        if !turn.batch.is_over
            && let Some(tries) = self.run(&mut turn.batch)
        {
            return Some(tries);
        }
        turn.batch.is_over = true;
        if !self.board.holds(turn) {
            return None;
        }
        match self.offsets.commit(turn.partition, turn.batch.next) {
            Ok(()) => None,
            Err(error) => {
                log::info!(
                    "{} of partition {} is not committed yet: {error:#}",
                    self.plan.topic,
                    turn.partition
                );
                // A group that deals its partitions out is no trouble that anybody has to hear of.
                if error.kind != Kind::Busy {
                    self.parts.triggers.wrong(self.plan.trigger_id, &error.message);
                }
                turn.batch.troubles += 1;
                Some(turn.batch.troubles)
            }
        }
    }

    fn run(&self, batch: &mut Batch) -> Option<u32> {
        if batch.event.len() > limits::EVENT_BYTES_MAX {
            return self.refuse(batch);
        }
        let finished = match self.parts.invoker.invoke(self.order(batch.event.clone())) {
            Ok(finished) => finished,
            Err(error) => return Some(self.held_up(batch, &error)),
        };
        (finished.after)();
        let record = finished.record;
        let next = follows(record.status, batch, self.plan.retry);
        let error = (record.status != 200).then_some(record.error.as_str());
        self.parts.triggers.fired(self.plan.trigger_id, error);
        match next {
            Next::Over => None,
            Next::Again(tries) => Some(tries),
            Next::GivenUp => self.give_up(batch, &record),
        }
    }

    fn give_up(&self, batch: &mut Batch, record: &Record) -> Option<u32> {
        let buried = self.parts.events.bury(record, Reason::Retries);
        buried.err().map(|error| self.held_up(batch, &error))
    }

    /// Gives up what is too large for any run.
    fn refuse(&self, batch: &mut Batch) -> Option<u32> {
        match self.parts.events.bury_too_large(self.order(batch.event.clone())) {
            Err(error) => Some(self.held_up(batch, &error)),
            Ok(()) => {
                let sentence = format!("a message was too large: its event has {} bytes", batch.event.len());
                self.parts.triggers.fired(self.plan.trigger_id, Some(&sentence));
                None
            }
        }
    }

    /// Nothing ran, or nothing of it is stored; how often in succession that has been so.
    fn held_up(&self, batch: &mut Batch, error: &Error) -> u32 {
        if error.kind == Kind::Internal {
            log::error!("a batch of {} was held up: {error:#}", self.plan.topic);
        }
        self.parts.triggers.wrong(self.plan.trigger_id, &error.message);
        batch.troubles += 1;
        batch.troubles
    }

    fn order(&self, event: Vec<u8>) -> Order {
        Order {
            namespace: self.plan.namespace.clone(),
            name: self.plan.function.clone(),
            qualifier: Some(self.plan.qualifier.clone()),
            routing_key: RoutingKey::default(),
            event,
            source: Source::Kafka,
        }
    }
}

/// What follows a run that ended with `status`; counted in `batch`.
fn follows(status: u16, batch: &mut Batch, retry: u32) -> Next {
    if status == 200 {
        return Next::Over;
    }
    if is_platforms(status) {
        batch.troubles += 1;
        return Next::Again(batch.troubles);
    }
    batch.troubles = 0;
    batch.failures += 1;
    if batch.failures > retry { Next::GivenUp } else { Next::Again(batch.failures) }
}

/// The pause after so many failed tries.
pub(super) fn pause(tries: u32, pace: Pace) -> Duration {
    let doubled = PAUSE_S.checked_shl(tries.saturating_sub(1)).unwrap_or(PAUSE_S_MAX);
    pace.seconds(doubled.min(PAUSE_S_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        Batch { event: Vec::new(), next: 1, count: 1, failures: 0, troubles: 0, is_over: false }
    }

    #[test]
    fn what_the_function_failed_is_tried_as_often_as_the_trigger_says() {
        let mut batch = batch();
        assert_eq!(follows(430, &mut batch, 2), Next::Again(1));
        assert_eq!(follows(433, &mut batch, 2), Next::Again(2));
        assert_eq!(follows(430, &mut batch, 2), Next::GivenUp);
        assert_eq!(follows(430, &mut batch, 0), Next::GivenUp);
        assert_eq!(follows(200, &mut batch, 0), Next::Over);
    }

    #[test]
    fn what_the_platform_failed_is_tried_for_ever() {
        let mut batch = batch();
        for tries in 1..1000 {
            assert_eq!(follows(if tries % 2 == 0 { 432 } else { 500 }, &mut batch, 0), Next::Again(tries));
        }
        assert_eq!(batch.failures, 0);
        assert_eq!(follows(430, &mut batch, 1), Next::Again(1));
        assert_eq!(follows(500, &mut batch, 1), Next::Again(1), "its pauses begin anew");
    }

    #[test]
    fn pauses_grow_to_a_minute() {
        let pauses = [1, 2, 3, 6, 7, 8, 1000].map(|tries| pause(tries, Pace(1.0)).as_secs());
        assert_eq!(pauses, [1, 2, 4, 32, 60, 60, 60]);
        assert_eq!(pause(1000, Pace(0.001)), Duration::from_millis(60));
    }
}
