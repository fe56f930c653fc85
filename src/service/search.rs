//! Finding log lines: by run, function and time, and by what they say.
//!
//! A query's own conditions on run, function and time narrow where the store looks, as the parameters do; whether a line
//! matches is still the query's word. What runs now has lines in the store, a second behind at most, and its request id may
//! be known in memory only.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::base::id::RequestId;
use crate::error::Result;
use crate::model::function::{FunctionName, Namespace};
use crate::model::query::{LogQuery, Order, PageLimit, StoredLine};
use crate::search::Query;
use crate::service::logs::{Logs, function_id, no_run, running_ids};
use crate::store::search::{Found, Over, Search};

pub mod counts;

/// Which lines a caller asks for, by names.
#[derive(Clone, Debug)]
pub struct LinesAsked {
    /// The namespace; does not matter where a run is named.
    pub namespace: Namespace,
    /// Of that run only.
    pub request_id: Option<RequestId>,
    /// Of that function only.
    pub function: Option<FunctionName>,
    /// That match it only.
    pub query: Option<Arc<Query>>,
    /// Read then or later, microseconds since the epoch.
    pub since_us: Option<i64>,
    /// Read then or earlier, microseconds since the epoch.
    pub until_us: Option<i64>,
    /// Oldest or newest first.
    pub order: Order,
    /// The cursor of the page before.
    pub after: Option<i64>,
    /// Page size.
    pub limit: PageLimit,
    /// Lines of the same run shown before and behind each.
    pub context: u32,
    /// How long is looked for them.
    pub patience: Duration,
}

/// A line that was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The line.
    pub line: StoredLine,
    /// Lines of its run before it.
    pub before: Vec<StoredLine>,
    /// Lines of its run behind it.
    pub after: Vec<StoredLine>,
}

/// A page of lines.
#[derive(Clone, Debug, Default)]
pub struct Hits {
    /// The lines.
    pub rows: Vec<Hit>,
    /// What to ask for next; none when everything was looked at.
    pub next: Option<i64>,
    /// Whether it took too long: there may be more before `next`'s page begins.
    pub is_partial: bool,
}

impl Logs {
    /// A page of lines. Fails with `NotFound` when the run or the function was never there, and with `Busy` when too much
    /// is searched at once.
    pub fn lines(&self, asked: &LinesAsked) -> Result<Hits> {
        let Some(of) = self.place(asked)? else { return Ok(Hits::default()) };
        let mut page = Page::new(asked.limit, asked.query.is_none());
        let over = self.each(asked, &of, asked.query.is_some(), |found| page.take(found))?;
        let mut hits = Hits { next: page.next(), is_partial: false, rows: Vec::new() };
        if let Over::Late(at) = over {
            (hits.next, hits.is_partial) = (Some(at), true);
        }
        self.with_context(page.rows, asked.context, &mut hits)?;
        Ok(hits)
    }

    /// Where the lines can be, by ids; nothing where the query names what is not there.
    fn place(&self, asked: &LinesAsked) -> Result<Option<LogQuery>> {
        let bounds = asked.query.as_ref().map(|query| query.bounds()).unwrap_or_default();
        let run_id = match (&asked.request_id, &bounds.request_id) {
            (Some(asked), _) => Some(self.known_run_id(asked)?),
            (None, Some(meant)) => match self.run_id(meant)? {
                None => return Ok(None),
                found => found,
            },
            (None, None) => None,
        };
        let meant = bounds.function.as_deref().map(FunctionName::parse);
        let function_id = match (&asked.function, meant) {
            // A run is of one function, whatever its namespace.
            (None, _) if run_id.is_some() => None,
            (None, Some(Err(_))) => return Ok(None),
            (None, Some(Ok(meant))) => match self.store.function_id(&asked.namespace, &meant)? {
                None => return Ok(None),
                found => found,
            },
            (asked_for, _) => function_id(&self.store, &asked.namespace, asked_for.as_ref())?,
        };
        Ok(Some(LogQuery {
            run_id,
            function_id,
            namespace: Some(asked.namespace.to_string()),
            since_us: asked.since_us.max(bounds.since_us),
            until_us: [asked.until_us, bounds.until_us].into_iter().flatten().min(),
            order: asked.order,
            after: asked.after,
            limit: asked.limit,
        }))
    }

    /// Whether a run of that id is or was there.
    pub fn is_known(&self, request_id: &RequestId) -> Result<bool> {
        Ok(self.run_id(request_id)?.is_some())
    }

    /// The row id of a run; fails with `NotFound` where there never was one.
    pub(super) fn known_run_id(&self, request_id: &RequestId) -> Result<i64> {
        self.run_id(request_id)?.ok_or_else(|| no_run(request_id))
    }

    fn run_id(&self, request_id: &RequestId) -> Result<Option<i64>> {
        let forms = [request_id, &request_id.other_form()];
        match forms.iter().find_map(|form| self.invoker.running_run_id(form)) {
            None => self.store.run_id(request_id),
            found => Ok(found),
        }
    }

    /// Shows each line that was asked for to `visit`.
    fn each(
        &self,
        asked: &LinesAsked,
        of: &LogQuery,
        looks_at_much: bool,
        visit: impl FnMut(&Found<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<Over> {
        let query = asked.query.as_deref();
        let deadline = self.store.now() + asked.patience;
        self.store.search(&Search { of, query, deadline, looks_at_much }, visit)
    }

    /// Gives lines the request ids of their runs where only the memory has them.
    pub(super) fn name_runs<'l>(&self, lines: impl Iterator<Item = &'l mut StoredLine>) {
        let mut nameless = lines.filter(|line| line.request_id.is_none()).peekable();
        if nameless.peek().is_some() {
            let running = running_ids(&self.invoker);
            nameless.for_each(|line| line.request_id = running.get(&line.run_id).cloned());
        }
    }

    /// The lines with those around them, until the page is full.
    fn with_context(&self, rows: Vec<StoredLine>, context: u32, hits: &mut Hits) -> Result<()> {
        let mut bytes = 0;
        for mut line in rows {
            let (mut before, mut after) = match context {
                0 => (Vec::new(), Vec::new()),
                context => self.store.lines_around(&line, context)?,
            };
            self.name_runs(before.iter_mut().chain([&mut line]).chain(&mut after));
            bytes += before.iter().chain(&after).map(|line| line.line.message.len()).sum::<usize>();
            let id = line.id;
            hits.rows.push(Hit { line, before, after });
            if bytes > PAGE_BYTES_MAX {
                (hits.next, hits.is_partial) = (Some(id), false);
                break;
            }
        }
        Ok(())
    }
}

/// Bytes of messages after which a page is full, whatever its limit.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A page that is being filled.
struct Page {
    rows: Vec<StoredLine>,
    bytes: usize,
    limit: usize,
    /// Whether it is looked for one line more, which tells whether there is another page. Where lines must match, that one may be
    /// far away.
    looks_ahead: bool,
    has_more: bool,
}

impl Page {
    fn new(limit: PageLimit, looks_ahead: bool) -> Page {
        let limit = usize::try_from(limit.get()).unwrap_or(usize::MAX);
        Page { rows: Vec::new(), bytes: 0, limit, looks_ahead, has_more: false }
    }

    fn take(&mut self, found: &Found<'_>) -> Result<ControlFlow<()>> {
        if self.rows.len() == self.limit || self.bytes > PAGE_BYTES_MAX {
            self.has_more = true;
            return Ok(ControlFlow::Break(()));
        }
        let line = found.stored()?;
        self.bytes += line.line.message.len();
        self.rows.push(line);
        self.has_more = !self.looks_ahead && self.rows.len() == self.limit;
        Ok(if self.has_more { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn next(&self) -> Option<i64> {
        self.rows.last().map(|line| line.id).filter(|_| self.has_more)
    }
}
