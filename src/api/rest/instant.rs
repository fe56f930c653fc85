//! Points in time as callers write them: RFC 3339, seconds since the epoch, or how long ago.

use crate::base::length::Length;
use crate::error::{Error, Result};

/// The microsecond that `text` means, seen from `now_us`; `field` is named in errors.
///
/// A blank where the offset's sign should be is a `+` that the query's decoding took away.
pub(super) fn parse(field: &str, text: &str, now_us: i64) -> Result<i64> {
    let found = if text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse::<i64>().ok().and_then(|seconds| seconds.checked_mul(1_000_000))
    } else if text.contains(':') {
        let fixed =
            text.rfind(' ').filter(|at| *at > 18).map(|at| format!("{}+{}", &text[..at], &text[at + 1..]));
        fixed
            .as_deref()
            .unwrap_or(text)
            .parse::<jiff::Timestamp>()
            .ok()
            .map(|instant| instant.as_microsecond())
    } else {
        let length = text.parse::<Length>().ok();
        length
            .and_then(|ago| i64::try_from(ago.0.as_micros()).ok())
            .and_then(|ago_us| now_us.checked_sub(ago_us))
    };
    found.ok_or_else(|| {
        Error::invalid(format!(
            "{field} must be a time such as 2026-01-31T12:00:00Z, seconds since 1970, or how long ago, such as 15m"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_ways_to_write_a_time() {
        let now_us = 1_700_000_000_000_000;
        for (text, expected) in [
            ("1700000000", Some(now_us)),
            ("2023-11-14T22:13:20Z", Some(now_us)),
            ("2023-11-14T22:13:20.000001Z", Some(now_us + 1)),
            ("2023-11-15T06:13:20+08:00", Some(now_us)),
            ("2023-11-15T06:13:20 08:00", Some(now_us)),
            ("15m", Some(now_us - 900_000_000)),
            ("1h30m", Some(now_us - 5_400_000_000)),
            ("", None),
            ("yesterday", None),
            ("-5m", None),
            ("2023-11-14", None),
            ("2023-11-14T22:13:20", None),
            ("99999999999999999999", None),
            ("9999999999999999", None),
            ("99999999999999999d", None),
        ] {
            assert_eq!(parse("since", text, now_us).ok(), expected, "{text}");
        }
    }
}
