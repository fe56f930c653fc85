//! Numbers as people read them. Pure: `now` comes in.

use jiff::Timestamp;

use crate::base::length::Length;

/// A length: `850 µs`, `1.24 ms`, `2.50 s`.
pub fn length(us: i64) -> String {
    match us {
        ..1000 => format!("{us} µs"),
        1000..1_000_000 => format!("{}.{:02} ms", us / 1000, us % 1000 / 10),
        _ => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
    }
}

/// How long ago `then_us` was: `just now`, `5 s ago`, `3 min ago`, `2 h ago`, `4 days ago`.
pub fn ago(now_us: i64, then_us: i64) -> String {
    let seconds = now_us.saturating_sub(then_us) / 1_000_000;
    match seconds {
        ..1 => "just now".to_owned(),
        1..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        86_400..172_800 => "yesterday".to_owned(),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// When `then_us` will be: `now`, `in 42 s`, `in 3 min`, `in 2 h`, `in 4 days`; rounded up, so that it is not too soon.
pub fn until(now_us: i64, then_us: i64) -> String {
    let seconds = u64::try_from(then_us.saturating_sub(now_us)).unwrap_or(0).div_ceil(1_000_000);
    match seconds {
        0 => "now".to_owned(),
        1..100 => format!("in {seconds} s"),
        100..6000 => format!("in {} min", seconds.div_ceil(60)),
        6000..172_800 => format!("in {} h", seconds.div_ceil(3600)),
        _ => format!("in {} days", seconds.div_ceil(86_400)),
    }
}

/// An instant in UTC to the millisecond, `2026-01-02 03:04:05.678`; what is no instant is shown as the number it is.
pub fn instant(us: i64) -> String {
    match Timestamp::from_microsecond(us) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S.%3f").to_string(),
        Err(_) => us.to_string(),
    }
}

/// The same to the second, with what it is of: `2026-01-02 03:04:05 UTC`.
pub fn second(us: i64) -> String {
    match Timestamp::from_microsecond(us) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => us.to_string(),
    }
}

/// The same as RFC 3339 writes it, for machines.
pub fn rfc3339(us: i64) -> String {
    Timestamp::from_microsecond(us).map_or_else(|_| String::new(), |time| time.to_string())
}

/// The time of day of an instant in UTC, to the millisecond.
pub fn clock(us: i64) -> String {
    instant(us).split(' ').next_back().unwrap_or_default().to_owned()
}

/// The instant `length` before now, as the API takes it: RFC 3339 in UTC.
pub fn before(now_us: i64, length: Length) -> String {
    let length_us = i64::try_from(length.0.as_micros()).unwrap_or(i64::MAX);
    let then = Timestamp::from_microsecond(now_us.saturating_sub(length_us)).unwrap_or(Timestamp::MIN);
    then.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// The first line of a text, for a table.
pub fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect()
}

/// A size: `17 B`, `1.2 KB`, `9.8 MB`, `51.5 GB`; rounded, as `invoke` rounds what the server tells it.
pub fn size(bytes: u64) -> String {
    let tenths = |unit: u64| bytes.saturating_mul(10).saturating_add(unit / 2) / unit;
    match (tenths(1024), tenths(1_048_576), tenths(1_073_741_824)) {
        _ if bytes < 1024 => format!("{bytes} B"),
        (kb @ ..10_240, ..) => format!("{}.{} KB", kb / 10, kb % 10),
        (_, mb @ ..10_240, _) => format!("{}.{} MB", mb / 10, mb % 10),
        (_, _, gb) => format!("{}.{} GB", gb / 10, gb % 10),
    }
}

/// The most memory a run was seen to use; none where it was not seen, as when it never began or ended by a signal.
pub fn memory(kb: u64) -> Option<String> {
    (kb > 0).then(|| size(kb.saturating_mul(1024)))
}

/// `1 run`, `2 runs`.
pub fn count(number: u32, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([length(850), length(1240), length(2_504_000)], ["850 µs", "1.24 ms", "2.50 s"]);
        assert_eq!([size(17), size(1230), size(10_276_100)], ["17 B", "1.2 KB", "9.8 MB"]);
        assert_eq!([size(1_073_741_824), size(55_350_000_000)], ["1.0 GB", "51.5 GB"]);
        assert_eq!([size(1_048_575), size(13_086_720), size(0)], ["1.0 MB", "12.5 MB", "0 B"]);
        assert_eq!([memory(0), memory(2048)], [None, Some("2.0 MB".to_owned())]);
        assert_eq!(instant(1_767_323_045_678_901), "2026-01-02 03:04:05.678");
        assert_eq!(clock(1_767_323_045_678_901), "03:04:05.678");
        let ago = |seconds: i64| ago(1_767_323_045_000_000, 1_767_323_045_000_000 - seconds * 1_000_000);
        assert_eq!(ago(-5), "just now");
        assert_eq!(
            [ago(5), ago(200), ago(7300), ago(90_000), ago(400_000)],
            ["5 s ago", "3 min ago", "2 h ago", "yesterday", "4 days ago"]
        );
        let until = |ms: i64| until(1_767_323_045_000_000, 1_767_323_045_000_000 + ms * 1000);
        assert_eq!([until(-5), until(0), until(1), until(42_000)], ["now", "now", "in 1 s", "in 42 s"]);
        assert_eq!(
            [until(170_000), until(7_300_000), until(400_000_000)],
            ["in 3 min", "in 3 h", "in 5 days"]
        );
    }
}
