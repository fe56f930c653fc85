//! Runs by time: how many began, how many of them failed, and how long their handlers ran.
//!
//! What this costs grows with the minutes asked for (a week: a millisecond), not with the runs that are kept. The ids of a
//! bucket come from `invocation_minute`. Where few rows have them, all of them are read; where many have, a sample is
//! ([`Walk::look`]): the ids are cut into parts of one length, of each part the first few rows are read, and these stand for all
//! that the part holds.
//!
//! How many a part holds is guessed from how far apart its first rows are: where m rows are met on the first n ids, rows have
//! (m − 1) in (n − 1) of the ids. (m in n would be too many: one stops looking at a row, never at a gap.) Ids are handed out one
//! by one, so the runs of all functions have no gaps, and their number comes out exactly until retention makes some.
//!
//! # What must stay true
//!
//! * Every statement follows an index from one id to another and stops after a fixed number of rows. Which index is said
//!   (`INDEXED BY`): without statistics, SQLite would take the rows themselves for the one of those that failed.
//! * Ids only narrow the rows down. Which bucket a row belongs to is decided by its own time, since minutes share ids where
//!   the clock was set.

use std::collections::HashSet;

use rusqlite::{CachedStatement, Row};

use crate::error::Result;
use crate::model::buckets::Buckets;
use crate::model::function::Namespace;
use crate::model::invocation::Record;
use crate::store::minutes::{self, Of};
use crate::store::{Store, Tx};

/// Rows looked at for one answer, about: some 20 ms. Buckets share them.
const ROWS: usize = 10_000;
/// Rows looked at in one bucket: fewer tell little of the slowest hundredth, more tell little more.
const BUCKET_ROWS: (usize, usize) = (32, 1000);
/// Of them, the rows of a function at least, where functions are looked at one by one.
const FUNCTION_ROWS: usize = 16;
/// Which part of the rows is looked at once more for those that failed.
const FAILED_PART: usize = 4;
/// Rows read of each part of a sample: about as many as a page holds, which is read anyway.
const PART_ROWS: usize = 12;
/// Entries of an index that are counted to tell how dense a part is: they cost a twentieth of a row.
const PART_ENTRIES: i64 = 64;
/// A namespace of at most so many functions beside others is looked at function by function, so that one whose runs are few
/// among those of others is not missed.
const FUNCTIONS_FEW: usize = 8;

/// Which runs are counted, and by which stretches of time.
#[derive(Clone, Debug)]
pub struct RunsByTimeQuery {
    /// Of that namespace.
    pub namespace: Namespace,
    /// Of that function only.
    pub function_id: Option<i64>,
    /// Created then or later, microseconds since the epoch.
    pub since_us: i64,
    /// Created then or earlier, microseconds since the epoch.
    pub until_us: i64,
    /// Whole minutes.
    pub buckets: Buckets,
    /// Runs that go on, some of which have no row yet.
    pub running: Vec<Record>,
}

/// The runs of one stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunBucket {
    /// Those created in it, whatever has become of them.
    pub runs: u64,
    /// Of them, those that are over and did not return.
    pub failed: u64,
    /// How long handlers ran at most in half of those that are over and ran one, microseconds; none where there are none.
    pub p50_us: Option<i64>,
    /// The same in 99 of 100.
    pub p99_us: Option<i64>,
    /// The same in all of them; none where only some were looked at.
    pub max_us: Option<i64>,
    /// Whether all of this is an estimate.
    pub is_sampled: bool,
}

impl Store {
    /// Runs by time, a bucket after the other.
    pub fn runs_by_time(&self, query: &RunsByTimeQuery) -> Result<Vec<RunBucket>> {
        self.read(|tx| {
            let whose = Whose::of(tx, query)?;
            let stretches = stretches(tx, query)?;
            let busy = stretches.iter().filter(|stretch| stretch.ids.is_some()).count();
            let rows_max = (ROWS / busy.max(1)).clamp(BUCKET_ROWS.0, BUCKET_ROWS.1);
            let mut look = Look::prepare(tx, &whose, rows_max)?;
            let mut buckets = Vec::with_capacity(stretches.len());
            for stretch in &stretches {
                buckets.push(look.bucket(stretch)?);
            }
            add_running(tx, query, &whose, &stretches, &mut buckets)?;
            Ok(buckets)
        })
    }
}

/// A bucket's time, as far as it was asked for, and the ids that its rows can have, if there are any.
#[derive(Debug)]
struct Stretch {
    since_us: i64,
    until_us: i64,
    ids: Option<(i64, i64)>,
}

impl Stretch {
    fn holds(&self, created_us: i64) -> bool {
        (self.since_us..=self.until_us).contains(&created_us)
    }
}

fn stretches(tx: &Tx<'_>, query: &RunsByTimeQuery) -> Result<Vec<Stretch>> {
    let sql = "SELECT (SELECT min(id) FROM invocation), (SELECT max(id) FROM invocation)";
    let ends: (Option<i64>, Option<i64>) =
        tx.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let stretch = |(since_us, until_us): (i64, i64)| {
        let (since_us, until_us) = (since_us.max(query.since_us), until_us.min(query.until_us));
        let within = minutes::ids(tx, Of::Invocation, Some(since_us), Some(until_us))?;
        // The minute being written has no last id, and retention leaves minutes behind for a while.
        let cut = |(first, last): (i64, i64)| {
            let (lowest, highest) = ends.0.zip(ends.1)?;
            let ids = (first.max(lowest), last.min(highest));
            (ids.0 <= ids.1).then_some(ids)
        };
        Ok(Stretch { since_us, until_us, ids: within.and_then(cut) })
    };
    query.buckets.bounds().map(stretch).collect()
}

/// Whose runs are counted.
#[derive(Debug)]
struct Whose {
    functions: HashSet<i64>,
    /// Whether they are found by function; else all runs are looked at.
    is_by_function: bool,
}

impl Whose {
    fn of(tx: &Tx<'_>, query: &RunsByTimeQuery) -> Result<Whose> {
        if let Some(function_id) = query.function_id {
            return Ok(Whose { functions: HashSet::from([function_id]), is_by_function: true });
        }
        let namespace = query.namespace.as_str();
        let mut statement = tx.prepare_cached("SELECT id FROM function WHERE namespace = ?1")?;
        let ids = statement.query_map([namespace], |row| row.get(0))?;
        let functions: HashSet<i64> = ids.collect::<rusqlite::Result<_>>()?;
        // Two seeks: of names before and behind.
        let sql = "SELECT EXISTS (SELECT 1 FROM function WHERE namespace < ?1)
                       OR EXISTS (SELECT 1 FROM function WHERE namespace > ?1)";
        let has_others: bool = tx.prepare_cached(sql)?.query_row([namespace], |row| row.get(0))?;
        let is_by_function = has_others && functions.len() <= FUNCTIONS_FEW;
        Ok(Whose { functions, is_by_function })
    }
}

/// Counts the runs that go on and have no row yet: it is written when they end, or after a while.
fn add_running(
    tx: &Tx<'_>,
    query: &RunsByTimeQuery,
    whose: &Whose,
    stretches: &[Stretch],
    buckets: &mut [RunBucket],
) -> Result<()> {
    let mut has_row = tx.prepare_cached("SELECT 1 FROM invocation WHERE id = ?1")?;
    for run in query.running.iter().filter(|run| whose.functions.contains(&run.function_id)) {
        let number = query.buckets.number_of(run.created_us);
        let number = number.filter(|number| stretches[*number].holds(run.created_us));
        if let Some(number) = number
            && !has_row.exists([run.id])?
        {
            buckets[number].runs += 1;
        }
    }
    Ok(())
}

/// What is prepared once and used for each bucket.
struct Look<'t> {
    whose: &'t Whose,
    /// Where runs are looked for: with each of those functions, or everywhere.
    places: Vec<Option<i64>>,
    runs: Walk<'t>,
    failed: Walk<'t>,
    /// Rows of one place in one bucket.
    rows_max: usize,
}

impl<'t> Look<'t> {
    fn prepare(tx: &'t Tx<'_>, whose: &'t Whose, rows_max: usize) -> Result<Look<'t>> {
        let is_by_function = whose.is_by_function;
        let places: Vec<Option<i64>> =
            if is_by_function { whose.functions.iter().copied().map(Some).collect() } else { vec![None] };
        let rows_max = (rows_max / places.len().max(1)).max(FUNCTION_ROWS);
        let (runs, failed) = (Walk::of(tx, is_by_function, false)?, Walk::of(tx, is_by_function, true)?);
        Ok(Look { whose, places, runs, failed, rows_max })
    }

    fn bucket(&mut self, stretch: &Stretch) -> Result<RunBucket> {
        let Some(ids) = stretch.ids else { return Ok(RunBucket::default()) };
        let is_meant =
            |row: &Seen| stretch.holds(row.created_us) && self.whose.functions.contains(&row.function_id);
        let (mut seen, mut failed, mut is_sampled) = (Vec::new(), 0.0, false);
        for place in &self.places {
            let (mut rows, is_part) = self.runs.look(*place, ids, self.rows_max)?;
            rows.retain(is_meant);
            failed += if is_part {
                // Those that failed may be too few to be met by chance, and have indexes of their own.
                let (mut rows, _) = self.failed.look(*place, ids, self.rows_max / FAILED_PART)?;
                rows.retain(is_meant);
                weight(&rows)
            } else {
                weight(rows.iter().filter(|row| row.has_failed()))
            };
            is_sampled |= is_part;
            seen.extend(rows);
        }
        let runs = weight(&seen).max(failed);
        let (p50_us, p99_us, max_us) = durations(seen);
        let max_us = max_us.filter(|_| !is_sampled);
        Ok(RunBucket { runs: rounded(runs), failed: rounded(failed), p50_us, p99_us, max_us, is_sampled })
    }
}

/// A row that was read, and for how many it stands.
#[derive(Clone, Copy, Debug)]
struct Seen {
    id: i64,
    function_id: i64,
    state: i64,
    created_us: i64,
    duration_us: i64,
    weight: f64,
}

impl Seen {
    fn read(row: &Row<'_>) -> rusqlite::Result<Seen> {
        Ok(Seen {
            id: row.get(0)?,
            function_id: row.get(1)?,
            state: row.get(2)?,
            created_us: row.get(3)?,
            duration_us: row.get(4)?,
            weight: 1.0,
        })
    }

    /// Those of the index `invocation_failed`.
    fn has_failed(&self) -> bool {
        matches!(self.state, 2 | 5 | 6)
    }

    /// Whether a handler ran and nothing follows: not what waits, runs, was refused or expired in the queue.
    fn has_run(&self) -> bool {
        !matches!(self.state, 0 | 3 | 4) && self.duration_us > 0
    }
}

/// A way from one id to another along an index.
struct Walk<'t> {
    /// Whether its index has ids; else it is the rows themselves that are walked.
    has_index: bool,
    rows: CachedStatement<'t>,
    beyond: CachedStatement<'t>,
    entries: CachedStatement<'t>,
}

impl<'t> Walk<'t> {
    fn of(tx: &'t Tx<'_>, is_by_function: bool, only_failed: bool) -> Result<Walk<'t>> {
        let [rows, beyond, entries] = statements(is_by_function, only_failed);
        Ok(Walk {
            has_index: is_by_function || only_failed,
            rows: tx.prepare_cached(&rows)?,
            beyond: tx.prepare_cached(&beyond)?,
            entries: tx.prepare_cached(&entries)?,
        })
    }

    /// The rows from one id to another, both included; where they are more than `rows_max`, some of them. Whether it is some.
    fn look(&mut self, place: Option<i64>, ids: (i64, i64), rows_max: usize) -> Result<(Vec<Seen>, bool)> {
        let (first, last) = ids;
        let is_short = last - first < whole(rows_max);
        if is_short || !self.beyond.exists((first, last, place, whole(rows_max)))? {
            return Ok((self.rows(place, ids, rows_max)?, false));
        }
        let mut seen = Vec::with_capacity(rows_max);
        for part in parts(ids, rows_max / PART_ROWS) {
            let mut rows = self.rows(place, part, PART_ROWS)?;
            if rows.len() == PART_ROWS {
                let each = self.held(place, part, &rows)? / real(whole(rows.len()));
                rows.iter_mut().for_each(|row| row.weight = each);
            }
            seen.extend(rows);
        }
        Ok((seen, true))
    }

    /// How many rows a part holds, about, whose first ones are `rows`.
    fn held(&mut self, place: Option<i64>, (first, last): (i64, i64), rows: &[Seen]) -> Result<f64> {
        let (met, most, at) = if self.has_index {
            let values = (first, last, place, PART_ENTRIES);
            let (met, at) = self.entries.query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
            (met, PART_ENTRIES, at)
        } else {
            (whole(rows.len()), whole(PART_ROWS), rows.last().map_or(last, |row| row.id))
        };
        let is_all = met < most || at == last;
        Ok(if is_all { real(met) } else { real(met - 1) / real(at - first) * real(last - first + 1) })
    }

    fn rows(&mut self, place: Option<i64>, (first, last): (i64, i64), most: usize) -> Result<Vec<Seen>> {
        let rows = self.rows.query_map((first, last, place, whole(most)), Seen::read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

/// The first rows from an id (?1) to another (?2), of a function (?3) or of all, at most so many (?4); whether there are
/// more; and how many there are, with the id of the last.
fn statements(is_by_function: bool, only_failed: bool) -> [String; 3] {
    let (index, whose) = match (is_by_function, only_failed) {
        (false, false) => ("NOT INDEXED", "?3 IS NULL"),
        (false, true) => ("INDEXED BY invocation_failed", "?3 IS NULL AND state IN (2, 5, 6)"),
        (true, false) => ("INDEXED BY invocation_function", "function_id = ?3"),
        (true, true) => ("INDEXED BY invocation_function_failed", "function_id = ?3 AND state IN (2, 5, 6)"),
    };
    let from = format!("FROM invocation {index} WHERE {whose} AND id BETWEEN ?1 AND ?2 ORDER BY id LIMIT");
    [
        format!("SELECT id, function_id, state, created_us, duration_us {from} ?4"),
        format!("SELECT id {from} 1 OFFSET ?4"),
        format!("SELECT count(*), max(id) FROM (SELECT id {from} ?4)"),
    ]
}

/// About `count` parts of one length.
fn parts((first, last): (i64, i64), count: usize) -> impl Iterator<Item = (i64, i64)> {
    let length = (last - first) / whole(count.max(1)) + 1;
    let begins = std::iter::successors(Some(first), move |begin| begin.checked_add(length));
    begins
        .take_while(move |begin| *begin <= last)
        .map(move |begin| (begin, begin.saturating_add(length - 1).min(last)))
}

/// Half, 99 of 100 and all of those that have run took at most that long.
fn durations(mut seen: Vec<Seen>) -> (Option<i64>, Option<i64>, Option<i64>) {
    seen.retain(Seen::has_run);
    seen.sort_unstable_by_key(|row| row.duration_us);
    let all = weight(&seen);
    let within = |part: f64| {
        let mut passed = 0.0;
        let reaches = |row: &&Seen| {
            passed += row.weight;
            // Fractions add up to a little less or more.
            passed >= part * all - 1e-6
        };
        seen.iter().find(reaches).map(|row| row.duration_us)
    };
    (within(0.5), within(0.99), seen.last().map(|row| row.duration_us))
}

fn weight<'a>(rows: impl IntoIterator<Item = &'a Seen>) -> f64 {
    rows.into_iter().map(|row| row.weight).sum()
}

fn whole(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "it is for an estimate")]
fn real(number: i64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of rows, from 0 on")]
fn rounded(rows: f64) -> u64 {
    rows.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ids: (i64, i64), count: usize, expected: &[(i64, i64)]) {
        assert_eq!(parts(ids, count).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn parts_cover_all_ids_and_none_twice() {
        check((1, 10), 1, &[(1, 10)]);
        check((1, 10), 3, &[(1, 4), (5, 8), (9, 10)]);
        check((7, 8), 5, &[(7, 7), (8, 8)]);
        check((7, 7), 0, &[(7, 7)]);
    }

    #[test]
    fn every_statement_seeks() {
        let conn = rusqlite::Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("../../migrations/0001_heart.sql")).unwrap();
        conn.execute_batch(include_str!("../../migrations/0003_events.sql")).unwrap();
        for (is_by_function, only_failed, expected) in [
            (false, false, "INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
            (false, true, "INDEX invocation_failed (id>? AND id<?)"),
            (true, false, "INDEX invocation_function (function_id=? AND rowid>? AND rowid<?)"),
            (true, true, "INDEX invocation_function_failed (function_id=? AND rowid>? AND rowid<?)"),
        ] {
            for sql in statements(is_by_function, only_failed) {
                let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
                let steps = plan.query_map((1, 9, 1, 10), |row| row.get::<_, String>(3)).unwrap();
                let steps: Vec<String> = steps.map(|step| step.unwrap().replace("COVERING ", "")).collect();
                let is_seek = |step: &&String| step.starts_with("SEARCH invocation USING ");
                let seeks: Vec<&String> = steps.iter().filter(is_seek).collect();
                assert!(seeks.len() == 1 && seeks[0].ends_with(expected), "{sql}: {steps:?}");
                assert!(steps.iter().all(|step| !step.contains("TEMP B-TREE")), "{sql}: {steps:?}");
                let scanned = |step: &String| step.starts_with("SCAN") && !step.contains("subquery");
                assert!(!steps.iter().any(scanned), "{sql}: {steps:?}");
            }
        }
    }
}
