//! Instants as a command shows them: how long ago, or, with `--utc`, when.

use crate::base::text;

/// How instants are shown, seen from one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Microseconds since the epoch.
    pub(super) now_us: i64,
    /// Whether they are shown as instants in UTC.
    pub(super) are_utc: bool,
}

impl Times {
    /// An instant that has been: `3 min ago`, or `2026-01-02 03:04:05 UTC`.
    pub(super) fn past(self, us: i64) -> String {
        if self.are_utc { text::second(us) } else { text::ago(self.now_us, us) }
    }

    /// One that is still to come: `in 3 min`, or `2026-01-02 03:04:05 UTC`.
    pub(super) fn future(self, us: i64) -> String {
        if self.are_utc { text::second(us) } else { text::until(self.now_us, us) }
    }

    /// One that matters to the millisecond: `3 min ago, 2026-01-02 03:04:05.678 UTC`, or the latter alone.
    pub(super) fn exact(self, us: i64) -> String {
        let instant = format!("{} UTC", text::instant(us));
        if self.are_utc { instant } else { format!("{}, {instant}", text::ago(self.now_us, us)) }
    }

    /// One of many below a heading with their day: `03:04:05.678`; with `--utc` each has its day, too.
    pub(super) fn clock(self, us: i64) -> String {
        if self.are_utc { text::instant(us) } else { text::clock(us) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_shown_as_it_was_asked_for() {
        let (us, now_us) = (1_767_323_045_678_901, 1_767_323_225_678_901);
        let relative = Times { now_us, are_utc: false };
        let later = Times { now_us: us, are_utc: false };
        assert_eq!(relative.past(us), "3 min ago");
        assert_eq!(later.future(now_us), "in 3 min");
        assert_eq!(relative.exact(us), "3 min ago, 2026-01-02 03:04:05.678 UTC");
        assert_eq!(relative.clock(us), "03:04:05.678");
        let utc = Times { now_us, are_utc: true };
        assert_eq!([utc.past(us), utc.future(us)], ["2026-01-02 03:04:05 UTC", "2026-01-02 03:04:05 UTC"]);
        assert_eq!(utc.exact(us), "2026-01-02 03:04:05.678 UTC");
        assert_eq!(utc.clock(us), "2026-01-02 03:04:05.678");
    }
}
