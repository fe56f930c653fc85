//! `/v1/invocations/histogram`: what ran, by time.

use serde::Serialize;

use crate::api::rest::Rest;
use crate::api::rest::answer;
use crate::api::rest::call::Call;
use crate::error::{Error, Result};
use crate::http::response::Response;
use crate::service::logs::RunsByTimeAsked;
use crate::store::runs_by_time::RunBucket;

/// Stretches of time unless asked otherwise: an hour, which touches 61 minutes unless it begins with one.
const BUCKETS: u32 = 61;
/// The most of them: more than a chart has room for.
const BUCKETS_MAX: u32 = 500;

#[derive(Serialize)]
struct RunsByTimeBody {
    from_us: i64,
    bucket_us: i64,
    sampled: bool,
    buckets: Vec<BucketBody>,
}

#[derive(Serialize)]
struct BucketBody {
    runs: u64,
    failed: u64,
    p50_us: Option<i64>,
    p99_us: Option<i64>,
    max_us: Option<i64>,
}

pub(in crate::api::rest) fn histogram(rest: &Rest, call: Call) -> Result<Response> {
    let now_us = rest.parts.clock.wall_us();
    let buckets = match call.query.number("buckets")?.unwrap_or(BUCKETS) {
        buckets @ 1..=BUCKETS_MAX => buckets,
        buckets => return Err(Error::invalid(format!("buckets must be 1 to {BUCKETS_MAX}, not {buckets}"))),
    };
    let asked = RunsByTimeAsked {
        namespace: call.namespace()?,
        function: call.function_asked()?,
        since_us: call.instant("since", now_us)?,
        until_us: call.instant("until", now_us)?,
        buckets,
    };
    let found = rest.parts.logs.runs_by_time(&asked, now_us)?;
    let body = RunsByTimeBody {
        from_us: found.buckets.from_us,
        bucket_us: found.buckets.bucket_us,
        sampled: found.runs.iter().any(|bucket| bucket.is_sampled),
        buckets: found.runs.iter().map(BucketBody::of).collect(),
    };
    Ok(answer::json(200, &body))
}

impl BucketBody {
    fn of(bucket: &RunBucket) -> BucketBody {
        let RunBucket { runs, failed, p50_us, p99_us, max_us, .. } = *bucket;
        BucketBody { runs, failed, p50_us, p99_us, max_us }
    }
}
