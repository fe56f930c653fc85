//! Times as the API writes them: wall clock of Beijing, without a zone (contract 6.0).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::api::tencent::fault::Fault;

const SECONDS: &str = "%Y-%m-%d %H:%M:%S";

const BEIJING: Offset = Offset::constant(8);

fn print(us: i64, format: &str) -> String {
    let instant = Timestamp::from_microsecond(us).unwrap_or_default();
    BEIJING.to_datetime(instant).strftime(format).to_string()
}

/// `2026-01-31 20:00:00`.
pub(super) fn of(us: i64) -> String {
    print(us, SECONDS)
}

/// `2026-01-31 20:00:00.123456`; empty for 0, which is not yet.
pub(super) fn with_micros(us: i64) -> String {
    if us == 0 { String::new() } else { print(us, "%Y-%m-%d %H:%M:%S.%6f") }
}

/// Reads a time, with or without a fraction; microseconds since the epoch.
pub(super) fn read(name: &str, text: &str) -> Result<i64, Fault> {
    let wrong = || {
        let sentence = format!("{name} must be YYYY-MM-DD HH:MM:SS, Beijing time");
        Fault::new("InvalidParameterValue.DateTime", sentence)
    };
    let civil = DateTime::strptime("%Y-%m-%d %H:%M:%S%.f", text).map_err(|_| wrong())?;
    let instant = BEIJING.to_timestamp(civil).map_err(|_| wrong())?;
    Ok(instant.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_eight_hours_ahead() {
        assert_eq!(of(1_700_000_000_000_000), "2023-11-15 06:13:20");
        assert_eq!(with_micros(1_700_000_000_123_456), "2023-11-15 06:13:20.123456");
        assert_eq!(read("StartTime", "2023-11-15 06:13:20").unwrap(), 1_700_000_000_000_000);
        assert_eq!(read("StartTime", "2023-11-15 06:13:20.5").unwrap(), 1_700_000_000_500_000);
        for wrong in ["", "2023-11-15", "2023-11-15T06:13:20Z", "2023-13-15 06:13:20", "now"] {
            assert_eq!(
                read("StartTime", wrong).unwrap_err().code,
                "InvalidParameterValue.DateTime",
                "{wrong}"
            );
        }
    }
}
