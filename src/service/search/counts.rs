//! How many lines there are, by time and by what they have in common.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::error::Result;
use crate::model::buckets::Buckets;
use crate::model::query::Order;
use crate::service::logs::Logs;
use crate::service::search::LinesAsked;
use crate::store::search::Over;

/// The shortest bucket, seconds.
const SHORTEST_S: i64 = 1;
/// Most values of one facet that are told.
const VALUES_MAX: usize = 100;

/// Lines over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// The stretches of time.
    pub buckets: Buckets,
    /// The lines of each.
    pub lines: Vec<u64>,
    /// Whether it took too long to look at all of it.
    pub is_partial: bool,
    /// Then: the time of the line it came to, microseconds since the epoch.
    pub stopped_us: Option<i64>,
}

/// Lines by what they have in common: each value with its lines, the most frequent first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facets {
    /// By function.
    pub function: Vec<(String, u64)>,
    /// By level.
    pub level: Vec<(String, u64)>,
    /// By the status code of their run.
    pub status: Vec<(String, u64)>,
    /// By the version that ran.
    pub version: Vec<(String, u64)>,
    /// All of them.
    pub lines: u64,
    /// Whether it took too long to look at all of it.
    pub is_partial: bool,
    /// Then: the time of the line it came to, microseconds since the epoch.
    pub stopped_us: Option<i64>,
}

impl Logs {
    /// How many lines there are, in up to `buckets` stretches of time between since (or the oldest line) and until (or
    /// `now_us`). Order, page and context do not matter: what is counted first is the newest.
    pub fn histogram(&self, asked: &LinesAsked, buckets: u32, now_us: i64) -> Result<Histogram> {
        let oldest_us = self.store.oldest_line_us()?.unwrap_or(now_us);
        let (since_us, until_us) = (asked.since_us.unwrap_or(oldest_us), asked.until_us.unwrap_or(now_us));
        let mut histogram = Histogram::of(Buckets::covering(since_us, until_us, buckets, SHORTEST_S));
        let last_us = histogram.buckets.last_us();
        let asked = &LinesAsked {
            until_us: Some(last_us.min(asked.until_us.unwrap_or(i64::MAX))),
            order: Order::Descending,
            ..asked.clone()
        };
        let Some(of) = self.place(asked)? else { return Ok(histogram) };
        let over = self.each(asked, &of, true, |found| {
            histogram.count(found.ts_us);
            Ok(ControlFlow::Continue(()))
        })?;
        (histogram.is_partial, histogram.stopped_us) = self.stopped(over)?;
        Ok(histogram)
    }

    /// How many lines have what in common.
    pub fn facets(&self, asked: &LinesAsked) -> Result<Facets> {
        let asked = &LinesAsked { order: Order::Descending, ..asked.clone() };
        let Some(of) = self.place(asked)? else { return Ok(Facets::default()) };
        let mut counts = Counts::default();
        let over = self.each(asked, &of, true, |found| {
            counts.lines += 1;
            count(&mut counts.function, found.function());
            count(&mut counts.level, found.level.as_str());
            *counts.status.entry(found.status()).or_default() += 1;
            count(&mut counts.version, found.qualifier());
            Ok(ControlFlow::Continue(()))
        })?;
        let (is_partial, stopped_us) = self.stopped(over)?;
        Ok(Facets { is_partial, stopped_us, ..counts.facets() })
    }

    /// Whether looking took too long, and to which time it came.
    fn stopped(&self, over: Over) -> Result<(bool, Option<i64>)> {
        match over {
            Over::Late(at) => Ok((true, self.store.line_us(at)?)),
            Over::End | Over::Stopped => Ok((false, None)),
        }
    }
}

impl Histogram {
    fn of(buckets: Buckets) -> Histogram {
        Histogram { buckets, lines: vec![0; buckets.count], is_partial: false, stopped_us: None }
    }

    fn count(&mut self, ts_us: i64) {
        // A line older than the oldest: the clock was set back.
        if let Some(number) = self.buckets.number_of(ts_us) {
            self.lines[number] += 1;
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    function: BTreeMap<String, u64>,
    level: BTreeMap<String, u64>,
    status: BTreeMap<u16, u64>,
    version: BTreeMap<String, u64>,
    lines: u64,
}

impl Counts {
    fn facets(self) -> Facets {
        let status = self.status.into_iter().map(|(status, lines)| (status.to_string(), lines));
        Facets {
            function: most_frequent(self.function),
            level: most_frequent(self.level),
            status: most_frequent(status),
            version: most_frequent(self.version),
            lines: self.lines,
            is_partial: false,
            stopped_us: None,
        }
    }
}

fn count(counts: &mut BTreeMap<String, u64>, value: &str) {
    match counts.get_mut(value) {
        Some(lines) => *lines += 1,
        None => {
            counts.insert(value.to_owned(), 1);
        }
    }
}

fn most_frequent(counts: impl IntoIterator<Item = (String, u64)>) -> Vec<(String, u64)> {
    let mut values: Vec<(String, u64)> = counts.into_iter().collect();
    values.sort_by_key(|(_, lines)| std::cmp::Reverse(*lines));
    values.truncate(VALUES_MAX);
    values
}
