//! How many Instances of a Version stay parked, and for how long its zygote is kept. Pure: times come in.
//!
//! Parked Instances are what makes an answer quick, and each costs about a megabyte; an idle function should cost disk only.

use std::time::{Duration, Instant};

/// Fewest and most parked Instances of a busy Version.
const BUSY_MIN: usize = 2;
const BUSY_MAX: usize = 8;

/// A Version used within this time is busy.
const BUSY_FOR: Duration = Duration::from_secs(10);

/// One that was used within this time keeps one Instance.
const PARKED_FOR: Duration = Duration::from_secs(60);

/// One that was used within this time keeps its zygote.
const LOADED_FOR: Duration = Duration::from_secs(300);

/// How busy a Version was lately.
#[derive(Debug)]
pub(crate) struct Demand {
    last_used: Instant,
    window_began: Instant,
    /// Most runs at once in the running window and in the one before.
    peak: usize,
    peak_before: usize,
}

impl Demand {
    pub(crate) fn new(now: Instant) -> Demand {
        Demand { last_used: now, window_began: now, peak: 0, peak_before: 0 }
    }

    /// A run begins, the `running`th at once.
    pub(crate) fn note(&mut self, running: usize, now: Instant) {
        self.last_used = now;
        let windows = now.duration_since(self.window_began).as_secs() / BUSY_FOR.as_secs();
        if windows > 0 {
            self.peak_before = if windows == 1 { self.peak } else { 0 };
            self.peak = 0;
            self.window_began = now;
        }
        self.peak = self.peak.max(running);
    }

    /// How many Instances should be parked now.
    pub(crate) fn parked_wanted(&self, now: Instant) -> usize {
        match now.duration_since(self.last_used) {
            idle if idle < BUSY_FOR => self.peak.max(self.peak_before).clamp(BUSY_MIN, BUSY_MAX),
            idle if idle < PARKED_FOR => 1,
            _ => 0,
        }
    }

    /// Whether the code should stay loaded.
    pub(crate) fn keeps_loaded(&self, now: Instant) -> bool {
        now.duration_since(self.last_used) < LOADED_FOR
    }

    /// When it was last used.
    pub(crate) fn last_used(&self) -> Instant {
        self.last_used
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{Clock, SystemClock};

    #[test]
    fn a_version_cools_down_in_steps() {
        let start = SystemClock.now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut demand = Demand::new(start);
        demand.note(5, start);
        let wanted: Vec<usize> = [0, 9, 11, 59, 61, 299].map(|s| demand.parked_wanted(after(s))).to_vec();
        assert_eq!(wanted, [5, 5, 1, 1, 0, 0]);
        assert!(demand.keeps_loaded(after(299)));
        assert!(!demand.keeps_loaded(after(301)));
    }

    #[test]
    fn a_burst_is_remembered_for_one_window_and_bounded() {
        let start = SystemClock.now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut demand = Demand::new(start);
        demand.note(100, start);
        assert_eq!(demand.parked_wanted(start), BUSY_MAX);
        demand.note(1, after(12));
        assert_eq!(demand.parked_wanted(after(12)), BUSY_MAX);
        demand.note(1, after(24));
        assert_eq!(demand.parked_wanted(after(24)), BUSY_MIN);
    }
}
