//! One event that was taken from the line: claimed, run or given up, and what follows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::base::failpoint;
use crate::error::{Error, Kind, Result};
use crate::model::event::{Claimed, Letter, Next, Reason, Settlement, Tries, is_platforms, next};
use crate::model::finished::FinishedRun;
use crate::model::function::{EventConfig, FunctionName, Namespace};
use crate::model::invocation::{Record, Source, State};
use crate::model::limits;
use crate::service::events::dispatch::Turn;
use crate::service::events::line::{Entry, Taken};
use crate::service::events::{Events, message, micros};
use crate::service::invoke::Known;
use crate::service::invoke::runner::Room;
use crate::service::run_log;

/// Before an event that could not be claimed is tried again.
const MOMENT: Duration = Duration::from_secs(1);

/// What follows for the line.
#[derive(Debug)]
enum After {
    /// Nothing; what is told of it, if somebody is to be told.
    Over(Option<Told>),
    /// Its last attempt failed: it goes back into the line for then.
    Again(Duration),
    /// It was given up; what is told of it, if somebody is to be told.
    GivenUp(Option<Told>),
    /// There was no attempt: it goes back to where it was.
    Back,
}

/// An event that came to be with a dead letter.
#[derive(Clone, Debug)]
struct Told {
    known: Known,
    id: i64,
    bytes: u64,
}

impl Events {
    /// Sees to an event that was taken.
    pub(super) fn see_to(&self, turn: Turn) {
        let Taken { function_id, entry, permit } = turn;
        // A panic of ours costs the attempt, and neither the thread nor the event.
        let tried = catch_unwind(AssertUnwindSafe(|| self.try_one(&entry, permit)));
        let after = tried.unwrap_or_else(|_| Err(Error::internal("it panicked"))).unwrap_or_else(|error| {
            // What was not stored did not happen.
            log::error!("an attempt of event {} was not stored, it will be tried again: {error:#}", entry.id);
            self.release(entry.id);
            After::Again(self.options.pace.interval())
        });
        match after {
            After::Over(told) => self.over(&entry, told),
            After::GivenUp(told) => {
                self.counts.given_up.fetch_add(1, Ordering::Relaxed);
                self.over(&entry, told);
            }
            After::Again(wait) => {
                self.counts.retried.fetch_add(1, Ordering::Relaxed);
                let due_us = self.now_us() + micros(wait);
                self.enter(function_id, Entry { due_us, is_suspect: false, ..entry }, None);
            }
            After::Back => self.enter(function_id, entry, None),
        }
    }

    fn over(&self, entry: &Entry, told: Option<Told>) {
        self.counts.leave(entry.bytes);
        if let Some(told) = told {
            self.tell(&told);
        }
    }

    fn try_one(&self, entry: &Entry, permit: Option<Option<Room>>) -> Result<After> {
        failpoint::here("event.take")?;
        let claimed = match self.parts.store.claim(entry.id) {
            Ok(Some(claimed)) => claimed,
            // It is not in the queue any more: nothing is left to do.
            Ok(None) => return Ok(After::Over(None)),
            Err(error) if error.kind == Kind::Busy => {
                self.rest(MOMENT);
                return Ok(After::Back);
            }
            Err(error) => return Err(error),
        };
        failpoint::here("event.claimed")?;
        let known = match self.meant(&claimed) {
            Ok(known) => known,
            // Its function cannot be read; sooner or later that is of no use any more.
            Err(_) if self.is_too_old(entry, &EventConfig::default()) => {
                return self.give_up(claimed, Reason::Age, &EventConfig::default());
            }
            Err(error) => return Err(error),
        };
        let Some(known) = known else {
            return self.give_up(claimed, Reason::Deleted, &EventConfig::default());
        };
        let config = &known.version.config.event;
        if claimed.tries.deaths >= limits::DEATHS_MAX {
            return self.give_up(claimed, Reason::Deaths, config);
        }
        if self.is_too_old(entry, config) {
            return self.give_up(claimed, Reason::Age, config);
        }
        match permit.flatten() {
            Some(room) => self.run(claimed, entry, config, &room),
            // It was taken without room, because too little was known of its function.
            None => {
                self.release(entry.id);
                Ok(After::Back)
            }
        }
    }

    /// Takes back a claim. If that fails, a crash would count against the event, and nothing else is lost.
    fn release(&self, id: i64) {
        if let Err(error) = self.parts.store.release(id) {
            log::warn!("event {id} is still thought to run: {error:#}");
        }
    }

    /// The function an event was meant for; none where that one was deleted, even if there is another one of its name.
    fn meant(&self, claimed: &Claimed) -> Result<Option<Known>> {
        let (namespace, name) = claimed.record.key()?;
        match self.runner.find(&namespace, &name) {
            Ok(known) if known.created_us == claimed.function_created_us => {
                self.lock().know(known.version.function_id, &known, self.options.pace);
                Ok(Some(known))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn run(&self, claimed: Claimed, entry: &Entry, config: &EventConfig, room: &Room) -> Result<After> {
        let Claimed { mut record, tries, function_created_us } = claimed;
        record.retry_num = tries.attempts;
        let id = record.request_id.clone();
        let mut after = After::Over(None);
        let mut settle = |record: &mut Record| {
            let (settlement, follows) = self.settle(record, tries, self.age(entry), config);
            after = follows;
            settlement
        };
        let claimed = Claimed { record, tries, function_created_us };
        match self.runner.attempt(&claimed, room, &mut settle) {
            Ok(finished) => {
                failpoint::here("event.settled")?;
                (finished.after)();
                if finished.record.state.is_over() {
                    self.runner.ended(&id);
                }
                Ok(after)
            }
            Err(error) if error.kind == Kind::NotFound => self.give_up(claimed, Reason::Deleted, config),
            Err(error) => Err(error),
        }
    }

    /// What the queue does with the event whose attempt `record` tells of, and what follows for the line.
    fn settle(
        &self,
        record: &mut Record,
        before: Tries,
        age: Duration,
        config: &EventConfig,
    ) -> (Settlement, After) {
        let failed = u32::from(record.status != 200 && !is_platforms(record.status));
        let tries = Tries { attempts: before.attempts + 1, failures: before.failures + failed, ..before };
        if record.status == 499 {
            record.state = State::Aborted;
            return (Settlement::Ended, After::Over(None));
        }
        let follows = match next(record.status, tries, age, config, self.options.pace) {
            // The next server runs it at once.
            Next::Again(_) | Next::GivenUp(_) if self.is_cut_off(record) => Next::Again(Duration::ZERO),
            follows => follows,
        };
        match follows {
            Next::Ended => (Settlement::Ended, After::Over(None)),
            Next::Again(wait) => {
                record.state = State::Retrying;
                let due_us = record.ended_us.saturating_add(micros(wait));
                (Settlement::Again { tries, due_us }, After::Again(wait))
            }
            Next::GivenUp(reason) => {
                record.state = reason.state();
                let (letter, told) = self.letter(record, reason, config);
                (Settlement::GivenUp(letter), After::GivenUp(told))
            }
        }
    }

    /// Whether we ended that attempt because we stop (D13).
    fn is_cut_off(&self, record: &Record) -> bool {
        record.status == 500 && self.runner.is_stopping()
    }

    /// Gives an event up without another attempt.
    fn give_up(&self, claimed: Claimed, reason: Reason, config: &EventConfig) -> Result<After> {
        let Claimed { mut record, tries, .. } = claimed;
        record.ended_us = self.parts.clock.wall_us();
        record.state = reason.state();
        if tries.attempts == 0 {
            // It never ran; what it is told is why.
            record.status = if reason == Reason::Deleted { 435 } else { 432 };
            record.error = reason.as_str().to_owned();
            record.result = run_log::error_body(&record.request_id, &record.error, "", record.status);
            record.started_us = record.ended_us;
        }
        let line = run_log::given_up(&record.request_id, reason.as_str(), record.ended_us);
        let (letter, told) = self.letter(&record, reason, config);
        let id = record.request_id.clone();
        let settlement = Some(Settlement::GivenUp(letter));
        self.parts.store.record(FinishedRun { record, lines: vec![line], settlement })?;
        self.runner.ended(&id);
        Ok(After::GivenUp(told))
    }

    /// What is kept of an event that is given up, with the event that tells another function of it. A dead letter's own dead
    /// letter is told to nobody, or it could go round for ever.
    fn letter(&self, record: &Record, reason: Reason, config: &EventConfig) -> (Letter, Option<Told>) {
        let name = config.dead_letter.as_ref().filter(|_| record.source != Source::DeadLetter.as_str());
        let forward = name.and_then(|name| match self.forward(record, name) {
            Ok(forward) => Some(forward),
            Err(error) => {
                log::warn!("{name} is not told of the dead letter {}: {error:#}", record.request_id);
                None
            }
        });
        let (forward, told) = forward.map(|(record, told)| (Box::new(record), told)).unzip();
        (Letter { reason, forward }, told)
    }

    fn forward(&self, record: &Record, name: &FunctionName) -> Result<(Record, Told)> {
        let known = self.runner.find(&Namespace::parse(&record.namespace)?, name)?;
        let event = message::of(record, &self.options.account);
        if event.len() > limits::EVENT_BYTES_MAX {
            return Err(Error::limit("the message would be larger than an event may be"));
        }
        let bytes = u64::try_from(event.len()).unwrap_or(u64::MAX);
        let forward = self.queued(&known, Source::DeadLetter, event);
        let told = Told { known, id: forward.id, bytes };
        Ok((forward, told))
    }

    fn tell(&self, told: &Told) {
        self.counts.events.fetch_add(1, Ordering::Relaxed);
        self.counts.bytes.fetch_add(told.bytes, Ordering::Relaxed);
        let now_us = self.now_us();
        let entry =
            Entry { id: told.id, born_us: now_us, due_us: now_us, bytes: told.bytes, is_suspect: false };
        self.enter(told.known.version.function_id, entry, Some(&told.known));
    }

    fn is_too_old(&self, entry: &Entry, config: &EventConfig) -> bool {
        self.age(entry) >= self.options.pace.seconds(config.msg_ttl_s)
    }

    fn age(&self, entry: &Entry) -> Duration {
        Duration::from_micros(self.now_us().saturating_sub(entry.born_us).try_into().unwrap_or(0))
    }
}
