//! Waiting for states. No test waits for a length of time: it waits until something is so, and fails when it never is.

use std::time::Duration;

use fnlite::base::clock::{Clock, SystemClock};

/// Longest wait for anything that should happen soon; a test that comes near it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks until `look` finds what it is looking for.
#[track_caller]
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, look).unwrap_or_else(|| panic!("{what}: not within {PATIENCE:?}"))
}

/// The same with a bound that is itself what is tested; `None` when it was not so in time.
pub(crate) fn within<T>(bound: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = SystemClock.now() + bound;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if SystemClock.now() > deadline {
            return None;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
