//! Into the queue: checked, given a place, kept, and let into the line.
//!
//! What must stay true: a place is taken before an event is kept, and goes back with it; nobody hears a request id before the
//! commit; and where it is not known whether there was one, the event goes into the line, where it is found out.

use std::sync::atomic::Ordering;

use sha2::{Digest, Sha256};

use crate::base::failpoint;
use crate::base::id::RequestId;
use crate::error::{About, Error, Kind, Result};
use crate::model::event::{Acceptance, IdempotencyKey};
use crate::model::invocation::{Record, Source, State};
use crate::model::limits;
use crate::service::events::line::Entry;
use crate::service::events::{Counts, Events, bury};
use crate::service::invoke::{self, Known, Order};

impl Events {
    /// Keeps an event to be run as soon as there is room; when it returns, the event survives a power cut. The same `key` and
    /// event within 24 hours give the same request id.
    ///
    /// Fails with `Invalid` (no JSON), `Limit` (too large), `NotFound` (no such function), `Conflict` (the key stands for
    /// another event), `Full` (the queue takes no more for now) and `Busy` (the disk is nearly full, or too
    /// slow).
    pub fn accept(&self, order: Order, key: Option<&str>) -> Result<RequestId> {
        self.accept_of(order, key, 0).map(|accepted| accepted.request_id)
    }

    /// The same for the trigger of that row id.
    pub(crate) fn accept_of(&self, order: Order, key: Option<&str>, trigger_id: i64) -> Result<Accepted> {
        self.parts.store.check_room_for_event()?;
        let (known, record) = self.ordered(order)?;
        let record = Record { trigger_id, ..record };
        let own_id = record.request_id.clone();
        let event_sha256 = || Sha256::digest(&record.event).into();
        let key = key.map(|key| IdempotencyKey { key: key.to_owned(), event_sha256: event_sha256() });
        let kept = self.keep(&known, record, |record| self.parts.store.accept(record, key.clone()));
        let request_id = match (kept, &key) {
            // A full queue has room for what is in it.
            (Err(error), Some(key)) if error.kind == Kind::Full => {
                self.parts.store.accepted_under(known.version.function_id, key)?.ok_or(error)?
            }
            (kept, _) => kept?,
        };
        Ok(Accepted { is_new: request_id == own_id, request_id })
    }

    /// A place in the queue for an event that the caller will keep in a transaction of its own, and the record to keep it by. Then
    /// it is to be [`admitted`](Events::admit) or [given back](Events::give_back). Fails as [`accept`](Events::accept).
    pub(crate) fn prepare(&self, order: Order, trigger_id: i64) -> Result<Prepared<'_>> {
        self.parts.store.check_room_for_event()?;
        let (known, record) = self.ordered(order)?;
        let record = Record { trigger_id, ..record };
        let place = self.reserve(&known, &record)?;
        Ok(Prepared { place, record })
    }

    /// The record of an event that is ordered, and what its function is now, which is what the queue goes by whichever version runs.
    fn ordered(&self, order: Order) -> Result<(Known, Record)> {
        let event = invoke::event(order.event, limits::ASYNC_EVENT_BYTES_MAX)?;
        let function = (order.namespace, order.name);
        let (aim, aimed) = self.runner.aim(&function, order.qualifier.as_deref(), &order.routing_key)?;
        let known = self.runner.find(&function.0, &function.1)?;
        let record = self.queued(&aimed, order.source, event.0.to_vec());
        Ok((known, Record { alias: aim.alias.to_string(), ..record }))
    }

    /// Lets an event into the line whose record was committed.
    pub(crate) fn admit(&self, prepared: Prepared<'_>) {
        self.kept(prepared.place);
    }

    /// Gives the place back of an event whose record was not committed; where that is not known, whoever takes it finds out.
    pub(crate) fn give_back(&self, prepared: Prepared<'_>, error: &Error) {
        self.not_kept(prepared.place, error);
    }

    /// Runs the event of a dead letter again, as a new invocation that takes the letter's place; its request id. It may be as large
    /// as a caller's who waits. Fails with `NotFound` when the letter or its function is not there any more, and as
    /// [`accept`](Events::accept).
    pub fn replay(&self, letter: &Record) -> Result<RequestId> {
        self.parts.store.check_room_for_event()?;
        if letter.event.len() > limits::EVENT_BYTES_MAX {
            return Err(Error::limit(bury::too_large(letter.event.len())).about(About::Event));
        }
        let (namespace, name) = letter.key()?;
        let known = self.runner.find(&namespace, &name)?;
        let record = self.queued(&known, Source::Replay, letter.event.clone());
        self.keep(&known, record, |record| {
            self.parts.store.replay(record, letter.id).map(|()| Acceptance::New)
        })
    }

    /// The record of an event that is to be accepted.
    pub(super) fn queued(&self, known: &Known, source: Source, event: Vec<u8>) -> Record {
        let created_us = self.parts.clock.wall_us();
        Record {
            id: self.parts.store.next_run_id(),
            request_id: self.parts.ids.request_id(created_us),
            function_id: known.version.function_id,
            namespace: known.names.namespace.clone(),
            function: known.names.name.clone(),
            qualifier: known.version.qualifier.clone(),
            alias: String::new(),
            is_event: true,
            source: source.as_str().to_owned(),
            trigger_id: 0,
            state: State::Queued,
            retry_num: 0,
            due_us: created_us,
            status: 202,
            created_us,
            started_us: 0,
            ended_us: 0,
            duration_us: 0,
            init_us: 0,
            memory_mb: known.version.config.memory_mb,
            memory_used_kb: 0,
            event,
            result: Vec::new(),
            error: String::new(),
        }
    }

    /// Has `store` keep the event of that record, and lets it into the line; its request id.
    pub(super) fn keep(
        &self,
        known: &Known,
        record: Record,
        store: impl FnOnce(Record) -> Result<Acceptance>,
    ) -> Result<RequestId> {
        let place = self.reserve(known, &record)?;
        let id = record.request_id.clone();
        failpoint::here("event.accept")?;
        match store(record) {
            Ok(Acceptance::New) => {
                self.kept(place);
                Ok(id)
            }
            Ok(Acceptance::Known(id)) => Ok(id),
            Err(error) => {
                self.not_kept(place, &error);
                Err(error)
            }
        }
    }

    /// Lets an event in that was kept.
    pub(super) fn kept(&self, place: Place<'_>) {
        self.counts.accepted.fetch_add(1, Ordering::Relaxed);
        self.let_in(place);
    }

    /// Gives the place of an event back that was not kept; where that is not known, whoever takes it finds out.
    pub(super) fn not_kept(&self, place: Place<'_>, error: &Error) {
        if matches!(error.kind, Kind::Busy | Kind::Internal) {
            self.let_in(place);
        }
    }

    /// A place for the event of that record, to be taken before the event is kept; or the reason why there is none.
    pub(super) fn reserve(&self, known: &Known, record: &Record) -> Result<Place<'_>> {
        let bytes = u64::try_from(record.event.len()).unwrap_or(u64::MAX);
        let (counts, options) = (&self.counts, &self.options);
        let events = counts.events.fetch_add(1, Ordering::Relaxed) + 1;
        let total = counts.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let (id, created_us) = (record.id, record.created_us);
        let place = Place { counts, known: known.clone(), id, created_us, bytes, is_kept: false };
        let full = |what: String| Err(Error::new(Kind::Full, what));
        if events > options.events_max {
            return full(format!("{} events wait already; send it again later", options.events_max));
        }
        if total > options.bytes_max {
            let mb = options.bytes_max / (1024 * 1024);
            return full(format!("events of {mb} MB wait already; send it again later"));
        }
        Ok(place)
    }

    /// Lets an event that is committed into the line.
    fn let_in(&self, mut place: Place<'_>) {
        place.is_kept = true;
        let age_us = self.parts.clock.wall_us().saturating_sub(place.created_us).max(0);
        let born_us = self.now_us() - age_us;
        let entry = Entry { id: place.id, born_us, due_us: born_us, bytes: place.bytes, is_suspect: false };
        self.enter(place.known.version.function_id, entry, Some(&place.known));
    }
}

/// An event that is kept.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// What its run is known by.
    pub(crate) request_id: RequestId,
    /// Whether it was not kept before, under the same key.
    pub(crate) is_new: bool,
}

/// An event that has its place in the queue and is not kept yet.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    pub(super) place: Place<'a>,
    /// What is to be kept.
    pub(crate) record: Record,
}

/// A place in the queue, given back unless the event comes to be.
#[derive(Debug)]
pub(super) struct Place<'a> {
    counts: &'a Counts,
    known: Known,
    /// The event's row id.
    id: i64,
    created_us: i64,
    bytes: u64,
    is_kept: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.counts.leave(self.bytes);
        }
    }
}
