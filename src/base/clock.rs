//! Time comes in from outside: wall time for records, monotonic time for lengths and deadlines.
//!
//! This is the only file that reads a clock. Pure code takes `now` as an argument; parts that run take an
//! `Arc<dyn Clock>`. Wall time may jump; never subtract two wall times to get a duration.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of both times.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Microseconds since the Unix epoch, UTC, for records.
    fn wall_us(&self) -> i64;
    /// A point on the monotonic clock, for lengths and deadlines.
    fn now(&self) -> Instant;
}

/// The host's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock's home")]
    fn wall_us(&self) -> i64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock's home")]
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that moves only when told, for tests of parts that wait.
#[derive(Debug)]
pub struct ManualClock {
    start: Instant,
    state: Mutex<(i64, Duration)>,
}

impl ManualClock {
    /// A clock that stands at `wall_us` microseconds since the epoch.
    pub fn new(wall_us: i64) -> ManualClock {
        ManualClock { start: SystemClock.now(), state: Mutex::new((wall_us, Duration::ZERO)) }
    }

    /// Moves both times forward.
    pub fn advance(&self, length: Duration) {
        let mut state = self.state.lock().expect("no holder of this lock can panic");
        state.0 += i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
        state.1 += length;
    }

    /// Sets the wall clock, which the other does not notice; so many microseconds forward, or back.
    pub fn jump(&self, wall_us: i64) {
        self.state.lock().expect("no holder of this lock can panic").0 += wall_us;
    }
}

impl Clock for ManualClock {
    fn wall_us(&self) -> i64 {
        self.state.lock().expect("no holder of this lock can panic").0
    }

    fn now(&self) -> Instant {
        self.start + self.state.lock().expect("no holder of this lock can panic").1
    }
}
