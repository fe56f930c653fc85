//! Whether the wall clock is believed, from how it goes along with the monotonic one.
//!
//! What must stay true: a clock that jumped ahead is told of, and is believed only after [`DOUBTED_FOR`] or once it was set
//! back. A host that slept looks the same, and waiting costs it nothing.

use std::time::{Duration, Instant};

use crate::base::length::Length;

/// A wall clock that gained this much on the monotonic one has jumped ahead.
const JUMP: Duration = Duration::from_secs(600);
/// How long a wall clock that jumped ahead is not believed.
const DOUBTED_FOR: Duration = Duration::from_secs(3600);

/// What was seen of both clocks.
#[derive(Debug, Default)]
pub(super) struct Belief {
    last: Option<(i64, Instant)>,
    doubted_until: Option<Instant>,
}

impl Belief {
    /// Whether the wall clock, which shows `wall_us` at the instant `now`, is believed.
    pub(super) fn in_clock(&mut self, wall_us: i64, now: Instant) -> bool {
        if let Some((last_us, last)) = self.last.replace((wall_us, now)) {
            self.compare(wall_us.saturating_sub(last_us), now - last, now);
        }
        self.doubted_until = self.doubted_until.filter(|until| now < *until);
        self.doubted_until.is_none()
    }

    fn compare(&mut self, wall_us: i64, passed: Duration, now: Instant) {
        let passed_us = i64::try_from(passed.as_micros()).unwrap_or(i64::MAX);
        let jump_us = i64::try_from(JUMP.as_micros()).unwrap_or(i64::MAX);
        let gained_us = wall_us.saturating_sub(passed_us);
        if gained_us > jump_us {
            let gained = Length(Duration::from_secs(u64::try_from(gained_us / 1_000_000).unwrap_or(0)));
            log::warn!(
                "the clock has jumped ahead by {gained}; what is too old by it is deleted in {}, if it is not set back",
                Length(DOUBTED_FOR)
            );
            self.doubted_until = Some(now + DOUBTED_FOR);
        } else if gained_us < -jump_us {
            self.doubted_until = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{Clock, ManualClock};

    const HOUR: Duration = Duration::from_secs(3600);

    /// Hours by the wall clock and by the monotonic one, and whether the clock is believed then.
    fn check(steps: &[(i64, u32, bool)]) {
        let (mut belief, start) = (Belief::default(), ManualClock::new(0).now());
        for (wall_h, passed_h, expected) in steps {
            let believed = belief.in_clock(wall_h * 3_600_000_000, start + HOUR * *passed_h);
            assert_eq!(believed, *expected, "{wall_h} h by the wall clock, {passed_h} h passed");
        }
    }

    #[test]
    fn a_clock_that_goes_along_is_believed() {
        check(&[(0, 0, true), (1, 1, true), (100, 100, true)]);
    }

    #[test]
    fn a_clock_that_jumped_ahead_is_believed_an_hour_later() {
        check(&[(0, 0, true), (1000, 0, false), (1000, 0, false), (1001, 1, true)]);
    }

    #[test]
    fn a_clock_that_was_set_back_is_believed_again() {
        check(&[(0, 0, true), (1000, 0, false), (0, 0, true), (-1000, 0, true)]);
    }
}
