//! One event that was taken from the line: claimed, run or given up, and what follows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::base::failpoint;
use crate::error::{Error, Kind, Result};
use crate::model::event::{Claimed, Letter, Next, Reason, Settlement, Tries, is_platforms, next};
use crate::model::function::{EventConfig, FunctionName, Namespace};
use crate::model::invocation::{FinishedRun, Record, Source, State};
use crate::model::limits;
use crate::service::events::line::{Entry, Taken};
use crate::service::events::{Events, message, micros};
use crate::service::invoke::{Known, Room};
use crate::service::run_log;

/// Before an event that could not be claimed is looked at again.
const MOMENT: Duration = Duration::from_secs(1);

/// What follows for the line.
#[derive(Debug)]
enum After {
    /// Nothing; what is told of it, if somebody is to be told.
    Over(Option<Told>),
    /// The event goes back into the line for then.
    Back(Duration),
}

/// An event that came to be with a dead letter.
#[derive(Clone, Copy, Debug)]
struct Told {
    function_id: i64,
    id: i64,
    bytes: u64,
}

impl Events {
    /// Sees to an event that was taken.
    pub(super) fn see_to(&self, taken: Taken<Option<Room>>) {
        let Taken { function_id, entry, permit } = taken;
        // A panic of ours costs the attempt, and neither the thread nor the event.
        let tried = catch_unwind(AssertUnwindSafe(|| self.try_one(&entry, permit)));
        let tried = tried.unwrap_or_else(|_| Err(Error::internal("it panicked")));
        let after = tried.unwrap_or_else(|error| {
            // What was not stored did not happen: the event is still claimed in the database and waits on here.
            log::error!("an attempt of event {} was not stored, it will be tried again: {error:#}", entry.id);
            After::Back(self.options.pace.interval())
        });
        match after {
            After::Over(told) => {
                self.counts.leave(entry.bytes);
                if let Some(told) = told {
                    self.tell(told);
                }
            }
            After::Back(wait) => {
                let due_us = self.now_us() + micros(wait);
                self.enter(function_id, Entry { due_us, ..entry }, None);
            }
        }
    }

    fn try_one(&self, entry: &Entry, permit: Option<Option<Room>>) -> Result<After> {
        failpoint::here("event.take")?;
        let claimed = match self.parts.store.claim(entry.id) {
            Ok(Some(claimed)) => claimed,
            // It is not in the queue any more: nothing is left to do.
            Ok(None) => return Ok(After::Over(None)),
            Err(error) if error.kind == Kind::Busy => return Ok(After::Back(MOMENT)),
            Err(error) => return Err(error),
        };
        failpoint::here("event.claimed")?;
        let known = self.meant(&claimed)?;
        let age = self.age(entry);
        match (known, permit) {
            (None, _) => self.give_up(claimed, Reason::Deleted, &EventConfig::default()),
            (Some(known), permit) => {
                let config = &known.version.config.event;
                match permit {
                    _ if claimed.tries.deaths >= limits::DEATHS_MAX => {
                        self.give_up(claimed, Reason::Deaths, config)
                    }
                    None => self.give_up(claimed, Reason::Age, config),
                    _ if age > self.options.pace.seconds(config.msg_ttl_s) => {
                        self.give_up(claimed, Reason::Age, config)
                    }
                    Some(None) => self.look_again(&claimed, &known),
                    Some(Some(room)) => self.run(claimed, age, config, &room),
                }
            }
        }
    }

    /// The function an event was meant for; none where that one was deleted, even if there is another one of its name.
    fn meant(&self, claimed: &Claimed) -> Result<Option<Known>> {
        let record = &claimed.record;
        let (namespace, name) =
            (Namespace::parse(&record.namespace)?, FunctionName::parse(&record.function)?);
        match self.runner.find(&namespace, &name) {
            Ok(known) if known.created_us == claimed.function_created_us => {
                let mut desk = self.lock();
                desk.know_newer(known.version.function_id, &known, self.options.pace);
                Ok(Some(known))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// It was taken without room because its function was taken for gone: back into the line, to be taken with room.
    fn look_again(&self, claimed: &Claimed, known: &Known) -> Result<After> {
        self.lock().know(known.version.function_id, Some(known.clone()), self.options.pace);
        log::debug!("event {} waits for room", claimed.record.id);
        Ok(After::Back(Duration::ZERO))
    }

    fn run(&self, claimed: Claimed, age: Duration, config: &EventConfig, room: &Room) -> Result<After> {
        let Claimed { mut record, tries, function_created_us } = claimed;
        record.retry_num = tries.attempts;
        let (id, namespace, name) =
            (record.request_id.clone(), record.namespace.clone(), record.function.clone());
        let mut after = After::Over(None);
        let mut settle = |record: &mut Record| {
            let settlement = self.settle(record, tries, age, config);
            after = self.after(&settlement);
            settlement
        };
        match self.runner.attempt(record.clone(), room, &mut settle) {
            Ok(finished) => {
                failpoint::here("event.settled")?;
                (finished.after)();
                if finished.record.state.is_over() {
                    self.runner.ended(&id);
                }
                Ok(after)
            }
            Err(error) if error.kind == Kind::NotFound => {
                log::debug!("{name} in {namespace} was deleted before its event ran");
                self.give_up(Claimed { record, tries, function_created_us }, Reason::Deleted, config)
            }
            Err(error) => Err(error),
        }
    }

    /// What the queue does with the event whose attempt `record` tells of.
    fn settle(&self, record: &mut Record, before: Tries, age: Duration, config: &EventConfig) -> Settlement {
        let failed = u32::from(record.status != 200 && !is_platforms(record.status));
        let tries = Tries { attempts: before.attempts + 1, failures: before.failures + failed, ..before };
        let follows = match next(record.status, tries, age, config, self.options.pace) {
            // The next server runs it at once.
            Next::Again(_) | Next::GivenUp(_) if self.is_cut_off(record) => Next::Again(Duration::ZERO),
            follows => follows,
        };
        match follows {
            Next::Ended => Settlement::Ended,
            Next::Again(wait) => {
                record.state = State::Retrying;
                Settlement::Again { tries, due_us: record.ended_us.saturating_add(micros(wait)) }
            }
            Next::GivenUp(reason) => {
                record.state = reason.state();
                Settlement::GivenUp(self.letter(record, reason, config))
            }
        }
    }

    /// Whether we ended that attempt because we stop (D13).
    fn is_cut_off(&self, record: &Record) -> bool {
        record.status == 500 && self.runner.is_stopping()
    }

    fn after(&self, settlement: &Settlement) -> After {
        match settlement {
            Settlement::Ended => After::Over(None),
            Settlement::Again { due_us, .. } => {
                self.counts.retried.fetch_add(1, Ordering::Relaxed);
                let wait_us = due_us.saturating_sub(self.parts.clock.wall_us());
                let wait = Duration::from_micros(wait_us.try_into().unwrap_or(0));
                After::Back(wait.min(self.options.pace.interval()))
            }
            Settlement::GivenUp(letter) => {
                self.counts.given_up.fetch_add(1, Ordering::Relaxed);
                After::Over(letter.forward.as_ref().map(|record| Told::of(record)))
            }
        }
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
        let settlement = Settlement::GivenUp(self.letter(&record, reason, config));
        let after = self.after(&settlement);
        let id = record.request_id.clone();
        let given_up = FinishedRun { record, lines: vec![line], settlement: Some(settlement) };
        self.parts.store.record(given_up)?;
        self.runner.ended(&id);
        Ok(after)
    }

    /// What is kept of an event that is given up, with the event that tells another function of it. A dead letter's own dead
    /// letter is told to nobody, or it could go round for ever.
    fn letter(&self, record: &Record, reason: Reason, config: &EventConfig) -> Letter {
        let told = config.dead_letter.as_ref().filter(|_| record.source != Source::DeadLetter.as_str());
        let forward = told.and_then(|name| match self.forward(record, name) {
            Ok(forward) => Some(Box::new(forward)),
            Err(error) => {
                log::warn!("{name} is not told of the dead letter {}: {error:#}", record.request_id);
                None
            }
        });
        Letter { reason, forward }
    }

    fn forward(&self, record: &Record, name: &FunctionName) -> Result<Record> {
        let known = self.runner.find(&Namespace::parse(&record.namespace)?, name)?;
        let event = message::of(record, &self.options.account);
        if event.len() > limits::EVENT_BYTES_MAX {
            return Err(Error::limit("the message would be larger than an event may be"));
        }
        Ok(self.queued(&known, Source::DeadLetter, event))
    }

    fn tell(&self, told: Told) {
        self.counts.events.fetch_add(1, Ordering::Relaxed);
        self.counts.bytes.fetch_add(told.bytes, Ordering::Relaxed);
        let now_us = self.now_us();
        let entry = Entry { id: told.id, born_us: now_us, due_us: now_us, bytes: told.bytes };
        self.enter(told.function_id, entry, None);
    }

    fn age(&self, entry: &Entry) -> Duration {
        Duration::from_micros(self.now_us().saturating_sub(entry.born_us).try_into().unwrap_or(0))
    }
}

impl Told {
    fn of(record: &Record) -> Told {
        let bytes = u64::try_from(record.event.len()).unwrap_or(u64::MAX);
        Told { function_id: record.function_id, id: record.id, bytes }
    }
}
