//! What happened to objects of another storage that tells us of it: its notifications become the same events (triggers 2.3).

use crate::error::{Kind, Result};
use crate::service::objects::Objects;
use crate::service::objects::event::Happened;

impl Objects {
    /// Queues the events that come of something that happened elsewhere; how many. They survive a power cut when this returns.
    /// The same `key` within 24 hours is the same happening, whose events are neither queued nor counted again.
    ///
    /// Fails with `Full` (the queue takes no more for now) and `Busy`; some of the events may be queued then, which are not
    /// queued again when it is told of again.
    pub fn tell(&self, happened: &Happened, key: Option<&str>) -> Result<u32> {
        let mut queued = 0;
        for trigger in self.meant(happened)? {
            // More than one trigger of a function may mean it, each for itself.
            let key = key.map(|key| format!("cos {} {key}", trigger.id));
            match self.events.accept_of(self.order(happened, &trigger), key.as_deref(), trigger.id) {
                Ok(accepted) if accepted.is_new => {
                    self.triggers.fired(trigger.id, None);
                    queued += 1;
                }
                Ok(_) => {}
                Err(error) if matches!(error.kind, Kind::NotFound | Kind::Limit | Kind::Conflict) => {
                    self.triggers.fired(trigger.id, Some(&error.message));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(queued)
    }
}
