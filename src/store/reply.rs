//! One answer to one who waits for it.
//!
//! A channel would do, but crossbeam's yields some six times before it sleeps, and on two cores that takes the time of the
//! very thread that is about to answer.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// A pair: who answers, and who waits.
pub(super) fn reply<T>() -> (Reply<T>, Answer<T>) {
    let shared = Arc::new(Shared { state: Mutex::new(State::Open), told: Condvar::new() });
    (Reply(Arc::clone(&shared)), Answer(shared))
}

/// The end that answers, once; dropped without an answer, it says that there will be none.
#[derive(Debug)]
pub(super) struct Reply<T>(Arc<Shared<T>>);

/// The end that waits.
#[derive(Debug)]
pub(super) struct Answer<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    told: Condvar,
}

#[derive(Debug)]
enum State<T> {
    Open,
    Told(T),
    /// Nobody will answer, or somebody has taken the answer.
    Over,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("no holder of this lock can panic")
    }
}

impl<T> Reply<T> {
    /// Answers.
    pub(super) fn send(self, value: T) {
        *self.0.lock() = State::Told(value);
        // Dropping tells.
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if matches!(*state, State::Open) {
            *state = State::Over;
        }
        drop(state);
        self.0.told.notify_one();
    }
}

impl<T> Answer<T> {
    /// The answer, if one comes within `patience`.
    pub(super) fn wait(self, patience: Duration) -> Option<T> {
        let open = |state: &mut State<T>| matches!(state, State::Open);
        let waited = self.0.told.wait_timeout_while(self.0.lock(), patience, open);
        let (mut state, _) = waited.expect("no holder of this lock can panic");
        match std::mem::replace(&mut *state, State::Over) {
            State::Told(value) => Some(value),
            State::Open | State::Over => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_or_does_not() {
        let (reply, answer) = reply();
        reply.send(1);
        assert_eq!(answer.wait(Duration::ZERO), Some(1));
        let (reply, answer) = super::reply::<i32>();
        drop(reply);
        assert_eq!(answer.wait(Duration::from_secs(60)), None, "at once");
        let (_reply, answer) = super::reply::<i32>();
        assert_eq!(answer.wait(Duration::ZERO), None, "late");
        let (reply, answer) = super::reply();
        std::thread::scope(|scope| {
            scope.spawn(|| reply.send(2));
            assert_eq!(answer.wait(Duration::from_secs(60)), Some(2));
        });
        let (reply, answer) = super::reply();
        drop(answer);
        reply.send(3);
    }
}
