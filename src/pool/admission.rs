//! Concurrency quotas, counted in memory as the platform does (contract 9.4): what a function reserved is its floor and its
//! ceiling; everybody else shares what is not reserved, of which queued events leave some to callers who wait. Pure.

use std::collections::HashMap;

/// Who asks to be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// A caller who waits for the answer and is told when there is no room.
    Caller,
    /// A queued event, which can wait.
    Event,
}

/// Who may run now.
#[derive(Debug)]
pub(crate) struct Quota {
    total_mb: u32,
    reserved_mb: HashMap<i64, u32>,
    used_mb: HashMap<i64, u32>,
    /// What of the unreserved quota events use.
    events_mb: u32,
}

/// A quota that is used up, MB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// What the function reserved.
    Reserved(u32),
    /// What all share that reserved nothing.
    Unreserved(u32),
}

impl Refused {
    /// The platform's words (contract 4.1, 432).
    pub(crate) fn sentence(self, name: &str) -> String {
        match self {
            Refused::Reserved(mb) => {
                format!("Function [ {name} ] concurrency exceeded reserved quota {mb} MB")
            }
            Refused::Unreserved(mb) => {
                format!("Function [ {name} ] concurrency exceeded region unreserved quota {mb} MB")
            }
        }
    }
}

/// Room that was taken, to be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    function_id: i64,
    memory_mb: u32,
    /// Whether it is an event's, of the unreserved quota.
    is_shared_events: bool,
}

impl Quota {
    pub(crate) fn new(total_mb: u32) -> Quota {
        Quota { total_mb, reserved_mb: HashMap::new(), used_mb: HashMap::new(), events_mb: 0 }
    }

    /// Notes what a function has reserved, from now on; whether that is anything new.
    pub(crate) fn reserve(&mut self, function_id: i64, reserved_mb: Option<u32>) -> bool {
        let before = match reserved_mb {
            Some(mb) => self.reserved_mb.insert(function_id, mb),
            None => self.reserved_mb.remove(&function_id),
        };
        before != reserved_mb
    }

    /// Lets a run of `memory_mb` in, or says which quota is used up.
    pub(crate) fn enter(&mut self, function_id: i64, memory_mb: u32, asks: Asks) -> Result<Taken, Refused> {
        let own = self.used_mb.get(&function_id).copied().unwrap_or(0);
        let reserved = self.reserved_mb.get(&function_id).copied();
        let is_shared_events = asks == Asks::Event && reserved.is_none();
        match reserved {
            Some(limit) if own + memory_mb > limit => return Err(Refused::Reserved(limit)),
            None if !self.has_shared_room(memory_mb, asks) => {
                return Err(Refused::Unreserved(self.unreserved_mb()));
            }
            _ => {}
        }
        self.used_mb.insert(function_id, own + memory_mb);
        if is_shared_events {
            self.events_mb += memory_mb;
        }
        Ok(Taken { function_id, memory_mb, is_shared_events })
    }

    /// A run that was let in has ended.
    pub(crate) fn leave(&mut self, taken: Taken) {
        if let Some(used) = self.used_mb.get_mut(&taken.function_id) {
            *used = used.saturating_sub(taken.memory_mb);
            if *used == 0 {
                self.used_mb.remove(&taken.function_id);
            }
        }
        if taken.is_shared_events {
            self.events_mb = self.events_mb.saturating_sub(taken.memory_mb);
        }
    }

    /// Memory of everything that runs, MB.
    pub(crate) fn used_mb(&self) -> u32 {
        self.used_mb.values().sum()
    }

    /// Sets what may run at once, MB, from the next run on.
    pub(crate) fn set_total_mb(&mut self, total_mb: u32) {
        self.total_mb = total_mb;
    }

    /// What may run at once, MB.
    pub(crate) fn total_mb(&self) -> u32 {
        self.total_mb
    }

    /// However long the queue is, events take no more than three quarters of what all share, so that a quarter stays for
    /// callers; where that leaves no room for a single event, one may run.
    fn has_shared_room(&self, memory_mb: u32, asks: Asks) -> bool {
        let all_mb = self.unreserved_mb();
        let events_max_mb = memory_mb.max(all_mb - all_mb / 4);
        let fits = self.unreserved_used_mb() + memory_mb <= all_mb;
        fits && (asks == Asks::Caller || self.events_mb + memory_mb <= events_max_mb)
    }

    fn unreserved_mb(&self) -> u32 {
        let reserved_mb = self.reserved_mb.values().fold(0u32, |sum, mb| sum.saturating_add(*mb));
        self.total_mb.saturating_sub(reserved_mb)
    }

    fn unreserved_used_mb(&self) -> u32 {
        self.used_mb.iter().filter(|(id, _)| !self.reserved_mb.contains_key(id)).map(|(_, mb)| mb).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_shared_and_given_back() {
        let mut quota = Quota::new(256);
        assert!(quota.enter(1, 128, Asks::Caller).is_ok());
        let second = quota.enter(2, 128, Asks::Caller).unwrap();
        let refusal = quota.enter(1, 64, Asks::Caller).unwrap_err().sentence("a");
        assert_eq!(refusal, "Function [ a ] concurrency exceeded region unreserved quota 256 MB");
        quota.leave(second);
        assert!(quota.enter(1, 64, Asks::Caller).is_ok());
        assert_eq!(quota.used_mb(), 192);
    }

    #[test]
    fn a_reservation_is_floor_and_ceiling() {
        let mut quota = Quota::new(384);
        quota.reserve(1, Some(128));
        assert!(quota.enter(2, 256, Asks::Caller).is_ok());
        assert!(quota.enter(2, 64, Asks::Caller).is_err(), "others cannot use what is reserved");
        assert!(quota.enter(1, 128, Asks::Caller).is_ok());
        let refusal = quota.enter(1, 128, Asks::Caller).unwrap_err().sentence("a");
        assert_eq!(refusal, "Function [ a ] concurrency exceeded reserved quota 128 MB");
    }

    #[test]
    fn reservations_beyond_all_numbers_leave_nothing_to_others() {
        let mut quota = Quota::new(384);
        quota.reserve(1, Some(u32::MAX));
        quota.reserve(2, Some(u32::MAX));
        assert!(quota.enter(3, 64, Asks::Caller).is_err());
        assert!(quota.enter(1, 64, Asks::Caller).is_ok());
    }

    #[test]
    fn a_reservation_of_nothing_switches_a_function_off() {
        let mut quota = Quota::new(384);
        quota.reserve(1, Some(0));
        assert!(quota.enter(1, 64, Asks::Caller).is_err());
        quota.reserve(1, None);
        assert!(quota.enter(1, 64, Asks::Caller).is_ok());
    }

    #[test]
    fn events_leave_a_quarter_to_callers() {
        let mut quota = Quota::new(512);
        for _ in 0..3 {
            assert!(quota.enter(1, 128, Asks::Event).is_ok());
        }
        assert!(quota.enter(1, 128, Asks::Event).is_err(), "the last quarter");
        assert!(quota.enter(2, 128, Asks::Caller).is_ok());
        let mut quota = Quota::new(128);
        assert!(quota.enter(1, 128, Asks::Event).is_ok(), "a quarter of one run is nothing");
        assert!(quota.enter(1, 128, Asks::Event).is_err());
    }

    #[test]
    fn callers_keep_no_event_from_what_they_leave() {
        let mut quota = Quota::new(512);
        for _ in 0..3 {
            assert!(quota.enter(1, 128, Asks::Caller).is_ok());
        }
        let event = quota.enter(2, 128, Asks::Event).unwrap();
        assert!(quota.enter(2, 128, Asks::Event).is_err(), "all is used");
        quota.leave(event);
        assert!(quota.enter(2, 128, Asks::Event).is_ok());
    }

    #[test]
    fn events_use_all_of_what_their_function_reserved() {
        let mut quota = Quota::new(512);
        quota.reserve(1, Some(256));
        assert!(quota.enter(1, 128, Asks::Event).is_ok());
        assert!(quota.enter(1, 128, Asks::Event).is_ok());
        assert!(quota.enter(1, 128, Asks::Event).is_err());
    }
}
