//! Whose turn it is: few statements run at once, a few more wait, the others are told at once.
//!
//! Each that runs may take a core and much memory for its whole time, and runs of functions go before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::error::{Error, Kind, Result};
use crate::model::limits;

/// Most statements at once.
const RUNNING_MAX: usize = 2;
/// Most that wait for one of them to end.
const WAITING_MAX: usize = 6;
/// Longest wait: those ahead are over by then, and some more for what cannot be stopped at once.
const WAIT: Duration = Duration::from_secs(limits::SQL_TIME_S * 5);

/// The turns there are.
#[derive(Debug)]
pub(in crate::store) struct Turns {
    give: Sender<()>,
    take: Receiver<()>,
    waiting: AtomicUsize,
    closed: Arc<AtomicBool>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'t>(&'t Turns);

impl Turns {
    pub(in crate::store) fn new() -> Turns {
        let (give, take) = bounded(RUNNING_MAX);
        let turns = Turns { give, take, waiting: AtomicUsize::new(0), closed: Arc::default() };
        (0..RUNNING_MAX).for_each(|_| turns.give_back());
        turns
    }

    /// Takes a turn, at once or when one that has one is done. Fails with `Busy`.
    pub(super) fn take(&self) -> Result<Turn<'_>> {
        self.take.try_recv().or_else(|_| self.wait())?;
        let turn = Turn(self);
        if self.closed.load(Ordering::Relaxed) { Err(busy()) } else { Ok(turn) }
    }

    fn wait(&self) -> Result<()> {
        let more = |waiting: usize| (waiting < WAITING_MAX).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map_err(|_| busy())?;
        let turn = self.take.recv_timeout(WAIT);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        turn.map_err(|_| busy())
    }

    fn give_back(&self) {
        // The channel holds as many as there are, so it cannot be full.
        let _ = self.give.try_send(());
    }

    /// What says to a statement that it has to end.
    pub(super) fn closed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.closed)
    }

    /// Whether a statement runs.
    #[cfg(test)]
    pub(super) fn is_one_taken(&self) -> bool {
        self.take.len() < RUNNING_MAX
    }

    /// Has statements end, and waits until none is left that would keep the file open.
    pub(in crate::store) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        let ended = (0..RUNNING_MAX).filter(|_| self.take.recv_timeout(WAIT).is_ok()).count();
        if ended < RUNNING_MAX {
            log::warn!("a statement of SQL did not end");
        }
        // Those that wait are to hear of it at once.
        (0..ended).for_each(|_| self.give_back());
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

fn busy() -> Error {
    Error::new(Kind::Busy, "too many statements of SQL at once; try again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_run_some_wait_and_the_rest_is_told_at_once() {
        let turns = Turns::new();
        let first = turns.take().unwrap();
        let _second = turns.take().unwrap();
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..WAITING_MAX).map(|_| scope.spawn(|| turns.take().is_ok())).collect();
            while turns.waiting.load(Ordering::Relaxed) < WAITING_MAX {
                std::thread::yield_now();
            }
            assert_eq!(turns.take().unwrap_err().kind, Kind::Busy);
            drop(first);
            assert!(waiting.into_iter().all(|waiter| waiter.join().unwrap()), "each has its turn");
        });
    }

    #[test]
    fn a_turn_after_the_end_is_none() {
        let turns = Turns::new();
        turns.close();
        assert_eq!(turns.take().unwrap_err().kind, Kind::Busy);
    }
}
