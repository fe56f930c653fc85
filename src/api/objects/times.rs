//! Times as COS writes them.

use jiff::Timestamp;
use jiff::tz::Offset;

/// In lists: `2026-11-24T02:05:00.000Z`.
pub(super) fn iso(at_us: i64) -> String {
    written(at_us, "%Y-%m-%dT%H:%M:%S.%3fZ")
}

/// In headers (RFC 9110 section 5.6.7).
pub(super) fn http(at_us: i64) -> String {
    written(at_us, "%a, %d %b %Y %H:%M:%S GMT")
}

fn written(at_us: i64, format: &str) -> String {
    let instant = Timestamp::from_microsecond(at_us).unwrap_or_default();
    Offset::UTC.to_datetime(instant).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_two_ways() {
        assert_eq!(iso(1_763_950_000_123_456), "2025-11-24T02:06:40.123Z");
        assert_eq!(http(1_763_950_000_999_999), "Mon, 24 Nov 2025 02:06:40 GMT");
    }
}
