//! Lines that are JSON objects: their first level. What is nested deeper counts as its text, as in the cloud's log service
//! (contract 5.1).
//!
//! Nothing is parsed into a tree: keys and strings are read, of all else the bytes are handed out as they came.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::search::value::Datum;

/// The first level of an object, in order; keys may come twice.
#[derive(Debug)]
pub(super) struct Object<'a>(Vec<(Text<'a>, &'a RawValue)>);

/// A string without its escapes; borrowed if it has none.
#[derive(Debug, serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Object<'a> {
    /// The object that the message is, if it is one.
    pub(super) fn parse(message: &'a str) -> Option<Object<'a>> {
        let is_likely = message.trim_start().starts_with('{');
        is_likely.then(|| serde_json::from_str(message).ok()).flatten()
    }

    /// What stands behind that key.
    pub(super) fn get<'s>(&'s self, name: &'s str) -> impl Iterator<Item = Datum<'a>> + 's {
        self.0.iter().filter(move |(key, _)| key.0 == name).map(|(_, value)| read(value))
    }
}

/// The keys and strings of a message that is an object, as far as they are written with escapes: without these, which a
/// search in the message itself would not see through.
pub(super) fn unescaped(message: &str) -> Vec<Cow<'_, str>> {
    let may_have =
        message.trim_start().starts_with('{') && memchr::memchr(b'\\', message.as_bytes()).is_some();
    let Some(Object(pairs)) = may_have.then(|| Object::parse(message)).flatten() else { return Vec::new() };
    let keys_and_values = pairs.into_iter().flat_map(|(key, value)| [Some(key.0), string(value)]);
    keys_and_values.flatten().filter(|text| matches!(text, Cow::Owned(_))).collect()
}

fn read(value: &RawValue) -> Datum<'_> {
    if let Some(text) = string(value) {
        return Datum::Text(text);
    }
    let text = value.get();
    if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        Datum::Written(text)
    } else {
        Datum::Other(text)
    }
}

/// What a string says. One that no text can say, because half of a surrogate pair is escaped in it, is none.
fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    let text: Text<'_> =
        value.get().starts_with('"').then(|| serde_json::from_str(value.get()).ok()).flatten()?;
    Some(text.0)
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<'de>, D::Error> {
        deserializer.deserialize_map(FirstLevel)
    }
}

struct FirstLevel;

impl<'de> Visitor<'de> for FirstLevel {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Object(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_by_key() {
        let line = r#" {"a":"x\u00e9","b":-1.50,"c":{"d":[1, 2]},"a":null,"e":"\ud800"} "#;
        let object = Object::parse(line).unwrap();
        for (key, values) in [
            ("a", vec![Datum::Text("xé".into()), Datum::Other("null")]),
            ("b", vec![Datum::Written("-1.50")]),
            ("c", vec![Datum::Other(r#"{"d":[1, 2]}"#)]),
            ("d", vec![]),
            ("e", vec![Datum::Other(r#""\ud800""#)]),
        ] {
            assert_eq!(object.get(key).collect::<Vec<_>>(), values, "{key}");
        }
    }

    #[test]
    fn what_is_no_object_has_no_keys() {
        for line in ["", "{", "[1]", "1", r#"{"a":1} x"#, r#"x {"a":1}"#, "{a:1}", r#"{"a":"#] {
            assert!(Object::parse(line).is_none(), "{line}");
        }
        assert_eq!(unescaped("{\"a\":\"\\n\"} x"), Vec::<Cow<'_, str>>::new());
    }

    #[test]
    fn deep_nesting_is_skipped_without_recursion() {
        let line = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(Object::parse(&line).unwrap().get("a").count(), 1);
    }
}
