//! How the server is now, in numbers: what `/metrics` tells to machines and `/v1/appliance` to whoever shows it to people.

use serde::Serialize;

use crate::api::rest::Rest;
use crate::error::Result;

/// All of them, each of one moment close to the others'. Those that only grow are counted since the start.
#[derive(Serialize)]
pub(super) struct Gauges {
    pub(super) functions: u64,
    pub(super) runs_running: u64,
    pub(super) memory_used_mb: u32,
    pub(super) memory_total_mb: u32,
    pub(super) instances_parked: u64,
    pub(super) zygotes: u64,
    pub(super) events_waiting: u64,
    pub(super) events_running: u64,
    pub(super) events_max: u64,
    pub(super) events_bytes: u64,
    pub(super) events_bytes_max: u64,
    pub(super) events_accepted: u64,
    pub(super) events_retried: u64,
    pub(super) events_given_up: u64,
    pub(super) dead_letters: u64,
    pub(super) db_bytes: u64,
    pub(super) wal_bytes: u64,
    pub(super) disk_free_bytes: u64,
    pub(super) disk_low_bytes: u64,
    pub(super) disk_level: u8,
    pub(super) writes_waiting: u64,
    pub(super) writes_waiting_max: u64,
    pub(super) log_lines_unindexed: u64,
    pub(super) log_lines_dropped: u64,
    pub(super) log_lines_shed: u64,
    pub(super) runs_deleted: u64,
    pub(super) log_lines_deleted: u64,
}

impl Gauges {
    pub(super) fn read(rest: &Rest) -> Result<Gauges> {
        let parts = &rest.parts;
        let (sizes, pool, events) = (parts.store.sizes()?, parts.pool.numbers(), parts.events.numbers());
        Ok(Gauges {
            functions: parts.store.functions_count()?,
            runs_running: count(parts.invoker.running().len()),
            memory_used_mb: pool.used_mb,
            memory_total_mb: pool.total_mb,
            instances_parked: count(pool.parked),
            zygotes: count(pool.zygotes),
            events_waiting: events.events.saturating_sub(events.running),
            events_running: events.running,
            events_max: events.events_max,
            events_bytes: events.bytes,
            events_bytes_max: events.bytes_max,
            events_accepted: events.accepted,
            events_retried: events.retried,
            events_given_up: events.given_up,
            dead_letters: parts.store.dead_letters_count()?,
            db_bytes: sizes.db_bytes,
            wal_bytes: sizes.wal_bytes,
            disk_free_bytes: sizes.disk_free_bytes,
            disk_low_bytes: sizes.disk_low_bytes,
            disk_level: parts.store.room() as u8,
            writes_waiting: count(sizes.queued),
            writes_waiting_max: count(sizes.queued_max),
            log_lines_unindexed: parts.store.indexed()?.missing_lines(),
            log_lines_dropped: sizes.lines_dropped,
            log_lines_shed: sizes.lines_shed,
            runs_deleted: sizes.runs_deleted,
            log_lines_deleted: sizes.lines_deleted,
        })
    }
}

fn count(things: usize) -> u64 {
    u64::try_from(things).unwrap_or(u64::MAX)
}
