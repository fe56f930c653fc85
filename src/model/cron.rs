//! When a timer fires: the cloud's cron expressions, strictly (triggers 4). Seven fields, `second minute hour day month week year`,
//! or the older five, `minute hour day month week`, which mean second 0 of any year.
//!
//! What other programs understand beyond that (`L`, `W`, `#`, 7 for Sunday) is refused, so that nothing fires at another time
//! here than it would in the cloud.

use std::fmt;

use crate::error::{About, Error, Result};

/// An expression that was checked, in its seven fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron(String);

/// A field: its name, its range, and the words that stand for its numbers, from the first on.
struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    words: &'static [&'static str],
    /// Whether it may say that the other day field decides.
    may_ask: bool,
}

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const FIELDS: [Field; 7] = [
    Field { name: "second", min: 0, max: 59, words: &[], may_ask: false },
    Field { name: "minute", min: 0, max: 59, words: &[], may_ask: false },
    Field { name: "hour", min: 0, max: 23, words: &[], may_ask: false },
    Field { name: "day", min: 1, max: 31, words: &[], may_ask: true },
    Field { name: "month", min: 1, max: 12, words: MONTHS, may_ask: false },
    Field { name: "week", min: 0, max: 6, words: DAYS, may_ask: true },
    Field { name: "year", min: 1970, max: 2099, words: &[], may_ask: false },
];

/// Longest expression: a list of every minute, and some.
const CHARS_MAX: usize = 1024;

impl Cron {
    /// Checks an expression and gives it seven fields.
    pub fn parse(text: &str) -> Result<Cron> {
        if text.len() > CHARS_MAX {
            return Err(wrong(format!("it must be at most {CHARS_MAX} characters")));
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let whole = match fields.len() {
            7 => fields.join(" "),
            5 => format!("0 {} *", fields.join(" ")),
            count => return Err(wrong(format!("it has {count} fields, not seven or five"))),
        };
        for (field, text) in FIELDS.iter().zip(whole.split(' ')) {
            field.check(text)?;
        }
        Ok(Cron(whole.to_ascii_uppercase()))
    }

    /// The seven fields, a blank between two.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same moments in words that every other program takes in the same way: steps say where they end, which elsewhere is not
    /// always where the cloud ends them (weeks have a seventh day, years begin with 1), and nothing is left to another field.
    pub(crate) fn spelled_out(&self) -> String {
        let fields = FIELDS.iter().zip(self.0.split(' ')).map(|(field, text)| field.spelled_out(text));
        fields.collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Field {
    fn check(&self, text: &str) -> Result<()> {
        if text == "?" && self.may_ask {
            return Ok(());
        }
        text.split(',').try_for_each(|item| self.check_item(item))
    }

    /// `*`, `a`, `a-b`, each with or without `/n`.
    fn check_item(&self, item: &str) -> Result<()> {
        let (place, step) = item.split_once('/').map_or((item, None), |(place, step)| (place, Some(step)));
        if let Some(step) = step {
            let largest = self.max - self.min;
            let is_step = number(step).is_some_and(|step| (1..=largest.max(1)).contains(&step));
            if !is_step {
                return Err(self.wrong(&format!("steps of 1 to {largest}, not {step}")));
            }
        }
        match place.split_once('-') {
            _ if place == "*" => Ok(()),
            None => self.value(place).map(drop),
            Some((from, to)) => {
                if self.value(from)? <= self.value(to)? {
                    return Ok(());
                }
                Err(self.wrong(&format!("ranges that rise, not {place}")))
            }
        }
    }

    fn spelled_out(&self, text: &str) -> String {
        let item = |item: &str| match item.split_once('/') {
            Some(("*", step)) if self.min == 1970 => format!("{}-{}/{step}", self.min, self.max),
            Some((from, step)) if from != "*" && !from.contains('-') => {
                let from = self.value(from).expect("the expression was checked");
                format!("{from}-{}/{step}", self.max)
            }
            _ => item.to_owned(),
        };
        if text == "?" { "*".to_owned() } else { text.split(',').map(item).collect::<Vec<_>>().join(",") }
    }

    fn value(&self, text: &str) -> Result<u32> {
        let named = self.words.iter().position(|word| word.eq_ignore_ascii_case(text));
        let named = named.and_then(|place| u32::try_from(place).ok()).map(|place| place + self.min);
        let value = named.or_else(|| number(text)).filter(|value| (self.min..=self.max).contains(value));
        value.ok_or_else(|| self.wrong(&format!("{} to {}, not {text}", self.min, self.max)))
    }

    fn wrong(&self, wants: &str) -> Error {
        wrong(format!("{} takes {wants}", self.name))
    }
}

/// Digits alone: `u32` would take a sign.
fn number(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn wrong(why: String) -> Error {
    Error::invalid(format!("the cron expression cannot be understood: {why}")).about(About::Trigger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_expressions_are_taken() {
        for good in [
            "*/5 * * * * * *",
            "0 0 2 1 * * *",
            "0 15 10 * * MON-FRI *",
            "0 0 10,14,16 * * * *",
            "0 */30 9-17 * * * *",
            "0 0 12 * * WED *",
            "0 1/10 * * * * *",
            "0 0 0 1 JAN ? 2030",
            "0 0 0 ? 1-6/2 SUN,SAT 2026-2099",
            "59 59 23 31 12 6 1970",
            "0   0 2\t1 * * *",
        ] {
            assert!(Cron::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn five_fields_are_second_0_of_any_year() {
        assert_eq!(Cron::parse("*/5 * * * *").unwrap().as_str(), "0 */5 * * * * *");
        assert_eq!(Cron::parse("0 9 * * mon").unwrap().as_str(), "0 0 9 * * MON *");
    }

    #[test]
    fn what_the_cloud_does_not_know_is_refused() {
        for bad in [
            "",
            "* * * *",
            "* * * * * *",
            "* * * * * * * *",
            "60 * * * * * *",
            "* 60 * * * * *",
            "* * 24 * * * *",
            "* * * 0 * * *",
            "* * * 32 * * *",
            "* * * * 0 * *",
            "* * * * 13 * *",
            "* * * * * 7 *",
            "* * * * * * 1969",
            "* * * * * * 2100",
            "* * * L * * *",
            "* * * 15W * * *",
            "* * * * * 5#2 *",
            "? * * * * * *",
            "* * * * * * ?",
            "*/0 * * * * * *",
            "*/60 * * * * * *",
            "5-1 * * * * * *",
            "* * * * FEB-JAN * *",
            "1, * * * * * *",
            ",1 * * * * * *",
            "+1 * * * * * *",
            "-1 * * * * * *",
            "1- * * * * * *",
            "1/ * * * * * *",
            "1//2 * * * * * *",
            "* * * * MON * *",
            "a * * * * * *",
            "@daily",
            "1.5 * * * * * *",
            "٣ * * * * * *",
        ] {
            assert!(Cron::parse(bad).is_err(), "{bad}");
        }
        assert!(Cron::parse(&format!("{}0 * * * * * *", "0,".repeat(600))).is_err());
    }
}
