//! Query parameters: decoded, each known, each given once.

use crate::api::rest::route::Param;
use crate::base::percent;
use crate::error::{Error, Result};

/// The parameters of one request.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(&'static str, String)>);

impl Query {
    /// Parses what follows the `?`. Only parameters of `known` may occur, and each once unless it may be repeated.
    pub(super) fn parse(text: &str, known: &'static [Param]) -> Result<Query> {
        let mut parameters: Vec<(&'static str, String)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name)?;
            let param = known
                .iter()
                .find(|param| param.name == name && !param.is_header)
                .ok_or_else(|| unknown(&name, known))?;
            if !param.repeats && parameters.iter().any(|(given, _)| *given == param.name) {
                return Err(Error::invalid(format!("{name} is given twice")));
            }
            parameters.push((param.name, decode(&value.replace('+', " "))?));
        }
        Ok(Query(parameters))
    }

    /// The value of a parameter.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a parameter that may be repeated.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    /// The value as a whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u32>> {
        let parse = |text: &str| {
            text.parse().map_err(|_| Error::invalid(format!("{name} must be a whole number, not {text:?}")))
        };
        self.text(name).map(parse).transpose()
    }

    /// The value as `true` or `false`.
    pub(super) fn truth(&self, name: &str) -> Result<Option<bool>> {
        let parse = |text: &str| {
            text.parse().map_err(|_| Error::invalid(format!("{name} must be true or false, not {text:?}")))
        };
        self.text(name).map(parse).transpose()
    }

    /// The first parameter given that is none of `allowed`.
    pub(super) fn other_than(&self, allowed: &[&str]) -> Option<&'static str> {
        self.0.iter().map(|(name, _)| *name).find(|name| !allowed.contains(name))
    }
}

fn unknown(name: &str, known: &[Param]) -> Error {
    let in_query = known.iter().filter(|param| !param.is_header);
    let names: Vec<&str> = in_query.map(|param| param.name).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Error::invalid(format!("there is no query parameter {name:?} here; there are: {names}"))
}

/// Resolves percent escapes; what comes out must be UTF-8 without NUL.
pub(super) fn decode(text: &str) -> Result<String> {
    let wrong = || Error::invalid("a percent escape in the target is malformed or is not UTF-8");
    percent::decode(text).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Param] = &[Param::new("a", "", "{}"), Param::new("b", "", "{}").repeated()];

    fn check(text: &str, expected: std::result::Result<&[(&str, &str)], &str>) {
        let parsed = Query::parse(text, KNOWN).map(|query| query.0).map_err(|error| error.message);
        match expected {
            Ok(pairs) => {
                let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
                assert_eq!(parsed, Ok(pairs), "{text}");
            }
            Err(part) => assert!(parsed.clone().unwrap_err().contains(part), "{text}: {parsed:?}"),
        }
    }

    #[test]
    fn parameters_are_decoded() {
        check("", Ok(&[]));
        check("&a=1&", Ok(&[("a", "1")]));
        check("a", Ok(&[("a", "")]));
        check("a=%41+%2B%c3%a9", Ok(&[("a", "A +é")]));
        check("%61=x=y", Ok(&[("a", "x=y")]));
        check("b=1&b=2", Ok(&[("b", "1"), ("b", "2")]));
    }

    #[test]
    fn what_is_not_known_or_malformed_is_refused() {
        check("c=1", Err("\"c\" here; there are: a, b"));
        check("a=1&a=1", Err("a is given twice"));
        for wrong in ["a=%", "a=%4", "a=%zz", "a=%ff", "a=%00", "a=%+1"] {
            check(wrong, Err("percent escape"));
        }
    }
}
