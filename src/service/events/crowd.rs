//! How many events run at once: as many as keep the processors busy. Pure: time comes in.
//!
//! Short runs gain nothing from being many: they only push each other, and callers, off the processors and out of the caches.
//! Runs that wait for something do. So few may run at first; while that few end, more are let in, and while many end, fewer
//! again. Quotas are apart from this, and above it.

/// Between two looks at how many ended, microseconds.
const LOOK_US: i64 = 10_000;

/// Those that run.
#[derive(Debug)]
pub(super) struct Crowd {
    /// As many may always run; twice the processors.
    few: usize,
    limit: usize,
    running: usize,
    ended: usize,
    looked_us: i64,
}

impl Crowd {
    pub(super) fn new(few: usize) -> Crowd {
        Crowd { few, limit: few, running: 0, ended: 0, looked_us: 0 }
    }

    /// One more runs.
    pub(super) fn enter(&mut self) {
        self.running += 1;
    }

    /// One has ended.
    pub(super) fn leave(&mut self) {
        self.running = self.running.saturating_sub(1);
        self.ended += 1;
    }

    /// Whether one more may run; looks again if it is time.
    pub(super) fn has_place(&mut self, now_us: i64) -> bool {
        if self.running >= self.few && now_us >= self.next_us() {
            self.look(now_us);
        }
        self.running < self.limit
    }

    /// When it is time to look again.
    pub(super) fn next_us(&self) -> i64 {
        self.looked_us.saturating_add(LOOK_US)
    }

    fn look(&mut self, now_us: i64) {
        // After a pause of whatever length it is as if the window had just begun.
        let is_window = now_us - self.looked_us < 2 * LOOK_US;
        let busy = self.few * 3 / 2;
        self.limit = match self.ended {
            _ if !is_window => self.limit,
            ended if ended < busy && self.running >= self.limit => self.limit + (self.limit / 4).max(1),
            ended if ended > busy + self.few / 2 => self.limit.saturating_sub(1).max(self.few),
            _ => self.limit,
        };
        (self.ended, self.looked_us) = (0, now_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many run at once in the end, where each takes so long and so many can end in a millisecond.
    fn settles(takes_us: i64, ends_per_ms: i64) -> usize {
        let mut crowd = Crowd::new(4);
        let (mut ends, mut most) = (Vec::new(), 0);
        for now_us in (0..1_000_000).step_by(100) {
            if ends.first().is_some_and(|at_us| *at_us <= now_us) && now_us % (1000 / ends_per_ms) == 0 {
                ends.remove(0);
                crowd.leave();
            }
            while crowd.has_place(now_us) && ends.len() < 24 {
                crowd.enter();
                ends.push(now_us + takes_us);
            }
            most = if now_us > 500_000 { most.max(ends.len()) } else { 0 };
        }
        most
    }

    #[test]
    fn short_runs_stay_few_and_those_that_wait_become_many() {
        assert_eq!(settles(1_000, 1), 4, "the processors are busy with them");
        assert_eq!(settles(200_000, 10), 24, "as many as there is room for");
        assert!((5..=10).contains(&settles(10_000, 10)), "{}", settles(10_000, 10));
    }
}
