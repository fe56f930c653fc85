//! Timers: one thread that sleeps until the next moment of any of them, however many there are.
//!
//! The line in memory holds a second for each timer. The database has the moment that each was last seen to; what lies between
//! that and now was missed, while we were down or the processor was elsewhere, and of all that the last moment alone fires, late
//! (triggers 4). A moment is an event of the queue, kept in one commit with the fact that it was seen to.
//!
//! What must stay true: a moment fires only once it has come by the wall clock, and never twice: where the clock is set back,
//! timers wait until it has caught up with what fired already. Where it is set forward, that is noticed within [`LOOK`].

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError, after, select};
use jiff::Timestamp;
use serde::Serialize;

use crate::base::clock::Clock;
use crate::base::thread::Worker;
use crate::error::{Error, Kind, Result};
use crate::model::trigger::{Kind as TriggerKind, Placed, State};
use crate::service::events::Events;
use crate::service::events::timers::Moment;
use crate::service::triggers::Triggers;
use crate::store::Store;
use crate::store::timers::Fired;

/// Longest sleep: how late it is noticed that the clock was set.
const LOOK: Duration = Duration::from_secs(1);
/// Before what could not be kept is tried again.
const AGAIN_S: i64 = 1;
/// Moments of one commit.
const BATCH: usize = 500;
/// Between two writings of what has come of triggers.
const COUNTS_EVERY_S: i64 = 2;

/// Fires timers until it is dropped.
#[derive(Debug)]
pub struct Timers(#[expect(dead_code, reason = "it is there to be dropped")] Worker);

/// What timers are made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// What was seen to.
    pub store: Store,
    /// Which timers there are.
    pub triggers: Arc<Triggers>,
    /// Where their events go.
    pub events: Arc<Events>,
    /// Now.
    pub clock: Arc<dyn Clock>,
}

impl Timers {
    /// Begins with what is kept; what was missed fires at once.
    pub fn start(parts: Parts) -> Result<Timers> {
        // Before the first reading, so that nothing changes unheard.
        let changes = parts.triggers.changes().listen();
        let line =
            Line { parts, timers: HashMap::new(), moments: BTreeSet::new(), counted_s: 0, is_held_up: false };
        Worker::start("timers", move |stopped| line.work(&changes, &stopped)).map(Timers)
    }
}

/// A timer that is on.
#[derive(Debug)]
struct Armed {
    placed: Placed,
    /// Its next moment, seconds since the epoch; none if there is none any more.
    next_s: Option<i64>,
    /// When it is looked at: at its next moment, or later where that could not be kept.
    look_s: i64,
}

#[derive(Debug)]
struct Line {
    parts: Parts,
    timers: HashMap<i64, Armed>,
    /// When whose turn it is.
    moments: BTreeSet<(i64, i64)>,
    /// When what has come of triggers was last written.
    counted_s: i64,
    /// Whether nothing could be kept the last time.
    is_held_up: bool,
}

/// A timer's event (triggers 4).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Event<'a> {
    #[serde(rename = "Type")]
    kind: &'static str,
    trigger_name: &'a str,
    time: String,
    message: &'a str,
}

impl Line {
    fn work(mut self, changes: &Receiver<()>, stopped: &Receiver<()>) {
        let mut is_known = false;
        loop {
            if !is_known {
                is_known = told(self.read(), "timers could not be read");
            }
            self.fire_due(stopped);
            self.write_counts(COUNTS_EVERY_S);
            select! {
                recv(stopped) -> _ => break,
                recv(changes) -> _ => is_known = false,
                recv(after(self.rest())) -> _ => {}
            }
        }
        self.write_counts(0);
    }

    /// Until the next moment, by the wall clock.
    fn rest(&self) -> Duration {
        let Some((next_s, _)) = self.moments.first() else { return LOOK };
        let rest_us = next_s.saturating_mul(1_000_000).saturating_sub(self.parts.clock.wall_us());
        Duration::from_micros(u64::try_from(rest_us).unwrap_or(0)).min(LOOK)
    }

    /// Puts into the line what is kept now. What has not changed keeps its place.
    fn read(&mut self) -> Result<()> {
        let seen: HashMap<i64, i64> = self.parts.store.timer_moments()?.into_iter().collect();
        let timers = self.parts.triggers.to_fire(TriggerKind::Timer)?;
        let mut before = std::mem::take(&mut self.timers);
        self.moments.clear();
        for placed in timers {
            let unchanged = before.remove(&placed.id);
            let unchanged = unchanged.filter(|armed| armed.placed.trigger == placed.trigger);
            let armed = unchanged.unwrap_or_else(|| {
                let seen_us = seen.get(&placed.id).copied().unwrap_or(placed.trigger.created_us);
                self.armed(placed, seen_us.div_euclid(1_000_000))
            });
            self.put(armed);
        }
        Ok(())
    }

    fn armed(&self, placed: Placed, seen_s: i64) -> Armed {
        let next_s = self.parts.triggers.schedule(&placed).and_then(|schedule| schedule.next_after(seen_s));
        Armed { placed, next_s, look_s: next_s.unwrap_or(i64::MAX) }
    }

    fn put(&mut self, armed: Armed) {
        if armed.next_s.is_some() {
            self.moments.insert((armed.look_s, armed.placed.id));
        }
        self.timers.insert(armed.placed.id, armed);
    }

    fn fire_due(&mut self, stopped: &Receiver<()>) {
        while stopped.try_recv() != Err(TryRecvError::Disconnected) {
            let now_s = self.now_s();
            let due: Vec<i64> = self
                .moments
                .iter()
                .take_while(|(at, _)| *at <= now_s)
                .take(BATCH)
                .map(|(_, id)| *id)
                .collect();
            if due.is_empty() {
                return;
            }
            self.fire(&due, now_s);
        }
    }

    /// Fires those timers; each is in the line again after that.
    fn fire(&mut self, ids: &[i64], now_s: i64) {
        let due: Vec<Armed> = ids.iter().filter_map(|id| self.take(*id)).collect();
        // Of all moments that have come the last one: whoever is late is not late twice.
        let last = |armed: &Armed| {
            self.parts
                .triggers
                .schedule(&armed.placed)
                .and_then(|schedule| schedule.last_until(now_s))
                .unwrap_or(now_s)
        };
        let lasts: Vec<i64> = due.iter().map(last).collect();
        let moments: Vec<Moment<'_>> = due
            .iter()
            .zip(&lasts)
            .map(|(armed, last_s)| Moment {
                timer: &armed.placed,
                moment_us: last_s.saturating_mul(1_000_000),
            })
            .collect();
        match self.parts.events.fire(&moments, event) {
            Ok(fired) => {
                self.is_held_up = false;
                for ((armed, last_s), fired) in due.into_iter().zip(lasts).zip(fired) {
                    self.settle(armed, last_s, now_s, fired);
                }
            }
            Err(error) => {
                // Once for each time that it is so, or a full disk would be written full with it.
                if !std::mem::replace(&mut self.is_held_up, true) {
                    log::warn!("timers cannot fire and are tried again each second: {error:#}");
                }
                due.into_iter().for_each(|armed| self.again(armed, now_s, &error));
            }
        }
    }

    fn take(&mut self, id: i64) -> Option<Armed> {
        let armed = self.timers.remove(&id)?;
        self.moments.remove(&(armed.look_s, id));
        Some(armed)
    }

    fn settle(&mut self, armed: Armed, last_s: i64, now_s: i64, fired: Result<Fired>) {
        let (triggers, id) = (&self.parts.triggers, armed.placed.id);
        match fired {
            Ok(Fired::Queued) => triggers.fired(id, None),
            Ok(Fired::Skipped) => triggers.count(id, State { skipped: 1, ..State::default() }),
            Ok(Fired::Nothing | Fired::Gone) => {}
            Err(error) if error.kind == Kind::Full => return self.again(armed, now_s, &error),
            Err(error) => triggers.fired(id, Some(&error.message)),
        }
        // One that is gone is taken out when the change is heard of.
        let armed = self.armed(armed.placed, last_s);
        self.put(armed);
    }

    fn again(&mut self, armed: Armed, now_s: i64, why: &Error) {
        self.parts.triggers.wrong(armed.placed.id, &why.message);
        self.put(Armed { look_s: now_s + AGAIN_S, ..armed });
    }

    fn write_counts(&mut self, every_s: i64) {
        let now_s = self.now_s();
        // Either way, for clocks are set back too.
        if (now_s - self.counted_s).abs() >= every_s {
            self.counted_s = now_s;
            told(self.parts.triggers.write_counts(), "what has come of triggers could not be written");
        }
    }

    fn now_s(&self) -> i64 {
        self.parts.clock.wall_us().div_euclid(1_000_000)
    }
}

fn told(done: Result<()>, what: &str) -> bool {
    done.inspect_err(|error| log::warn!("{what}: {error:#}")).is_ok()
}

fn event(moment: &Moment<'_>) -> Vec<u8> {
    let trigger = &moment.timer.trigger;
    let time = Timestamp::from_second(moment.moment_us.div_euclid(1_000_000)).unwrap_or_default();
    let event = Event {
        kind: "Timer",
        trigger_name: &trigger.name,
        time: time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        message: &trigger.custom_argument,
    };
    serde_json::to_vec(&event).expect("texts can be written as JSON")
}
