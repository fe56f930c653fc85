//! One run from its name to its record: by the version that is the one to run, in the room it has or gets, with its log.
//!
//! What must stay true: a run is in the list of those that have not ended until its record is committed, however it ends. What
//! an event's attempt did is stored as soon as it can be, and not done twice because it could not be stored at once.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::base::failpoint;
use crate::base::id::RequestId;
use crate::error::{Error, Result};
use crate::instance::run::Termination;
use crate::model::event::Settlement;
use crate::model::finished::FinishedRun;
use crate::model::function::{FunctionName, Namespace};
use crate::model::invocation::{Event, Invocation, Outcome, Record, Source, State};
use crate::pool::admission::Asks;
use crate::pool::{Permit, Ran};
use crate::service::invoke::runner::Room;
use crate::service::invoke::{Aim, Finished, Going, Invoker, Known};
use crate::service::run_log::{self, End, RunLog};
use crate::store::logs::Of;

/// How often it is tried to store how an event's attempt ended, and what lies between two tries: ten minutes in all.
const STORE_TRIES: u32 = 600;
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// Decides what the queue does with the event whose attempt this record tells of, and notes its state there.
pub(crate) type Settle<'a> = &'a mut dyn FnMut(&mut Record) -> Settlement;

/// A run that is to be, whichever version it will be of.
pub(super) struct Wanted<'a> {
    pub(super) id: i64,
    pub(super) request_id: RequestId,
    pub(super) key: (Namespace, FunctionName),
    pub(super) aim: Aim,
    pub(super) event: Event,
    pub(super) source: Source,
    pub(super) created_us: i64,
    pub(super) attempt: Option<Attempting<'a>>,
}

/// What an attempt of a queued event has beyond a run whose caller waits.
pub(super) struct Attempting<'a> {
    pub(super) room: &'a Room,
    pub(super) retry_num: u32,
    /// When the function meant was created.
    pub(super) function_created_us: i64,
    pub(super) settle: Settle<'a>,
}

/// Whether a version is still the one to run; see [`Pool::run`](crate::pool::Pool::run).
struct Checks<'a> {
    current: &'a dyn Fn() -> bool,
    replaced: &'a dyn Fn() -> bool,
}

impl Invoker {
    /// Runs until the version that ran is the one that should have.
    pub(super) fn drive(&self, mut wanted: Wanted<'_>) -> Result<Finished> {
        loop {
            let generation = self.generation.load(Ordering::Acquire);
            let Known { version, names, created_us } = self.aimed_at(&wanted.key, &wanted.aim, generation)?;
            let meant = wanted.attempt.as_ref().map(|attempt| attempt.function_created_us);
            if meant.is_some_and(|meant_us| meant_us != created_us) {
                return Err(Error::not_found("the function was deleted, and another one has its name"));
            }
            let invocation = Arc::new(Invocation {
                id: wanted.id,
                request_id: wanted.request_id.clone(),
                version,
                function: names,
                event: wanted.event.clone(),
                source: wanted.source,
                created_us: wanted.created_us,
                begun_us: if wanted.attempt.is_some() { self.clock.wall_us() } else { wanted.created_us },
                retry_num: wanted.attempt.as_ref().map_or(0, |attempt| attempt.retry_num),
                alias: Arc::clone(&wanted.aim.alias),
                is_event: wanted.attempt.is_some(),
            });
            let current = || self.generation.load(Ordering::Acquire) == generation;
            let replaced = || self.is_replaced(&wanted.key, &invocation.version);
            let checks = Checks { current: &current, replaced: &replaced };
            if let Some(finished) = self.run(&invocation, &checks, wanted.attempt.as_mut())? {
                return Ok(finished);
            }
        }
    }

    /// One run and its record; `None` when the version was replaced before it began.
    fn run(
        &self,
        invocation: &Arc<Invocation>,
        checks: &Checks<'_>,
        attempt: Option<&mut Attempting<'_>>,
    ) -> Result<Option<Finished>> {
        let of = Of {
            run_id: invocation.id,
            function_id: invocation.version.function_id,
            retry_num: invocation.retry_num,
        };
        let wall_us = || self.clock.wall_us();
        // An event's row is there already.
        let mut begun = attempt.is_some();
        let mut early = |lines| {
            // Lines of a run need its row, or they cannot be told whose they are.
            if !std::mem::replace(&mut begun, true)
                && let Err(error) = self.store.begin(record(invocation, invocation.event.0.to_vec()))
            {
                log::warn!("a long run's beginning was not stored: {error:#}");
            }
            if let Err(error) = self.store.append_lines(of, lines) {
                log::warn!("lines of a long run were not stored: {error:#}");
            }
        };
        let memory_mb = invocation.version.config.memory_mb;
        let begun_us = invocation.begun_us;
        let mut log = RunLog::start(&invocation.request_id, memory_mb, begun_us, &wall_us, &mut early);
        let running = Running::list(&self.running, invocation);
        let permit = attempt.as_ref().and_then(|attempt| attempt.room.permit());
        let ran = self.admitted(invocation, checks, permit, &running.termination, &mut log);
        ran.map(|ran| self.keep(invocation, ran, log, attempt)).transpose()
    }

    /// The run, in the room it has or in room it gets now.
    fn admitted(
        &self,
        invocation: &Invocation,
        checks: &Checks<'_>,
        permit: Option<&Permit>,
        termination: &Termination,
        log: &mut RunLog<'_>,
    ) -> Option<Ran> {
        let Checks { current, replaced } = checks;
        let run =
            |permit: &Permit, log| self.pool.run(permit, invocation, current, replaced, termination, log);
        if let Some(permit) = permit {
            return run(permit, log);
        }
        match self.pool.admit(&invocation.version, Asks::Caller) {
            Ok(permit) => run(&permit, log),
            Err(refused) => {
                let sentence = refused.sentence(&invocation.function.name);
                Some(self.pool.not_run(Outcome::OverConcurrency(sentence)))
            }
        }
    }

    /// Writes record and log, and waits until they are committed.
    fn keep(
        &self,
        invocation: &Invocation,
        ran: Ran,
        log: RunLog<'_>,
        attempt: Option<&mut Attempting<'_>>,
    ) -> Result<Finished> {
        failpoint::here("run.keep")?;
        let ended_us = self.clock.wall_us();
        let memory_used_kb = ran.memory_kb.max(log.memory_kb);
        let result = run_log::result(&ran.outcome, &invocation.request_id);
        let returned = matches!(ran.outcome, Outcome::Returned(_));
        let ended = Record {
            state: if returned { State::Succeeded } else { State::Failed },
            status: ran.outcome.status(),
            started_us: ran.started_us,
            ended_us,
            duration_us: micros(ran.duration),
            init_us: log.init.map_or(0, micros),
            memory_used_kb,
            error: ran.outcome.error_message(),
            ..record(invocation, invocation.event.0.to_vec())
        };
        let end =
            End { outcome: &ran.outcome, result: &result, duration: ran.duration, memory_kb: memory_used_kb };
        let lines = log.end(ran.lines, &end, ended_us);
        let mut record = Record { result, ..ended };
        let settlement = attempt.map(|attempt| (attempt.settle)(&mut record));
        let record = self.store_run(FinishedRun { record, lines, settlement })?;
        self.metrics.observe(&record);
        Ok(Finished { record, after: ran.after })
    }

    /// A caller is told when his run could not be stored. An event has run, so it is stored as soon as it can be: to run it
    /// again would do twice what it did.
    fn store_run(&self, run: FinishedRun) -> Result<Record> {
        if run.settlement.is_none() {
            return self.store.record(run);
        }
        let mut failed = 0;
        loop {
            match self.store.record(run.clone()) {
                Err(error) if failed < STORE_TRIES && !self.pool.is_stopping() => {
                    failed += 1;
                    log::error!(
                        "what became of event {} is not stored yet: {error:#}",
                        run.record.request_id
                    );
                    std::thread::sleep(STORE_AGAIN);
                }
                stored => return stored,
            }
        }
    }
}

/// A run in the list of those that have not ended, until this is dropped: also by a panic, or it would run for ever.
struct Running<'l> {
    list: &'l Mutex<BTreeMap<i64, Going>>,
    id: i64,
    termination: Arc<Termination>,
}

impl<'l> Running<'l> {
    fn list(list: &'l Mutex<BTreeMap<i64, Going>>, invocation: &Arc<Invocation>) -> Running<'l> {
        let termination = Arc::new(Termination::default());
        let going = Going { invocation: Arc::clone(invocation), termination: Arc::clone(&termination) };
        list.lock().expect("no holder of this lock can panic").insert(invocation.id, going);
        Running { list, id: invocation.id, termination }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.list.lock().expect("no holder of this lock can panic").remove(&self.id);
    }
}

/// The record of a run that has not ended.
pub(super) fn record(invocation: &Invocation, event: Vec<u8>) -> Record {
    Record {
        id: invocation.id,
        request_id: invocation.request_id.clone(),
        function_id: invocation.version.function_id,
        namespace: invocation.function.namespace.clone(),
        function: invocation.function.name.clone(),
        qualifier: invocation.version.qualifier.clone(),
        alias: invocation.alias.to_string(),
        is_event: invocation.is_event,
        source: invocation.source.as_str().to_owned(),
        trigger_id: 0,
        state: State::Running,
        retry_num: invocation.retry_num,
        due_us: 0,
        status: 202,
        created_us: invocation.created_us,
        started_us: invocation.begun_us,
        ended_us: 0,
        duration_us: 0,
        init_us: 0,
        memory_mb: invocation.version.config.memory_mb,
        memory_used_kb: 0,
        event,
        result: Vec::new(),
        error: String::new(),
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
