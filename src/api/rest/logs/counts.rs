//! `/v1/logs/histogram` and `/v1/logs/facets`: how many lines there are.

use serde::Serialize;

use crate::api::rest::Rest;
use crate::api::rest::answer;
use crate::api::rest::call::Call;
use crate::api::rest::logs::asked;
use crate::error::{Error, Result};
use crate::http::response::Response;
use crate::model::buckets::Buckets;
use crate::service::search::counts::{Facets, Histogram};

/// Stretches of time unless asked otherwise, and at most.
const BUCKETS: u32 = 60;
const BUCKETS_MAX: u32 = 1000;

#[derive(Serialize)]
struct HistogramBody {
    from_us: i64,
    bucket_us: i64,
    lines: u64,
    buckets: Vec<u64>,
    partial: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_us: Option<i64>,
}

#[derive(Serialize)]
struct FacetsBody<'a> {
    lines: u64,
    function: Vec<ValueBody<'a>>,
    level: Vec<ValueBody<'a>>,
    status: Vec<ValueBody<'a>>,
    version: Vec<ValueBody<'a>>,
    partial: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_us: Option<i64>,
}

#[derive(Serialize)]
struct ValueBody<'a> {
    value: &'a str,
    lines: u64,
}

fn body_of(values: &[(String, u64)]) -> Vec<ValueBody<'_>> {
    values.iter().map(|(value, lines)| ValueBody { value, lines: *lines }).collect()
}

pub(in crate::api::rest) fn histogram(rest: &Rest, call: Call) -> Result<Response> {
    let buckets = match call.query.number("buckets")?.unwrap_or(BUCKETS) {
        buckets @ 1..=BUCKETS_MAX => buckets,
        buckets => return Err(Error::invalid(format!("buckets must be 1 to {BUCKETS_MAX}, not {buckets}"))),
    };
    let asked = asked(rest, &call)?;
    let Histogram { buckets, lines, is_partial, stopped_us } =
        rest.parts.logs.histogram(&asked, buckets, rest.parts.clock.wall_us())?;
    let Buckets { from_us, bucket_us, .. } = buckets;
    let (all, partial) = (lines.iter().sum(), is_partial);
    let body = HistogramBody { from_us, bucket_us, lines: all, buckets: lines, partial, stopped_us };
    Ok(answer::json(200, &body))
}

pub(in crate::api::rest) fn facets(rest: &Rest, call: Call) -> Result<Response> {
    let Facets { function, level, status, version, lines, is_partial, stopped_us } =
        rest.parts.logs.facets(&asked(rest, &call)?)?;
    let body = FacetsBody {
        lines,
        function: body_of(&function),
        level: body_of(&level),
        status: body_of(&status),
        version: body_of(&version),
        partial: is_partial,
        stopped_us,
    };
    Ok(answer::json(200, &body))
}
