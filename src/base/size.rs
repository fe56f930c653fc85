//! Sizes as people type them: `512MiB`, `2GiB`, `100KiB`, `4096B`, or `0`.

use std::fmt;
use std::str::FromStr;

/// A size in bytes that was typed; prints as it would be typed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// Units from the largest, in bytes. Only those of 1024: `MB` would be read as either.
const UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let wrong = || format!("{text:?} is no size; write 512MiB, 2GiB, 100KiB or 4096B");
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let count: u64 = text[..digits].parse().map_err(|_| wrong())?;
        let unit = &text[digits..];
        // Nothing is nothing in every unit.
        if count == 0 && unit.is_empty() {
            return Ok(Size(0));
        }
        let unit_bytes = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1;
        count.checked_mul(unit_bytes).map(Size).ok_or_else(wrong)
    }
}

impl fmt::Display for Size {
    /// In the largest unit that leaves no rest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.into_iter().find(|(_, bytes)| self.0 != 0 && self.0.is_multiple_of(*bytes));
        match whole {
            Some((unit, bytes)) => write!(f, "{}{unit}", self.0 / bytes),
            None => f.write_str("0"),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Size {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written_alike() {
        for (text, bytes) in [
            ("0", 0),
            ("4097B", 4097),
            ("100KiB", 102_400),
            ("512MiB", 536_870_912),
            ("2GiB", 2_147_483_648),
            ("1TiB", 1_099_511_627_776),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!(size, Size(bytes), "{text}");
            assert_eq!(size.to_string(), text);
        }
        assert_eq!("1024MiB".parse::<Size>().unwrap().to_string(), "1GiB");
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in
            ["", "10", "MiB", "-1MiB", "1.5GiB", "1 GiB", "1MB", "1gib", "99999999999999TiB", "1GiB1MiB"]
        {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
