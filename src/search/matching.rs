//! Does a line match.
//!
//! What must stay true: whatever is looked at beside the message and the fields is made when it is first needed, because
//! most lines of a scan are decided by their message alone.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::cmp::Ordering;
use std::ops::Bound;

use crate::base::id::RequestId;
use crate::search::Subject;
use crate::search::expr::{Expr, Key, Test};
use crate::search::field::{Field, Value};
use crate::search::object::{self, Object};
use crate::search::phrase::Phrase;
use crate::search::value::{Datum, Operand};

pub(super) fn matches(expr: &Expr, line: &dyn Subject) -> bool {
    Line { subject: line, object: OnceCell::new(), unescaped: OnceCell::new() }.meets(expr)
}

/// A line, and what is known of it.
struct Line<'a> {
    subject: &'a dyn Subject,
    object: OnceCell<Option<Object<'a>>>,
    unescaped: OnceCell<Vec<Cow<'a, str>>>,
}

impl Line<'_> {
    fn meets(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Every => true,
            Expr::All(all) => all.iter().all(|one| self.meets(one)),
            Expr::One(ones) => ones.iter().any(|one| self.meets(one)),
            Expr::Not(expr) => !self.meets(expr),
            Expr::Run(id, mention) => {
                self.is_of(id) || mention.as_ref().is_some_and(|phrase| self.mentions(phrase))
            }
            Expr::Test(Key::Message, Test::Contains(phrase, _)) => self.mentions(phrase),
            Expr::Test(Key::Message, test) => {
                passes(test, &Datum::Text(Cow::Borrowed(self.subject.message())))
            }
            Expr::Test(Key::Field(field), test) => passes(test, &self.subject.field(*field).into()),
            Expr::Test(Key::Json(name), test) => self.has(name, test),
        }
    }

    /// Whether the message has the phrase, as it is written or without the escapes of JSON.
    fn mentions(&self, phrase: &Phrase) -> bool {
        let message = self.subject.message();
        let unescaped = || self.unescaped.get_or_init(|| object::unescaped(message));
        phrase.is_in(message) || unescaped().iter().any(|text| phrase.is_in(text))
    }

    /// Whether the run is that one. The 32 digits of an ID are the same with dashes and without.
    fn is_of(&self, id: &RequestId) -> bool {
        match self.subject.field(Field::RequestId) {
            Value::Text(text) => digits(text).eq(digits(id.as_str())),
            Value::Number(_) => false,
        }
    }

    fn has(&self, name: &str, test: &Test) -> bool {
        let object = self.object.get_or_init(|| Object::parse(self.subject.message()));
        object.as_ref().is_some_and(|object| match test {
            Test::Exists => object.get(name).next().is_some(),
            _ => object.get(name).any(|datum| passes(test, &datum)),
        })
    }
}

fn passes(test: &Test, datum: &Datum<'_>) -> bool {
    match test {
        Test::Exists => !matches!(datum, Datum::Text(text) if text.is_empty()),
        Test::Contains(_, Some(number)) if datum.is_number() => {
            datum.number().and_then(|own| own.compare(*number)) == Some(Ordering::Equal)
        }
        Test::Contains(phrase, _) => phrase.is_in(&datum.text()),
        Test::Is(operand) => operand.is(datum),
        Test::Begins(operand) => operand.begins(datum),
        Test::Between(low, high) => {
            is_within(low, datum, Ordering::is_gt) && is_within(high, datum, Ordering::is_lt)
        }
        Test::Regex(regex) => regex.is_match(&datum.text()),
    }
}

fn digits(id: &str) -> impl Iterator<Item = u8> {
    id.bytes().filter(|byte| *byte != b'-').map(|byte| byte.to_ascii_lowercase())
}

/// Whether the datum lies on that side of an end.
fn is_within(end: &Bound<Operand>, datum: &Datum<'_>, is_inside: fn(Ordering) -> bool) -> bool {
    match end {
        Bound::Unbounded => true,
        Bound::Excluded(operand) => operand.order(datum).is_some_and(is_inside),
        Bound::Included(operand) => {
            operand.order(datum).is_some_and(|order| order.is_eq() || is_inside(order))
        }
    }
}
