//! Lengths of time as people type them: `250ms`, `10s`, `15m`, `2h`, `7d`, or several together, `1h30m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time that was typed; prints as it would be typed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length(pub Duration);

/// Units from the longest, in milliseconds. `ms` stands before `m` so that it is not read as minutes.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("ms", 1), ("m", 60_000), ("s", 1000)];

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Length, String> {
        let wrong = || format!("{text:?} is no length of time; write 250ms, 10s, 15m, 2h, 7d or 1h30m");
        let mut rest = text;
        let mut total_ms = 0u64;
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let count: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            let (unit, unit_ms) = unit_of(&rest[digits..]).ok_or_else(wrong)?;
            total_ms =
                count.checked_mul(unit_ms).and_then(|ms| total_ms.checked_add(ms)).ok_or_else(wrong)?;
            rest = &rest[digits + unit.len()..];
        }
        if text.is_empty() { Err(wrong()) } else { Ok(Length(Duration::from_millis(total_ms))) }
    }
}

fn unit_of(text: &str) -> Option<(&'static str, u64)> {
    UNITS.into_iter().find(|(unit, _)| text.starts_with(unit))
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left_ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if left_ms == 0 {
            return f.write_str("0s");
        }
        for (unit, unit_ms) in [UNITS[0], UNITS[1], UNITS[3], UNITS[4], UNITS[2]] {
            if left_ms >= unit_ms {
                write!(f, "{}{unit}", left_ms / unit_ms)?;
                left_ms %= unit_ms;
            }
        }
        Ok(())
    }
}

impl<'de> serde::Deserialize<'de> for Length {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Length, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_written_alike() {
        for (text, ms) in [
            ("250ms", 250),
            ("10s", 10_000),
            ("15m", 900_000),
            ("2h", 7_200_000),
            ("7d", 604_800_000),
            ("1h30m", 5_400_000),
            ("1s5ms", 1005),
            ("0s", 0),
        ] {
            let length: Length = text.parse().unwrap();
            assert_eq!(length, Length(Duration::from_millis(ms)), "{text}");
            assert_eq!(length.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_length_is_refused() {
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "10 s",
            "10x",
            "1m2",
            "99999999999999999999s",
            "999999999999999999d",
        ] {
            assert!(text.parse::<Length>().is_err(), "{text}");
        }
    }
}
