//! Stretches of time of one length, as charts show them.

/// Lengths that people read a chart by, seconds; each a part of a day, or whole days.
const WIDTHS_S: [i64; 20] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 604_800,
    2_592_000,
];
const SECOND_US: i64 = 1_000_000;

/// Stretches of equal length, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// When the first begins, microseconds since the epoch; a multiple of their length.
    pub from_us: i64,
    /// How long each is, microseconds.
    pub bucket_us: i64,
    /// How many there are, at least one.
    pub count: usize,
}

impl Buckets {
    /// As short as may be, but no shorter than `shortest_s`, so that `most` of them cover that time.
    pub fn covering(since_us: i64, until_us: i64, most: u32, shortest_s: i64) -> Buckets {
        let (most, until_us) = (i64::from(most.max(1)), until_us.max(since_us));
        let needed = |width_us: i64| until_us.div_euclid(width_us) - since_us.div_euclid(width_us) + 1;
        let mut widths = WIDTHS_S.iter().filter(|width_s| **width_s >= shortest_s);
        let fitting = widths.find(|width_s| needed(**width_s * SECOND_US) <= most);
        // Years, in so few buckets: two of them always suffice, and one where both ends lie in it.
        let bucket_us = fitting.map_or_else(
            || {
                let mut width_us = WIDTHS_S[WIDTHS_S.len() - 1] * SECOND_US;
                while needed(width_us) > most.max(2) {
                    width_us = width_us.saturating_mul(2);
                }
                width_us
            },
            |width_s| width_s * SECOND_US,
        );
        let count = usize::try_from(needed(bucket_us)).unwrap_or(1);
        Buckets { from_us: since_us.div_euclid(bucket_us) * bucket_us, bucket_us, count }
    }

    /// The first and the last moment of each, microseconds since the epoch.
    pub fn bounds(self) -> impl Iterator<Item = (i64, i64)> {
        let begins = move |number: usize| {
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            self.from_us.saturating_add(self.bucket_us.saturating_mul(number))
        };
        (0..self.count).map(move |number| (begins(number), begins(number + 1) - 1))
    }

    /// The last moment of the last one.
    pub fn last_us(self) -> i64 {
        self.bounds().last().map_or(self.from_us, |(_, last_us)| last_us)
    }

    /// The number of the one that holds that moment.
    pub fn number_of(self, ts_us: i64) -> Option<usize> {
        let number = usize::try_from((ts_us - self.from_us).div_euclid(self.bucket_us)).ok();
        number.filter(|number| *number < self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3600 * SECOND_US;

    #[track_caller]
    fn check(since_us: i64, until_us: i64, most: u32, shortest_s: i64, expected: (i64, i64, usize)) {
        let buckets = Buckets::covering(since_us, until_us, most, shortest_s);
        assert_eq!((buckets.from_us, buckets.bucket_us, buckets.count), expected);
        assert!(buckets.from_us <= since_us && until_us <= buckets.last_us());
    }

    #[test]
    fn buckets_are_round_and_cover_what_was_asked_for() {
        check(0, HOUR_US * 24 - 1, 24, 1, (0, HOUR_US, 24));
        check(HOUR_US / 2, HOUR_US * 24, 24, 1, (0, 2 * HOUR_US, 13));
        check(5, 5, 60, 1, (0, SECOND_US, 1));
        check(1_500_000, 3_500_000, 3, 1, (1_000_000, SECOND_US, 3));
        check(0, HOUR_US * 24 * 365 * 50, 2, 1, (0, 2_592_000 * SECOND_US * 512, 2));
        check(10, 5, 10, 1, (0, SECOND_US, 1));
        check(0, HOUR_US, 1, 1, (0, 2 * HOUR_US, 1));
        check(0, HOUR_US, 61, 60, (0, 60 * SECOND_US, 61));
        check(5, 5, 60, 60, (0, 60 * SECOND_US, 1));
    }

    #[test]
    fn a_moment_is_in_the_bucket_whose_bounds_hold_it() {
        let buckets = Buckets::covering(0, 9_999_999, 10, 1);
        let numbers =
            [0, 999_999, 1_000_000, 9_999_999, 10_000_000, -1].map(|ts_us| buckets.number_of(ts_us));
        assert_eq!(numbers, [Some(0), Some(0), Some(1), Some(9), None, None]);
        let bounds: Vec<(i64, i64)> = buckets.bounds().collect();
        assert_eq!((bounds.len(), bounds[0], bounds[9]), (10, (0, 999_999), (9_000_000, 9_999_999)));
    }
}
