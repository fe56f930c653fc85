//! What narrows a search beside words: conditions that every match meets, so only those of which the whole query is made by
//! AND.

use std::ops::Bound;

use crate::search::Bounds;
use crate::search::expr::{Expr, Key, Test};
use crate::search::field::Field;
use crate::search::number::Number;
use crate::search::value::Operand;

pub(super) fn of(expr: &Expr) -> Bounds {
    let mut bounds = Bounds::default();
    bounds.take(expr);
    bounds
}

impl Bounds {
    /// Takes a part that every match meets.
    fn take(&mut self, expr: &Expr) {
        match expr {
            Expr::All(all) => all.iter().for_each(|one| self.take(one)),
            Expr::Run(id, None) => _ = self.request_id.get_or_insert_with(|| id.clone()),
            Expr::Test(Key::Field(Field::FunctionName), Test::Is(name)) => {
                self.function.get_or_insert_with(|| name.text.clone());
            }
            Expr::Test(Key::Field(Field::LogTime), test) => self.take_time(test),
            _ => {}
        }
    }

    /// A field says milliseconds and the bounds say microseconds, so that the later one takes in the whole last
    /// millisecond; [`matches`](crate::search::Query::matches) is exact.
    fn take_time(&mut self, test: &Test) {
        let (low, high) = match test {
            Test::Between(low, high) => (millis(low), millis(high)),
            Test::Is(time) => {
                (millis(&Bound::Included(time.clone())), millis(&Bound::Included(time.clone())))
            }
            _ => return,
        };
        let since = low.map(|low| low.saturating_mul(1000));
        let until = high.map(|high| high.saturating_mul(1000).saturating_add(999));
        self.since_us = self.since_us.max(since);
        self.until_us = [self.until_us, until].into_iter().flatten().min();
    }
}

/// The end in milliseconds, if it is a whole number of them.
fn millis(end: &Bound<Operand>) -> Option<i64> {
    let (Bound::Included(operand) | Bound::Excluded(operand)) = end else { return None };
    let Some(Number::Integer(millis)) = operand.number else { return None };
    i64::try_from(millis).ok()
}
