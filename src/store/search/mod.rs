//! Finding lines: which rows are looked at, in which order, and until when.
//!
//! [`Store::search`] walks lines from one end to the other and shows those that match to a visitor, which may stop it; so
//! do the deadline and the end. What is looked at is as little as is known to suffice: the lines of one run, by their index;
//! of one function, by theirs; else block by block, and of each block the lines whose words can match
//! ([`words`]). Whether a line does match is said by the query alone (`subject`).
//!
//! # What must stay true
//!
//! * Lines come in the order of their ids, and a position is an id: everything before it was looked at, nothing behind
//!   it. So the search that goes on from a position sees each line once, whatever was stored meanwhile.
//! * The deadline is looked at between rows, often enough for the reader's own deadline never to be the one that ends it.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rusqlite::{OptionalExtension, Row, Rows};

use crate::base::clock::Clock;
use crate::error::Result;
use crate::model::query::{LogQuery, Order, StoredLine};
use crate::search::Query;
use crate::search::narrow::Narrow;
use crate::store::search::subject::Facts;
use crate::store::select::Select;
use crate::store::words::{self, bits::Bits};
use crate::store::{Store, Tx, minutes};

mod subject;

pub use subject::Found;

/// Rows between two looks at the clock, where there is no query. A hostile regular expression can take half a second for one line,
/// so with a query every row is followed by a look.
const ROWS: usize = 256;
/// Of the lines of a block, the part above which all of them are read in one go.
const DENSE: usize = words::LINES / 8;
/// How much longer than its own deadline a search may take, until SQLite ends it.
const GRACE: Duration = Duration::from_secs(2);

/// Which lines are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// Whose, of which time, and from where on; its page size does not matter.
    pub of: &'a LogQuery,
    /// What they must match; nothing means all.
    pub query: Option<&'a Query>,
    /// When to stop.
    pub deadline: Instant,
    /// Whether it may look at many lines, and so must not stand in the way of short reads.
    pub looks_at_much: bool,
}

/// Why a search is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// There is nothing more.
    End,
    /// The visitor stopped it.
    Stopped,
    /// It took too long. Everything up to that id, in order, was looked at: it is where to go on.
    Late(i64),
}

impl Store {
    /// Shows every line that matches to `visit`, in order, until one of them is over.
    pub fn search(
        &self,
        search: &Search<'_>,
        mut visit: impl FnMut(&Found<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<Over> {
        let clock = self.clock().as_ref();
        let patience = search.deadline.saturating_duration_since(clock.now()) + GRACE;
        let readers = if search.looks_at_much { &self.0.searchers } else { &self.0.readers };
        readers.read_within(patience, |tx| {
            let facts = Facts::new(tx, search.of.namespace.as_deref());
            let Some(ids) = ids(tx, search.of)? else { return Ok(Over::End) };
            let mut walk = Walk { tx, search, facts: &facts, clock, rows: 0, visit: &mut visit };
            Ok(match walk.along(ids)? {
                ControlFlow::Continue(()) => Over::End,
                ControlFlow::Break(over) => over,
            })
        })
    }

    /// When the oldest line was read, microseconds since the epoch.
    pub fn oldest_line_us(&self) -> Result<Option<i64>> {
        self.read(|tx| {
            let sql = "SELECT ts_us FROM log ORDER BY id LIMIT 1";
            Ok(tx.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?)
        })
    }

    /// When the line of that id was read, or the first one behind it that is there, microseconds since the epoch.
    pub fn line_us(&self, id: i64) -> Result<Option<i64>> {
        self.read(|tx| {
            let sql = "SELECT ts_us FROM log WHERE id >= ?1 ORDER BY id LIMIT 1";
            Ok(tx.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?)
        })
    }

    /// Up to `most` lines of the run right before and right behind the line `id`, in order.
    pub fn lines_around(&self, line: &StoredLine, most: u32) -> Result<(Vec<StoredLine>, Vec<StoredLine>)> {
        self.read(|tx| {
            let facts = Facts::new(tx, None);
            let mut before = around(tx, &facts, line, " AND id < ? ORDER BY id DESC LIMIT ?", most)?;
            before.reverse();
            let after = around(tx, &facts, line, " AND id > ? ORDER BY id LIMIT ?", most)?;
            Ok((before, after))
        })
    }
}

fn around(
    tx: &Tx<'_>,
    facts: &Facts<'_, '_>,
    line: &StoredLine,
    rest: &str,
    most: u32,
) -> Result<Vec<StoredLine>> {
    let sql = format!("SELECT {COLUMNS} FROM log WHERE invocation_id = ?{rest}");
    let mut statement = tx.prepare_cached(&sql)?;
    let mut rows = statement.query([line.run_id, line.id, i64::from(most)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Found::of(row, facts)?.stored()?);
    }
    Ok(found)
}

/// What [`Found::of`] reads.
pub(super) const COLUMNS: &str = "id, ts_us, invocation_id, function_id, level, stream, message, retry_num";

/// The first and the last id to look at; nothing where there is nothing.
fn ids(tx: &Tx<'_>, of: &LogQuery) -> Result<Option<(i64, i64)>> {
    let of_time = minutes::ids(tx, minutes::Of::Log, of.since_us, of.until_us)?;
    let Some(((first, last), (lowest, highest))) = of_time.zip(words::ends(tx)?) else { return Ok(None) };
    let (first, last) = (first.max(lowest), last.min(highest));
    let (first, last) = match (of.after, of.order) {
        (None, _) => (first, last),
        (Some(after), Order::Ascending) => (first.max(after.saturating_add(1)), last),
        (Some(after), Order::Descending) => (first, last.min(after.saturating_sub(1))),
    };
    Ok((first <= last).then_some((first, last)))
}

/// Goes on, or is over.
type Step = ControlFlow<Over>;

/// A search under way.
struct Walk<'a, 't, 'c> {
    tx: &'t Tx<'c>,
    search: &'a Search<'a>,
    facts: &'a Facts<'t, 'c>,
    clock: &'a dyn Clock,
    /// Rows since the clock was looked at.
    rows: usize,
    visit: &'a mut dyn FnMut(&Found<'_>) -> Result<ControlFlow<()>>,
}

impl Walk<'_, '_, '_> {
    fn along(&mut self, ids: (i64, i64)) -> Result<Step> {
        let narrow = self.search.query.map_or(Narrow::Any, Query::narrow);
        if self.search.of.run_id.is_some() || narrow == Narrow::Any {
            return self.rows_between(ids, None);
        }
        let of_function = self.search.of.function_id.map(|id| Narrow::Word(words::word_of_function(id)));
        self.blocks(&Narrow::All([narrow].into_iter().chain(of_function).collect()), ids)
    }

    fn blocks(&mut self, narrow: &Narrow, (first, last): (i64, i64)) -> Result<Step> {
        let blocks = words::block_of(first)..=words::block_of(last);
        match self.search.of.order {
            Order::Ascending => self.each_block(blocks, narrow, (first, last)),
            Order::Descending => self.each_block(blocks.rev(), narrow, (first, last)),
        }
    }

    fn each_block(
        &mut self,
        blocks: impl Iterator<Item = i64>,
        narrow: &Narrow,
        (first, last): (i64, i64),
    ) -> Result<Step> {
        for block in blocks {
            let whole = words::ids_of(block);
            let ids = (whole.0.max(first), whole.1.min(last));
            let step = match words::candidates(self.tx, block, narrow)? {
                Some(bits) if bits.count() <= DENSE => self.rows_at(&bits, whole.0, ids)?,
                bits => self.rows_between(ids, bits.as_ref())?,
            };
            if step.is_break() {
                return Ok(step);
            }
            if self.is_late() {
                return Ok(ControlFlow::Break(Over::Late(match self.search.of.order {
                    Order::Ascending => ids.1,
                    Order::Descending => ids.0,
                })));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The rows of some ids of a block, one by one.
    fn rows_at(&mut self, bits: &Bits, base: i64, (first, last): (i64, i64)) -> Result<Step> {
        let sql = format!("SELECT {COLUMNS} FROM log WHERE id = ?1");
        let mut statement = self.tx.prepare_cached(&sql)?;
        let mut places: Vec<i64> = bits.places().map(|place| base + i64::from(place)).collect();
        places.retain(|id| (first..=last).contains(id));
        if self.search.of.order == Order::Descending {
            places.reverse();
        }
        for id in places {
            let step = self.each(statement.query([id])?, None)?;
            if step.is_break() {
                return Ok(step);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The rows between two ids, of the run or the function that is meant; or, in a block, those of which `bits` says that they
    /// can match.
    fn rows_between(&mut self, (first, last): (i64, i64), bits: Option<&Bits>) -> Result<Step> {
        let sql = format!("SELECT {COLUMNS} FROM log WHERE id BETWEEN ? AND ?");
        let mut select = Select::between(&sql, first, last);
        match (self.search.of.run_id, bits) {
            (Some(run_id), _) => select.bind(" AND invocation_id = ?", run_id),
            (None, None) => select.bind_some(" AND function_id = ?", self.search.of.function_id),
            (None, Some(_)) => {}
        }
        select.push(match self.search.of.order {
            Order::Ascending => " ORDER BY id",
            Order::Descending => " ORDER BY id DESC",
        });
        select.with_rows(self.tx, |rows| self.each(rows, bits))
    }

    fn each(&mut self, mut rows: Rows<'_>, bits: Option<&Bits>) -> Result<Step> {
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            let can_match = bits.is_none_or(|bits| bits.has(words::place_of(id)));
            if can_match && self.look(row)?.is_break() {
                return Ok(ControlFlow::Break(Over::Stopped));
            }
            self.rows += 1;
            if (self.rows >= ROWS || self.search.query.is_some()) && self.is_late() {
                return Ok(ControlFlow::Break(Over::Late(id)));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn is_late(&mut self) -> bool {
        self.rows = 0;
        self.clock.now() > self.search.deadline
    }

    fn look(&mut self, row: &Row<'_>) -> Result<ControlFlow<()>> {
        let found = Found::of(row, self.facts)?;
        let of = self.search.of;
        let is_meant = of.since_us.is_none_or(|since_us| found.ts_us >= since_us)
            && of.until_us.is_none_or(|until_us| found.ts_us <= until_us)
            && of.function_id.is_none_or(|function_id| found.function_id == function_id)
            && (of.run_id.is_some() || of.function_id.is_some() || self.facts.is_meant(found.function_id))
            && self.search.query.is_none_or(|query| query.matches(&found));
        self.facts.check()?;
        if is_meant { (self.visit)(&found) } else { Ok(ControlFlow::Continue(())) }
    }
}
