//! What stands behind a key in a line, and what a query says it must be.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::search::number::Number;
use crate::search::phrase::in_case;
use crate::search::{Case, field};

/// What stands behind a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Datum<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// A number, as it is written.
    Written(&'a str),
    /// A number that we made ourselves.
    Float(f64),
    /// `true`, `false`, `null`, an array or an object, as it is written.
    Other(&'a str),
}

impl Datum<'_> {
    /// The text of it.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Datum::Text(text) => Cow::Borrowed(text),
            Datum::Written(text) | Datum::Other(text) => Cow::Borrowed(text),
            Datum::Float(number) => Cow::Owned(number.to_string()),
        }
    }

    /// The number, if it is one or a text that says one.
    pub(super) fn number(&self) -> Option<Number> {
        match self {
            Datum::Text(text) => Number::parse(text),
            Datum::Written(text) => Number::parse(text),
            Datum::Float(number) => Some(Number::Float(*number)),
            Datum::Other(_) => None,
        }
    }

    /// Whether it is a number, which a text that says one is not.
    pub(super) fn is_number(&self) -> bool {
        matches!(self, Datum::Written(_) | Datum::Float(_))
    }
}

impl<'a> From<field::Value<'a>> for Datum<'a> {
    fn from(value: field::Value<'a>) -> Datum<'a> {
        match value {
            field::Value::Text(text) => Datum::Text(Cow::Borrowed(text)),
            field::Value::Number(number) => Datum::Float(number),
        }
    }
}

/// What a query compares with.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operand {
    /// In lower case unless case matters.
    pub(super) text: String,
    /// The number that the text says.
    pub(super) number: Option<Number>,
    case: Case,
}

impl Operand {
    /// Text, or the number that it says.
    pub(super) fn new(text: &str, case: Case) -> Operand {
        Operand { number: Number::parse(text), ..Operand::text(text, case) }
    }

    /// Text, whatever it says.
    pub(super) fn text(text: &str, case: Case) -> Operand {
        Operand { text: in_case(text, case), number: None, case }
    }

    /// A number, however it was written.
    pub(super) fn number(number: Number, text: &str) -> Operand {
        Operand { text: text.to_owned(), number: Some(number), case: Case::Matters }
    }

    /// Whether the datum is that: the same number, or the same text.
    pub(super) fn is(&self, datum: &Datum<'_>) -> bool {
        match (self.number, datum.number()) {
            (Some(own), Some(other)) => own.compare(other) == Some(Ordering::Equal),
            _ => in_case(&datum.text(), self.case) == self.text,
        }
    }

    /// Whether the text of the datum begins so.
    pub(super) fn begins(&self, datum: &Datum<'_>) -> bool {
        in_case(&datum.text(), self.case).starts_with(&self.text)
    }

    /// How the datum is ordered beside this. Numbers are ordered beside numbers, and texts that are none beside texts; all
    /// else is in no order.
    pub(super) fn order(&self, datum: &Datum<'_>) -> Option<Ordering> {
        match self.number {
            Some(number) => datum.number()?.compare(number),
            None if matches!(datum, Datum::Text(_)) => {
                Some(in_case(&datum.text(), self.case).cmp(&self.text))
            }
            None => None,
        }
    }
}
