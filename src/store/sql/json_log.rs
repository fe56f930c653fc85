//! Lines that are JSON objects, and their first level. What is none gives nothing and never an error, since most lines are
//! none.

use std::fmt;

use rusqlite::types::Value;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Whether the text is a JSON object.
pub(super) fn is_object(text: &str) -> bool {
    may_be_object(text) && serde_json::from_str::<&RawValue>(text).is_ok()
}

/// The value of that key, as SQLite's `->>` gives it: texts and numbers as themselves, `true` and `false` as 1 and 0, what
/// has parts as JSON; nothing where there is no such key, or `null`. Of keys that are the same the first counts.
pub(super) fn value(text: &str, key: &str) -> Option<Value> {
    if !may_be_object(text) {
        return None;
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let found = deserializer.deserialize_map(Find(key)).ok()?;
    deserializer.end().ok()?;
    found.and_then(of_sql)
}

/// Spares the parser what begins as no object does.
fn may_be_object(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

fn of_sql(raw: &RawValue) -> Option<Value> {
    let text = raw.get();
    match text.as_bytes().first()? {
        b'n' => None,
        b't' => Some(Value::Integer(1)),
        b'f' => Some(Value::Integer(0)),
        b'"' => serde_json::from_str(text).ok().map(Value::Text),
        b'{' | b'[' => Some(Value::Text(text.to_owned())),
        _ => Some(text.parse().map_or_else(|_| Value::Real(text.parse().unwrap_or(0.0)), Value::Integer)),
    }
}

/// Finds one key and passes over everything else.
struct Find<'k>(&'k str);

impl<'de> Visitor<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(IsKey(is_it)) = map.next_key_seed(Key(self.0))? {
            if is_it && found.is_none() {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Compares a key without keeping it.
struct Key<'k>(&'k str);

struct IsKey(bool);

impl<'de> serde::de::DeserializeSeed<'de> for Key<'_> {
    type Value = IsKey;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<IsKey, D::Error> {
        let key = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Ok(IsKey(key == self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, key: &str, expected: Option<Value>) {
        assert_eq!(value(line, key), expected, "{line} {key}");
    }

    #[test]
    fn first_level_values_are_found() {
        let line = r#" {"level":"warn","n":7,"ms":1.5,"big":18446744073709551616,"ok":true,"no":false,"nil":null,
            "user":{"id":3,"level":"x"},"list":[1, 2],"caf\u00e9":"\u00fc","n":8} "#;
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        check(line, "level", text("warn"));
        check(line, "n", Some(Value::Integer(7)));
        check(line, "ms", Some(Value::Real(1.5)));
        check(line, "big", Some(Value::Real(18_446_744_073_709_551_616.0)));
        check(line, "ok", Some(Value::Integer(1)));
        check(line, "no", Some(Value::Integer(0)));
        check(line, "nil", None);
        check(line, "user", text(r#"{"id":3,"level":"x"}"#));
        check(line, "list", text("[1, 2]"));
        check(line, "café", text("ü"));
        check(line, "id", None);
        check(line, "", None);
        assert!(is_object(line));
    }

    #[test]
    fn what_is_no_object_gives_nothing() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        for line in
            ["", "text", "[1]", "{", r#"{"a":1"#, r#"{"a":1} x"#, r#"{"a":1}{}"#, "{a:1}", "null", "7"]
        {
            check(line, "a", None);
            assert!(!is_object(line), "{line}");
        }
        assert!(is_object(&deep), "depth is no reason");
        check(r#"{"a":"\ud800"}"#, "a", None);
    }
}
