//! Aliases: names for versions, which may be moved, and which may send a part of what comes to another version (contract 6.7).
//!
//! Chance comes in from outside, as a number, so that where a run goes can be tried.

use std::fmt;

use crate::error::{Error, Result};
use crate::model::function::{LATEST, is_word};
use crate::model::limits;

/// The alias that every function has; it means `$LATEST` until somebody moves it.
pub const DEFAULT: &str = "$DEFAULT";

/// An alias's name: 1 to [`limits::ALIAS_CHARS_MAX`] letters, digits, `-` and `_`, beginning with a letter; or [`DEFAULT`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AliasName(String);

impl AliasName {
    /// Checks the grammar.
    pub fn parse(text: &str) -> Result<AliasName> {
        if text == DEFAULT || (is_word(text) && text.len() <= limits::ALIAS_CHARS_MAX) {
            return Ok(AliasName(text.to_owned()));
        }
        Err(Error::invalid(format!(
            "alias must be 1 to {} letters, digits, '-' or '_', and begin with a letter",
            limits::ALIAS_CHARS_MAX
        )))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the one that every function has.
    pub fn is_default(&self) -> bool {
        self.0 == DEFAULT
    }
}

impl fmt::Display for AliasName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name for a version.
#[derive(Clone, Debug, PartialEq)]
pub struct Alias {
    /// Its name, unique in its function.
    pub name: AliasName,
    /// The version it stands for: `$LATEST` or a number.
    pub version: String,
    /// The version that gets a part of what comes, if one does.
    pub other: Option<Other>,
    /// Free text.
    pub description: String,
    /// When it was made, microseconds since the epoch.
    pub created_us: i64,
    /// When it was last changed, microseconds since the epoch.
    pub modified_us: i64,
}

/// The other version an alias sends to, and what of all that comes.
#[derive(Clone, Debug, PartialEq)]
pub struct Other {
    /// The version.
    pub version: String,
    /// What goes there.
    pub share: Share,
}

/// What of an alias's runs goes to its other version.
#[derive(Clone, Debug, PartialEq)]
pub enum Share {
    /// A part of them, 0 to 1, by chance.
    Weight(f64),
    /// Those whose routing key matches.
    Match(Match),
}

/// A rule about one value of the routing key.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// Which value: `invoke.headers.` and its name.
    pub key: String,
    /// How it is compared.
    pub method: Method,
    /// What with, as it was written.
    pub expression: String,
}

/// How a routing value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// It is that text.
    Exact,
    /// It is a whole number in that range: `[a,b]` with its ends, `(a,b)` without them.
    Range,
}

impl Method {
    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Exact => "exact",
            Method::Range => "range",
        }
    }

    /// The method of that word.
    pub fn parse(word: &str) -> Option<Method> {
        [Method::Exact, Method::Range].into_iter().find(|method| method.as_str() == word)
    }
}

/// What a caller says of himself, for aliases that send by it: names and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutingKey(pub Vec<(String, String)>);

/// What every key of a rule begins with.
const KEY_PREFIX: &str = "invoke.headers.";

impl Alias {
    /// Checks what the constructor cannot: versions, the other one's share, the description.
    pub fn check(&self) -> Result<()> {
        check_version("version", &self.version)?;
        crate::model::namespace::check_description(&self.description)?;
        let Some(other) = &self.other else { return Ok(()) };
        check_version("the other version", &other.version)?;
        if other.version == self.version {
            return Err(Error::invalid("the other version must not be the alias's own"));
        }
        match &other.share {
            Share::Weight(weight) if (0.0..=1.0).contains(weight) => Ok(()),
            Share::Weight(_) => Err(Error::invalid("weight must be 0 to 1")),
            Share::Match(rule) => rule.check(),
        }
    }

    /// The version that one run goes to; `chance` is 0 to below 1.
    pub fn choose(&self, chance: f64, key: &RoutingKey) -> &str {
        match &self.other {
            Some(Other { version, share }) if share.takes(chance, key) => version,
            _ => &self.version,
        }
    }

    /// Whether it sends anything to that version.
    pub fn names(&self, version: &str) -> bool {
        self.version == version || self.other.as_ref().is_some_and(|other| other.version == version)
    }
}

impl Share {
    fn takes(&self, chance: f64, key: &RoutingKey) -> bool {
        match self {
            Share::Weight(weight) => chance < *weight,
            Share::Match(rule) => rule.matches(key),
        }
    }
}

impl Match {
    fn check(&self) -> Result<()> {
        let name = self.key.strip_prefix(KEY_PREFIX).unwrap_or_default();
        if name.is_empty() || self.key.len() > limits::ROUTING_KEY_BYTES_MAX {
            return Err(Error::invalid(format!("a rule's key must be {KEY_PREFIX} and a name")));
        }
        if self.expression.is_empty() || self.expression.len() > limits::ROUTING_KEY_BYTES_MAX {
            return Err(Error::invalid("a rule's expression must not be empty or longer than a routing key"));
        }
        if self.method == Method::Range && Range::parse(&self.expression).is_none() {
            return Err(Error::invalid("a range must be (a,b) or [a,b] with whole numbers"));
        }
        Ok(())
    }

    fn matches(&self, key: &RoutingKey) -> bool {
        let Some(name) = self.key.strip_prefix(KEY_PREFIX) else { return false };
        let Some((_, value)) = key.0.iter().find(|(known, _)| known == name) else { return false };
        match self.method {
            Method::Exact => *value == self.expression,
            Method::Range => {
                let range = Range::parse(&self.expression);
                value.trim().parse().is_ok_and(|number| range.is_some_and(|range| range.contains(number)))
            }
        }
    }
}

/// A range of whole numbers, both ends within it or both without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    from: i64,
    to: i64,
    has_ends: bool,
}

impl Range {
    fn parse(text: &str) -> Option<Range> {
        let text = text.trim();
        let (inner, has_ends) = match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => (inner, true),
            None => (text.strip_prefix('(')?.strip_suffix(')')?, false),
        };
        let (from, to) = inner.split_once(',')?;
        let range = Range { from: from.trim().parse().ok()?, to: to.trim().parse().ok()?, has_ends };
        (range.from <= range.to).then_some(range)
    }

    fn contains(self, number: i64) -> bool {
        if self.has_ends {
            (self.from..=self.to).contains(&number)
        } else {
            self.from < number && number < self.to
        }
    }
}

fn check_version(field: &str, text: &str) -> Result<()> {
    if text == LATEST || is_number(text) {
        return Ok(());
    }
    Err(Error::invalid(format!("{field} must be {LATEST} or the number of a published version")))
}

/// Whether that is how a published version is written: digits, the first of them no zero.
pub fn is_number(text: &str) -> bool {
    (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(other: Option<Other>) -> Alias {
        let name = AliasName::parse("prod").unwrap();
        Alias { name, version: "1".into(), other, description: String::new(), created_us: 0, modified_us: 0 }
    }

    fn weighted(weight: f64) -> Alias {
        alias(Some(Other { version: "2".into(), share: Share::Weight(weight) }))
    }

    fn matched(method: Method, expression: &str) -> Alias {
        let rule = Match { key: "invoke.headers.User".into(), method, expression: expression.into() };
        alias(Some(Other { version: "2".into(), share: Share::Match(rule) }))
    }

    fn key(value: &str) -> RoutingKey {
        RoutingKey(vec![("Other".into(), "x".into()), ("User".into(), value.into())])
    }

    #[test]
    fn names_follow_the_grammar() {
        for good in ["a", "prod", "Prod-1_x", "$DEFAULT", &"a".repeat(64)] {
            assert!(AliasName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "1a", "$LATEST", "-a", "a b", "ä", &"a".repeat(65)] {
            assert!(AliasName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_weight_is_the_part_that_goes_to_the_other_version() {
        let none = RoutingKey::default();
        for (weight, chance, expected) in
            [(0.0, 0.0, "1"), (0.1, 0.09, "2"), (0.1, 0.1, "1"), (1.0, 0.999, "2"), (0.5, 0.7, "1")]
        {
            assert_eq!(weighted(weight).choose(chance, &none), expected, "{weight} {chance}");
        }
        assert_eq!(alias(None).choose(0.0, &none), "1");
    }

    #[test]
    fn a_rule_sends_whom_it_matches() {
        for (method, expression, value, expected) in [
            (Method::Exact, "Bob", "Bob", "2"),
            (Method::Exact, "Bob", "bob", "1"),
            (Method::Range, "[1,10]", "1", "2"),
            (Method::Range, "[1,10]", "10", "2"),
            (Method::Range, "(1,10)", "10", "1"),
            (Method::Range, "(1,10)", "9", "2"),
            (Method::Range, "( -5 , 5 )", "-4", "2"),
            (Method::Range, "[1,10]", "x", "1"),
        ] {
            let alias = matched(method, expression);
            alias.check().unwrap();
            assert_eq!(alias.choose(0.5, &key(value)), expected, "{expression} {value}");
            assert_eq!(alias.choose(0.5, &RoutingKey::default()), "1");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let refused = |alias: Alias| assert!(alias.check().is_err(), "{alias:?}");
        assert!(weighted(0.5).check().is_ok());
        refused(weighted(1.5));
        refused(weighted(-0.1));
        refused(weighted(f64::NAN));
        refused(Alias { version: "2".into(), ..weighted(0.5) });
        for version in ["", "0", "01", "x", "$DEFAULT", "1234567890"] {
            refused(Alias { version: version.into(), ..alias(None) });
        }
        for range in ["", "1,2", "[1,2)", "[2,1]", "[a,b]", "[1]"] {
            refused(matched(Method::Range, range));
        }
    }
}
