//! `percentile`, `median` and their like.
//!
//! The numbers are put in order; p = 0 is the first, p = 100 the last, and between two of them the value goes in a straight
//! line (what other databases call `percentile_cont`). NULLs do not count; of no numbers the percentile is NULL.

use rusqlite::functions::{Aggregate, Context};
use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, Error};

use crate::store::sql::functions::PURE;

/// Adds them.
pub(super) fn add(conn: &Connection) -> rusqlite::Result<()> {
    conn.create_aggregate_function("percentile", 2, PURE, Percentile { name: "percentile", fixed: None })?;
    for (name, percent) in [("median", 50.0), ("p50", 50.0), ("p95", 95.0), ("p99", 99.0)] {
        conn.create_aggregate_function(name, 1, PURE, Percentile { name, fixed: Some(percent) })?;
    }
    Ok(())
}

/// One of the aggregates.
struct Percentile {
    name: &'static str,
    /// Where it has no argument for it.
    fixed: Option<f64>,
}

/// What was gathered.
#[derive(Debug, Default)]
struct Gathered {
    percent: Option<f64>,
    numbers: Vec<f64>,
}

impl Aggregate<Gathered, Option<f64>> for Percentile {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Gathered> {
        Ok(Gathered { percent: self.fixed, numbers: Vec::new() })
    }

    fn step(&self, context: &mut Context<'_>, gathered: &mut Gathered) -> rusqlite::Result<()> {
        if self.fixed.is_none() {
            let percent = self.percent(context.get_raw(1))?;
            if *gathered.percent.get_or_insert(percent) != percent {
                return Err(self.wrong("has one p for all rows"));
            }
        }
        match number(context.get_raw(0)) {
            Ok(number) => gathered.numbers.extend(number),
            Err(kind) => return Err(self.wrong(&format!("takes numbers, not {kind}"))),
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, gathered: Option<Gathered>) -> rusqlite::Result<Option<f64>> {
        let Gathered { percent, mut numbers } = gathered.unwrap_or_default();
        Ok(percent.and_then(|percent| percentile(&mut numbers, percent)))
    }
}

impl Percentile {
    fn percent(&self, value: ValueRef<'_>) -> rusqlite::Result<f64> {
        let percent = number(value).ok().flatten().filter(|percent| (0.0..=100.0).contains(percent));
        percent.ok_or_else(|| self.wrong("has a p from 0 to 100"))
    }

    fn wrong(&self, what: &str) -> Error {
        Error::UserFunctionError(format!("{}() {what}", self.name).into())
    }
}

/// A number, or NULL; of anything else what it is.
fn number(value: ValueRef<'_>) -> Result<Option<f64>, Type> {
    match value {
        ValueRef::Null => Ok(None),
        ValueRef::Real(number) => Ok(Some(number)),
        #[expect(
            clippy::cast_precision_loss,
            reason = "what SQLite does, too, where a number need not be whole"
        )]
        ValueRef::Integer(number) => Ok(Some(number as f64)),
        other => Err(other.data_type()),
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among numbers that fit in memory, from 0 on"
)]
fn percentile(numbers: &mut [f64], percent: f64) -> Option<f64> {
    let last = numbers.len().checked_sub(1)?;
    let place = percent / 100.0 * last as f64;
    let below = (place.floor() as usize).min(last);
    let (_, low, above) = numbers.select_nth_unstable_by(below, f64::total_cmp);
    let low = *low;
    // The next one is the smallest of those behind; there is none behind the last.
    let high = above.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    let part = place - below as f64;
    Some(if part > 0.0 { low + (high - low) * part } else { low })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(numbers: &[f64], percent: f64, expected: Option<f64>) {
        assert_eq!(percentile(&mut numbers.to_vec(), percent), expected, "{numbers:?} {percent}");
    }

    #[test]
    fn between_numbers_it_goes_in_a_straight_line() {
        check(&[], 50.0, None);
        check(&[7.0], 0.0, Some(7.0));
        check(&[7.0], 100.0, Some(7.0));
        let numbers = [40.0, 10.0, 30.0, 20.0];
        for (percent, expected) in [(0.0, 10.0), (25.0, 17.5), (50.0, 25.0), (90.0, 37.0), (100.0, 40.0)] {
            check(&numbers, percent, Some(expected));
        }
        check(&[1.0, f64::INFINITY], 0.0, Some(1.0));
        check(&[1.0, f64::INFINITY], 100.0, Some(f64::INFINITY));
    }
}
