//! One request that was let in.

use crate::api::auth::Caller;
use crate::api::rest::instant;
use crate::api::rest::query::Query;
use crate::error::{Error, Result};
use crate::http::body::Body;
use crate::http::head::Head;
use crate::http::request::LineWatch;
use crate::model::function::{FunctionName, Namespace};
use crate::model::query::PageLimit;

/// What a route's function is given.
#[derive(Debug)]
pub(super) struct Call {
    /// Who asks.
    pub(super) caller: Caller,
    /// The first variable part of the path, decoded; empty where the path has none.
    pub(super) part: String,
    /// The second one.
    pub(super) second: String,
    /// The query parameters.
    pub(super) query: Query,
    /// The head.
    pub(super) head: Head,
    /// The body.
    pub(super) body: Body,
    /// Whether the caller is still there; for requests that may take long.
    pub(super) line: Option<LineWatch>,
}

impl Call {
    /// The namespace asked in.
    pub(super) fn namespace(&self) -> Result<Namespace> {
        self.query.text("namespace").map_or_else(|| Ok(Namespace::default()), Namespace::parse)
    }

    /// The function named by the path.
    pub(super) fn function(&self) -> Result<FunctionName> {
        FunctionName::parse(&self.part)
    }

    /// The function named by a parameter.
    pub(super) fn function_asked(&self) -> Result<Option<FunctionName>> {
        let parse = |text| FunctionName::parse(text).map_err(|error| renamed(error, "name", "function"));
        self.query.text("function").map(parse).transpose()
    }

    /// The instant of a parameter, microseconds since the epoch.
    pub(super) fn instant(&self, field: &str, now_us: i64) -> Result<Option<i64>> {
        self.query.text(field).map(|text| instant::parse(field, text, now_us)).transpose()
    }

    /// The size of the page asked for.
    pub(super) fn limit(&self) -> Result<PageLimit> {
        let limit = self.query.number("limit")?;
        limit.map_or_else(|| Ok(PageLimit::default()), PageLimit::new)
    }

    /// The cursor of a list whose rows have numbers.
    pub(super) fn cursor(&self) -> Result<Option<i64>> {
        let parse = |text: &str| text.parse().ok().filter(|cursor| *cursor > 0);
        match self.query.text("cursor") {
            None => Ok(None),
            Some(text) => {
                let wrong = || Error::invalid("cursor must be the next_cursor of the page before");
                parse(text).map(Some).ok_or_else(wrong)
            }
        }
    }
}

/// The model speaks of its own field; here that field has another name.
pub(super) fn renamed(mut error: Error, from: &str, to: &str) -> Error {
    if let Some(rest) = error.message.strip_prefix(from) {
        error.message = format!("{to}{rest}");
    }
    error
}
