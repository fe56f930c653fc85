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
}

impl Quota {
    pub(crate) fn new(total_mb: u32) -> Quota {
        Quota { total_mb, reserved_mb: HashMap::new(), used_mb: HashMap::new() }
    }

    /// Notes what a function has reserved, from now on.
    pub(crate) fn reserve(&mut self, function_id: i64, reserved_mb: Option<u32>) {
        match reserved_mb {
            Some(mb) => self.reserved_mb.insert(function_id, mb),
            None => self.reserved_mb.remove(&function_id),
        };
    }

    /// Lets a run of `memory_mb` in, or says which quota is used up, in the platform's words (contract 4.1, 432).
    pub(crate) fn enter(
        &mut self,
        function_id: i64,
        name: &str,
        memory_mb: u32,
        asks: Asks,
    ) -> Result<(), String> {
        let own = self.used_mb.get(&function_id).copied().unwrap_or(0);
        match self.reserved_mb.get(&function_id) {
            Some(limit) if own + memory_mb > *limit => {
                return Err(format!("Function [ {name} ] concurrency exceeded reserved quota {limit} MB"));
            }
            None if self.unreserved_used_mb() + memory_mb > self.open_to(asks, memory_mb) => {
                let limit = self.unreserved_mb();
                return Err(format!(
                    "Function [ {name} ] concurrency exceeded region unreserved quota {limit} MB"
                ));
            }
            _ => {}
        }
        self.used_mb.insert(function_id, own + memory_mb);
        Ok(())
    }

    /// A run that was let in has ended.
    pub(crate) fn leave(&mut self, function_id: i64, memory_mb: u32) {
        if let Some(used) = self.used_mb.get_mut(&function_id) {
            *used = used.saturating_sub(memory_mb);
            if *used == 0 {
                self.used_mb.remove(&function_id);
            }
        }
    }

    /// Memory of everything that runs, MB.
    pub(crate) fn used_mb(&self) -> u32 {
        self.used_mb.values().sum()
    }

    /// What may run at once, MB.
    pub(crate) fn total_mb(&self) -> u32 {
        self.total_mb
    }

    /// What of the unreserved quota is open to that kind of run. However long the queue is, a quarter stays for callers;
    /// where that leaves no room for a single event, it may take what there is.
    fn open_to(&self, asks: Asks, memory_mb: u32) -> u32 {
        let all_mb = self.unreserved_mb();
        match asks {
            Asks::Caller => all_mb,
            Asks::Event => all_mb.min(memory_mb.max(all_mb - all_mb / 4)),
        }
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
        assert!(quota.enter(1, "a", 128, Asks::Caller).is_ok());
        assert!(quota.enter(2, "b", 128, Asks::Caller).is_ok());
        let refusal = quota.enter(1, "a", 64, Asks::Caller).unwrap_err();
        assert_eq!(refusal, "Function [ a ] concurrency exceeded region unreserved quota 256 MB");
        quota.leave(2, 128);
        assert!(quota.enter(1, "a", 64, Asks::Caller).is_ok());
        assert_eq!(quota.used_mb(), 192);
    }

    #[test]
    fn a_reservation_is_floor_and_ceiling() {
        let mut quota = Quota::new(384);
        quota.reserve(1, Some(128));
        assert!(quota.enter(2, "b", 256, Asks::Caller).is_ok());
        assert!(quota.enter(2, "b", 64, Asks::Caller).is_err(), "others cannot use what is reserved");
        assert!(quota.enter(1, "a", 128, Asks::Caller).is_ok());
        let refusal = quota.enter(1, "a", 128, Asks::Caller).unwrap_err();
        assert_eq!(refusal, "Function [ a ] concurrency exceeded reserved quota 128 MB");
    }

    #[test]
    fn reservations_beyond_all_numbers_leave_nothing_to_others() {
        let mut quota = Quota::new(384);
        quota.reserve(1, Some(u32::MAX));
        quota.reserve(2, Some(u32::MAX));
        assert!(quota.enter(3, "c", 64, Asks::Caller).is_err());
        assert!(quota.enter(1, "a", 64, Asks::Caller).is_ok());
    }

    #[test]
    fn a_reservation_of_nothing_switches_a_function_off() {
        let mut quota = Quota::new(384);
        quota.reserve(1, Some(0));
        assert!(quota.enter(1, "a", 64, Asks::Caller).is_err());
        quota.reserve(1, None);
        assert!(quota.enter(1, "a", 64, Asks::Caller).is_ok());
    }

    #[test]
    fn events_leave_a_quarter_to_callers() {
        let mut quota = Quota::new(512);
        for _ in 0..3 {
            assert!(quota.enter(1, "a", 128, Asks::Event).is_ok());
        }
        assert!(quota.enter(1, "a", 128, Asks::Event).is_err(), "the last quarter");
        assert!(quota.enter(2, "b", 128, Asks::Caller).is_ok());
        let mut quota = Quota::new(128);
        assert!(quota.enter(1, "a", 128, Asks::Event).is_ok(), "a quarter of one run is nothing");
        assert!(quota.enter(1, "a", 128, Asks::Event).is_err());
    }

    #[test]
    fn events_use_all_of_what_their_function_reserved() {
        let mut quota = Quota::new(512);
        quota.reserve(1, Some(256));
        assert!(quota.enter(1, "a", 128, Asks::Event).is_ok());
        assert!(quota.enter(1, "a", 128, Asks::Event).is_ok());
        assert!(quota.enter(1, "a", 128, Asks::Event).is_err());
    }
}
