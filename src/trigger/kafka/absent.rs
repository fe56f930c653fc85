//! What stands for a consumer in a program that was built without Kafka: it says so.

use crate::error::Result;
use crate::trigger::kafka::plan::Plan;
use crate::trigger::kafka::{Options, Parts};

/// A consumer that consumes nothing.
pub(super) struct Consumer;

impl Consumer {
    pub(super) fn start(parts: &Parts, plan: &Plan, _: &Options) -> Result<Consumer> {
        parts.triggers.wrong(plan.trigger_id, "this fnlite was built without Kafka (cargo feature kafka)");
        Ok(Consumer)
    }

    pub(super) fn tell_to_stop(&mut self) {}

    pub(super) fn is_over(&self) -> bool {
        true
    }
}
