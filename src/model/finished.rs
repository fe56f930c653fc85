//! What is handed to the store when a run has ended.

use crate::model::event::Settlement;
use crate::model::invocation::Record;
use crate::model::log::LogLine;

/// A run that ended, with all of its log that is not stored yet.
#[derive(Clone, Debug)]
pub struct FinishedRun {
    /// What is kept of it.
    pub record: Record,
    /// Its lines, in order.
    pub lines: Vec<LogLine>,
    /// What the queue does with its event; none for a run whose caller waited.
    pub settlement: Option<Settlement>,
}
