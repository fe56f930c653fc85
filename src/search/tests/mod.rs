//! What a person who searches sees: which lines are found, and what is said of a query that is none.

mod finding;
mod mistakes;
mod narrowing;
mod naughty;

use super::*;

/// A line of a run of the function `orders`.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) message: String,
    pub(super) request_id: String,
    pub(super) function: String,
    pub(super) kind: &'static str,
    pub(super) log_time_ms: f64,
}

pub(super) const ID: &str = "4ca7089c-3bb0-48cf-bcdb-26d130fed2ae";

impl Line {
    pub(super) fn new(message: &str) -> Line {
        Line {
            message: message.to_owned(),
            request_id: ID.to_owned(),
            function: "orders-EU".to_owned(),
            kind: "Custom",
            log_time_ms: 1_769_860_800_000.0,
        }
    }
}

impl Subject for Line {
    fn message(&self) -> &str {
        &self.message
    }

    fn field(&self, field: Field) -> Value<'_> {
        match field {
            Field::FunctionName => Value::Text(&self.function),
            Field::Namespace => Value::Text("default"),
            Field::RequestId => Value::Text(&self.request_id),
            Field::Alias => Value::Text(""),
            Field::Qualifier => Value::Text("$LATEST"),
            Field::StartTime => Value::Number(self.log_time_ms - 12.0),
            Field::LogTime => Value::Number(self.log_time_ms),
            Field::Duration => Value::Number(12.5),
            Field::MemUsage => Value::Number(29.734375),
            Field::Level => Value::Text("INFO"),
            Field::Message => Value::Text(&self.message),
            Field::Type => Value::Text(self.kind),
            Field::StatusCode => Value::Number(433.0),
            Field::RetryNum => Value::Number(0.0),
        }
    }
}

pub(super) fn query(text: &str) -> Query {
    Query::parse(text, Case::Ignored).unwrap_or_else(|mistake| panic!("{text}: {mistake}"))
}

/// Whether the query finds the line, after a look at the promises that hold for every pair of them.
pub(super) fn finds(query: &Query, line: &Line) -> bool {
    let found = query.matches(line);
    if found {
        let mut has = Vec::new();
        words::index(&line.message, |word| has.push(word.to_owned()));
        assert!(
            admits(&query.narrow(), &has),
            "{query:?} finds {line:?}, of which the index knows {has:?} only"
        );
        assert!(is_within(&query.bounds(), line), "{query:?} finds {line:?}");
    }
    found
}

fn admits(narrow: &Narrow, has: &[String]) -> bool {
    match narrow {
        Narrow::Any => true,
        Narrow::Word(word) => has.contains(word),
        Narrow::Prefix(prefix) => has.iter().any(|word| word.starts_with(prefix)),
        Narrow::All(all) => all.iter().all(|one| admits(one, has)),
        Narrow::One(ones) => ones.iter().any(|one| admits(one, has)),
    }
}

fn is_within(bounds: &Bounds, line: &Line) -> bool {
    let forms =
        |id: &RequestId| [id.clone(), id.other_form()].iter().any(|id| id.as_str() == line.request_id);
    let time_us = line.log_time_ms * 1000.0;
    bounds.request_id.as_ref().is_none_or(forms)
        && bounds.function.as_ref().is_none_or(|function| *function == line.function)
        && bounds.since_us.is_none_or(|since| time_us >= since as f64)
        && bounds.until_us.is_none_or(|until| time_us <= until as f64)
}
