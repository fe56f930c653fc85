//! The fields of a JSON body, each asked for by name, so that an error names it; what nobody asked for is refused.

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::base::json;
use crate::error::{Error, Result};

/// An object's fields in order, their values as they came.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    /// The path of the object within the body, for messages; empty for the body itself.
    of: String,
    fields: Vec<(String, &'a RawValue)>,
}

/// Names and values of an object as a list, so that order and repetitions survive.
pub(super) struct Pairs<T>(pub(super) Vec<(String, T)>);

impl<'a> Fields<'a> {
    /// The fields of a body, which must be a JSON object.
    pub(super) fn parse(body: &'a [u8]) -> Result<Fields<'a>> {
        json::check(body)
            .map_err(|why| Error::invalid(format!("the body must be JSON (RFC 8259): {why}")))?;
        let text = std::str::from_utf8(body).map_err(|_| Error::invalid("the body must be UTF-8"))?;
        Fields::of(String::new(), text)
    }

    fn of(of: String, text: &'a str) -> Result<Fields<'a>> {
        let wrong = || {
            Error::invalid(format!("{} must be a JSON object", if of.is_empty() { "the body" } else { &of }))
        };
        let Pairs(fields) = serde_json::from_str(text).map_err(|_| wrong())?;
        if let Some((name, _)) = fields.iter().enumerate().find_map(|(at, field)| {
            fields[..at].iter().any(|(earlier, _)| *earlier == field.0).then_some(field)
        }) {
            return Err(Error::invalid(format!("{} is given twice", path(&of, name))));
        }
        Ok(Fields { of, fields })
    }

    /// A field's value as it came, `null` counting as absent. It is then no longer there.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.fields.iter().position(|(given, _)| given == name)?;
        let (_, value) = self.fields.remove(at);
        (value.get() != "null").then_some(value)
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>> {
        self.parsed(name, "a string")
    }

    /// A whole number.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<u32>> {
        self.parsed(name, "a whole number from 0 to 4294967295")
    }

    /// A number.
    pub(super) fn fraction(&mut self, name: &str) -> Result<Option<f64>> {
        self.parsed(name, "a number")
    }

    /// `true` or `false`.
    pub(super) fn truth(&mut self, name: &str) -> Result<Option<bool>> {
        self.parsed(name, "true or false")
    }

    /// An object of texts.
    pub(super) fn texts(&mut self, name: &str) -> Result<Option<Vec<(String, String)>>> {
        let pairs: Option<Pairs<String>> = self.parsed(name, "an object of strings")?;
        Ok(pairs.map(|pairs| pairs.0))
    }

    /// A list of texts.
    pub(super) fn list(&mut self, name: &str) -> Result<Option<Vec<String>>> {
        self.parsed(name, "a list of strings")
    }

    /// An object within.
    pub(super) fn object(&mut self, name: &str) -> Result<Option<Fields<'a>>> {
        let of = path(&self.of, name);
        self.take(name).map(|value| Fields::of(of, value.get())).transpose()
    }

    /// Whether there is nothing, or nothing any more.
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Refuses what is left, naming it and what could have been meant.
    pub(super) fn nothing_else(&self, known: &[&str]) -> Result<()> {
        match self.fields.first() {
            None => Ok(()),
            Some((name, _)) => Err(Error::invalid(format!(
                "there is no field {}; there are: {}",
                path(&self.of, name),
                known.join(", ")
            ))),
        }
    }

    fn parsed<T: DeserializeOwned>(&mut self, name: &str, what: &str) -> Result<Option<T>> {
        let parse = |value: &RawValue| serde_json::from_str(value.get()).ok();
        match self.take(name) {
            None => Ok(None),
            Some(value) => match parse(value) {
                Some(parsed) => Ok(Some(parsed)),
                None => Err(Error::invalid(format!("{} must be {what}", path(&self.of, name)))),
            },
        }
    }
}

fn path(of: &str, name: &str) -> String {
    if of.is_empty() { name.to_owned() } else { format!("{of}.{name}") }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Pairs<T>, D::Error> {
        struct Gather<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Gather<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Pairs<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Gather(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_taken_by_name_and_order_is_kept() {
        let body = br#"{"a":"x","n":7,"none":null,"env":{"Z":"1","A":"2"},"in":{"b":"y"}}"#;
        let mut fields = Fields::parse(body).unwrap();
        assert_eq!(fields.text("a").unwrap(), Some("x".to_owned()));
        assert_eq!(fields.number("n").unwrap(), Some(7));
        assert_eq!(fields.text("none").unwrap(), None);
        let env = fields.texts("env").unwrap().unwrap();
        assert_eq!(env, [("Z".to_owned(), "1".to_owned()), ("A".to_owned(), "2".to_owned())]);
        let mut inner = fields.object("in").unwrap().unwrap();
        assert_eq!(inner.text("b").unwrap(), Some("y".to_owned()));
        assert!(inner.nothing_else(&[]).is_ok() && fields.nothing_else(&[]).is_ok());
    }

    #[test]
    fn errors_name_the_field() {
        let message = |body: &[u8], ask: fn(&mut Fields<'_>) -> Result<()>| {
            let asked = Fields::parse(body).and_then(|mut fields| ask(&mut fields));
            asked.unwrap_err().message
        };
        let number = |fields: &mut Fields<'_>| fields.number("n").map(drop);
        for wrong in [r#"{"n":"7"}"#, r#"{"n":-1}"#, r#"{"n":1.5}"#, r#"{"n":4294967296}"#] {
            assert!(message(wrong.as_bytes(), number).starts_with("n must be a whole number"), "{wrong}");
        }
        assert_eq!(message(br#"{"n":1,"n":2}"#, number), "n is given twice");
        assert_eq!(message(b"[]", number), "the body must be a JSON object");
        assert!(message(b"{", number).starts_with("the body must be JSON"));
        let inner = |fields: &mut Fields<'_>| fields.object("in")?.unwrap().nothing_else(&["b"]);
        assert_eq!(message(br#"{"in":{"c":1}}"#, inner), "there is no field in.c; there are: b");
    }
}
