//! The threads that run events: each takes the next one from the line, sees it to its end, and takes the next.
//!
//! There are as many as are needed: whoever takes an event and sees that another one could go calls an idle thread, or hires
//! one. A thread that finds nothing sleeps until somebody calls, or the next event is due.
//!
//! What must stay true: the desk is never locked while an event is claimed, run or stored.

use std::collections::HashMap;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::base::thread;
use crate::error::Result;
use crate::model::event::Pace;
use crate::service::events::line::{Line, Taken};
use crate::service::events::{Events, micros};
use crate::service::invoke::{Known, Room};

/// Between two looks whether there is room on the disk again.
const FULL_WAIT: Duration = Duration::from_secs(1);

/// What the threads share.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) line: Line,
    /// What functions are, by id, as far as somebody has looked; none for those that are gone.
    pub(super) known: HashMap<i64, Option<Known>>,
    /// Threads that sleep.
    pub(super) idle: usize,
    /// Threads there are.
    hired: usize,
    pub(super) is_stopping: bool,
}

/// An event that was taken, and its room; none within where its function was taken for gone.
pub(super) type Next = Taken<Option<Room>>;

impl State {
    /// Notes what a function is.
    pub(super) fn know(&mut self, id: i64, known: Option<Known>, pace: Pace) {
        if let Some(known) = &known {
            self.line.set_ttl(id, micros(pace.seconds(known.version.config.event.msg_ttl_s)));
        }
        self.known.insert(id, known);
    }

    /// The same, unless it is known already.
    pub(super) fn know_newer(&mut self, id: i64, known: &Known, pace: Pace) {
        let is_known = matches!(self.known.get(&id), Some(Some(now)) if now.version.id == known.version.id);
        if !is_known {
            self.know(id, Some(known.clone()), pace);
        }
    }
}

impl Events {
    /// Starts a thread, unless there are as many as may be.
    pub(super) fn hire(&self) -> Result<()> {
        let mut desk = self.lock();
        if desk.hired >= self.options.lanes_max || desk.is_stopping {
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
        while let Some(taken) = self.next() {
            self.serve(taken);
        }
    }

    pub(super) fn serve(&self, taken: Next) {
        let function_id = taken.function_id;
        self.counts.running.fetch_add(1, Ordering::Relaxed);
        self.see_to(taken);
        self.counts.running.fetch_sub(1, Ordering::Relaxed);
        let mut desk = self.lock();
        desk.line.done(function_id);
        desk.line.unblock();
    }

    /// The next event; waits for one, and gives none once we stop.
    fn next(&self) -> Option<Next> {
        let mut desk = self.lock();
        loop {
            if desk.is_stopping {
                return None;
            }
            let now_us = self.now_us();
            // What is taken is claimed, run and settled, all of which is written.
            let has_room = self.parts.store.check_room_for_run().is_ok();
            if has_room && let Some(taken) = self.take(&mut desk, now_us) {
                self.call_another(desk);
                return Some(taken);
            }
            let next_us = if has_room { desk.line.next_us() } else { Some(now_us + micros(FULL_WAIT)) };
            let wake_us = next_us.map(|at_us| at_us.saturating_sub(now_us).max(0));
            desk.idle += 1;
            desk = self.sleep(desk, wake_us);
            desk.idle -= 1;
        }
    }

    pub(super) fn take(&self, desk: &mut State, now_us: i64) -> Option<Next> {
        let State { line, known, .. } = desk;
        line.take(now_us, |id| self.room_for(known.get(&id)))
    }

    /// Room for an event of that function. One that is gone, or that nobody has looked at, needs none: nothing will run.
    fn room_for(&self, known: Option<&Option<Known>>) -> Option<Option<Room>> {
        let Some(Some(known)) = known else { return Some(None) };
        self.runner.room(known).map(Some)
    }

    /// Where an event could go, somebody is called to see to it. One that is not due yet wants a thread that knows when it is.
    pub(super) fn call_another(&self, desk: MutexGuard<'_, State>) {
        let (idle, has_more, can_hire) =
            (desk.idle, desk.line.has_more(), desk.hired < self.options.lanes_max);
        drop(desk);
        if idle > 0 {
            self.work.notify_one();
        } else if has_more
            && can_hire
            && let Err(error) = self.hire()
        {
            log::warn!("events wait longer than they need to: {error:#}");
        }
    }

    fn sleep<'a>(&self, desk: MutexGuard<'a, State>, wake_us: Option<i64>) -> MutexGuard<'a, State> {
        let length = wake_us.map(|us| Duration::from_micros(us.try_into().unwrap_or(0)));
        match length {
            // A moment more, so that what is due then is due when we look.
            Some(length) => {
                let woken = self.work.wait_timeout(desk, length + Duration::from_micros(50));
                woken.expect("no holder of this lock can panic").0
            }
            None => self.work.wait(desk).expect("no holder of this lock can panic"),
        }
    }
}
