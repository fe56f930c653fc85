//! Numbers as they are written in queries and lines. Integers are compared as such: ids of JSON lines are longer than what a
//! floating-point number tells apart.

use std::cmp::Ordering;

use jiff::Timestamp;

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// Without point and exponent.
    Integer(i128),
    /// Any other.
    Float(f64),
}

impl Number {
    /// The number that the whole text is, if it is one. Words such as `inf` and `nan` are words.
    pub(super) fn parse(text: &str) -> Option<Number> {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let integer = text.parse().map(Number::Integer);
        integer.or_else(|_| text.parse().map(Number::Float)).ok()
    }

    /// A time as RFC 3339 writes it, in milliseconds since the epoch.
    pub(super) fn parse_time(text: &str) -> Option<Number> {
        let time: Timestamp = text.parse().ok()?;
        Some(Number::Integer(i128::from(time.as_millisecond())))
    }

    /// Which one is greater.
    pub(super) fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Integer(own), Number::Integer(other)) => Some(own.cmp(&other)),
            _ => self.to_float().partial_cmp(&other.to_float()),
        }
    }

    fn to_float(self) -> f64 {
        match self {
            Number::Integer(integer) => integer as f64,
            Number::Float(float) => float,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_number() {
        for text in ["0", "-1", "+5", "1.50", "1e3", "9".repeat(60).as_str()] {
            assert!(Number::parse(text).is_some(), "{text}");
        }
        for text in ["", "-", "inf", "-inf", "nan", ".5", "1x", "0x10", "1 ", "1.2.3", "--1", "²"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn order() {
        for (less, greater) in
            [("1", "2"), ("-1.5", "-1"), ("9007199254740992", "9007199254740993"), ("9", "1e3")]
        {
            let [less, greater] = [less, greater].map(|text| Number::parse(text).unwrap());
            assert_eq!(less.compare(greater), Some(Ordering::Less));
            assert_eq!(greater.compare(less), Some(Ordering::Greater));
        }
        assert_eq!(Number::Integer(5).compare(Number::Float(5.0)), Some(Ordering::Equal));
        assert_eq!(Number::parse_time("1970-01-01T00:00:01.5Z"), Some(Number::Integer(1500)));
    }
}
