//! How long history is kept: runs with their logs, by age and by the size of the file; and that the file then shrinks.
//!
//! A thread of its own makes a pass at the start and then every [`EVERY`]: what is older than its function keeps it goes,
//! function by function; if the file is then still larger than it may be, the oldest minutes go, whoever's they are. The
//! store deletes in short steps, and after each this thread rests for twice as long as the step took, so that a first pass over
//! millions of old runs is slow rather than noticed.
//!
//! # What must stay true
//!
//! * A pass that deleted something says so in the log, in one line.
//! * Age is told by the wall clock, and that can be wrong. One that has jumped ahead is not believed for a while
//!   ([`belief`]), so that somebody can set it right before everything looks old.
//! * What waits, what runs and young dead letters are not history: the store keeps them whatever is asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::base::clock::Clock;
use crate::base::size::Size;
use crate::base::thread::Worker;
use crate::error::Result;
use crate::model::limits;
use crate::service::retention::belief::Belief;
use crate::store::Store;
use crate::store::retention::{Ids, Old, Step};
use crate::store::room::Room;

mod belief;
#[cfg(test)]
mod tests;

/// Between two passes.
const EVERY: Duration = Duration::from_secs(60);
/// Between two looks whether the disk has become fuller, which makes a pass at once.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The same while the disk is nearly full.
const EVERY_WHEN_SHORT: Duration = Duration::from_secs(5);
/// Between two looks for lines that no run owns: a crash can leave some, and all lines must be looked at to find them.
const STRAYS_EVERY: Duration = Duration::from_secs(24 * 3600);
/// Free space inside the file that is worth giving back: this much, and an eighth of the file. Less is soon used again.
const WORTH_BYTES: u64 = 1024 * 1024;
/// Pages given back in one step; moving one takes some ten microseconds.
const PAGES: u32 = 128;
/// Longest rest after a step: one that waited for somebody else's lock says nothing of its own length.
const REST_MAX: Duration = Duration::from_secs(1);
/// How long giving back waits for a moment in which nobody writes.
const IDLE_WAIT: Duration = Duration::from_millis(20);
/// How many such moments may be missed before the next pass goes on with it.
const BUSY_MAX: u32 = 100;
/// How often the write-ahead log is tried to be cut; readers may be in the way.
const CUTS: usize = 5;
/// Between two such tries.
const CUT_AGAIN: Duration = Duration::from_millis(100);
const MINUTE_US: i64 = 60_000_000;

/// How long history is kept; nothing means for ever, or however large it grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Runs and their logs, where their function does not say otherwise.
    pub age: Option<Duration>,
    /// What the database may hold, bytes.
    pub size_bytes: Option<u64>,
    /// Dead letters, with the runs they are of.
    pub dead: Option<Duration>,
}

/// Deletes history, until it is dropped.
#[derive(Debug)]
pub struct Retention(#[expect(dead_code, reason = "it is there to be dropped")] Worker);

impl Retention {
    /// Begins with the first pass.
    pub fn start(store: Store, clock: Arc<dyn Clock>, keep: Keep) -> Result<Retention> {
        let work = move |stopped| Keeper::new(store, clock, keep, stopped).work();
        Worker::start("retention", work).map(Retention)
    }
}

/// The thread's own.
struct Keeper {
    store: Store,
    clock: Arc<dyn Clock>,
    keep: Keep,
    stopped: Receiver<()>,
    /// Whether to stop.
    over: bool,
    belief: Belief,
    strays_at: Option<Instant>,
    /// Whether the log says already that there is nothing left to delete for size.
    told_large: bool,
}

/// What a pass deleted.
#[derive(Debug, Default)]
struct Deleted {
    runs: u64,
    lines: u64,
    /// Of the runs, those that went because the file was too large.
    for_size: u64,
}

impl Keeper {
    fn new(store: Store, clock: Arc<dyn Clock>, keep: Keep, stopped: Receiver<()>) -> Keeper {
        Keeper {
            store,
            clock,
            keep,
            stopped,
            over: false,
            belief: Belief::default(),
            strays_at: None,
            told_large: false,
        }
    }

    fn work(mut self) {
        while !self.over {
            let room = self.store.room();
            let mut deleted = Deleted::default();
            let done = self.pass(&mut deleted);
            deleted.tell();
            if let Err(error) = done {
                log::warn!("old runs could not be deleted: {error:#}");
            }
            self.wait(room);
        }
    }

    /// Waits until it is time for the next pass, or until there is less room than before the last.
    fn wait(&mut self, before: Room) {
        let every = if before == Room::Plenty { EVERY } else { EVERY_WHEN_SHORT };
        let until = self.clock.now() + every;
        while !self.over && self.clock.now() < until && self.store.room() <= before {
            self.rest(LOOK_EVERY);
        }
    }

    fn pass(&mut self, deleted: &mut Deleted) -> Result<()> {
        let (wall_us, now) = (self.clock.wall_us(), self.clock.now());
        if self.belief.in_clock(wall_us, now) {
            self.delete_aged(wall_us, now, deleted)?;
        }
        self.delete_for_size(wall_us, deleted)?;
        if !self.over {
            self.store.delete_minutes(wall_us)?;
            self.shrink()?;
        }
        Ok(())
    }

    fn delete_aged(&mut self, wall_us: i64, now: Instant, deleted: &mut Deleted) -> Result<()> {
        let dead_before_us = before(wall_us, self.keep.dead);
        for (function_id, keep_s) in self.store.keeps()? {
            let keep = keep_s.map(|keep_s| Duration::from_secs(keep_s.into())).or(self.keep.age);
            let Some(keep) = keep else { continue };
            let before_us = before(wall_us, Some(keep));
            let Some(ids) = self.store.ids_before(before_us)? else { continue };
            self.delete(Old { function_id: Some(function_id), before_us, dead_before_us }, ids, deleted)?;
        }
        self.delete_strays(wall_us, now, deleted)?;
        let day = Duration::from_secs(limits::IDEMPOTENCY_S.into());
        while !self.over && self.store.delete_idempotency(before(wall_us, Some(day)))? > 0 {
            self.rest(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Deletes those of the ids that go.
    fn delete(&mut self, old: Old, ids: Ids, deleted: &mut Deleted) -> Result<()> {
        let mut from = Some(ids.0);
        while let Some(first) = from.filter(|_| !self.over) {
            let store = self.store.clone();
            let step = self.step(|| store.delete_runs(old, (first, ids.1)))?;
            deleted.add(step);
            from = step.next;
        }
        Ok(())
    }

    fn delete_strays(&mut self, wall_us: i64, now: Instant, deleted: &mut Deleted) -> Result<()> {
        let Some(age) = self.keep.age.filter(|_| self.strays_at.is_none_or(|at| now >= at)) else {
            return Ok(());
        };
        self.strays_at = Some(now + STRAYS_EVERY);
        let mut from = Some(0);
        while let Some(first) = from.filter(|_| !self.over) {
            let store = self.store.clone();
            let step = self.step(|| store.delete_stray_lines(before(wall_us, Some(age)), first))?;
            deleted.add(step);
            from = step.next;
        }
        Ok(())
    }

    /// The oldest minutes go until the rest fits. The minute that has not ended stays.
    fn delete_for_size(&mut self, wall_us: i64, deleted: &mut Deleted) -> Result<()> {
        let Some(most) = self.keep.size_bytes else { return Ok(()) };
        let (dead_before_us, mut minute) = (before(wall_us, self.keep.dead), i64::MIN);
        while !self.over && self.store.space()?.used_bytes > most {
            let next = self.store.minute_after(minute)?.map(|(next, ids)| (next, end_us(next), ids));
            let Some((next, before_us, ids)) = next.filter(|(_, end_us, _)| *end_us <= wall_us) else {
                self.tell_large(most);
                return Ok(());
            };
            let runs_before = deleted.runs;
            self.delete(Old { function_id: None, before_us, dead_before_us }, ids, deleted)?;
            deleted.for_size += deleted.runs - runs_before;
            minute = next;
        }
        self.told_large = false;
        Ok(())
    }

    fn tell_large(&mut self, most: u64) {
        if !std::mem::replace(&mut self.told_large, true) {
            log::warn!(
                "the database is larger than {}, and no run is left that may be deleted for it",
                Size(most)
            );
        }
    }

    /// Gives free pages back to the disk, if that is worth it or the disk is nearly full, in moments in which nobody writes.
    fn shrink(&mut self) -> Result<()> {
        let mut busy = 0;
        let mut space = self.store.space()?;
        let is_short = self.store.room() > Room::Plenty;
        if !is_short && space.free_bytes < WORTH_BYTES.max((space.used_bytes + space.free_bytes) / 8) {
            return Ok(());
        }
        while space.free_bytes > 0 && busy < BUSY_MAX && !self.over {
            if self.store.is_busy() {
                busy += 1;
                self.rest(IDLE_WAIT);
                continue;
            }
            let store = self.store.clone();
            self.step(|| store.give_back(PAGES))?;
            space = self.store.space()?;
        }
        self.cut_log()
    }

    /// The file gets shorter, and the log gives its own space back, only when the log is copied whole.
    fn cut_log(&mut self) -> Result<()> {
        for _ in 0..CUTS {
            if self.over || self.store.cut_log()? {
                break;
            }
            self.rest(CUT_AGAIN);
        }
        Ok(())
    }

    /// Does one step and rests for twice as long as it took.
    fn step<T>(&mut self, body: impl FnOnce() -> Result<T>) -> Result<T> {
        let begun = self.clock.now();
        let done = body()?;
        if self.store.room() == Room::NoRuns {
            // There may be no room for a longer log than this.
            self.store.cut_log()?;
        }
        self.rest((2 * (self.clock.now() - begun)).min(REST_MAX));
        Ok(done)
    }

    fn rest(&mut self, length: Duration) {
        self.over |= self.stopped.recv_timeout(length) != Err(RecvTimeoutError::Timeout);
    }
}

/// Where a minute ends, microseconds since the epoch.
fn end_us(minute: i64) -> i64 {
    minute.saturating_add(1).saturating_mul(MINUTE_US)
}

/// The time that was `ago`; before all times if that is for ever.
fn before(wall_us: i64, ago: Option<Duration>) -> i64 {
    let ago_us = ago.map(|ago| i64::try_from(ago.as_micros()).unwrap_or(i64::MAX));
    ago_us.map_or(i64::MIN, |ago_us| wall_us.saturating_sub(ago_us))
}

impl Deleted {
    fn add(&mut self, step: Step) {
        self.runs += step.runs;
        self.lines += step.lines;
    }

    fn tell(&self) {
        if self.runs + self.lines > 0 {
            let aged = self.runs - self.for_size;
            let Deleted { runs, lines, for_size } = self;
            log::info!(
                "{runs} old runs with {lines} log lines were deleted: {aged} by age, {for_size} because the database was \
                 larger than it may be"
            );
        }
    }
}
