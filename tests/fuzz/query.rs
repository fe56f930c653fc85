//! Queries and lines. The first line of an input is the query, the rest is the line of a log; a query that begins with a `!`
//! more is one in which case matters. Looked for are panics, what takes too long, and a line that is found although what is
//! known of all matches ([`Query::narrow`], [`Query::bounds`]) leaves it out.

#![no_main]

use fnlite::search::field::{Field, Value};
use fnlite::search::narrow::Narrow;
use fnlite::search::{Case, Query, Subject, words};
use libfuzzer_sys::fuzz_target;

const ID: &str = "4ca7089c-3bb0-48cf-bcdb-26d130fed2ae";
const FUNCTION: &str = "orders";
const LOG_TIME_MS: f64 = 1_769_860_800_000.0;

struct Line<'a>(&'a str);

impl Subject for Line<'_> {
    fn message(&self) -> &str {
        self.0
    }

    fn field(&self, field: Field) -> Value<'_> {
        match field {
            Field::FunctionName => Value::Text(FUNCTION),
            Field::RequestId => Value::Text(ID),
            Field::LogTime => Value::Number(LOG_TIME_MS),
            Field::Alias => Value::Text(""),
            Field::Message => Value::Text(self.0),
            Field::Duration | Field::MemUsage | Field::StatusCode | Field::RetryNum => Value::Number(12.5),
            _ => Value::Text("Custom"),
        }
    }
}

fuzz_target!(|input: &str| {
    let (text, message) = input.split_once('\n').unwrap_or((input, ""));
    let (text, case) = text.strip_prefix('!').map_or((text, Case::Ignored), |text| (text, Case::Matters));
    match Query::parse(text, case) {
        Ok(query) if query.matches(&Line(message)) => check(&query, message),
        Ok(_) => {}
        Err(mistake) => assert!((1..=text.chars().count() + 1).contains(&mistake.column), "{mistake}"),
    }
});

fn check(query: &Query, message: &str) {
    let mut has = Vec::new();
    words::index(message, |word| has.push(word.to_owned()));
    assert!(admits(&query.narrow(), &has), "{query:?} finds {message:?}");
    let bounds = query.bounds();
    let time_us = LOG_TIME_MS * 1000.0;
    assert!(bounds.request_id.is_none_or(|id| id.as_str() == ID || id.other_form().as_str() == ID));
    assert!(bounds.function.is_none_or(|function| function == FUNCTION));
    assert!(bounds.since_us.is_none_or(|since| since as f64 <= time_us));
    assert!(bounds.until_us.is_none_or(|until| until as f64 >= time_us));
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
