//! The moments of a timer: a checked cron expression in a time zone. Pure; the zones are those built into the program.
//!
//! Where clocks are set forward, what falls into the gap fires right after it; where they are set back, a fixed time fires once,
//! at its first occurrence.

use std::cmp::Ordering;
use std::fmt;

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::time::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use crate::error::{About, Error, Result};
use crate::model::cron::Cron;

/// Longest name of a time zone, characters.
const ZONE_CHARS_MAX: usize = 64;

/// A time zone of the IANA database, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(String);

impl Zone {
    /// The zone of that name, as `Europe/Berlin` or `UTC`. Fails with `Invalid`.
    pub fn parse(name: &str) -> Result<Zone> {
        if name.len() <= ZONE_CHARS_MAX && TimeZone::get(name).is_ok() {
            return Ok(Zone(name.to_owned()));
        }
        let name: String = name.chars().take(ZONE_CHARS_MAX).collect();
        let sentence =
            format!("the time zone must be one of the IANA database, such as Europe/Berlin, not {name}");
        Err(Error::invalid(sentence).about(About::Trigger))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Zone {
    /// The one that the cloud's timers go by (triggers 4).
    fn default() -> Zone {
        Zone("Asia/Shanghai".to_owned())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An expression in a zone, ready to be asked.
#[derive(Debug)]
pub struct Schedule {
    pattern: croner::Cron,
    zone: TimeZone,
}

impl Schedule {
    /// The moments of `cron` in `zone`.
    pub fn new(cron: &Cron, zone: &Zone) -> Result<Schedule> {
        let wrong = |_| Error::invalid(format!("{cron} is no cron expression")).about(About::Trigger);
        let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Required).build();
        let pattern = parser.parse(&cron.spelled_out()).map_err(wrong)?;
        let zone = TimeZone::get(&zone.0).map_err(|_| Error::invalid(format!("there is no zone {zone}")))?;
        Ok(Schedule { pattern, zone })
    }

    /// The first moment after that second; none if there is none any more. Seconds since the epoch.
    pub fn next_after(&self, second: i64) -> Option<i64> {
        let from = self.moment(second)?;
        self.pattern.find_next_occurrence(&from, false).ok().map(Moment::second)
    }

    /// The last moment until that second, which may be it itself. Seconds since the epoch.
    pub fn last_until(&self, second: i64) -> Option<i64> {
        let from = self.moment(second)?;
        self.pattern.find_previous_occurrence(&from, true).ok().map(Moment::second)
    }

    fn moment(&self, second: i64) -> Option<Moment> {
        Some(Moment { instant: Timestamp::from_second(second).ok()?, zone: self.zone.clone() })
    }
}

/// A moment as the searching of moments wants it.
#[derive(Clone, Debug)]
struct Moment {
    instant: Timestamp,
    zone: TimeZone,
}

impl Moment {
    fn second(self) -> i64 {
        self.instant.as_second()
    }

    fn at(&self, civil: DateTime, offset: Offset) -> std::result::Result<Moment, CronError> {
        let instant = offset.to_timestamp(civil).map_err(|_| CronError::InvalidDate)?;
        Ok(Moment { instant, zone: self.zone.clone() })
    }
}

impl CronDateTime for Moment {
    fn to_civil(&self) -> CivilDateTime {
        let part = |number: i8| u32::try_from(number).unwrap_or(0);
        let local = self.zone.to_datetime(self.instant);
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(i32::from(local.year()), part(local.month()), part(local.day())),
            CivilTime::from_parts_unchecked(part(local.hour()), part(local.minute()), part(local.second())),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        let from_sunday = self.zone.to_datetime(self.instant).weekday().to_sunday_zero_offset();
        Weekday::from_days_from_sunday(u32::try_from(from_sunday).unwrap_or(0))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> std::result::Result<Resolution<Moment>, CronError> {
        let part = |number: u32| i8::try_from(number).map_err(|_| CronError::InvalidDate);
        let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
        let civil = DateTime::new(
            year,
            part(civil.month())?,
            part(civil.day())?,
            part(civil.hour())?,
            part(civil.minute())?,
            part(civil.second())?,
            0,
        )
        .map_err(|_| CronError::InvalidDate)?;
        Ok(match self.zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => Resolution::Single(self.at(civil, offset)?),
            AmbiguousOffset::Fold { before, after } => {
                Resolution::Ambiguous(self.at(civil, before)?, self.at(civil, after)?)
            }
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Moment> {
        let instant = self.instant.checked_add(SignedDuration::from_secs(seconds)).ok()?;
        Some(Moment { instant, zone: self.zone.clone() })
    }

    fn cmp_instant(&self, other: &Moment) -> Ordering {
        self.instant.cmp(&other.instant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    fn print(second: Option<i64>) -> String {
        second.map_or("never".to_owned(), |second| Timestamp::from_second(second).unwrap().to_string())
    }

    fn schedule(cron: &str, zone: &str) -> Schedule {
        Schedule::new(&Cron::parse(cron).unwrap(), &Zone::parse(zone).unwrap()).unwrap()
    }

    /// The moments that follow one after another, in UTC.
    fn check(cron: &str, zone: &str, after: &str, expected: &[&str]) {
        let schedule = schedule(cron, zone);
        let mut at = second(after);
        for expected in expected {
            let next = schedule.next_after(at);
            assert_eq!(print(next), *expected, "{cron} in {zone}");
            let Some(next) = next else { return };
            assert_eq!(schedule.last_until(next), Some(next), "{cron} is a moment of its own");
            assert!(schedule.last_until(next - 1).is_none_or(|last| last <= at), "{cron} left none out");
            at = next;
        }
    }

    #[test]
    fn documented_expressions_mean_what_is_documented() {
        let at = "2026-11-24T02:05:00Z";
        check("*/5 * * * * * *", "UTC", at, &["2026-11-24T02:05:05Z", "2026-11-24T02:05:10Z"]);
        check("0 0 2 1 * * *", "UTC", at, &["2026-12-01T02:00:00Z", "2027-01-01T02:00:00Z"]);
        // Weekdays only: the 27th is a Friday.
        check(
            "0 15 10 * * MON-FRI *",
            "UTC",
            "2026-11-27T11:00:00Z",
            &["2026-11-30T10:15:00Z", "2026-12-01T10:15:00Z"],
        );
        check("0 0 10,14,16 * * * *", "UTC", at, &["2026-11-24T10:00:00Z", "2026-11-24T14:00:00Z"]);
        check("0 */30 9-17 * * * *", "UTC", at, &["2026-11-24T09:00:00Z", "2026-11-24T09:30:00Z"]);
        check("0 0 12 * * WED *", "UTC", at, &["2026-11-25T12:00:00Z", "2026-12-02T12:00:00Z"]);
        check("*/5 * * * *", "UTC", at, &["2026-11-24T02:10:00Z"]);
    }

    #[test]
    fn a_step_behind_a_number_goes_on_to_the_end() {
        check(
            "0 1/10 * * * * *",
            "UTC",
            "2026-11-24T02:45:00Z",
            &["2026-11-24T02:51:00Z", "2026-11-24T03:01:00Z", "2026-11-24T03:11:00Z"],
        );
    }

    #[test]
    fn steps_end_and_begin_where_the_cloud_has_them() {
        // The 28th is a Saturday. A week ends with Saturday, and has no other Sunday.
        let at = "2026-11-28T12:00:00Z";
        check("0 0 9 * * 1/2 *", "UTC", at, &["2026-11-30T09:00:00Z", "2026-12-02T09:00:00Z"]);
        check("0 0 9 * * FRI/2 *", "UTC", at, &["2026-12-04T09:00:00Z", "2026-12-11T09:00:00Z"]);
        check("0 0 9 * * 6/1 *", "UTC", at, &["2026-12-05T09:00:00Z", "2026-12-12T09:00:00Z"]);
        // Years are counted from 1970.
        check("0 0 9 1 1 * */2", "UTC", at, &["2028-01-01T09:00:00Z", "2030-01-01T09:00:00Z"]);
        check("0 0 9 1 1 * */4", "UTC", at, &["2030-01-01T09:00:00Z"]);
        check("0 0 9 1 1 * 2027/50", "UTC", at, &["2027-01-01T09:00:00Z", "2077-01-01T09:00:00Z", "never"]);
        check("0 0 9 10/10,31 * * *", "UTC", at, &["2026-11-30T09:00:00Z", "2026-12-10T09:00:00Z"]);
    }

    #[test]
    fn sunday_is_0() {
        check("0 0 0 * * 0 *", "UTC", "2026-11-24T00:00:00Z", &["2026-11-29T00:00:00Z"]);
        check("0 0 0 * * 1 *", "UTC", "2026-11-24T00:00:00Z", &["2026-11-30T00:00:00Z"]);
    }

    #[test]
    fn of_two_restricted_days_either_will_do() {
        // The 13th, or a Friday.
        check(
            "0 0 0 13 * FRI *",
            "UTC",
            "2026-11-08T00:00:00Z",
            &[
                "2026-11-13T00:00:00Z",
                "2026-11-20T00:00:00Z",
                "2026-11-27T00:00:00Z",
                "2026-12-04T00:00:00Z",
                "2026-12-11T00:00:00Z",
                "2026-12-13T00:00:00Z",
            ],
        );
        // A question mark leaves it to the other one.
        check(
            "0 5 21 ? * FRI *",
            "UTC",
            "2026-11-24T00:00:00Z",
            &["2026-11-27T21:05:00Z", "2026-12-04T21:05:00Z"],
        );
        check(
            "0 5 21 30 * ? *",
            "UTC",
            "2026-11-24T00:00:00Z",
            &["2026-11-30T21:05:00Z", "2026-12-30T21:05:00Z"],
        );
    }

    #[test]
    fn months_have_their_own_length() {
        check(
            "0 0 0 31 * * *",
            "UTC",
            "2026-11-24T00:00:00Z",
            &["2026-12-31T00:00:00Z", "2027-01-31T00:00:00Z", "2027-03-31T00:00:00Z"],
        );
        check("0 0 0 29 2 * *", "UTC", "2026-11-24T00:00:00Z", &["2028-02-29T00:00:00Z"]);
        check("0 0 0 31 2 * *", "UTC", "2026-11-24T00:00:00Z", &["never"]);
    }

    #[test]
    fn years_end() {
        check("0 0 0 1 1 * 2027", "UTC", "2026-11-24T00:00:00Z", &["2027-01-01T00:00:00Z", "never"]);
        check("0 0 0 1 1 * 2025", "UTC", "2026-11-24T00:00:00Z", &["never"]);
        let past = schedule("0 0 0 1 1 * 2025", "UTC").last_until(second("2026-11-24T00:00:00Z"));
        assert_eq!(print(past), "2025-01-01T00:00:00Z");
    }

    #[test]
    fn beijing_is_what_nobody_asks_for() {
        check("0 0 9 * * * *", Zone::default().as_str(), "2026-11-24T02:00:00Z", &["2026-11-25T01:00:00Z"]);
    }

    #[test]
    fn clocks_that_are_set_lose_nothing_and_fire_nothing_twice() {
        // Forward at 2 o'clock on 29 March 2026, back at 3 o'clock on 25 October.
        check(
            "0 30 2 * * * *",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        );
        check(
            "0 30 2 * * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        );
    }

    #[test]
    fn the_last_moment_is_found_from_far_away() {
        let daily = schedule("0 0 9 * * * *", "UTC");
        assert_eq!(print(daily.last_until(second("2026-11-24T08:59:59Z"))), "2026-11-23T09:00:00Z");
        assert_eq!(print(daily.last_until(second("2026-11-24T09:00:00Z"))), "2026-11-24T09:00:00Z");
    }

    #[test]
    fn zones_have_names() {
        for good in ["UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York"] {
            assert!(Zone::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "Mars/Olympus", "+08:00", "../etc/passwd", &"x".repeat(100)] {
            assert!(Zone::parse(bad).is_err(), "{bad}");
        }
    }
}
