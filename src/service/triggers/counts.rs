//! What has come of triggers lately, counted in memory and written every few seconds: a request that fires one need not wait for
//! another commit. A crash loses the last seconds of these numbers; what ran is in the records.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::model::trigger::State;

/// Longest error kept, characters.
const ERROR_CHARS_MAX: usize = 500;

/// What is not written yet, by the triggers' row ids.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<HashMap<i64, State>>);

impl Counts {
    /// Notes that it fired, and what was wrong, if anything was.
    pub(super) fn fired(&self, id: i64, now_us: i64, error: Option<&str>) {
        let error: Option<String> = error.map(|error| error.chars().take(ERROR_CHARS_MAX).collect());
        let later = State {
            fired: 1,
            failed: u64::from(error.is_some()),
            skipped: 0,
            fired_us: now_us,
            error_us: if error.is_some() { now_us } else { 0 },
            error: error.unwrap_or_default(),
        };
        self.add(id, later);
    }

    /// Notes what is wrong although it did not fire, as that its broker cannot be reached.
    pub(super) fn wrong(&self, id: i64, now_us: i64, error: &str) {
        let error = error.chars().take(ERROR_CHARS_MAX).collect();
        self.add(id, State { error, error_us: now_us, ..State::default() });
    }

    /// Adds what has come of one.
    pub(super) fn add(&self, id: i64, later: State) {
        self.0.lock().expect("no holder of this lock can panic").entry(id).or_default().add(later);
    }

    /// What is not written yet of one.
    pub(super) fn pending(&self, id: i64) -> State {
        self.0.lock().expect("no holder of this lock can panic").get(&id).cloned().unwrap_or_default()
    }

    /// All that is not written yet, which is up to the caller from now on.
    pub(super) fn take(&self) -> Vec<(i64, State)> {
        std::mem::take(&mut *self.0.lock().expect("no holder of this lock can panic")).into_iter().collect()
    }
}
