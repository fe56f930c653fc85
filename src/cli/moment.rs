//! A moment as people type it: how long ago, or when.

use std::str::FromStr;

use crate::base::length::Length;
use crate::base::text;

/// `15m`, or `2026-01-31T12:00:00Z`, or seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// So long before now.
    Ago(Length),
    /// As the server reads it, which says what is wrong with it.
    At(String),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Moment, String> {
        let is_instant =
            text.contains(':') || (text.len() >= 9 && text.bytes().all(|byte| byte.is_ascii_digit()));
        match text.parse() {
            _ if is_instant => Ok(Moment::At(text.to_owned())),
            Ok(length) => Ok(Moment::Ago(length)),
            Err(_) => Err(format!(
                "{text:?} is neither how long ago (15m, 2h, 7d) nor a time such as 2026-01-31T12:00:00Z"
            )),
        }
    }
}

impl Moment {
    /// As the server is asked.
    pub(super) fn asked(&self, now_us: i64) -> String {
        match self {
            Moment::Ago(length) => text::before(now_us, *length),
            Moment::At(text) => text.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_ago_or_when() {
        let asked = |text: &str| text.parse::<Moment>().map(|moment| moment.asked(1_767_323_045_000_000));
        assert_eq!(asked("2026-01-31T12:00:00Z"), Ok("2026-01-31T12:00:00Z".to_owned()));
        assert_eq!(asked("1767323045"), Ok("1767323045".to_owned()));
        assert_eq!(asked("1h"), Ok(text::before(1_767_323_045_000_000, "1h".parse().unwrap())));
        assert!(asked("yesterday").unwrap_err().contains("neither how long ago"));
        assert!(asked("").is_err());
    }
}
