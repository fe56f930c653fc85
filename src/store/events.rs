//! The queue of asynchronous events: accepted, claimed for an attempt, settled when it has ended.
//!
//! An event's invocation row is there from its acceptance on; beside it a narrow row of `queued` says when it is due and how
//! often it was tried, for as long as it has not ended. Who may run when is decided in memory by the service; this file
//! keeps what must survive. A claim is committed before the attempt begins, so that a crash tells what was running.
//!
//! What must stay true: a `queued` row exists exactly while the invocation's state is queued or retrying; it goes in the
//! transaction that writes how the event ended, and a dead letter comes in the same one.

use rusqlite::{OptionalExtension, Row, params};

use crate::base::id::RequestId;
use crate::error::{Error, Kind, Result};
use crate::model::event::{Acceptance, Attempt, Claimed, IdempotencyKey, Letter, Settlement, Tries, Waiting};
use crate::model::invocation::{ABORTED, Record, State};
use crate::model::limits;
use crate::store::minutes::Minutes;
use crate::store::recorder::Order;
use crate::store::records::{self, request_id};
use crate::store::{Store, Tx};
use crate::store::{functions, trigger_states};

/// What the error of an attempt says that a crash cut off.
pub(super) const CUT_OFF: &str = "the server stopped before the run ended";

/// Rows of one page when the queue is read.
const PAGE_ROWS: i64 = 50_000;

/// An order to accept an event.
#[derive(Debug)]
pub(super) struct Accepting {
    record: Box<Record>,
    key: Option<IdempotencyKey>,
    /// The dead letter that it replays.
    replays: Option<i64>,
    pub(super) acceptance: Acceptance,
}

/// Puts events into the queue within a transaction that writes something else too.
#[derive(Debug)]
pub(super) struct Enqueue<'a>(&'a mut Minutes);

impl<'a> Enqueue<'a> {
    pub(super) fn new(minutes: &'a mut Minutes) -> Enqueue<'a> {
        Enqueue(minutes)
    }

    /// Writes an accepted event, whose record says that it is queued. Fails with `NotFound` where its function was deleted
    /// meanwhile.
    pub(super) fn event(&mut self, tx: &Tx<'_>, record: &Record) -> Result<()> {
        functions::check_there(tx, record.function_id)?;
        enqueue(tx, self.0, record)
    }

    /// Writes events but those whose function was deleted meanwhile: whoever takes their places in the line finds nothing to do.
    pub(super) fn events(&mut self, tx: &Tx<'_>, records: &[Record]) -> Result<()> {
        for record in records {
            match self.event(tx, record) {
                Err(error) if error.kind == Kind::NotFound => {}
                written => written?,
            }
        }
        Ok(())
    }
}

impl Store {
    /// Keeps an event, whose record says that it is queued. When it returns, the event survives a power cut.
    ///
    /// Fails with `NotFound` when the function was deleted meanwhile, and with `Conflict` when `key` stands for another
    /// event.
    pub fn accept(&self, record: Record, key: Option<IdempotencyKey>) -> Result<Acceptance> {
        self.accept_order(record, key, None)
    }

    /// Keeps an event that takes the place of the dead letter of invocation `replays`. Fails with `NotFound` when that is
    /// not there any more, or the function.
    pub fn replay(&self, record: Record, replays: i64) -> Result<()> {
        self.accept_order(record, None, Some(replays)).map(drop)
    }

    fn accept_order(
        &self,
        record: Record,
        key: Option<IdempotencyKey>,
        replays: Option<i64>,
    ) -> Result<Acceptance> {
        let accepting = Accepting { record: Box::new(record), key, replays, acceptance: Acceptance::New };
        self.order_and_wait(|reply| Order::Accept(Box::new(accepting), reply))
    }

    /// What was accepted under that key, if anything. Fails as [`accept`](Store::accept) does.
    pub fn accepted_under(&self, function_id: i64, key: &IdempotencyKey) -> Result<Option<RequestId>> {
        self.read(|tx| match known(tx, function_id, key)? {
            Some(Acceptance::Known(id)) => Ok(Some(id)),
            Some(Acceptance::New) | None => Ok(None),
        })
    }

    /// Every event that has not ended, in no order that means anything.
    pub fn waiting(&self, mut each: impl FnMut(Waiting)) -> Result<()> {
        let mut after = Some(i64::MIN);
        while let Some(id) = after {
            after = self.read(|tx| page(tx, id, &mut each))?;
        }
        Ok(())
    }

    /// Takes back the claim of an event whose attempt did not begin, or whose end is not known.
    pub fn release(&self, id: i64) -> Result<()> {
        self.write(move |tx| {
            let sql = "UPDATE queued SET claimed_us = NULL WHERE invocation_id = ?1";
            tx.prepare_cached(sql)?.execute([id])?;
            Ok(())
        })
    }

    /// Ends an event that waits, on request; whether there was one. Whoever takes its place in the line finds nothing to do.
    pub fn abort_event(&self, id: i64) -> Result<bool> {
        self.write_durably(move |tx| {
            let sql = "DELETE FROM queued WHERE invocation_id = ?1 AND claimed_us IS NULL";
            if tx.execute(sql, [id])? == 0 {
                return Ok(false);
            }
            tx.execute(
                "UPDATE invocation SET state = 7, status = 499, ended_us = ?2, error = ?3,
                     started_us = iif(started_us = 0, ?2, started_us),
                     result = CAST(json_object('errorCode', -1, 'errorMessage', ?3, 'requestId', request_id,
                                               'stackTrace', '', 'statusCode', 499) AS BLOB)
                 WHERE id = ?1",
                params![id, tx.now_us, ABORTED],
            )?;
            Ok(true)
        })
    }

    /// Takes an event for an attempt and gives it with its body; none when it has ended. From then on a crash counts as a
    /// death during that attempt.
    pub fn claim(&self, id: i64) -> Result<Option<Claimed>> {
        self.write(move |tx| {
            let sql = "UPDATE queued SET claimed_us = ?2 WHERE invocation_id = ?1
                       RETURNING attempts, failures, deaths, function_created_us";
            let mut statement = tx.prepare_cached(sql)?;
            let row = |row: &Row<'_>| Ok((tries(row)?, row.get(3)?));
            let claimed = statement.query_row(params![id, tx.now_us], row).optional()?;
            let Some((tries, function_created_us)) = claimed else { return Ok(None) };
            let record = records::by_id(tx, id)?;
            Ok(record.map(|record| Claimed { record, tries, function_created_us }))
        })
    }

    /// The attempts of an invocation before that one, in order.
    pub fn attempts(&self, id: i64, before: u32) -> Result<Vec<Attempt>> {
        self.read(|tx| {
            let sql = "SELECT retry_num, status, started_us, ended_us, duration_us, init_us, memory_used_kb, error, result
                       FROM attempt WHERE invocation_id = ?1 AND retry_num < ?2 ORDER BY retry_num";
            let mut statement = tx.prepare_cached(sql)?;
            let rows = statement.query_map(params![id, before], attempt)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}

/// Writes an accepted event, unless its key says that it is here already.
pub(super) fn accept(tx: &Tx<'_>, minutes: &mut Minutes, accepting: &mut Accepting) -> Result<()> {
    let record = &accepting.record;
    functions::check_there(tx, record.function_id)?;
    if let Some(key) = &accepting.key {
        if let Some(known) = known(tx, record.function_id, key)? {
            accepting.acceptance = known;
            return Ok(());
        }
        remember(tx, record, key)?;
    }
    if let Some(id) = accepting.replays
        && tx.execute("DELETE FROM dead_letter WHERE invocation_id = ?1", [id])? == 0
    {
        return Err(Error::not_found("the dead letter was dropped or replayed meanwhile"));
    }
    enqueue(tx, minutes, record)
}

/// A page of what waits, given to `each`; the last id, unless that was all. Pages, so that none of them takes too long.
fn page(tx: &Tx<'_>, after: i64, each: &mut impl FnMut(Waiting)) -> Result<Option<i64>> {
    let sql = "SELECT invocation_id, function_id, created_us, due_us, event_bytes, deaths FROM queued
               WHERE invocation_id > ?1 ORDER BY invocation_id LIMIT ?2";
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query([after, PAGE_ROWS])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        let found = waiting(row)?;
        last = Some(found.id);
        each(found);
    }
    Ok(last)
}

/// Whether that attempt of an event is still to be settled. If a commit was lost sight of, it may have been.
pub(super) fn is_open(tx: &Tx<'_>, record: &Record) -> Result<bool> {
    let sql = "SELECT 1 FROM queued WHERE invocation_id = ?1 AND attempts = ?2";
    let attempts = record.retry_num;
    let of_this = tx.prepare_cached(sql)?.exists(params![record.id, attempts])?;
    // One that is given up without a further attempt tells of the last one.
    let sql = "SELECT 1 FROM queued WHERE invocation_id = ?1 AND attempts = ?2 + 1";
    let given_up = matches!(record.state, State::Dead | State::Expired);
    Ok(of_this || (given_up && tx.prepare_cached(sql)?.exists(params![record.id, attempts])?))
}

/// Writes what became of an event with the record of its attempt.
pub(super) fn settle(
    tx: &Tx<'_>,
    minutes: &mut Minutes,
    record: &Record,
    settlement: &Settlement,
) -> Result<()> {
    match settlement {
        Settlement::Ended => leave(tx, record.id),
        Settlement::Again { tries, due_us } => {
            keep_attempt(tx, record)?;
            let sql =
                "UPDATE queued SET attempts = ?2, failures = ?3, deaths = ?4, due_us = ?5, claimed_us = NULL
                       WHERE invocation_id = ?1";
            let values = params![record.id, tries.attempts, tries.failures, tries.deaths, due_us];
            tx.prepare_cached(sql)?.execute(values)?;
            Ok(())
        }
        Settlement::GivenUp(Letter { reason, forward }) => {
            trigger_states::blame(tx, record)?;
            leave(tx, record.id)?;
            let sql = "INSERT INTO dead_letter (invocation_id, function_id, died_us, reason) VALUES (?1, ?2, ?3, ?4)";
            let values = params![record.id, record.function_id, record.ended_us, reason.as_str()];
            tx.prepare_cached(sql)?.execute(values)?;
            forward.as_ref().map_or(Ok(()), |forward| enqueue(tx, minutes, forward))
        }
    }
}

/// Puts back what an earlier boot had running, the attempt counted as one during which the server died; how many there were.
pub(super) fn recover(tx: &Tx<'_>) -> Result<usize> {
    let result =
        "CAST(json_object('errorCode', -1, 'errorMessage', ?2, 'requestId', request_id, 'stackTrace', '',
                                   'statusCode', 500) AS BLOB)";
    tx.execute(
        &format!(
            "INSERT OR REPLACE INTO attempt (invocation_id, retry_num, status, started_us, ended_us, duration_us, init_us,
                 memory_used_kb, error, result)
             SELECT q.invocation_id, q.attempts, 500, q.claimed_us, ?1, 0, 0, 0, ?2, {result}
             FROM queued q JOIN invocation i ON i.id = q.invocation_id WHERE q.claimed_us IS NOT NULL"
        ),
        params![tx.now_us, CUT_OFF],
    )?;
    tx.execute(
        &format!(
            "UPDATE invocation SET state = 4, status = 500, ended_us = ?1, duration_us = 0, init_us = 0,
                 memory_used_kb = 0, error = ?2, result = {result},
                 (retry_num, started_us) = (SELECT attempts, claimed_us FROM queued WHERE invocation_id = invocation.id)
             WHERE id IN (SELECT invocation_id FROM queued WHERE claimed_us IS NOT NULL)"
        ),
        params![tx.now_us, CUT_OFF],
    )?;
    let sql = "UPDATE queued SET attempts = attempts + 1, deaths = deaths + 1, due_us = ?1, claimed_us = NULL
               WHERE claimed_us IS NOT NULL";
    Ok(tx.execute(sql, [tx.now_us])?)
}

fn enqueue(tx: &Tx<'_>, minutes: &mut Minutes, record: &Record) -> Result<()> {
    records::begin(tx, record)?;
    minutes.note(tx, record.created_us, record.id)?;
    let sql = "INSERT INTO queued (invocation_id, function_id, function_created_us, created_us, due_us, event_bytes,
                   attempts, failures, deaths, trigger_id)
               VALUES (?1, ?2, (SELECT created_us FROM function WHERE id = ?2), ?3, ?4, ?5, 0, 0, 0, nullif(?6, 0))";
    let bytes = i64::try_from(record.event.len()).unwrap_or(i64::MAX);
    let Record { id, function_id, created_us, due_us, trigger_id, .. } = record;
    let values = params![id, function_id, created_us, due_us, bytes, trigger_id];
    tx.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn leave(tx: &Tx<'_>, id: i64) -> Result<()> {
    tx.prepare_cached("DELETE FROM queued WHERE invocation_id = ?1")?.execute([id])?;
    Ok(())
}

/// What `key` stands for, if it was used within the time it is remembered.
fn known(tx: &Tx<'_>, function_id: i64, key: &IdempotencyKey) -> Result<Option<Acceptance>> {
    let sql = "SELECT event_sha256, request_id FROM idempotency WHERE function_id = ?1 AND key = ?2 AND created_us > ?3";
    let since_us = tx.now_us - i64::from(limits::IDEMPOTENCY_S) * 1_000_000;
    let mut statement = tx.prepare_cached(sql)?;
    let row = |row: &Row<'_>| Ok((row.get::<_, [u8; 32]>(0)?, request_id(row.get_ref(1)?.as_str()?, 1)?));
    match statement.query_row(params![function_id, key.key, since_us], row).optional()? {
        Some((event_sha256, id)) if event_sha256 == key.event_sha256 => Ok(Some(Acceptance::Known(id))),
        Some(_) => Err(Error::new(
            Kind::Conflict,
            "X-Idempotency-Key was used for another event of this function within the last 24 hours",
        )),
        None => Ok(None),
    }
}

fn remember(tx: &Tx<'_>, record: &Record, key: &IdempotencyKey) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO idempotency (function_id, key, event_sha256, request_id, created_us)
               VALUES (?1, ?2, ?3, ?4, ?5)";
    let id = record.request_id.as_str();
    let values = params![record.function_id, key.key, key.event_sha256, id, tx.now_us];
    tx.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Keeps what the record tells of an attempt that is followed by another one.
fn keep_attempt(tx: &Tx<'_>, record: &Record) -> Result<()> {
    debug_assert_eq!(record.state, State::Retrying);
    let sql =
        "INSERT INTO attempt (invocation_id, retry_num, status, started_us, ended_us, duration_us, init_us,
                   memory_used_kb, error, result)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    tx.prepare_cached(sql)?.execute(params![
        record.id,
        record.retry_num,
        record.status,
        record.started_us,
        record.ended_us,
        record.duration_us,
        record.init_us,
        i64::try_from(record.memory_used_kb).unwrap_or(i64::MAX),
        record.error,
        record.result,
    ])?;
    Ok(())
}

fn waiting(row: &Row<'_>) -> rusqlite::Result<Waiting> {
    Ok(Waiting {
        id: row.get(0)?,
        function_id: row.get(1)?,
        created_us: row.get(2)?,
        due_us: row.get(3)?,
        bytes: u64::try_from(row.get::<_, i64>(4)?).unwrap_or(0),
        is_suspect: row.get::<_, i64>(5)? > 0,
    })
}

fn tries(row: &Row<'_>) -> rusqlite::Result<Tries> {
    Ok(Tries { attempts: row.get(0)?, failures: row.get(1)?, deaths: row.get(2)? })
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        retry_num: row.get(0)?,
        status: row.get(1)?,
        started_us: row.get(2)?,
        ended_us: row.get(3)?,
        duration_us: row.get(4)?,
        init_us: row.get(5)?,
        memory_used_kb: u64::try_from(row.get::<_, i64>(6)?).unwrap_or(0),
        error: row.get(7)?,
        result: row.get(8)?,
    })
}
