//! The threads that run events: each takes the next one from the line, sees it to its end, and takes the next.
//!
//! There are as many as are needed: whoever takes an event and sees that another one could go calls an idle thread, or hires
//! one. A thread that finds nothing sleeps until somebody calls, or the next event is due.
//!
//! What must stay true: the desk is never locked while an event is claimed, run or stored. Before room is asked for, it is
//! noted that somebody may be refused, so that whoever gives room back meanwhile comes to the desk.

use std::collections::HashMap;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::base::thread;
use crate::error::Result;
use crate::model::event::Pace;
use crate::service::events::crowd::Crowd;
use crate::service::events::line::{Line, Taken};
use crate::service::events::{Events, micros};
use crate::service::invoke::Known;
use crate::service::invoke::runner::Room;

/// Between two looks whether there is room on the disk again.
const FULL_WAIT: Duration = Duration::from_secs(1);

/// What the threads share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) line: Line,
    /// What functions are, by id, as far as somebody has looked; none for those that are gone.
    known: HashMap<i64, Option<Known>>,
    crowd: Crowd,
    /// Threads that sleep.
    idle: usize,
    /// When the first of them wakes by itself.
    wake_us: i64,
    /// Threads there are.
    hired: usize,
    pub(super) is_stopping: bool,
}

/// An event whose turn it is, and its room; none within where its function was taken for gone.
pub(super) type Turn = Taken<Option<Room>>;

impl Desk {
    /// An empty desk; so many events may run at once in any case.
    pub(super) fn new(few: usize) -> Desk {
        let (line, known, crowd) = (Line::default(), HashMap::new(), Crowd::new(few));
        Desk { line, known, crowd, idle: 0, wake_us: i64::MAX, hired: 0, is_stopping: false }
    }

    /// Notes what a function is, unless something newer is known.
    pub(super) fn know(&mut self, id: i64, known: &Known, pace: Pace) {
        let is_known = matches!(self.known.get(&id), Some(Some(now)) if now.version.id >= known.version.id);
        if !is_known {
            self.line.set_ttl(id, micros(pace.seconds(known.version.config.event.msg_ttl_s)));
            self.known.insert(id, Some(known.clone()));
        }
    }

    /// When somebody should look although nothing was said.
    fn next_us(&self) -> i64 {
        let crowd = self.line.has_more().then(|| self.crowd.next_us());
        self.line.next_us().into_iter().chain(crowd).min().unwrap_or(i64::MAX)
    }

    /// Notes that a function is gone.
    pub(super) fn know_gone(&mut self, id: i64) {
        self.known.insert(id, None);
    }
}

impl Events {
    /// Starts a thread, unless there are as many as may be.
    pub(super) fn hire(&self) -> Result<()> {
        let mut desk = self.lock();
        if desk.hired >= self.options.threads_max || desk.is_stopping {
            return Ok(());
        }
        desk.hired += 1;
        let number = desk.hired;
        drop(desk);
        let this = self.this.clone();
        let started = thread::spawn(&format!("event-{number}"), move || {
            if let Some(events) = this.upgrade() {
                events.work();
            }
        });
        match started {
            Ok(thread) => {
                self.threads.lock().expect("no holder of this lock can panic").push(thread);
                Ok(())
            }
            Err(error) => {
                self.lock().hired -= 1;
                Err(error)
            }
        }
    }

    fn work(&self) {
        while let Some(turn) = self.next() {
            self.serve(turn);
        }
    }

    /// Sees to an event, and says so.
    pub(super) fn serve(&self, turn: Turn) {
        let (function_id, id) = (turn.function_id, turn.entry.id);
        self.counts.running.fetch_add(1, Ordering::Relaxed);
        self.see_to(turn);
        self.counts.running.fetch_sub(1, Ordering::Relaxed);
        let mut desk = self.lock();
        desk.crowd.leave();
        desk.line.done(function_id, id);
        desk.line.unblock();
    }

    /// The next event; waits for one, and gives none once we stop.
    fn next(&self) -> Option<Turn> {
        let mut desk = self.lock();
        loop {
            if desk.is_stopping {
                return None;
            }
            let now_us = self.now_us();
            // What is taken is claimed, run and settled, all of which is written.
            let has_room = self.parts.store.check_room_for_run().is_ok();
            let may_take = has_room && desk.crowd.has_place(now_us);
            if may_take && let Some(turn) = self.take(&mut desk, now_us) {
                desk.crowd.enter();
                self.call_another(desk);
                return Some(turn);
            }
            let next_us = if has_room { desk.next_us() } else { now_us.saturating_add(micros(FULL_WAIT)) };
            // One who wakes in time is enough.
            let wake_us = if next_us < desk.wake_us { next_us } else { i64::MAX };
            desk.idle += 1;
            desk.wake_us = desk.wake_us.min(wake_us);
            desk = self.sleep(desk, wake_us.saturating_sub(now_us));
            desk.idle -= 1;
            desk.wake_us = i64::MAX;
        }
    }

    /// The event whose turn it is, if it has room.
    pub(super) fn take(&self, desk: &mut Desk, now_us: i64) -> Option<Turn> {
        self.refused.store(true, Ordering::SeqCst);
        let Desk { line, known, .. } = desk;
        let turn = line.take(now_us, |id| self.room_for(known.get(&id)));
        self.refused.store(line.has_blocked(), Ordering::SeqCst);
        turn
    }

    /// Room for an event of that function. One that is gone, or that nobody has looked at, needs none: nothing will run.
    fn room_for(&self, known: Option<&Option<Known>>) -> Option<Option<Room>> {
        let Some(Some(known)) = known else { return Some(None) };
        self.runner.room(known).map(Some)
    }

    /// Where an event could go, or is due before anybody wakes, somebody is called to see to it.
    pub(super) fn call_another(&self, mut desk: MutexGuard<'_, Desk>) {
        let has_more = desk.line.has_more();
        if desk.idle > 0 {
            let goes = has_more && desk.crowd.has_place(self.now_us());
            if goes || desk.next_us() < desk.wake_us {
                self.work.notify_one();
            }
        } else if has_more && desk.hired < self.options.threads_max {
            drop(desk);
            if let Err(error) = self.hire() {
                log::warn!("events wait longer than they need to: {error:#}");
            }
        }
    }

    fn sleep<'a>(&self, desk: MutexGuard<'a, Desk>, wait_us: i64) -> MutexGuard<'a, Desk> {
        // A moment more, so that what is due then is due when we look; and never for ever.
        let wait = Duration::from_micros(wait_us.max(0).unsigned_abs()) + Duration::from_micros(50);
        let woken = self.work.wait_timeout(desk, wait.min(Duration::from_secs(3600)));
        woken.expect("no holder of this lock can panic").0
    }
}
