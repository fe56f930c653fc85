//! A running statement is looked at again and again: is its time over, does it take too much memory, is the store closing.
//!
//! SQLite asks every few instructions; one instruction can take milliseconds and make a megabyte, so they must be few. The
//! clock is read every time, the memory of the process once in a while. That other requests grow meanwhile is counted, too:
//! the bound is there to keep the host alive, and what they grow by is small beside it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::base::clock::Clock;
use crate::error::Result;
use crate::model::limits;

/// Instructions between two looks at the clock. Measured on scans: a look at every instruction trebles their time, one at every
/// fifth adds a quarter, at every twentieth a tenth.
pub(super) const STEPS: i32 = 20;
/// Time between two looks at the memory.
const GLANCE: Duration = Duration::from_millis(1);
/// Longest time a statement may compute.
const TIME: Duration = Duration::from_secs(limits::SQL_TIME_S);
/// Most memory the process may grow by meanwhile.
const MEMORY_BYTES: u64 = limits::SQL_MEMORY_MIB << 20;

/// Why a statement was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Time,
    Memory,
    Closing,
}

/// Until when a statement may run, and why it was stopped, once it was.
#[derive(Debug)]
pub(super) struct Deadline {
    clock: Arc<dyn Clock>,
    until: Instant,
    stopped: Arc<OnceLock<Stop>>,
}

impl Deadline {
    /// Begins now.
    pub(super) fn new(clock: Arc<dyn Clock>, stopped: Arc<OnceLock<Stop>>) -> Deadline {
        Deadline { until: clock.now() + TIME, clock, stopped }
    }

    /// Asked by functions whose calls may take long: several can follow one another without SQLite asking.
    pub(super) fn check(&self) -> rusqlite::Result<()> {
        if self.clock.now() < self.until {
            return Ok(());
        }
        self.stopped.get_or_init(|| Stop::Time);
        let interrupted = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_INTERRUPT);
        Err(rusqlite::Error::SqliteFailure(interrupted, None))
    }
}

/// What looks at one statement.
#[derive(Debug)]
pub(super) struct Watch {
    deadline: Arc<Deadline>,
    look_at: Instant,
    memory: Memory,
    memory_max: u64,
    closed: Arc<AtomicBool>,
}

impl Watch {
    pub(super) fn new(deadline: Arc<Deadline>, closed: Arc<AtomicBool>) -> Result<Watch> {
        let (now, memory) = (deadline.clock.now(), Memory::open()?);
        let memory_max = memory.bytes()?.saturating_add(MEMORY_BYTES);
        Ok(Watch { deadline, look_at: now, memory, memory_max, closed })
    }

    /// Whether the statement has to end.
    pub(super) fn says_stop(&mut self) -> bool {
        let stop = self.why();
        if let Some(stop) = stop {
            self.deadline.stopped.get_or_init(|| stop);
        }
        stop.is_some()
    }

    fn why(&mut self) -> Option<Stop> {
        let now = self.deadline.clock.now();
        if now >= self.deadline.until {
            return Some(Stop::Time);
        }
        if now < self.look_at {
            return None;
        }
        self.look_at = now + GLANCE;
        // Memory that cannot be told counts as too much: nobody would stop it otherwise.
        let is_too_much = self.memory.bytes().map_or(true, |bytes| bytes > self.memory_max);
        match self.closed.load(Ordering::Relaxed) {
            true => Some(Stop::Closing),
            false => is_too_much.then_some(Stop::Memory),
        }
    }
}

/// The memory of this process.
#[derive(Debug)]
pub(super) struct Memory {
    statm: File,
    page_bytes: u64,
}

impl Memory {
    pub(super) fn open() -> Result<Memory> {
        let page_bytes = u64::try_from(rustix::param::page_size()).unwrap_or(u64::MAX);
        Ok(Memory { statm: File::open("/proc/self/statm")?, page_bytes })
    }

    /// What is resident of it (the second number of proc_pid_statm(5)).
    pub(super) fn bytes(&self) -> Result<u64> {
        let mut text = [0; 128];
        let length = self.statm.read_at(&mut text, 0)?;
        let text = String::from_utf8_lossy(&text[..length]);
        let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
        Ok(pages.unwrap_or(u64::MAX).saturating_mul(self.page_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;

    fn watch(clock: &Arc<ManualClock>, closed: &Arc<AtomicBool>) -> Watch {
        let deadline = Deadline::new(clock.clone(), Arc::default());
        Watch::new(Arc::new(deadline), Arc::clone(closed)).unwrap()
    }

    #[test]
    fn time_and_the_end_of_the_store_stop_a_statement() {
        let clock = Arc::new(ManualClock::new(0));
        let closed = Arc::new(AtomicBool::new(false));
        let mut one = watch(&clock, &closed);
        assert!(!one.says_stop());
        clock.advance(Duration::from_millis(1999));
        assert!(!one.says_stop() && one.deadline.check().is_ok());
        clock.advance(Duration::from_millis(1));
        assert!(one.deadline.check().is_err(), "functions see it as well");
        assert!(one.says_stop());
        assert_eq!(one.deadline.stopped.get(), Some(&Stop::Time));

        let mut other = watch(&clock, &closed);
        closed.store(true, Ordering::Relaxed);
        assert!(other.says_stop());
        assert_eq!(other.deadline.stopped.get(), Some(&Stop::Closing));
    }

    #[test]
    fn memory_stops_a_statement() {
        let clock = Arc::new(ManualClock::new(0));
        let mut one = watch(&clock, &Arc::default());
        assert!(one.memory.bytes().unwrap() > 1 << 20, "this very process is larger");
        one.memory_max = 1 << 20;
        clock.advance(GLANCE);
        assert!(one.says_stop());
        assert_eq!(one.deadline.stopped.get(), Some(&Stop::Memory));
    }
}
