//! How many lines there are, by time and by what they have in common.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::error::Result;
use crate::model::query::Order;
use crate::service::logs::Logs;
use crate::service::search::LinesAsked;
use crate::store::search::Over;

/// Lengths that people read a chart by, seconds; each a part of a day, or whole days.
const WIDTHS_S: [i64; 20] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 604_800,
    2_592_000,
];
const SECOND_US: i64 = 1_000_000;
/// Most values of one facet that are told.
const VALUES_MAX: usize = 100;

/// Lines over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// When the first bucket begins, microseconds since the epoch; a multiple of its length.
    pub from_us: i64,
    /// How long each bucket is, microseconds.
    pub bucket_us: i64,
    /// The lines of each.
    pub buckets: Vec<u64>,
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
        let mut histogram =
            Histogram::of(asked.since_us.unwrap_or(oldest_us), asked.until_us.unwrap_or(now_us), buckets);
        let asked = &LinesAsked {
            until_us: Some(histogram.last_us().min(asked.until_us.unwrap_or(i64::MAX))),
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
    /// Empty buckets, as short as may be, that cover that time.
    fn of(since_us: i64, until_us: i64, most: u32) -> Histogram {
        let (most, until_us) = (i64::from(most.max(1)), until_us.max(since_us));
        let needed = |width_us: i64| until_us.div_euclid(width_us) - since_us.div_euclid(width_us) + 1;
        let widths = WIDTHS_S.iter().map(|width_s| width_s * SECOND_US);
        let fitting = widths.clone().find(|width_us| needed(*width_us) <= most);
        // Years, in so few buckets: two of them always suffice, and one where both ends lie in it.
        let bucket_us = fitting.unwrap_or_else(|| {
            let mut width_us = WIDTHS_S[WIDTHS_S.len() - 1] * SECOND_US;
            while needed(width_us) > most.max(2) {
                width_us = width_us.saturating_mul(2);
            }
            width_us
        });
        let count = usize::try_from(needed(bucket_us)).unwrap_or(1);
        let from_us = since_us.div_euclid(bucket_us) * bucket_us;
        Histogram { from_us, bucket_us, buckets: vec![0; count], is_partial: false, stopped_us: None }
    }

    /// The last moment of the last bucket.
    fn last_us(&self) -> i64 {
        let count = i64::try_from(self.buckets.len()).unwrap_or(i64::MAX);
        self.from_us.saturating_add(self.bucket_us.saturating_mul(count)) - 1
    }

    fn count(&mut self, ts_us: i64) {
        let number = usize::try_from((ts_us - self.from_us).div_euclid(self.bucket_us));
        // A line older than the oldest: the clock was set back.
        if let Some(bucket) = number.ok().and_then(|number| self.buckets.get_mut(number)) {
            *bucket += 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3600 * SECOND_US;

    fn check(since_us: i64, until_us: i64, most: u32, expected: (i64, i64, usize)) {
        let histogram = Histogram::of(since_us, until_us, most);
        let found = (histogram.from_us, histogram.bucket_us, histogram.buckets.len());
        assert_eq!(found, expected, "{since_us} {until_us} {most}");
        assert!(histogram.from_us <= since_us && until_us <= histogram.last_us());
    }

    #[test]
    fn buckets_are_round_and_cover_what_was_asked_for() {
        check(0, HOUR_US * 24 - 1, 24, (0, HOUR_US, 24));
        check(HOUR_US / 2, HOUR_US * 24, 24, (0, 2 * HOUR_US, 13));
        check(5, 5, 60, (0, SECOND_US, 1));
        check(1_500_000, 3_500_000, 3, (1_000_000, SECOND_US, 3));
        check(0, HOUR_US * 24 * 365 * 50, 2, (0, 2_592_000 * SECOND_US * 512, 2));
        check(10, 5, 10, (0, SECOND_US, 1));
        check(0, HOUR_US, 1, (0, 2 * HOUR_US, 1));
    }

    #[test]
    fn lines_are_counted_where_they_belong() {
        let mut histogram = Histogram::of(0, 9_999_999, 10);
        [0, 999_999, 1_000_000, 9_999_999, 10_000_000, -1].iter().for_each(|ts_us| histogram.count(*ts_us));
        assert_eq!(histogram.buckets, [2, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
    }
}
