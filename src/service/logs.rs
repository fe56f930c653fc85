//! What ran, what runs, and what it printed: the records in the store and the runs in memory as one list.
//!
//! A run's row is written when it ends, so the runs that go on come from the invoker. The order matters: the invoker is
//! asked first, then the store; a run that ends in between is then seen twice, never not at all, and the stored one
//! counts.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::base::id::RequestId;
use crate::error::{Error, Result};
use crate::model::buckets::Buckets;
use crate::model::event::Attempt;
use crate::model::function::{FunctionName, Namespace, no_function};
use crate::model::invocation::{Record, Source, State};
use crate::model::limits;
use crate::model::log::LogLine;
use crate::model::query::{InvocationQuery, LogQuery, Order, Page, PageLimit, StatusFilter, StoredLine};
use crate::service::invoke::Invoker;
use crate::store::Store;
use crate::store::runs_by_time::{RunBucket, RunsByTimeQuery};

/// How often it is looked whether somebody still waits: his place is wanted by others.
const GLANCE: Duration = Duration::from_secs(1);

/// How far back runs are shown by time unless said.
const HOUR_US: i64 = 3600 * 1_000_000;
/// The shortest stretch of time they are shown by: the store knows which ids a minute has.
const MINUTE_S: i64 = 60;

/// Which records a caller asks for, by names.
#[derive(Clone, Debug, Default)]
pub struct RunsAsked {
    /// The namespace.
    pub namespace: Namespace,
    /// Of that function only.
    pub function: Option<FunctionName>,
    /// With that ending only.
    pub status: Option<StatusFilter>,
    /// Caused by that only.
    pub source: Option<Source>,
    /// Created then or later, microseconds since the epoch.
    pub since_us: Option<i64>,
    /// Created then or earlier, microseconds since the epoch.
    pub until_us: Option<i64>,
    /// The cursor of the page before.
    pub before: Option<i64>,
    /// Page size.
    pub limit: PageLimit,
}

/// Which runs a caller wants to see by time, by names.
#[derive(Clone, Debug)]
pub struct RunsByTimeAsked {
    /// The namespace.
    pub namespace: Namespace,
    /// Of that function only.
    pub function: Option<FunctionName>,
    /// Created then or later, microseconds since the epoch; an hour ago unless said.
    pub since_us: Option<i64>,
    /// Created then or earlier, microseconds since the epoch; now unless said.
    pub until_us: Option<i64>,
    /// In at most so many stretches of time.
    pub buckets: u32,
}

/// Runs by time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunsByTime {
    /// The stretches of time, of whole minutes.
    pub buckets: Buckets,
    /// The runs of each.
    pub runs: Vec<RunBucket>,
}

/// Records and logs; cheap to clone. Lines are found in `service/search.rs`.
#[derive(Clone, Debug)]
pub struct Logs {
    pub(super) store: Store,
    pub(super) invoker: Arc<Invoker>,
}

impl Logs {
    /// What `store` has and `invoker` is doing.
    pub fn new(store: Store, invoker: Arc<Invoker>) -> Logs {
        Logs { store, invoker }
    }

    /// A page of records, newest first, without event and result. Fails with `NotFound` when the function was never
    /// there; those of a deleted one are found.
    pub fn runs(&self, asked: &RunsAsked) -> Result<Page<Record, i64>> {
        let query = InvocationQuery {
            function_id: function_id(&self.store, &asked.namespace, asked.function.as_ref())?,
            namespace: Some(asked.namespace.to_string()),
            status: asked.status,
            source: asked.source,
            since_us: asked.since_us,
            until_us: asked.until_us,
            before: asked.before,
            limit: asked.limit,
        };
        let running = self.invoker.running();
        let stored = self.store.invocations(&query)?;
        let (mine, others): (Vec<Record>, Vec<Record>) =
            running.into_iter().map(brief).partition(|record| asks_for(&query, record));
        // Whoever asks for those that wait does not mean what runs by now.
        let is_other = |stored: &Record| others.iter().any(|running| running.id == stored.id);
        let rows = stored.rows.into_iter().filter(|stored| stored.state.is_over() || !is_other(stored));
        let stored = Page { rows: rows.collect(), next: stored.next };
        Ok(merged(mine, stored, asked.limit))
    }

    /// How many runs began, how many of them failed, and how long they took, by time. Fails with `NotFound` as
    /// [`runs`](Logs::runs) does.
    pub fn runs_by_time(&self, asked: &RunsByTimeAsked, now_us: i64) -> Result<RunsByTime> {
        let until_us = asked.until_us.unwrap_or(now_us);
        let since_us = asked.since_us.unwrap_or(now_us - HOUR_US);
        let buckets = Buckets::covering(since_us, until_us, asked.buckets, MINUTE_S);
        let query = RunsByTimeQuery {
            namespace: asked.namespace.clone(),
            function_id: function_id(&self.store, &asked.namespace, asked.function.as_ref())?,
            since_us,
            until_us,
            buckets,
            running: self.invoker.running(),
        };
        Ok(RunsByTime { buckets, runs: self.store.runs_by_time(&query)? })
    }

    /// The run of that request id with event and result; fails with `NotFound`.
    pub fn run(&self, request_id: &RequestId) -> Result<Record> {
        let running = self.invoker.running_run(request_id);
        match (self.store.invocation(request_id)?, running) {
            (Some(stored), Some(running)) if !stored.state.is_over() => Ok(running),
            (Some(stored), _) => Ok(stored),
            (None, Some(running)) => Ok(running),
            (None, None) => Err(no_run(request_id)),
        }
    }

    /// The same, once it is over, or after `patience`, or when whoever waits for it is gone, whichever comes first.
    pub fn run_when_over(
        &self,
        request_id: &RequestId,
        patience: Duration,
        is_gone: &dyn Fn() -> bool,
    ) -> Result<Record> {
        let wait = self.invoker.endings().listen(request_id);
        let found = self.run(request_id)?;
        if found.state.is_over() {
            return Ok(found);
        }
        let mut left = patience;
        while !left.is_zero() && !is_gone() {
            let turn = left.min(GLANCE);
            if wait.wait(turn) {
                break;
            }
            left -= turn;
        }
        self.run(request_id)
    }

    /// The attempts of a run that were followed by another one, or by giving its event up.
    pub fn attempts(&self, record: &Record) -> Result<Vec<Attempt>> {
        // An event that was given up while it waited for another attempt tells of the last one, which is over.
        let is_given_up = matches!(record.state, State::Dead | State::Expired);
        match record.retry_num + u32::from(is_given_up) {
            0 => Ok(Vec::new()),
            before => self.store.attempts(record.id, before),
        }
    }

    /// The last lines of a run, as many as a page holds, in order.
    pub fn last_lines(&self, record: &Record) -> Result<Vec<LogLine>> {
        let page = self.store.logs(&of_run(record, Order::Descending)?)?;
        Ok(page.rows.into_iter().rev().map(|stored| stored.line).collect())
    }

    /// The first lines of a run, as many as a page holds, and where the rest begins.
    pub fn lines_of(&self, record: &Record) -> Result<Page<StoredLine, i64>> {
        let query = of_run(record, Order::Ascending)?;
        let mut page = self.store.logs(&query)?;
        page.rows.iter_mut().for_each(|line| line.request_id = Some(record.request_id.clone()));
        Ok(page)
    }
}

/// The request ids of the runs that go on, by row id.
pub(super) fn running_ids(invoker: &Invoker) -> BTreeMap<i64, RequestId> {
    invoker.running().into_iter().map(|record| (record.id, record.request_id)).collect()
}

/// The id of the function asked for, also of a deleted one; fails with `NotFound` when there never was one.
pub(super) fn function_id(
    store: &Store,
    namespace: &Namespace,
    name: Option<&FunctionName>,
) -> Result<Option<i64>> {
    let Some(name) = name else { return Ok(None) };
    match store.function_id(namespace, name)? {
        Some(id) => Ok(Some(id)),
        None => Err(no_function(namespace, name)),
    }
}

/// The lines of a run, as many as a page holds.
fn of_run(record: &Record, order: Order) -> Result<LogQuery> {
    Ok(LogQuery {
        run_id: Some(record.id),
        function_id: None,
        namespace: None,
        since_us: None,
        until_us: None,
        order,
        after: None,
        limit: PageLimit::new(limits::PAGE_MAX)?,
    })
}

pub(super) fn no_run(request_id: &RequestId) -> Error {
    Error::not_found(format!("there is no invocation {request_id}"))
}

/// Whether a running record belongs to the answer; the same conditions as the store's.
fn asks_for(query: &InvocationQuery, record: &Record) -> bool {
    let named = match query.function_id {
        Some(function_id) => record.function_id == function_id,
        None => query.namespace.as_ref().is_none_or(|namespace| *namespace == record.namespace),
    };
    named
        && query.status.is_none_or(|status| status.admits(record.state, record.status))
        && query.source.is_none_or(|source| source.as_str() == record.source)
        && query.since_us.is_none_or(|since_us| record.created_us >= since_us)
        && query.until_us.is_none_or(|until_us| record.created_us <= until_us)
        && query.before.is_none_or(|before| record.id < before)
}

fn brief(record: Record) -> Record {
    Record { event: Vec::new(), result: Vec::new(), ..record }
}

/// One page out of both, newest first. A full page of stored rows reaches down to some id; running ones below it sort
/// behind it and are cut off, to come with a later page.
fn merged(running: Vec<Record>, stored: Page<Record, i64>, limit: PageLimit) -> Page<Record, i64> {
    let (mut rows, next_stored) = (stored.rows, stored.next);
    for record in running {
        match rows.iter_mut().find(|stored| stored.id == record.id) {
            // An event's row says that it waits until its attempt has ended.
            Some(stored) if !stored.state.is_over() => *stored = record,
            Some(_) => {}
            None => rows.push(record),
        }
    }
    rows.sort_by_key(|record| Reverse(record.id));
    // What lies below the stored page comes with a later one.
    rows.retain(|record| next_stored.is_none_or(|next| record.id >= next));
    let page = Page::cut(rows, limit, |record| record.id);
    Page { next: page.next.or(next_stored), ..page }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{CountingIds, IdSource};
    use crate::model::invocation::State;

    fn record(id: i64, state: State) -> Record {
        Record {
            id,
            request_id: CountingIds::default().request_id(0),
            function_id: 1,
            namespace: "default".to_owned(),
            function: "hello".to_owned(),
            qualifier: "$LATEST".to_owned(),
            alias: String::new(),
            is_event: false,
            source: "rest".to_owned(),
            trigger_id: 0,
            state,
            retry_num: 0,
            due_us: 0,
            status: if state == State::Running { 202 } else { 200 },
            created_us: id,
            started_us: id,
            ended_us: 0,
            duration_us: 0,
            init_us: 0,
            memory_mb: 128,
            memory_used_kb: 0,
            event: b"{}".to_vec(),
            result: Vec::new(),
            error: String::new(),
        }
    }

    fn check(running: &[i64], stored: &[i64], more: bool, limit: u32, expected: &[i64], next: Option<i64>) {
        let records = |ids: &[i64], state| ids.iter().map(|id| record(*id, state)).collect::<Vec<_>>();
        let page = Page {
            rows: records(stored, State::Succeeded),
            next: if more { stored.last().copied() } else { None },
        };
        let page = merged(records(running, State::Running), page, PageLimit::new(limit).unwrap());
        let found: Vec<i64> = page.rows.iter().map(|record| record.id).collect();
        assert_eq!((found.as_slice(), page.next), (expected, next), "{running:?} {stored:?}");
    }

    #[test]
    fn running_and_stored_runs_are_one_list() {
        check(&[], &[3, 2], false, 3, &[3, 2], None);
        check(&[4], &[3, 2], false, 3, &[4, 3, 2], None);
        check(&[5, 4], &[3, 2], false, 3, &[5, 4, 3], Some(3));
        check(&[4], &[6, 5, 3], true, 3, &[6, 5, 4], Some(4));
        // A slow old run does not come before its turn.
        check(&[1], &[6, 5, 4], true, 3, &[6, 5, 4], Some(4));
        // It ended between the two looks: the stored one counts.
        check(&[4], &[4, 3], false, 3, &[4, 3], None);
    }

    #[test]
    fn running_runs_obey_the_same_filters() {
        let running = record(10, State::Running);
        let admits = |query: InvocationQuery| asks_for(&query, &running);
        let all = InvocationQuery::default;
        assert!(admits(all()));
        assert!(admits(InvocationQuery { status: Some(StatusFilter::parse("running").unwrap()), ..all() }));
        assert!(admits(InvocationQuery { status: Some(StatusFilter::parse("202").unwrap()), ..all() }));
        assert!(admits(InvocationQuery {
            since_us: Some(10),
            until_us: Some(10),
            before: Some(11),
            ..all()
        }));
        for query in [
            InvocationQuery { status: Some(StatusFilter::parse("failed").unwrap()), ..all() },
            InvocationQuery { function_id: Some(2), ..all() },
            InvocationQuery { source: Some(Source::Timer), ..all() },
            InvocationQuery { namespace: Some("other".to_owned()), ..all() },
            InvocationQuery { since_us: Some(11), ..all() },
            InvocationQuery { until_us: Some(9), ..all() },
            InvocationQuery { before: Some(10), ..all() },
        ] {
            assert!(!admits(query.clone()), "{query:?}");
        }
    }
}
